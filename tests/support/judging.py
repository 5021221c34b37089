"""Steps that are judged: policy, datapoints since noon, weight and bake -> findings."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from tests.support.core import (
    AlarmReading,
    Finding,
    Label,
    Live,
    Observation,
    Policy,
    QueryStatus,
    Rollout,
    Series,
    Verdict,
    judge,
    judge_gate,
    query_plan,
)
from tests.support.rollouts import (
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_rollout,
    a_series,
    a_state,
    with_facts,
)

START, MINUTE_S = int(NOON.timestamp()), 60
# The newest minutes may still change: they are judged once they have settled, and stored later.
SETTLE, CHECKPOINT_AGE = 3, 15
HOUR = 60 * MINUTE

METRICS: Mapping[str, Mapping[str, Any]] = {
    "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
    "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
    "stable": {"namespace": "Shop", "name": "Stable", "statistic": "Sum"},
    "stable_errors": {"namespace": "Shop", "name": "StableErrors", "statistic": "Sum"},
    "rejects": {"namespace": "Shop", "name": "4XX", "statistic": "Sum"},
    "timeouts": {"namespace": "Shop", "name": "Timeouts", "statistic": "Sum", "missing": "zero"},
    "calls": {"namespace": "Shop", "name": "Latency", "statistic": "SampleCount"},
    "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
    "direct": {"namespace": "Shop", "name": "Direct", "statistic": "p95", "unit": "ms"},
}
Values: TypeAlias = Sequence[float | None]
Judging: TypeAlias = Callable[[], Finding]
"""How to judge: a row of a table is judged inside its test, so that an error fails one row."""

# --- Outcomes -------------------------------------------------------------------------------------

Outcome: TypeAlias = tuple[Verdict, Label]

PASS = Verdict.PASS, Label.NO_REGRESSION
PROVEN = Verdict.PASS, Label.PROVEN
FAIL = Verdict.FAIL, Label.REGRESSION
UNDECIDED = Verdict.INCONCLUSIVE, Label.NOT_JUDGED
TOO_FEW = Verdict.INCONCLUSIVE, Label.TOO_FEW
NO_DATA = Verdict.INCONCLUSIVE, Label.NO_DATA
SILENT = Verdict.INCONCLUSIVE, Label.NO_RECENT_DATA
BAD_DATA = Verdict.INCONCLUSIVE, Label.BAD_DATA
UNANSWERED = Verdict.INCONCLUSIVE, Label.QUERY_FAILED


def outcome(finding: Finding) -> Outcome:
    """Return verdict and label of `finding`."""
    return finding.verdict, finding.label


def judged_minutes(finding: Finding) -> tuple[int, int]:
    """Return from when to when was judged, in minutes after noon."""
    return (finding.start - START) // MINUTE_S, (finding.end - START) // MINUTE_S


# --- Datapoints -----------------------------------------------------------------------------------


def datapoints(
    values: Mapping[str, Values],
    *,
    every: int = 1,
    begin: int = 0,
    answers: Mapping[str, QueryStatus] | None = None,
) -> dict[str, Series]:
    """Return the series of metrics, with one value for each `every` minutes after noon.

    values: by metric, or `metric:statistic`; None is a window without a datapoint.
    begin: minutes after noon of the first. answers: of queries that were not answered in full.
    """
    given = answers or {}
    return {
        f"{name if ':' in name else own(name)}@{every * MINUTE_S}": a_series(
            numbers,
            every=every * MINUTE,
            start=NOON + begin * MINUTE,
            answer=given.get(name, QueryStatus.COMPLETE),
        )
        for name, numbers in values.items()
    }


def own(metric: str) -> str:
    """Return a metric with its own statistic: `requests:Sum`."""
    return f"{metric}:{METRICS[metric]['statistic']}"


# --- Steps ----------------------------------------------------------------------------------------


def policy_of(criterion: Mapping[str, Any], **parts: Any) -> Policy:
    """Return a policy whose one criterion is `criterion`, called C."""
    return a_policy(**{"metrics": METRICS, "criteria": {"C": criterion}, **parts})


def a_step(
    criterion: Mapping[str, Any] | Policy,
    *,
    weight: int = 10,
    bake: str = "1m",
    begin: int = 0,
    **facts: Any,
) -> Rollout:
    """Return a rollout whose first step was applied `begin` minutes after noon, without a warm-up.

    criterion: the only one, called C; or a whole policy, whose steps and warm-up stay.
    """
    if not isinstance(criterion, Policy):
        steps = [{"weight": weight, "bake": bake}, {"weight": 100, "bake": bake}]
        criterion = policy_of(criterion, steps=steps[weight == 100 :], warmup="0s")
    weight = criterion.steps[0].weight
    at = NOON + begin * MINUTE
    state = a_state(position=Live(0, weight, at))
    return a_rollout(state=state, policy=criterion, **facts)


def findings_at(
    rollout: Rollout,
    series: Mapping[str, Series],
    minute: float,
    *,
    live: int | None = None,
    alarms: Mapping[str, AlarmReading] | None = None,
) -> tuple[Finding, ...]:
    """Return the findings of a tick `minute` minutes after noon; live: the weight that it reads."""
    reading = a_reading(rollout.weight if live is None else live)
    observation = Observation(reading, series, alarms=alarms or {})
    evidence = judge(rollout, observation, NOON + minute * MINUTE).evidence
    return () if evidence is None else judge_gate(evidence)


def judged(
    criterion: Mapping[str, Any],
    series: Mapping[str, Series],
    *,
    closed: int,
    live: int | None = None,
    alarms: Mapping[str, AlarmReading] | None = None,
    **step: Any,
) -> Finding:
    """Return the finding of a step that began at noon, of which `closed` minutes have settled."""
    rollout = a_step(criterion, **step)
    (finding,) = findings_at(rollout, series, closed + SETTLE, live=live, alarms=alarms)
    return finding


# --- Queries and checkpoints ----------------------------------------------------------------------

LogFacts: TypeAlias = tuple[str, str, tuple[int, int], int]


def log_queries(rollout: Rollout, minute: float) -> dict[str, LogFacts]:
    """Return what a tick queries of logs, by series key.

    Of each query: log group, pattern, the minutes after noon, and how many events are counted.
    """
    return {
        key: (
            one.group,
            one.pattern,
            ((one.span.start - START) // MINUTE_S, (one.span.end - START) // MINUTE_S),
            one.limit,
        )
        for key, one in query_plan(rollout, NOON + minute * MINUTE).logs.items()
    }


def with_checkpoint(rollout: Rollout, series: Mapping[str, Series], minute: float) -> Rollout:
    """Return `rollout` after a tick at `minute` has stored what can no longer change.

    It is due, however short ago the last one was.
    """
    now = NOON + minute * MINUTE
    due = with_facts(rollout, checkpoint_at=now - timedelta(days=1))
    checkpoint = judge(due, Observation(a_reading(rollout.weight), series), now).checkpoint
    if checkpoint is None:  # nothing of the step is judged yet
        return rollout
    return with_facts(rollout, tallies=checkpoint.tallies, fold=checkpoint.fold, checkpoint_at=now)


def with_hourly_checkpoints(rollout: Rollout, series: Mapping[str, Series], hours: int) -> Rollout:
    """Return `rollout` with a checkpoint two minutes after each of so many hours."""
    for hour in range(1, hours + 1):
        rollout = with_checkpoint(rollout, series, 60 * hour + 2)
    return rollout
