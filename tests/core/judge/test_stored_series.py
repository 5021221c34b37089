"""The series that the history stores: each minute once, and all that a decision was made from."""

from collections.abc import Mapping
from typing import Any

from controller.immutable import replace
from tests.support.core import (
    Phase,
    Policy,
    QueryStatus,
    Rollout,
    SequentialState,
    Series,
    StepInterval,
    Tally,
    restore_series,
    trim_series,
)
from tests.support.judging import MINUTE_S, START, findings_at, sealed_hourly
from tests.support.rollouts import MINUTE, NOON, a_policy, a_series, a_state, with_facts
from tests.support.sequential_rollouts import BASELINES, a_sequential_policy
from tests.support.three_steps import AT_100, at_weight

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
        later = sealed_hourly(AT_100, COMPLETE, hours)
        minutes += minutes_of(trim_series(rollout, later, COMPLETE))
        rollout = later
    assert minutes == list(range(2, 2 + 165))


def test_a_transition_keeps_what_was_read_since_the_last_seal() -> None:
    rollout = sealed_hourly(AT_100, COMPLETE, 2)
    lowered = replace(rollout, state=a_state(Phase.ROLLING_BACK))
    advanced = with_facts(rollout, tallies={}, sealed_at=None)
    assert minutes_of(trim_series(AT_100, paused(AT_100), COMPLETE))[0] == 2
    assert minutes_of(trim_series(rollout, lowered, COMPLETE))[0] == 122 - 15
    assert minutes_of(trim_series(rollout, advanced, COMPLETE))[0] == 122 - 15


def test_an_entry_and_the_evidence_before_it_hold_what_its_tick_was_judged_from() -> None:
    """One criterion has sealed what the other still reads."""
    rollout = sealed_hourly(TWO_CRITERIA, HALF, 1)
    earlier = trim_series(TWO_CRITERIA, rollout, HALF)
    sealed_points = {key: dict(one.points) for key, one in earlier.items()}
    entry = trim_series(rollout, paused(rollout), COMPLETE)
    found, of_the_entry, of_both = (
        findings_at(rollout, series, 100)
        for series in (COMPLETE, entry, restore_series(rollout, entry, sealed_points))
    )
    assert of_the_entry != found
    assert of_both == found
    partial = {key: replace(one, status=QueryStatus.PARTIAL) for key, one in entry.items()}
    assert restore_series(rollout, partial, sealed_points) == partial, "what it had is not known"


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


def test_each_series_is_kept_from_where_the_criterion_that_is_furthest_has_sealed_it() -> None:
    """The fold is sealed for all criteria at once; a log by itself, its control only the newest."""
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
