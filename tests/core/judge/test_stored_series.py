"""The series that the history stores: each minute once, and all that a decision was made from."""

import json
from collections.abc import Mapping
from typing import Any

from controller.adapters.stores import codec
from controller.core.judge.stored_series import series_data, series_of
from controller.core.stats.combined_tests import JUDGE_VERSION
from controller.immutable import replace
from controller.operations.recorded.decision import read_entry
from tests.support.cases import cases
from tests.support.core import (
    Observed,
    Phase,
    Policy,
    QueryStatus,
    Rollout,
    SequentialState,
    Series,
    StepInterval,
    Tally,
    decide,
    restore_series,
    trim_series,
)
from tests.support.judging import MINUTE_S, START, findings_at, with_hourly_checkpoints
from tests.support.recorded_run import WEIGHED, a_run
from tests.support.rollouts import (
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_series,
    a_state,
    with_facts,
)
from tests.support.sequential_rollouts import BASELINES, a_sequential_policy
from tests.support.three_steps import AT_100, at_weight

A_DAY = [{"weight": 10, "bake": "1d"}]
REQUESTS, ERRORS = "requests:Sum@60", "errors:Sum@60"
COMPLETE = {key: a_series([9] * 600) for key in (REQUESTS, ERRORS)}
# The failures may not be read.
HALF = {**COMPLETE, ERRORS: a_series([9] * 600, answer=QueryStatus.FORBIDDEN)}

REACHED = {"kind": "traffic", "judge": "threshold", "metric": "requests"}
TWO_CRITERIA = replace(
    AT_100,
    policy=a_policy(criteria={"reached": REACHED, "works": AT_100.policy.criteria["works"]}),
)


def paused(rollout: Rollout) -> Rollout:
    return replace(rollout, state=a_state(Phase.PAUSED, position=rollout.position))


def minutes_of(entry: Mapping[str, Series], key: str = REQUESTS) -> list[int]:
    """Return the minutes after noon that an entry keeps of a series."""
    return [(second - START) // MINUTE_S for second in sorted(entry[key].points)]


def test_hourly_evidence_keeps_every_minute_once() -> None:
    rollout, minutes = AT_100, list[int]()
    for hours in (1, 2, 3):
        later = with_hourly_checkpoints(AT_100, COMPLETE, hours)
        minutes += minutes_of(trim_series(rollout, later, COMPLETE))
        rollout = later
    assert minutes == list(range(2, 2 + 165))


def test_a_transition_keeps_what_was_read_since_the_last_checkpoint() -> None:
    rollout = with_hourly_checkpoints(AT_100, COMPLETE, 2)
    lowered = replace(rollout, state=a_state(Phase.ROLLING_BACK))
    advanced = with_facts(rollout, tallies={}, checkpoint_at=None)
    assert minutes_of(trim_series(AT_100, paused(AT_100), COMPLETE))[0] == 2
    assert minutes_of(trim_series(rollout, lowered, COMPLETE))[0] == 122 - 15
    assert minutes_of(trim_series(rollout, advanced, COMPLETE))[0] == 122 - 15


def test_an_entry_and_the_evidence_before_it_hold_what_its_tick_was_judged_from() -> None:
    """One criterion has stored what the other still reads."""
    rollout = with_hourly_checkpoints(TWO_CRITERIA, HALF, 1)
    earlier = trim_series(TWO_CRITERIA, rollout, HALF)
    stored_points = {key: dict(one.points) for key, one in earlier.items()}
    entry = trim_series(rollout, paused(rollout), COMPLETE)
    found, of_the_entry, of_both = (
        findings_at(rollout, series, 100)
        for series in (COMPLETE, entry, restore_series(rollout, entry, stored_points))
    )
    assert of_the_entry != found
    assert of_both == found
    partial = {key: replace(one, status=QueryStatus.PARTIAL) for key, one in entry.items()}
    assert restore_series(rollout, partial, stored_points) == partial, "what it had is not known"


def test_of_a_step_that_was_left_no_minute_is_kept_twice() -> None:
    """Its latency is counted above the limit that its stored baseline gave."""
    policy = a_sequential_policy(
        steps=[
            {"weight": 10, "bake": "20m", "criteria": ["stored"]},
            {"weight": 100, "bake": "1h", "criteria": ["rate"]},
        ]
    )
    begin, through = START - 20 * MINUTE_S, START - 10 * MINUTE_S
    rollout = at_weight(
        100,
        policy,
        baselines=BASELINES,
        intervals=(StepInterval(0, begin, begin, START),),
        fold=SequentialState(through=through),
    )
    slow = "latency:TC(420:)@60"
    series = {slow: Series({begin: 1.0, through: 2.0})}
    assert minutes_of(trim_series(rollout, paused(rollout), series), slow) == [-10]


def test_each_series_is_kept_from_where_the_checkpoint_of_the_criterion_that_is_furthest_ends() -> (
    None
):
    """The fold is stored for all criteria at once; a log by itself, its control only the newest."""
    steps = [{"weight": 100, "bake": "1h"}]
    sequential = a_sequential_policy("rate", "share", "stored", steps=steps)
    parts: dict[str, Any] = sequential.model_dump(mode="json", exclude_none=True)
    silent = {"kind": "log_events", "absent": "ERROR", "control": "check"}
    policy = Policy.model_validate({**parts, "criteria": {**parts["criteria"], "quiet": silent}})
    begins = {"rate": 9, "share": 4, "stored": 8, "quiet": 3}
    rollout = at_weight(
        100,
        policy,
        NOON - 60 * MINUTE,
        baselines=BASELINES,
        tallies={name: Tally(through=START + at * MINUTE_S) for name, at in begins.items()},
        fold=SequentialState(through=START + 5 * MINUTE_S),
    )
    expected = {
        REQUESTS: 9,  # of the success rate, which is further than the share
        "rejects:Sum@60": 5,
        "latency:TC(420:)@60": 8,
        "log:quiet": 3,
        "log:quiet:control": 0,
    }
    series = {key: a_series(range(20)) for key in expected}
    trimmed = trim_series(rollout, paused(rollout), series)
    assert {key: minutes_of(trimmed, key)[0] for key in expected} == expected


# --- As JSON --------------------------------------------------------------------------------------

EVERY_MINUTE = {START + 60 * minute: float(minute % 7) for minute in range(60)}


@cases("points, stored", {
    "none": ({}, {}),
    "one": ({START: 2.0}, {"runs": [[START, 2]]}),
    "a minute apart": ({START + 60: 0.5, START: 2.0}, {"runs": [[START, 2, 0.5]]}),
    "five minutes apart": (
        {START: 2.0, START + 300: 3.0}, {"period": 300, "runs": [[START, 2, 3]]}
    ),
    "with a gap": (
        {START: 2.0, START + 60: 3.0, START + 240: 4.0, START + 300: 5.0},
        {"runs": [[START, 2, 3], [START + 240, 4, 5]]},
    ),
    "too large to be counted": ({START: 2.0**60}, {"runs": [[START, 2.0**60]]}),
})  # fmt: skip
def test_an_entry_stores_the_moment_of_a_run_of_points_once(
    points: Mapping[int, float], stored: object
) -> None:
    series = {REQUESTS: Series(points)}
    data = json.loads(json.dumps(series_data(series)))
    assert data == {REQUESTS: stored}
    assert series_of(data) == series


def test_points_that_two_series_share_are_stored_once_each_with_its_own_answer() -> None:
    partial = Series(EVERY_MINUTE, QueryStatus.PARTIAL, "throttled")
    series = {ERRORS: Series(EVERY_MINUTE), REQUESTS: partial}
    data = series_data(series)
    assert data[REQUESTS] == {"same": ERRORS, "status": "partial", "message": "throttled"}
    assert series_of(data) == series


def test_evidence_is_the_same_after_a_round_trip_through_an_entry() -> None:
    """The judge goes on from it as from its checkpoint, to the last digit."""
    run = a_run(a_policy(criteria=WEIGHED.model_dump()["criteria"], steps=A_DAY))
    run.errors = lambda second: second // 60 % 7 / 100
    run.tick(a_reading(10))
    run.tick_on(a_reading(10), 200)
    entry = next(one for one in reversed(run.entries) if one.kind == "evidence")
    stored = codec.load_entry("shop#1", codec.dump_entry("shop#1", entry))
    read, rollout = read_entry(stored, 1), run.rollout
    assert stored.body["fold"]["version"] == JUDGE_VERSION, "another one makes it start anew"
    assert len(read.fold.capitals) > 1
    assert max(read.tallies["works"].counts.amount % 1, 0) > 0
    restored = with_facts(rollout, tallies=read.tallies, fold=read.fold)
    assert codec.dump(restored) == codec.dump(rollout)
    observation = run.observe(a_reading(10))
    after = decide(restored, Observed(observation), run.now).rollout
    assert after == run.decide(Observed(observation)).rollout
