"""Which requests a service counts in which metric, by how they ended.

The published text of AWS that this follows is in tests/aws_facts.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from controller.flag import NAMESPACE
from controller.simulation.scenario.metric_roles import LAMBDA, LOAD_BALANCER, Measure

_BAD_GATEWAYS: Final = frozenset({"died", "raised", "throttled"})
_UNANSWERED: Final = _BAD_GATEWAYS | {"hung"}
_OUTCOMES: Final[Mapping[Measure, frozenset[str]]] = {
    Measure.FAILURES: _UNANSWERED | {"client_errors", "server_errors"},
    Measure.RAISED: frozenset({"raised", "throttled"}),
    Measure.BAD_GATEWAYS: _BAD_GATEWAYS,
    Measure.UNANSWERED: _UNANSWERED,
}


class ServiceCounts(NamedTuple):
    """What a service makes of the outcomes of requests.

    server_errors: those that it counts as such. uncounted: those that are no request to it.
    untimed: those that it measures no latency of. zeros: whether it publishes a 0 for each request
    that a metric does not count.
    """

    server_errors: frozenset[str] = _UNANSWERED | {"server_errors"}
    uncounted: frozenset[str] = frozenset()
    untimed: frozenset[str] = frozenset()
    zeros: bool = True

    def values(self, measure: Measure, requests: int, ended: Mapping[str, int]) -> tuple[int, int]:
        """Return how many values of 1 and of 0 a count has; ended: requests by outcome."""
        counted = requests - _total(ended, self.uncounted)
        match measure:
            case Measure.REQUESTS:
                hits = counted
            case Measure.SUCCESSES:
                hits = requests - sum(ended.values())
            case Measure.SERVER_ERRORS:
                hits = _total(ended, self.server_errors)
            case _:
                hits = _total(ended, _OUTCOMES.get(measure, frozenset({measure.value})))
        return hits, max(0, counted - hits) if self.zeros else 0

    def timed(self, requests: int, ended: Mapping[str, int]) -> int:
        """Return how many of the requests have a latency."""
        return requests - _total(ended, self.untimed)


SERVICES: Final[Mapping[str, ServiceCounts]] = {
    LOAD_BALANCER: ServiceCounts(
        server_errors=frozenset({"server_errors"}),
        untimed=_UNANSWERED | {"aborted"},
        zeros=False,
    ),
    LAMBDA: ServiceCounts(
        server_errors=frozenset({"server_errors", "died", "hung", "raised"}),
        uncounted=frozenset({"throttled"}),
        untimed=frozenset({"throttled"}),
    ),
    # The flag is in the caller: a call without an answer is a failure there, and takes its time.
    NAMESPACE: ServiceCounts(),
}


def _total(ended: Mapping[str, int], outcomes: frozenset[str]) -> int:
    return sum([count for outcome, count in ended.items() if outcome in outcomes])
