"""The fold over the minutes of a rollout: each folded once, in order, whenever a checkpoint was."""

from collections.abc import Mapping
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.core import (
    Finding,
    QueryStatus,
    Rollout,
    SequentialState,
    Series,
    StepInterval,
    Verdict,
    query_plan,
)
from tests.support.judging import (
    CHECKPOINT_AGE,
    MINUTE_S,
    SETTLE,
    START,
    Judging,
    findings_at,
    with_checkpoint,
)
from tests.support.rollouts import MINUTE, NOON, with_facts
from tests.support.sequential_rollouts import (
    BASELINES,
    QUIET,
    a_sequential_policy,
    a_sequential_step,
    with_points,
)
from tests.support.three_steps import at_weight

MINUTES = 60
# Twenty minutes at 10% with a control, one minute of both weights, and then all traffic.
BETWEEN = 20
POLICY = a_sequential_policy(
    steps=[
        {"weight": 10, "bake": "20m", "criteria": ["rate", "beside", "count", "limit", "share"]},
        {"weight": 100, "bake": "1h", "criteria": ["rate", "stored", "count", "limit", "share"]},
    ]
)
FIRST_STEP = StepInterval(0, START, START + 2 * MINUTE_S, START + BETWEEN * MINUTE_S)
AT_100 = NOON + (BETWEEN + 1) * MINUTE


def second_step() -> Rollout:
    """Return a rollout that was raised to 100% after twenty minutes; without a checkpoint."""
    return at_weight(100, POLICY, AT_100, baselines=BASELINES, intervals=(FIRST_STEP,))


def keys() -> set[str]:
    """Return the keys of the series that are read of both steps."""
    return set(query_plan(second_step(), NOON + MINUTES * MINUTE).queries)


def random_series(seed: int, gaps: float = 0.2) -> dict[str, Series]:
    """Return series in which datapoints are missing, and counts contradict each other at times."""
    rng = Random(seed)

    def value(name: str) -> float:
        many = "SampleCount" in name or name.startswith(("requests:", "stable:"))
        return float(rng.randrange(300) if many or rng.random() < 0.05 else rng.randrange(4))

    seconds = range(START, START + MINUTES * MINUTE_S, MINUTE_S)
    return {
        name: Series({at: value(name) for at in seconds if rng.random() > gaps})
        for name in sorted(keys())
    }


def calm(failing: Mapping[int, float] | None = None) -> dict[str, Series]:
    """Return healthy series of 600 requests a minute; failing: shares of failures, by minute."""
    seconds = range(START, START + MINUTES * MINUTE_S, MINUTE_S)
    quiet = {f"{name}@60": dict.fromkeys(seconds, value) for name, value in QUIET.items()}
    series = {key: Series(quiet.get(key, {})) for key in keys()}
    failures = {minute: share * 600 for minute, share in (failing or {}).items()}
    return with_points(series, "errors:Sum@60", failures)


def folded(
    series: Mapping[str, Series], until: int, rollout: Rollout | None = None
) -> SequentialState:
    """Return the fold of the minutes until `until`, in minutes after noon."""
    return with_checkpoint(rollout or second_step(), series, until + CHECKPOINT_AGE).evidence.fold


# --- Checkpoints ----------------------------------------------------------------------------------

WORLDS = st.builds(random_series, st.integers(0, 10**6), st.sampled_from([0.0, 0.2, 0.9]))
ENDS = st.lists(st.integers(BETWEEN + 2, MINUTES), max_size=6).map(sorted)


@settings(max_examples=40, deadline=None)
@given(WORLDS, ENDS, st.integers(BETWEEN + 2, MINUTES))
def test_when_a_checkpoint_was_stored_makes_no_difference(
    series: dict[str, Series], ends: list[int], now: int
) -> None:
    """Nor does a second tick, or one whose clock is behind: no minute is folded twice."""
    rollout = second_step()
    for end in [one for one in ends if one <= now]:
        rollout = with_checkpoint(rollout, series, end + CHECKPOINT_AGE)
    rollout = with_checkpoint(rollout, series, now + CHECKPOINT_AGE)
    assert rollout.evidence.fold == folded(series, now)
    assert (
        with_checkpoint(rollout, series, now + CHECKPOINT_AGE).evidence.fold
        == rollout.evidence.fold
    )
    assert (
        with_checkpoint(rollout, series, BETWEEN + 2 + CHECKPOINT_AGE).evidence.fold
        == rollout.evidence.fold
    )


def test_the_minute_of_both_weights_belongs_to_no_step() -> None:
    series, at = random_series(1), START + BETWEEN * MINUTE_S
    without = {
        name: replace(one, points={key: n for key, n in one.points.items() if key != at})
        for name, one in series.items()
    }
    assert folded(series, MINUTES) == folded(without, MINUTES)


# --- Missing and bad data -------------------------------------------------------------------------

OWN_SERIES = {
    "rate": "errors:Sum@60", "beside": "direct:SampleCount@60", "stored": "latency:TC(441:)@60",
    "limit": "latency:TC(500:)@60",
}  # fmt: skip


def unanswered(criterion: str, series: Mapping[str, Series]) -> dict[str, Series]:
    """Return `series` with a partial answer to a query that `criterion` alone needs."""
    key = OWN_SERIES[criterion]
    return {**series, key: replace(series[key], status=QueryStatus.PARTIAL)}


def test_what_is_unanswered_is_not_stored_until_it_is_given_up() -> None:
    series = unanswered("rate", random_series(3))
    assert folded(series, 30) == SequentialState()
    late = with_checkpoint(second_step(), series, 6 * 60 + 10).evidence.fold
    assert late.through == START + 10 * MINUTE_S


def test_an_answer_that_comes_late_counts_as_if_it_had_come_at_once() -> None:
    series = random_series(3)
    early = with_checkpoint(second_step(), unanswered("rate", series), 30 + CHECKPOINT_AGE)
    assert folded(series, 30, early) == folded(series, 30)


def test_a_minute_whose_counts_contradict_each_other_is_as_if_it_had_no_data() -> None:
    """More slow requests than requests."""
    series, key = calm(), OWN_SERIES["limit"]
    points = series[key].points
    gap = {at: value for at, value in points.items() if at != START + 30 * MINUTE_S}
    bad, missing, empty = (
        folded(one, 40).capitals.get("limit")
        for one in (
            with_points(series, key, {30: 601.0}),
            {**series, key: Series(gap)},
            {**series, key: Series()},
        )
    )
    assert bad == missing
    assert bad != folded(series, 40).capitals["limit"]
    assert empty is None


def test_the_end_of_a_step_after_its_last_checkpoint_counts_after_the_step_was_left() -> None:
    """Its data came late: the next step had begun."""
    early_checkpoint = with_facts(second_step(), fold=folded(calm(), 15, first_step()))
    late = calm(dict.fromkeys(range(16, 20), 0.3))
    fold = folded(late, 22, early_checkpoint)
    assert fold.rejections["rate/breaker"].at <= FIRST_STEP.end


def first_step() -> Rollout:
    """Return the rollout in its first step, with its warm-up of two minutes."""
    return a_sequential_step(POLICY)


# --- Minutes of a regression ----------------------------------------------------------------------


def regression(
    failing: Mapping[int, float], closed: int, checkpoint_at: int | None = None
) -> Judging:
    """Return how to judge shares of failures by minute, of which a checkpoint may have some."""

    def judging() -> Finding:
        series, rollout = calm(failing), second_step()
        if checkpoint_at is not None:
            rollout = with_checkpoint(rollout, series, checkpoint_at + CHECKPOINT_AGE)
        found = findings_at(rollout, series, closed + SETTLE)
        (failure,) = [one for one in found if one.verdict is Verdict.FAIL]
        return failure

    return judging


SENTENCES: Sentences = {
    "a regression has the minutes that failed": regression(dict.fromkeys(range(30, 36), 0.3), 33),
    "and only the newest where those before speak against a change": regression(
        {28: 0.3, 29: 0.3, 30: 0.11, 31: 0.3}, 32, checkpoint_at=30
    ),
    "and those of the step where the checkpoint has them": regression(
        dict.fromkeys(range(30, 36), 0.3), 40, checkpoint_at=40
    ),
}
