"""The requests that one process sends are held to what AWS allows an account."""

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from controller.adapters.aws.clients import Clients
from controller.adapters.aws.limited_client import CallLimits
from controller.adapters.aws.request_rates import RATES, RequestRates, lowering
from controller.bootstrap.account import real_account
from controller.errors import TargetError
from tests.adapters.contracts.target import HANDLER
from tests.aws_facts.published import facts
from tests.support.aws_stub import Endpoint, hangs, responds
from tests.support.cases import cases

LIMITS = CallLimits(attempts=1, connect_s=1, read_s=5, total_s=0.6)


class Clock:
    """A clock that each sleep moves on."""

    def __init__(self) -> None:
        self.seconds, self.slept = 0.0, list[float]()

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def sent(requests: int, send: Callable[[RequestRates], None]) -> float:
    """Return how many seconds a number of requests took."""
    clock = Clock()
    rates = RequestRates(clock.now, clock.sleep)
    for _ in range(requests):
        send(rates)
    return clock.seconds


@cases("service, operation, seconds", {
    "the control plane of Lambda": ("lambda", "GetFunctionConfiguration", 60.0),
    "metrics": ("cloudwatch", "GetMetricData", 18.0),
    "alarms": ("cloudwatch", "DescribeAlarms", 100.0),
    "functions that hooks invoke": ("lambda", "Invoke", 0.0),
    "a table": ("dynamodb", "UpdateItem", 0.0),
})  # fmt: skip
def test_900_requests_take_as_long_as_the_quota_says(
    service: str, operation: str, seconds: float
) -> None:
    took = sent(900, lambda rates: rates.wait(service, operation))
    assert took == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize(("pause_s", "at_once"), [(0.0, 0), (0.2, 3), (0.5, 7), (60.0, 7)])
def test_after_a_pause_half_a_second_of_requests_is_sent_at_once(
    pause_s: float, at_once: int
) -> None:
    """Seven of Lambda's 15: as many stay for others of the account."""
    clock = Clock()
    rates = RequestRates(clock.now, clock.sleep)
    rates.wait("lambda", "GetFunctionConfiguration")
    clock.seconds += 1 / 15 + pause_s
    for _ in range(at_once + 1):
        rates.wait("lambda", "GetFunctionConfiguration")
    assert clock.slept == []
    rates.wait("lambda", "GetFunctionConfiguration")
    assert 0 < clock.slept[0] <= 1 / 15


def test_all_operations_of_lambda_share_one_quota() -> None:
    def read_and_write(rates: RequestRates) -> None:
        rates.wait("lambda", "GetFunctionConfiguration")
        rates.wait("lambda", "UpdateFunctionConfiguration")

    assert sent(15, read_and_write) == pytest.approx(29 / 15)


def test_a_request_that_lowers_traffic_waits_for_no_other_and_others_wait_for_it() -> None:
    clock = Clock()
    rates = RequestRates(clock.now, clock.sleep)
    for _ in range(30):
        rates.wait("lambda", "UpdateFunctionConfiguration", lowers=True)
    assert clock.slept == []
    rates.wait("lambda", "GetFunctionConfiguration")
    assert clock.slept == [pytest.approx(2.0)]


def test_each_rate_is_the_published_quota() -> None:
    published = {
        name: quota
        for service in ("lambda", "cloudwatch")
        for name, quota in facts(service)["request_quotas"].items()
    }
    assert {name: rate.a_second for name, rate in RATES.items()} == {
        name: quota["a_second"] for name, quota in published.items()
    }


def answered(percentage: int) -> bytes:
    """Return an answer about a function whose weight is `percentage`."""
    variables = {"PERCENTAGE": str(percentage), "ENABLED": "false"}
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:handler"
    answer = {
        "FunctionArn": arn,
        "RevisionId": "r1",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": variables},
    }
    return json.dumps(answer).encode()


def test_what_a_tick_does_with_a_target_waits_for_its_turn_unless_it_lowers_traffic(
    endpoint: Endpoint,
) -> None:
    endpoint.answers = [responds(answered(10))]
    made = Clients()
    waits = list[tuple[str, str, bool]]()
    made._rates.wait = lambda *kind, lowers: waits.append((*kind, lowers))  # type: ignore[method-assign]
    target = real_account(clients=made).open(HANDLER)
    target.read()
    target.shift_to(25, "r1")
    read, write = "GetFunctionConfiguration", "UpdateFunctionConfiguration"
    assert waits == [("lambda", one, False) for one in (read, read, write)]
    waits.clear()
    target.lower_to_zero(timedelta(seconds=5))
    assert waits == [("lambda", one, True) for one in (read, write)]


def test_a_read_that_ran_into_its_limit_shortens_the_next_ones_until_the_next_tick(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.adapters.aws.limited_client.HURRIED_S", 0.2)
    endpoint.answers = [hangs]
    made = Clients({"lambda": LIMITS}, floor_s=0.1)
    target = real_account(clients=made).open(HANDLER)

    def limit_of(read: Callable[[], object]) -> str:
        with pytest.raises(TargetError) as caught:
            read()
        found = re.search(r"within ([0-9.]+) s", str(caught.value.__cause__))
        assert found
        return found[1]

    def lower() -> None:
        with lowering():
            target.read()

    assert [limit_of(one) for one in (target.read, target.read, lower)] == ["0.6", "0.2", "0.6"]
    made.limit_calls(timedelta(seconds=30))
    assert limit_of(target.read) == "0.6"


def test_the_time_in_which_a_request_waits_for_its_turn_is_no_part_of_its_limit(
    endpoint: Endpoint,
) -> None:
    endpoint.answers = [responds(answered(10))]
    made = Clients({"lambda": LIMITS})
    target = real_account(clients=made).open(HANDLER)
    for _ in range(18):  # requests before it: 1.2 s, twice its limit
        made._rates.wait("lambda", "UpdateFunctionConfiguration", lowers=True)
    assert target.read().weight == 10
