"""The evidence of the sequential judge, tick by tick: over steps, and in the warm-up."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from controller.core.stats.combined_tests import Rejection
from controller.core.units import number_text
from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.core import (
    Command,
    Commanded,
    Decision,
    Finding,
    Label,
    Live,
    Observation,
    Observed,
    Phase,
    Policy,
    QueryStatus,
    Reason,
    Rollout,
    SequentialState,
    Series,
    StepInterval,
    Verb,
    Verdict,
    decide,
    rows,
)
from tests.support.judging import (
    START,
    with_checkpoint,
)
from tests.support.rollouts import (
    LADDER,
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_series,
    with_facts,
)
from tests.support.three_steps import at_weight

WORKS = {key: LADDER["criteria"]["works"][key] for key in ("kind", "total", "failures", "min")}


def policy(works: Mapping[str, Any] | None = None, **parts: Any) -> Policy:
    """Return the ladder with one sequential criterion: at least 99% of requests succeed."""
    criterion = {**WORKS, "judge": "sequential", **(works or {})}
    return a_policy(criteria={"works": criterion}, **parts)


def minutes(*requests_and_errors: tuple[int, int, int | None]) -> Mapping[str, Series]:
    """Return series from noon on; of each run of equal minutes: length, requests, errors."""
    requests = [one for many, one, _ in requests_and_errors for _ in range(many)]
    errors = [one for many, _, one in requests_and_errors for _ in range(many)]
    return {"requests:Sum@60": a_series(requests), "errors:Sum@60": a_series(errors)}


def ticks(
    rollout: Rollout, series: Mapping[str, Series], until: int, every: int = 1, first: int = 1
) -> tuple[Rollout, list[Decision]]:
    """Return `rollout` after ticks from `first` to `until` minutes after noon, and all decisions.

    The target follows at once. No tick runs after the phase has changed.
    """
    decisions, phase = [], rollout.phase
    for minute in range(first, until + 1, every):
        observation = Observation(a_reading(rollout.weight), series)
        decisions.append(decide(rollout, Observed(observation), NOON + minute * MINUTE))
        rollout = decisions[-1].rollout
        if rollout.phase is not phase:
            break
    return rollout, decisions


def the_failure(rollout: Rollout) -> Finding:
    (failure,) = [
        finding for finding in rollout.evidence.findings if finding.verdict is Verdict.FAIL
    ]
    return failure


AT_10 = at_weight(10, policy=policy())


def an_outage() -> tuple[Rollout, list[Decision]]:
    return ticks(AT_10, minutes((30, 100, 40)), until=10)


def test_what_a_step_began_to_show_the_next_one_completes() -> None:
    """Bad minutes at the end of a step that passed count with those of the next."""
    failing = minutes((9, 1_000, 0), (60, 1_000, 16))
    advanced, _ = ticks(AT_10, failing, until=16)
    assert advanced.position == Live(1, 50, NOON + 16 * MINUTE)
    without_intervals = with_facts(advanced, intervals=())
    rollout, decisions = ticks(advanced, failing, until=60, first=17)
    anew, more = ticks(without_intervals, failing, until=60, first=17)
    assert rollout.reason is anew.reason is Reason.GATE_FAILED
    assert len(decisions) < len(more)


@pytest.mark.parametrize("every", [1, 2, 5, 7])
def test_the_evidence_does_not_depend_on_how_often_a_tick_runs(every: int) -> None:
    """A ladder of one step that all ticks see to its end: the same evidence to the last bit."""
    ragged = minutes((10, 200, 1), (7, 150, 4), (20, 90, 0), (60, 120, 1))
    rollout = at_weight(100, policy=policy({"assurance": "proven"}))
    often, _ = ticks(rollout, ragged, until=36)
    seldom, _ = ticks(rollout, ragged, until=36, every=every, first=36 % every or every)
    assert seldom.evidence.findings == often.evidence.findings


def a_burst() -> Rollout:
    burst = minutes((5, 100, 0), (8, 100, 10), (40, 1_000, 0))
    return ticks(AT_10, burst, until=40, first=40)[0]


def test_a_short_burst_is_found_by_a_late_tick() -> None:
    """The highest evidence counts, so a late tick finds what an early one would have found."""
    assert a_burst().reason is Reason.GATE_FAILED


def in_the_warm_up() -> Rollout:
    rollout = at_weight(10, policy=policy(warmup="15m"))
    return ticks(rollout, minutes((30, 100, 40)), until=15)[0]


def in_the_first_minutes_of_the_next_step() -> Rollout:
    failing = minutes((11, 1_000, 0), (60, 1_000, 400))
    advanced, _ = ticks(AT_10, minutes((60, 1_000, 0)), until=16)
    assert advanced.weight == 50
    return ticks(advanced, failing, until=17, first=17)[0]


@pytest.mark.parametrize("failed", [in_the_warm_up, in_the_first_minutes_of_the_next_step])
def test_a_failure_before_the_step_is_judged_has_the_counts_of_its_sentence(
    failed: Callable[[], Rollout],
) -> None:
    rollout = failed()
    assert rollout.reason is Reason.GATE_FAILED
    failure = the_failure(rollout)
    bad, requests = float(failure.facts["failures"]), float(failure.facts["requests"])
    assert failure.samples == requests
    assert failure.measured == pytest.approx(1 - bad / requests)
    span = failure.facts["regression_start"], failure.facts["regression_end"]
    assert (failure.start, failure.end) == span
    (row,) = rows(rollout)
    assert (row.mark, row.samples, row.measured, row.counted) == (
        "FAIL", number_text(requests), f"{100 * (1 - bad / requests):.4g}%", span,
    )  # fmt: skip


def test_a_query_that_failed_judges_nothing_and_forgets_nothing() -> None:
    outage = minutes((30, 100, 40))
    broken = {key: replace(one, status=QueryStatus.PARTIAL) for key, one in outage.items()}
    rollout, _ = ticks(AT_10, broken, until=12)
    assert rollout.phase is Phase.PROGRESSING
    assert {finding.label for finding in rollout.evidence.findings} == {Label.QUERY_FAILED}
    assert ticks(rollout, outage, until=13, first=13)[0].reason is Reason.GATE_FAILED


REJECTED = {"works/objective": Rejection(1e6, 250.0, START)}
HALF_BAD = minutes((2, 1_000, 0), (4, 1_000, 25), (60, 1_000, 0))


@pytest.mark.parametrize(
    "version", [0, SequentialState().version - 1, SequentialState().version + 1]
)
def test_evidence_of_another_judge_version_starts_anew_from_its_minute(version: int) -> None:
    """It rolls back for what comes after that minute, and for nothing before."""
    fold = with_checkpoint(AT_10, HALF_BAD, 30).evidence.fold
    enough = replace(fold, version=version, rejections=REJECTED)
    rollout = with_facts(AT_10, fold=enough)
    calm, _ = ticks(rollout, minutes((60, 1_000, 0)), until=18, first=16)
    assert calm.phase is Phase.PROGRESSING
    before, _ = ticks(rollout, minutes((15, 1_000, 400), (30, 1_000, 0)), until=31, first=31)
    assert before.phase is Phase.PROGRESSING
    failing, _ = ticks(rollout, minutes((15, 1_000, 0), (30, 1_000, 400)), until=45, first=16)
    assert failing.reason is Reason.GATE_FAILED


# --- The start of a regression --------------------------------------------------------------------


def after_command(rollout: Rollout, verb: Verb, minute: int) -> Rollout:
    event = Commanded(Observation(a_reading(rollout.weight)), Command(verb, "lunch"))
    return decide(rollout, event, NOON + minute * MINUTE).rollout


def on_pause() -> Rollout:
    return after_command(AT_10, Verb.PAUSE, 5)


def on_hold() -> Rollout:
    """Return a rollout whose gate waits for more requests than there are."""
    return at_weight(10, policy=policy({"min_samples": 1_000_000}, max_hold="2d"))


DAY = 24 * 60


@pytest.mark.parametrize("waiting", [on_pause, on_hold], ids=["a pause", "a hold"])
@pytest.mark.parametrize("healthy", [30, 120, pytest.param(DAY, marks=pytest.mark.slow)])
def test_a_total_outage_is_found_within_twenty_minutes_however_long_it_went_well(
    waiting: Callable[[], Rollout], healthy: int
) -> None:
    """Of a ladder that was to take fifty minutes."""
    rollout, series = waiting(), minutes((healthy, 100, 0), (60, 100, 100))
    rollout, _ = ticks(rollout, series, until=healthy, every=15, first=15)
    assert rollout.phase is not Phase.ROLLING_BACK
    rollout, decisions = ticks(rollout, series, until=healthy + 60, first=healthy + 1)
    assert rollout.reason is Reason.GATE_FAILED
    assert len(decisions) <= 20


def minutes_to_find_at_50(paused: int) -> int:
    """Return after how many minutes a fault of the second step is found.

    paused: for how long an operator paused the first one.
    """
    healthy = minutes((paused + 60, 100, 0))
    rollout, _ = ticks(AT_10, healthy, until=5)
    if paused:
        rollout = after_command(rollout, Verb.PAUSE, 5)
        rollout, _ = ticks(rollout, healthy, until=paused + 5, every=20, first=20)
        rollout = after_command(rollout, Verb.RESUME, paused + 5)
    _, decisions = ticks(rollout, healthy, until=paused + 30, first=paused + 6)
    rollout = next(decision.rollout for decision in decisions if decision.rollout.judged_step)
    begun = int((rollout.updated - NOON) / MINUTE)
    failing = minutes((begun, 100, 0), (60, 100, 6))
    rollout, decisions = ticks(rollout, failing, until=begun + 60, first=begun + 1)
    assert rollout.reason is Reason.GATE_FAILED
    return len(decisions)


def test_a_pause_of_a_day_takes_nothing_from_the_steps_to_come() -> None:
    assert minutes_to_find_at_50(paused=DAY) <= minutes_to_find_at_50(paused=0) + 1


@pytest.mark.parametrize("silent", [1, 3, 10])
def test_a_step_begins_with_its_first_minute_that_has_data(silent: int) -> None:
    """A fault from then on is found as soon as one from a first minute with data."""
    rollout = at_weight(100, policy=policy(warmup="0s"))

    def minutes_to_find(before: int) -> int:
        series = minutes((before, 0, 0), (60, 100, 4))
        after, decisions = ticks(rollout, series, until=60)
        assert after.reason is Reason.GATE_FAILED
        return len(decisions)

    assert minutes_to_find(silent) - silent == minutes_to_find(0)


@pytest.mark.parametrize("failed", [100, 101, 160])
def test_an_outage_is_one_also_where_a_request_fails_twice(failed: int) -> None:
    """Failures are added up over metrics that may overlap."""
    rollout, decisions = ticks(AT_10, minutes((30, 100, failed)), until=10)
    assert (rollout.reason, len(decisions)) == (Reason.GATE_FAILED, 5)


# --- Overlapping and missing counts ---------------------------------------------------------------


CONTROL = {"total": "stable", "failures": ["stable_errors"]}


def test_a_shared_outage_counts_from_the_minute_in_which_the_control_has_no_traffic() -> None:
    """As at 100%: there is nothing to compare with, and the objective itself is missed."""
    metrics = {
        **LADDER["metrics"],
        "stable": {**LADDER["metrics"]["requests"], "name": "Stable"},
        "stable_errors": {**LADDER["metrics"]["errors"], "name": "StableErrors"},
    }
    series = {
        **minutes((60, 600, 36)),
        "stable:Sum@60": a_series([600] * 30 + [None] * 30),
        "stable_errors:Sum@60": a_series([36] * 30 + [None] * 30),
    }
    rollout = at_weight(100, policy=policy({"control": CONTROL}, metrics=metrics))
    beside, _ = ticks(rollout, series, until=32)
    alone, decisions = ticks(rollout, series, until=60)
    assert beside.phase is Phase.PROGRESSING
    assert alone.reason is Reason.GATE_FAILED
    assert 30 < len(decisions) <= 30 + 15


BEGIN, END = START - 20 * 60, START - 10 * 60
LEFT = StepInterval(0, BEGIN, BEGIN, END)


def test_a_step_that_is_left_is_remembered_until_a_checkpoint_covers_it() -> None:
    calm = minutes((60, 1_000, 0))
    for through, steps in ((END - 60, [0, 1]), (END, [1])):
        rollout = at_weight(50, policy(), intervals=(LEFT,), fold=SequentialState(through=through))
        after, _ = ticks(rollout, calm, until=30, first=13)
        assert after.weight == 100
        assert [interval.step for interval in after.evidence.intervals] == steps


SENTENCES: Sentences = {
    "an outage of two minutes": lambda: the_failure(an_outage()[0]),
    "a burst that ended half an hour ago": lambda: the_failure(a_burst()),
    "requests that fail twice": lambda: the_failure(
        ticks(AT_10, minutes((30, 100, 160)), until=10)[0]
    ),
}
