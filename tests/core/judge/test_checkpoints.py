"""Checkpoints: once an hour, without any effect on a finding; what is unanswered is given up."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import (
    Finding,
    Observation,
    Phase,
    Policy,
    QueryStatus,
    Series,
    judge,
    query_plan,
    trim_series,
)
from tests.support.judging import (
    CHECKPOINT_AGE,
    FAIL,
    HOUR,
    METRICS,
    MINUTE_S,
    PASS,
    SETTLE,
    START,
    Outcome,
    a_step,
    datapoints,
    findings_at,
    outcome,
    with_checkpoint,
    with_hourly_checkpoints,
)
from tests.support.rollouts import (
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_series,
    a_state,
    with_facts,
)
from tests.support.three_steps import AT_100, TOO_FEW_REQUESTS

# --- Checkpoints and findings ---------------------------------------------------------------------

MINUTES = 40


def policy_of_each_kind(window: str, failure_limit: int, errors: str) -> Policy:
    """Return a policy with a criterion of each windowed kind; errors: metric of the failures."""
    many = {"failure_limit": failure_limit}
    criteria = {
        "rate": {
            "kind": "success_rate", "total": "requests", "failures": [errors], "min": "90%",
            "min_samples": 20, **many,
        },
        "count": {"kind": "threshold", "metric": errors, "max": 3, **many},
        "share": {"kind": "threshold", "metric": errors, "per": "requests", "max": "10%", **many},
        "latency": {
            "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
            "baseline": {"concurrent": "direct"}, "min_samples": 20,
        },
        "traffic": {"kind": "traffic", "metric": "requests", "control": errors, "min": 5},
    }  # fmt: skip
    return a_policy(
        metrics=METRICS,
        criteria={
            name: {**criterion, "judge": "threshold", "window": window}
            for name, criterion in criteria.items()
        },
        warmup="0s",
    )


COUNTS = st.lists(st.none() | st.integers(0, 30), min_size=MINUTES, max_size=MINUTES)
FEW = st.lists(st.none() | st.integers(0, 5), min_size=MINUTES, max_size=MINUTES)
VALUES = st.lists(st.none() | st.floats(100, 600), min_size=MINUTES, max_size=MINUTES)
ERRORS = st.sampled_from(["errors", "timeouts"])  # an absent datapoint is unknown, or zero


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, 5]), st.integers(1, 4), ERRORS,
    COUNTS, FEW, VALUES, COUNTS, VALUES, st.integers(0, MINUTES - 3),
)  # fmt: skip
def test_when_a_checkpoint_was_stored_makes_no_difference(
    every: int,
    failure_limit: int,
    errors: str,
    requests: list[int | None],
    failed: list[int | None],
    latency: list[float | None],
    samples: list[int | None],
    direct: list[float | None],
    closed: int,
) -> None:
    series = datapoints(
        {
            "requests": requests, errors: failed, f"{errors}:SampleCount": requests,
            "latency": latency, "latency:SampleCount": samples,
            "direct": direct, "direct:SampleCount": samples,
        },
        every=every,
    )  # fmt: skip
    step = a_step(policy_of_each_kind(f"{every}m", failure_limit, errors))
    expected = findings_at(step, series, closed + SETTLE)
    for minutes in (range(closed + 1), range(0, closed + 1, 7), [closed], [closed // 2]):
        rollout = step
        for minute in minutes:
            rollout = with_checkpoint(rollout, series, minute + CHECKPOINT_AGE)
        assert findings_at(rollout, series, closed + SETTLE) == expected


# --- When, and what -------------------------------------------------------------------------------

OBSERVED = Observation(a_reading(100), TOO_FEW_REQUESTS)


@cases(
    "checkpoint_at, minute, due",
    {
        "not yet": (None, 61, False),
        "an hour after the first judged minute": (None, 62, True),
        "not yet again": (62, 121, False),
        "and then every hour": (62, 122, True),
    },
)
def test_a_checkpoint_is_stored_once_an_hour(
    checkpoint_at: int | None, minute: int, due: bool
) -> None:
    last = None if checkpoint_at is None else NOON + checkpoint_at * MINUTE
    rollout = with_facts(AT_100, checkpoint_at=last)
    assert (judge(rollout, OBSERVED, NOON + minute * MINUTE).checkpoint is not None) is due


# --- Queries that stay unanswered -----------------------------------------------------------------

DENIED = {key: a_series([0] * 600, answer=QueryStatus.FORBIDDEN) for key in TOO_FEW_REQUESTS}


def counts(requests: float, errors: Mapping[int, float] | None = None) -> dict[str, Series]:
    """Return ten hours of equal minutes; errors: by minute after noon."""
    failed = [(errors or {}).get(minute, 0) for minute in range(600)]
    return {"requests:Sum@60": a_series([requests] * 600), "errors:Sum@60": a_series(failed)}


def test_windows_that_stay_unanswered_for_six_hours_are_given_up() -> None:
    assert with_hourly_checkpoints(AT_100, DENIED, 6).evidence.tallies["works"].unanswered == 0
    after_nine, now = with_hourly_checkpoints(AT_100, DENIED, 9), NOON + 9 * HOUR
    assert after_nine.evidence.tallies["works"].unanswered == 180
    assert query_plan(after_nine, now).span.start == START + (2 + 180) * MINUTE_S


@pytest.mark.slow
def test_five_days_without_an_answer_fill_no_history() -> None:
    """One query is refused all the time; the others are answered, minute by minute."""
    rollout, sizes = replace(AT_100, policy=policy_of_each_kind("1m", 3, "timeouts")), []
    for hour in range(1, 121):
        series = {}
        for key in (plan := query_plan(rollout, NOON + hour * HOUR + 2 * MINUTE)).queries:
            answer = QueryStatus.FORBIDDEN if key == "latency:p95@60" else QueryStatus.COMPLETE
            minutes = range(plan.span.start, plan.span.end, MINUTE_S)
            series[key] = Series(dict.fromkeys(minutes, 1234.5), answer)
        later = with_checkpoint(rollout, series, 60 * hour + 2)
        paused = replace(rollout, state=a_state(Phase.PAUSED, position=rollout.position))
        sizes += [len(str(trim_series(rollout, one, series))) for one in (later, paused)]
        rollout = later
    assert max(sizes) < 100_000


@cases(
    "errors, expected",
    {
        "one before them and one after": ([17, 182], PASS),
        "two after": ([182, 183], FAIL),
    },
)
def test_a_run_of_breaches_does_not_reach_over_windows_that_were_lost(
    errors: list[int], expected: Outcome
) -> None:
    """Two breaches in a row fail; of three hours after 12:18 no window was ever answered."""
    series = counts(100, dict.fromkeys(errors, 9))
    lost = with_hourly_checkpoints(with_checkpoint(AT_100, series, 18 + CHECKPOINT_AGE), DENIED, 9)
    assert lost.evidence.tallies["works"].unanswered == 182 - 18
    (finding,) = findings_at(lost, series, 9 * 60)
    assert outcome(finding) == expected


def after_lost_windows() -> Finding:
    (finding,) = findings_at(with_hourly_checkpoints(AT_100, DENIED, 8), counts(100), 9 * 60)
    return finding


SENTENCES: Sentences = {"a finding after windows that were lost": after_lost_windows}
