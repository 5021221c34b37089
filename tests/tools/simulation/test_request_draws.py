from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any, get_args

import pytest

from controller.core.policy.metric_uses import Measures
from controller.tools.simulation.scenario.metric_roles import Measure
from controller.tools.simulation.world import World
from tests.support.core import Policy
from tests.tools.simulation.worlds import (
    FUNCTION,
    HOUR,
    MINUTE,
    POLICY,
    START,
    read,
    scenario,
    set_weight,
    world,
)

SETTLED = 3 * MINUTE
CANARY = {"Flag": FUNCTION, "Path": "canary"}


def called(**changes: Any) -> World:
    """Return a world in which the caller of both paths measures too, an hour after its start."""
    by_caller = {"namespace": "rolloutctl", "statistic": "Sum", "dimensions": CANARY}
    metrics = {
        "calls": {**by_caller, "name": "Requests"},
        "lost": {**by_caller, "name": "Failures"},
        "took": {**by_caller, "name": "Duration", "statistic": "p95"},
    }
    called = {**POLICY["criteria"]["works"], "total": "calls", "failures": ["lost"]}
    quick = {**POLICY["criteria"]["bounded"], "metric": "took"}
    account = World.for_policy(
        Policy.model_validate(
            {
                **POLICY,
                "metrics": {**POLICY["metrics"], **metrics},
                "criteria": {**POLICY["criteria"], "called": called, "quick": quick},
            }
        ),
        scenario(**changes),
        start=START,
    )
    account.clock.advance(HOUR)
    return account


def at_caller(account: World, name: str, statistic: str = "Sum") -> dict[datetime, float]:
    return read(
        account, f"rolloutctl/{name}", statistic, dimensions=CANARY, end=START + HOUR - SETTLED
    )


# A scenario that moves a metric of each use: a criterion on one that nothing moves is never seen to
# fail in a rehearsal.
_ERRORS = {"kind": "errors", "server_errors": "5%"}
MOVED_BY: Mapping[str, Mapping[str, Any]] = {
    "requests": {"events": [{"kind": "traffic", "times": 2}]},
    "failures": {"events": [_ERRORS]},
    "successes": {"events": [_ERRORS]},
    "latency": {"events": [{"kind": "latency", "times": 2}]},
}


@pytest.mark.parametrize("use", get_args(Measures))
def test_a_scenario_moves_whatever_a_kind_says_that_its_metric_measures(use: Measures) -> None:
    assert use in list(Measure), (
        f"a rehearsal cannot measure {use!r}: add it to Measure in tools/simulation/scenario/"
        "metric_roles.py, and count it in tools/simulation/request_draws.py"
    )
    assert use in MOVED_BY, f"what of a scenario moves {use!r}? Add it to MOVED_BY"

    def total(**moved: Any) -> float:
        measured = {"requests": {"path": "canary", "measure": use}}
        account = world(scenario(function={"weight": 50}, metrics=measured, **moved))
        account.clock.advance(HOUR)
        return sum(read(account, "Count", end=START + HOUR - SETTLED).values())

    assert total(**MOVED_BY[use]) != pytest.approx(total(), rel=0.02)


@pytest.mark.parametrize("weight", [0, 10, 50, 100])
def test_the_weight_splits_the_requests(weight: int) -> None:
    account = world(scenario(function={"weight": weight}))
    account.clock.advance(HOUR)
    canary = sum(read(account, "Count", end=START + HOUR - SETTLED).values())
    stable = sum(read(account, "AWS/Lambda/Invocations", end=START + HOUR - SETTLED).values())
    assert canary + stable == pytest.approx(60 * 600, rel=0.05)
    assert canary / (canary + stable) == pytest.approx(weight / 100, abs=0.02)


@pytest.mark.parametrize("weight", [0, 10])
def test_declared_probes_reach_the_canary_at_every_weight_and_nothing_else(weight: int) -> None:
    policy, played = {**POLICY, "probes_per_minute": 30}, scenario(function={"weight": weight})
    calls, direct = [], []
    for account in (
        world(played),
        World.for_policy(Policy.model_validate(policy), played, seed=1, start=START),
    ):
        account.clock.advance(HOUR)
        calls.append(read(account, "Count", end=START + HOUR - SETTLED))
        direct.append(read(account, "AWS/Lambda/Invocations", end=START + HOUR - SETTLED))
    users = {minute: count - 30 for minute, count in calls[1].items()}
    assert {minute: count for minute, count in users.items() if count} == calls[0]
    assert direct[0] == direct[1]


def test_a_change_inside_a_minute_counts_from_its_second() -> None:
    account = world(scenario(traffic={"requests_per_minute": 60_000}))
    account.clock.advance(timedelta(seconds=42))
    set_weight(account, 100)  # in force at 45 s
    account.clock.advance(HOUR)
    by_minute = read(account, "Count", start=START, end=START + 2 * MINUTE)
    assert by_minute[START] == pytest.approx(15_000, rel=0.05)
    assert by_minute[START + MINUTE] == pytest.approx(60_000, rel=0.05)


def test_without_traffic_there_is_no_datapoint_and_no_zero() -> None:
    account = world()
    account.clock.advance(HOUR)
    for name, statistic in (("Count", "Sum"), ("5XXError", "Sum"), ("Latency", "p95")):
        assert read(account, name, statistic) == {}


def test_errors_come_at_the_rate_of_their_path() -> None:
    account = world(
        scenario(
            function={"weight": 50},
            traffic={"requests_per_minute": 6_000},
            canary={"median_ms": 100, "client_errors": "2%", "server_errors": "1%"},
        )
    )
    account.clock.advance(HOUR)
    end = START + HOUR - SETTLED
    requests = sum(read(account, "Count", end=end).values())
    assert sum(read(account, "4XXError", end=end).values()) / requests == pytest.approx(
        0.02, rel=0.1
    )
    assert sum(read(account, "5XXError", end=end).values()) / requests == pytest.approx(
        0.01, rel=0.1
    )
    rate = read(account, "5XXError", "Average", 3_600, start=START - HOUR, end=START)
    assert list(rate.values()) == [pytest.approx(0.01, rel=0.1)]


def test_the_caller_counts_the_same_requests_and_every_error_as_a_failure() -> None:
    sick = {"median_ms": 100, "client_errors": "2%", "server_errors": "1%"}
    account = called(function={"weight": 50}, canary=sick)
    end = START + HOUR - SETTLED
    rejected, broken = (read(account, name, end=end) for name in ("4XXError", "5XXError"))
    assert sum(rejected.values()) > 0 < sum(broken.values())
    assert at_caller(account, "Requests") == read(account, "Count", end=end)
    assert at_caller(account, "Failures") == {
        minute: rejected[minute] + broken[minute] for minute in rejected
    }


def test_traffic_has_a_daily_rhythm() -> None:
    rhythm = {"requests_per_minute": 600, "daily_swing": "50%", "busiest_hour": 14}
    account = world(scenario(traffic=rhythm))
    yesterday = START.replace(hour=0) - timedelta(days=1)
    hours = read(
        account,
        "AWS/Lambda/Invocations",
        "Sum",
        3_600,
        start=yesterday,
        end=yesterday + timedelta(days=1),
    )
    by_hour = {moment.hour: requests / 60 for moment, requests in hours.items()}
    assert by_hour[14] == pytest.approx(900, rel=0.05)
    assert by_hour[2] == pytest.approx(300, rel=0.05)
    assert fmean(by_hour.values()) == pytest.approx(600, rel=0.05)


def test_a_cold_start_slows_some_requests_right_after_a_change_only() -> None:
    cold = {"share": "20%", "times": 5, "lasting": "60s"}
    account = world(scenario(canary={"median_ms": 100, "cold_start": cold}))
    account.clock.advance(timedelta(seconds=57))
    set_weight(account, 50)  # in force at the full minute
    account.clock.advance(HOUR)
    p95 = read(account, "Latency", "p95", start=START, end=START + 10 * MINUTE)
    first, *later = p95.values()
    assert first > 400
    assert max(later) < 250
