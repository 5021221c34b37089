"""A small policy with the sequential judge, and rollouts under it, minute by minute."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

from controller.core.judge import sequential_tests
from controller.core.judge.evidence import BaselineMeasurement, StepInterval
from controller.core.judge.sequential_tests import gate_tests
from controller.core.judge.series import Window
from controller.core.policy import Policy
from controller.core.stats.combined_tests import ControlState, Fold, LikelihoodRatios, fold_minute
from controller.core.units import MINUTE_S
from tests.support.rollouts import a_policy

BUDGET, ALLOWED = 0.01, 0.001

METRICS: Mapping[str, Any] = {
    "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
    "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
    "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
    "stable": {"namespace": "Shop", "name": "Stable", "statistic": "Sum"},
    "stable_errors": {"namespace": "Shop", "name": "StableErrors", "statistic": "Sum"},
    "direct": {"namespace": "Shop", "name": "Direct", "statistic": "p95", "unit": "ms"},
    "rejects": {"namespace": "Shop", "name": "4XX", "statistic": "Sum"},
}
_SLOWER: Mapping[str, Any] = {
    "kind": "latency_increase", "metric": "latency", "max_increase": "5%", "min_samples": 20,
}  # fmt: skip
CRITERIA: Mapping[str, Mapping[str, Any]] = {
    "rate": {
        "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99.9%",
        "control": {"total": "stable", "failures": ["stable_errors"]},
    },
    "beside": {**_SLOWER, "baseline": {"concurrent": "direct"}},
    "stored": {**_SLOWER, "baseline": {"frozen": "direct", "over": "24h"}},
    "limit": {"kind": "threshold", "metric": "latency", "max": 500},
    "share": {"kind": "threshold", "metric": "rejects", "per": "requests", "max": "1%"},
    "count": {"kind": "threshold", "metric": "rejects", "max": 10},
}  # fmt: skip
# 5 % of a day of requests were slower than 400 ms.
BASELINE = BaselineMeasurement(400.0, 100_000, 0, 86_400, 0.05, 1.0)
BASELINES = {"beside": BASELINE, "stored": BASELINE}


def a_sequential_policy(*criteria: str, **parts: Any) -> Policy:
    """Return a policy with some of the criteria, all of them with the sequential judge."""
    sequential = {name: {**CRITERIA[name], "judge": "sequential"} for name in criteria or CRITERIA}
    return a_policy(metrics=METRICS, criteria=sequential, **parts)


ONE_STEP = {"steps": [{"weight": 100, "bake": "24h"}], "warmup": "0s"}
RATE = a_sequential_policy("rate", **ONE_STEP)


def failure_window(
    requests: float, failed: float, control: float = 0, control_failed: float = 0
) -> Window:
    """Return a minute of requests and failures, of the canary and of its control."""
    return Window(requests, failed, 0.0, False, control, control_failed)


def latency_window(
    requests: float, share: float, control: float = 0, control_share: float = 0
) -> Window:
    """Return a minute of requests and shares of slow ones, of the canary and of its control."""
    slow, control_slow = share * requests, control_share * control
    return Window(requests, slow, share, False, control, control_slow, True, slow)


def minute_evidence(
    policy: Policy,
    name: str,
    window: Window,
    *,
    minute: int = 0,
    control: ControlState | None = None,
) -> list[LikelihoodRatios]:
    """Return the bets of criterion `name` in a minute of the first step."""
    stretch = StepInterval(0, 0, int(policy.warmup.total_seconds()))
    fold = Fold(controls={} if control is None else {name: control})
    return gate_tests(policy, 0, BASELINES)[name].likelihood_ratios(
        window, fold, stretch, minute * MINUTE_S
    )[0]


def fold_after(policy: Policy, minutes: Iterable[Mapping[str, Window]], warmup_s: int = 0) -> Fold:
    """Return the fold over `minutes` of the first step, each with a window of some criteria."""
    fold = Fold()
    for fold in _folds(policy, minutes, warmup_s):  # noqa: B007
        pass
    return fold


def minutes_to_fail(
    policy: Policy, minutes: Iterable[Mapping[str, Window]], warmup_s: int = 0
) -> float:
    """Return after how many minutes of the first step the rollout is rolled back; inf: never."""
    for minute, fold in enumerate(_folds(policy, minutes, warmup_s), start=1):
        if fold.rejects(policy.budget):
            return minute
    return inf


def _folds(
    policy: Policy, minutes: Iterable[Mapping[str, Window]], warmup_s: int
) -> Iterable[Fold]:
    fold, tests = Fold(), sequential_tests.tests_of(policy)
    tests_by_name, stretch = gate_tests(policy, 0, BASELINES), StepInterval(0, 0, warmup_s)
    for minute, windows in enumerate(minutes):
        all_bets: list[LikelihoodRatios] = []
        controls: dict[str, ControlState] = {}
        for name, window in windows.items():
            one, controls[name] = tests_by_name[name].likelihood_ratios(
                window, fold, stretch, minute * MINUTE_S
            )
            all_bets += one
        fold = fold_minute(fold, (minute + 1) * MINUTE_S, all_bets, controls, tests)
        yield fold


def rate_minutes(counts: Sequence[tuple[float, ...]]) -> list[Mapping[str, Window]]:
    """Return minutes of the success rate: requests and failures, then those of the control."""
    return [{"rate": failure_window(*one)} for one in counts]
