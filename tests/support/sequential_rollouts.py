"""A small policy with the sequential judge, and steps under it, minute by minute from noon on.

A minute has the value of each `metric:statistic`; what it leaves out has no datapoint.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, TypeAlias

from controller.immutable import replace
from tests.support.core import (
    BaselineMeasurement,
    Finding,
    Policy,
    Rollout,
    SequentialState,
    Series,
    Verdict,
    query_plan,
)
from tests.support.judging import (
    CHECKPOINT_AGE,
    METRICS,
    SETTLE,
    Judging,
    a_step,
    findings_at,
    with_checkpoint,
)
from tests.support.rollouts import MINUTE, NOON, a_policy, a_series

ALLOWED = 0.001

_SLOWER: Mapping[str, Any] = {
    "kind": "latency_increase", "metric": "latency", "max_increase": "5%", "min_samples": 20,
}  # fmt: skip
CRITERIA: Mapping[str, Mapping[str, Any]] = {
    "rate": {
        "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99.9%",
        "control": {"total": "stable", "failures": ["stable_errors"]},
    },
    "beside": {**_SLOWER, "baseline": {"concurrent": "direct"}},
    "stored": {**_SLOWER, "baseline": {"frozen": "direct", "window": "24h"}},
    "limit": {"kind": "threshold", "metric": "latency", "max": 500},
    "share": {"kind": "threshold", "metric": "rejects", "per": "requests", "max": "1%"},
    "count": {"kind": "threshold", "metric": "rejects", "max": 10, "min_samples": 1},
}  # fmt: skip
# 5% of a day of requests were slower than 400 ms.
BASELINE = BaselineMeasurement(400.0, 100_000, 0, 86_400, 0.05, 1.0)
BASELINES = {"beside": BASELINE, "stored": BASELINE}


def a_sequential_policy(*criteria: str, **parts: Any) -> Policy:
    """Return a policy with some of the criteria, all of them with the sequential judge.

    parts: of the policy; those of a criterion by its name, like `rate={"assurance": "proven"}`.
    """
    changes = {name: parts.pop(name) for name in list(parts) if name in CRITERIA}
    sequential = {
        name: {**CRITERIA[name], "judge": "sequential", **changes.get(name, {})}
        for name in criteria or CRITERIA
    }
    return a_policy(**{"metrics": METRICS, "criteria": sequential, **parts})


ONE_STEP: Mapping[str, Any] = {"steps": [{"weight": 100, "bake": "24h"}], "warmup": "0s"}
AN_HOUR: Mapping[str, Any] = {**ONE_STEP, "steps": [{"weight": 100, "bake": "1h"}]}
RATE = a_sequential_policy("rate", **ONE_STEP)


# --- Minutes --------------------------------------------------------------------------------------

Minute: TypeAlias = Mapping[str, float]


def rate(requests: float, failed: float, control: float = 0, bad: float = 0) -> Minute:
    """Return requests and failures, of the canary and of its control."""
    canary = {"requests:Sum": requests, "errors:Sum": failed}
    return canary | ({"stable:Sum": control, "stable_errors:Sum": bad} if control else {})


def beside(
    slow: float,
    requests: float = 100,
    control: float = 200,
    bad: float = 10,
    hung: float = 0,
    control_hung: float = 0,
) -> Minute:
    """Return requests slower than 1.05 times the control's p95, and those of the control.

    hung, control_hung: those that took more than three times the control's p95.
    """
    stable = {"direct:SampleCount": control, "direct:TC(400:)": bad}
    hanging = {"latency:TC(1200:)": hung, "direct:TC(1200:)": control_hung}
    return {"latency:SampleCount": requests, "latency:TC(420:)": slow, **stable, **hanging}


def stored(slow: float, slower: float, requests: float = 100, hung: float = 0) -> Minute:
    """Return requests slower than 1.05 times the stored p95, and than that after 5% of drift.

    hung: those that took more than three times the stored p95.
    """
    counts = {"latency:TC(420:)": slow, "latency:TC(441:)": slower, "latency:TC(1200:)": hung}
    return {"latency:SampleCount": requests, **counts}


def limit(slow: float, requests: float = 100) -> Minute:
    """Return requests slower than 500 ms."""
    return {"latency:SampleCount": requests, "latency:TC(500:)": slow}


def rejects(count: float, requests: float = 600) -> Minute:
    """Return rejected requests."""
    return {"requests:Sum": requests, "rejects:Sum": count, "rejects:SampleCount": 1}


# A minute of 600 requests of each criterion, none of which fails or is too slow.
QUIET: Minute = {
    **rate(600, 0, 600, 0), **beside(0, 600, 600, 0), **stored(0, 0, 600), **limit(0, 600),
    **rejects(0),
}  # fmt: skip


def rate_minutes(counts: Sequence[tuple[float, ...]]) -> list[Minute]:
    """Return minutes of the success rate: requests and failures, then those of the control."""
    return [rate(*count) for count in counts]


# --- Steps ----------------------------------------------------------------------------------------


def a_sequential_step(policy: Policy, warmup_s: int | None = None, **facts: Any) -> Rollout:
    """Return a rollout whose first step began at noon; its baselines were read before."""
    if warmup_s is not None:
        policy = policy.model_copy(update={"warmup": timedelta(seconds=warmup_s)})
    return a_step(policy, **{"baselines": BASELINES, **facts})


def observed(
    rollout: Rollout, minutes: Sequence[Minute], span: int | None = None
) -> dict[str, Series]:
    """Return the answer to what `rollout` queries, `span` minutes after noon: so many minutes."""
    tick = NOON + ((len(minutes) if span is None else span) + SETTLE) * MINUTE
    return {
        key: a_series([minute.get(key.removesuffix("@60")) for minute in minutes])
        for key in query_plan(rollout, tick).queries
    }


def after(rollout: Rollout, minutes: Sequence[Minute], closed: int | None = None) -> list[Finding]:
    """Return the findings of `rollout` once `closed` minutes have settled; default: all given."""
    closed = len(minutes) if closed is None else closed
    return list(findings_at(rollout, observed(rollout, minutes, closed), closed + SETTLE))


def an_hour_of(minute: Minute, policy: Policy, minutes: int = 60, **facts: Any) -> Finding:
    """Return the finding of the only criterion after an hour, of which some minutes are equal."""
    (finding,) = after(a_sequential_step(policy, **facts), [minute] * minutes, closed=60)
    return finding


def hour(name: str, minute: Minute, minutes: int = 60, **fields: Any) -> Judging:
    """Return how to judge an hour, of which some minutes are equal; fields: of the criterion."""
    policy = a_sequential_policy(name, **AN_HOUR, **{name: fields})
    return partial(an_hour_of, minute, policy, minutes)


def fold_after(
    policy: Policy, minutes: Sequence[Minute], warmup_s: int | None = None, **facts: Any
) -> SequentialState:
    """Return what is folded of the first `minutes`, once they are stored."""
    rollout = a_sequential_step(policy, warmup_s, **facts)
    return with_checkpoint(
        rollout, observed(rollout, minutes), len(minutes) + CHECKPOINT_AGE
    ).evidence.fold


def minutes_to_fail(
    policy: Policy, minutes: Sequence[Minute], warmup_s: int | None = None, **facts: Any
) -> float:
    """Return after how many minutes of the first step the rollout is rolled back; inf: never."""
    rollout = a_sequential_step(policy, warmup_s, **facts)
    series = observed(rollout, minutes)

    def fails(closed: int) -> bool:
        found = findings_at(rollout, series, closed + SETTLE)
        return any(one.verdict is Verdict.FAIL for one in found)

    if not fails(len(minutes)):  # what has failed once has failed for good
        return inf
    return 1 + bisect_left(range(1, len(minutes)), True, key=fails)


def with_points(
    series: Mapping[str, Series], key: str, points: Mapping[int, float]
) -> dict[str, Series]:
    """Return `series` with some datapoints of one series replaced, by minute after noon."""
    at = {int((NOON + minute * MINUTE).timestamp()): value for minute, value in points.items()}
    return {**series, key: replace(series[key], points={**series[key].points, **at})}
