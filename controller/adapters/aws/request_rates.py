"""How many requests a second one process sends to each service of one account and Region.

Each rate is what AWS allows all callers of an account together. A request that comes too early
waits for its turn; one that lowers traffic does not wait, and others wait longer for it. After a
pause some are sent at once. Where another process of the account takes its part, AWS throttles,
and botocore repeats the request.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from controller.immutable import Immutable

# Operations that have a quota of another kind, or one that no tick comes near.
_OTHER_QUOTAS: Final = frozenset({"GetFunction", "GetPolicy", "Invoke"})


class Rate(Immutable):
    """The requests a second that AWS allows; source: the page that says so."""

    a_second: float
    source: str


# So much of a pause is made up for, by half of the requests that AWS allows in a second. The time
# in which a tick decides about some rollouts is not lost for reading the next ones.
CATCH_UP_S: Final = 0.5

_LAMBDA_QUOTAS: Final = "docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_CLOUDWATCH_QUOTAS: Final = (
    "docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html"
)

# By service, or service and operation. Lambda: all operations together, and it cannot be raised.
# DynamoDB has no such quota: what limits it is the capacity of a partition.
RATES: Final[Mapping[str, Rate]] = {
    "lambda": Rate(15, _LAMBDA_QUOTAS),
    "cloudwatch.GetMetricData": Rate(50, _CLOUDWATCH_QUOTAS),
    "cloudwatch.DescribeAlarms": Rate(9, _CLOUDWATCH_QUOTAS),
}

_lowers: ContextVar[bool] = ContextVar("lowers", default=False)


@contextmanager
def lowering() -> Iterator[None]:
    """Mark all requests that are made inside this context: they lower traffic."""
    before = _lowers.set(True)
    try:
        yield
    finally:
        _lowers.reset(before)


def is_lowering() -> bool:
    """Tell whether the requests that are made now lower traffic."""
    return _lowers.get()


class RequestRates:
    """Lets requests pass at the rates of RATES; of all threads of a process, for one account.

    clock: returns seconds that never go back. sleep: waits for seconds.
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}  # when the next request of a kind may be sent

    def wait(self, service: str, operation: str, *, lowers: bool = False) -> None:
        """Wait until a request may be sent. lowers: it lowers traffic, and is sent at once."""
        kind = service if service in RATES else f"{service}.{operation}"
        rate = RATES.get(kind)
        if rate is None or operation in _OTHER_QUOTAS:
            return
        with self._lock:
            now = self._clock()
            turn = max(now - CATCH_UP_S, self._next.get(kind, now))
            self._next[kind] = turn + 1 / rate.a_second
        if turn > now and not lowers:
            self._sleep(turn - now)
