"""What an outage of the canary is expected to cost: from the judges, the traffic and the weight."""

from typing import Any

from controller.core.judge.exposure import ExpectedExposure, expected_exposure
from tests.support.cases import cases
from tests.support.core import Policy
from tests.support.rollouts import LADDER, a_policy

WORKS = LADDER["criteria"]["works"]
SEQUENTIAL = {
    "kind": "success_rate",
    "total": "requests",
    "failures": ["errors"],
    "min": "99.9%",
}
ANSWERED = {
    "kind": "success_rate", "total": "requests", "successes": ["errors"], "min": "99.9%",
}  # fmt: skip
BURN = {
    "kind": "burn_rate",
    "total": "requests",
    "failures": ["errors"],
    "slo": "99%",
    "window": "5m",
    "windows": [{"factor": 10, "long": "30m", "short": "5m"}],
}
STEPS: list[dict[str, Any]] = [
    {"weight": 10, "bake": "1h"},
    {"weight": 50, "bake": "1h"},
    {"weight": 100, "bake": "1d"},
]


def policy_of(criterion: dict[str, Any], **parts: Any) -> Policy:
    return a_policy(criteria={"works": criterion}, steps=STEPS, **parts)


def expected(policy: Policy, step: int, per_minute: float) -> ExpectedExposure:
    found = expected_exposure(policy, step, per_minute)
    assert found is not None
    return found


# Warm-up of 2 minutes, evaluation delay of 3, and 1 until a tick has written 0%.
@cases("criterion, step, per_minute, minutes", {
    "the breaker finds it in two minutes, in the warm-up too": (SEQUENTIAL, 1, 600, 2 + 4),
    "what is not answered is found as soon": (ANSWERED, 1, 600, 2 + 4),
    "with few requests it takes more of them": (SEQUENTIAL, 0, 6, 7 + 4),
    "two windows of a minute, after the warm-up": (WORKS, 1, 600, 2 + 2 + 4),
    "windows of five minutes begin up to four minutes later":
        ({**WORKS, "window": "5m"}, 1, 600, 2 + 4 + 10 + 4),
    "an error budget of 1%, ten times too fast over half an hour":
        (BURN, 1, 600, 2 + 4 + 5 + 4),
})  # fmt: skip
def test_an_outage_lasts_until_a_judge_finds_it_and_a_tick_takes_it_back(
    criterion: dict[str, Any], step: int, per_minute: float, minutes: int
) -> None:
    found = expected(policy_of(criterion), step, per_minute)
    assert (found.minutes, found.found) == (minutes, True)
    assert found.bad_requests == per_minute * STEPS[step]["weight"] / 100 * minutes


def test_a_criterion_that_only_reports_takes_nothing_back() -> None:
    reports = a_policy(criteria={"works": {**WORKS, "gates": False}, "b": BURN}, steps=STEPS)
    assert expected(reports, 1, 600).minutes == expected(policy_of(BURN), 1, 600).minutes


def test_without_a_criterion_that_counts_failures_nothing_is_expected() -> None:
    traffic = {"kind": "traffic", "metric": "requests"}
    assert expected_exposure(policy_of(traffic), 1, 600) is None


def test_an_outage_that_nothing_finds_lasts_for_the_step_and_its_hold() -> None:
    found = expected(policy_of(SEQUENTIAL), 0, 0.1)
    assert (found.minutes, found.found) == (2 + 60 + 120 + 4, False)


def test_probes_find_an_outage_and_are_nobody_s_requests() -> None:
    probed = policy_of(SEQUENTIAL, probes_per_minute=60)
    assert (expected(probed, 0, 0.1).minutes, expected(probed, 0, 0).bad_requests) == (6, 0)


def test_where_both_paths_are_counted_the_canary_s_share_of_them_fails() -> None:
    both = {**LADDER["metrics"]["requests"], "counts": "both"}
    errors = {**LADDER["metrics"]["errors"], "counts": "both"}
    diluted = policy_of(SEQUENTIAL, metrics={"requests": both, "errors": errors})
    assert (
        expected(diluted, 0, 600).bad_requests
        >= expected(policy_of(SEQUENTIAL), 0, 600).bad_requests
    )
