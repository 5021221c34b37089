"""Criteria of kind log_events: an event that must be absent or present, and its control."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import (
    Observation,
    Observed,
    QueryStatus,
    Reason,
    Rollout,
    Series,
    decide,
    judge,
)
from tests.support.judging import (
    FAIL,
    MINUTE_S,
    NO_DATA,
    PASS,
    SETTLE,
    START,
    UNANSWERED,
    UNDECIDED,
    Judging,
    Outcome,
    Values,
    a_step,
    findings_at,
    judged,
    log_queries,
    outcome,
    with_checkpoint,
)
from tests.support.rollouts import MINUTE, NOON, a_reading, a_series

CONTROL = '{ $.event = "check" }'
ABSENT: dict[str, Any] = {
    "kind": "log_events", "absent": '{ $.event = "fallback" }', "control": CONTROL,
}  # fmt: skip
PRESENT: dict[str, Any] = {"kind": "log_events", "present": "gateway", "control": CONTROL}
PARTIAL, ERROR = QueryStatus.PARTIAL, QueryStatus.ERROR


def logs(
    events: Values, control: Values, answer: QueryStatus = QueryStatus.COMPLETE
) -> dict[str, Series]:
    """Return how often the event and its control were logged, minute by minute from noon on."""
    return {"log:C": a_series(events, answer=answer), "log:C:control": a_series(control)}


def logged(
    criterion: Mapping[str, Any],
    events: Values,
    control: Values,
    answer: QueryStatus = QueryStatus.COMPLETE,
    *,
    closed: int = 10,
) -> Judging:
    """Return how to judge what was logged."""
    return partial(judged, criterion, logs(events, control, answer), closed=closed)


@cases(
    "judging, expected",
    {
        "absent while logs arrive": (logged(ABSENT, [], [None, 3, 4]), PASS),
        "absent: no logs prove nothing": (logged(ABSENT, [], []), NO_DATA),
        "once is too often": (logged(ABSENT, [None, 1], [3]), FAIL),
        "whatever the control says": (logged(ABSENT, [1], []), FAIL),
        "an event that was read is no less for what was not read": (
            logged(ABSENT, [1], [3], PARTIAL), FAIL,
        ),
        "a log read in part": (logged(ABSENT, [], [3], PARTIAL), UNANSWERED),
        "a log not read": (partial(judged, ABSENT, {}, closed=10), UNANSWERED),
        "as often as is allowed": (logged({**ABSENT, "max": 2}, [1, 1], [3]), PASS),
        "once too often": (logged({**ABSENT, "max": 2}, [1, 1, 1], [3]), FAIL),
        "present": (logged(PRESENT, [None, 1], [3]), PASS),
        "present: a control of its own": (logged(PRESENT, [1], []), PASS),
        "not present yet": (logged(PRESENT, [], [3]), UNDECIDED),
        "no logs, and no event": (logged(PRESENT, [], []), NO_DATA),
        "not often enough": (logged({**PRESENT, "min": 3}, [1, 1], [3]), UNDECIDED),
        "a control of now": (logged({**ABSENT, "window": "5m"}, [], [3], closed=5), PASS),
        "a control of long ago shows nothing of now": (
            logged({**ABSENT, "window": "5m"}, [], [3], closed=6), NO_DATA,
        ),
        "no minute has settled": (partial(judged, ABSENT, {}, closed=0), UNDECIDED),
        "in the first minute": (partial(judged, ABSENT, {}, closed=-2), UNDECIDED),
    },
)  # fmt: skip
def test_an_event_is_absent_or_present_while_logs_arrive(
    judging: Judging, expected: Outcome
) -> None:
    assert outcome(judging()) == expected


# --- Queries and checkpoints ----------------------------------------------------------------------


def begin_of_reading(rollout: Rollout, minute: int) -> int:
    """Return the first minute after noon in which the event is searched for."""
    _, _, (begin, _), _ = log_queries(rollout, minute)["log:C"]
    return begin


def test_stored_events_are_not_read_again_and_still_count() -> None:
    later = with_checkpoint(a_step({**ABSENT, "max": 2}), logs([1, 1], [1] * 30), 33)
    assert begin_of_reading(later, 40) == 18
    third = {"log:C": Series({START + 18 * MINUTE_S: 1.0}), "log:C:control": a_series([1] * 35)}
    (finding,) = findings_at(later, third, 38)
    assert (outcome(finding), finding.measured) == (FAIL, 3)


def test_a_log_without_a_backlog_has_an_hourly_checkpoint_as_well() -> None:
    observed = Observation(a_reading(10), logs([0] * 70, [1] * 70))
    minutes = (33, 59, 60)
    due = [
        minute
        for minute in minutes
        if judge(a_step(ABSENT), observed, NOON + minute * MINUTE).checkpoint
    ]
    assert due == [60]


# --- A log that was not read for long -------------------------------------------------------------

# Of 400 minutes a tick reads two hours; the newest have a control.
EARLY = {"log:C": Series({START: 1.0}), "log:C:control": a_series([None] * 395 + [1] * 5)}
CALM = {**EARLY, "log:C": Series()}


def given_up(ticks: int = 0) -> Rollout:
    """Return a rollout whose log was not read for 400 minutes, and so many ticks since."""
    rollout = with_checkpoint(a_step(ABSENT), logs([], [3], ERROR), 403)
    for _ in range(ticks):
        rollout = with_checkpoint(rollout, CALM, 403)
    return rollout


def test_a_log_that_is_not_read_for_six_hours_is_given_up_and_then_caught_up_with() -> None:
    assert given_up().evidence.tallies["C"].unanswered == 43
    found = [one for ticks in range(3) for one in findings_at(given_up(ticks), CALM, 403)]
    assert [outcome(one) for one in found] == [UNDECIDED, UNDECIDED, PASS]


@cases(
    "criterion, expected",
    {
        "too many": (ABSENT, FAIL),
        "enough": (PRESENT, PASS),
        "too few so far": ({**PRESENT, "min": 2}, UNDECIDED),
    },
)
def test_events_count_at_once_while_the_rest_is_still_to_be_read(
    criterion: Mapping[str, Any], expected: Outcome
) -> None:
    assert outcome(judged(criterion, EARLY, closed=400)) == expected


@cases(
    "fields, closed, reason",
    {
        "a minute more than is read at once": ({}, 121, Reason.ON_HOLD),
        "all that is read at once": ({}, 120, Reason.GATE_PASSED),
        "of what only reports": ({"gates": False}, 121, Reason.INCONCLUSIVE),
    },
)
def test_a_gate_has_no_verdict_while_its_log_has_a_backlog(
    fields: Mapping[str, Any], closed: int, reason: Reason
) -> None:
    rollout = a_step({**ABSENT, **fields})
    observed = Observed(Observation(a_reading(10), logs([], [None] * (closed - 1) + [1])))
    decision = decide(rollout, observed, NOON + (closed + SETTLE) * MINUTE)
    assert decision.rollout.reason is reason


SENTENCES: Sentences = {
    "absent": logged(ABSENT, [], [None, 3, 4]),
    "absent, and no logs at all": logged(ABSENT, [], []),
    "absent, but for one": logged(ABSENT, [None, 1], [3]),
    "read in part": logged(ABSENT, [], [3], PARTIAL),
    "present": logged(PRESENT, [1], []),
    "not present yet": logged(PRESENT, [], [3]),
    "no minute has settled": partial(judged, ABSENT, {}, closed=0),
    "not read for long": partial(judged, {**PRESENT, "min": 2}, EARLY, closed=400),
    "after minutes that were given up": lambda: findings_at(given_up(2), CALM, 403)[0],
}
