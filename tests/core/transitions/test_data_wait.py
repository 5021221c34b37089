"""A hold waits for its data: minutes without them do not count against `max_hold`."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.cases import cases
from tests.support.core import (
    Measured,
    Progressing,
    Reason,
    Rollout,
    Verb,
    next_action,
)
from tests.support.recorded_run import a_run
from tests.support.rollouts import LADDER, MINUTE, NOON, a_reading, a_series
from tests.support.three_steps import (
    AT_10,
    NO_DATA,
    OUTAGE,
    PARTIAL,
    PAUSED,
    PROGRESSING,
    decide_command,
    decide_tick,
    under,
)

# The bake ends at 12:12, and its data are final at 12:15; without an answer it holds until 12:32.
HOUR = {"max_wait": "1h"}
WELL = {"requests:Sum@60": a_series([100] * 300), "errors:Sum@60": a_series([0] * 300)}
FEW = {"requests:Sum@60": a_series([0.2] * 200), "errors:Sum@60": a_series([0] * 200)}
FEW_OR_NONE = cases("measured", {
    "no requests": NO_DATA, "too few": FEW, "partial answers": PARTIAL, "no answers": OUTAGE,
})  # fmt: skip


def held(measured: Measured, minutes: Sequence[float], **parts: Any) -> Rollout:
    """Return a rollout at 10% after a tick in each of `minutes` after noon."""
    rollout = under(AT_10, **{"max_wait": None, **parts})
    for minute in minutes:
        rollout = decide_tick(rollout, a_reading(10), minute, measured).rollout
    return rollout


@FEW_OR_NONE
def test_three_hours_without_data_pause_nothing_and_whole_data_go_on(measured: Measured) -> None:
    waiting = held(measured, range(13, 195))
    assert (waiting.phase, waiting.reason) == (PROGRESSING, Reason.ON_HOLD)
    assert decide_tick(waiting, a_reading(10), 195, WELL).rollout.reason is Reason.GATE_PASSED


@FEW_OR_NONE
def test_a_wait_for_data_has_a_limit(measured: Measured) -> None:
    last = 12 + 60 + 20
    assert held(measured, range(13, last), **HOUR).phase is PROGRESSING
    over = held(measured, range(13, last + 1), **HOUR)
    assert (over.phase, over.reason) == (PAUSED, Reason.INCONCLUSIVE)
    assert over.sentence.startswith("still on hold at 10% 1h 20m after the bake: ")


def test_without_max_wait_every_minute_counts() -> None:
    assert held(NO_DATA, range(13, 32), max_wait="0s").phase is PROGRESSING
    assert held(NO_DATA, range(13, 33), max_wait="0s").phase is PAUSED


@cases("gap, phase", {
    "a quarter of an hour missed nothing": (15, PROGRESSING),
    "nor did a few minutes more, of which the rest counts": (30, PROGRESSING),
    "an hour did": (60, PAUSED),
})  # fmt: skip
def test_missed_ticks_count(gap: int, phase: object) -> None:
    assert held(NO_DATA, [15, 15 + gap]).phase is phase


def test_what_only_a_person_can_give_is_no_wait_for_data() -> None:
    signed = {"kind": "attestation", "statement": "It looks right."}
    criteria = {**AT_10.policy.model_dump(mode="json")["criteria"], "signed": signed}
    assert held(OUTAGE, range(13, 32), criteria=criteria).phase is PROGRESSING
    assert held(OUTAGE, range(13, 33), criteria=criteria).phase is PAUSED


# A step of ten minutes with a failure too many in 1,000 requests. The next step judges nothing more
# of it, so that the whole step has to keep the bound.
COUNT = {"kind": "threshold", "judge": "threshold", "metric": "errors", "max": 9, "window": "1m"}
WORKS = {"kind": "success_rate", "judge": "sequential", "total": "requests", "failures": ["errors"]}
ABOVE_BOUND = {
    "criteria": {"works": {**WORKS, "min": "99.9%", "min_samples": 50}, "count": COUNT},
    "steps": [
        {"weight": 10, "bake": "10m", "criteria": ["works"]},
        {"weight": 100, "bake": "10m", "criteria": ["count"]},
    ],
}
ERRORS = {"errors:Sum@60": a_series([0, 0, 0, 1, 0, 0, 1, 0, 0, 1] + [0] * 202)}
MANY = {"requests:Sum@60": a_series([100] * 212), **ERRORS}
HARDLY_ANY = {"requests:Sum@60": a_series([100] * 12 + [1] * 200), **ERRORS}


def test_too_few_requests_in_the_newest_bake_length_are_waited_for_as_well() -> None:
    assert held(HARDLY_ANY, range(13, 60), **ABOVE_BOUND).phase is PROGRESSING
    assert held(MANY, range(13, 33), **ABOVE_BOUND).phase is PAUSED


def test_a_last_step_reads_its_newest_bake_length_before_it_misses_requests() -> None:
    """Its newest hour has 60,000, most of them in minutes that are stored already."""
    works = {**WORKS, "min": "99.999%", "min_samples": 50_000, "assurance": "proven"}
    steps = [{"weight": 100, "bake": "1h"}]
    run = a_run(under(AT_10, max_wait=None, criteria={"works": works}, steps=steps).policy)
    run.tick(a_reading(100))
    run.tick_on(a_reading(100), 190, 5 * MINUTE)
    assert (run.rollout.phase, run.rollout.reason) == (PAUSED, Reason.INCONCLUSIVE)
    assert run.replay.consistent


def test_minutes_that_were_judged_count_on_both_sides_of_a_wait() -> None:
    works = {**LADDER["criteria"]["works"], "failure_limit": 1_000}
    bad = {"requests:Sum@60": a_series([100] * 200), "errors:Sum@60": a_series([5] * 200)}
    rollout = held(bad, range(13, 23), criteria={"works": works})
    for minute in range(23, 61):
        rollout = decide_tick(rollout, a_reading(10), minute, OUTAGE).rollout
    for minute in range(61, 70):
        rollout = decide_tick(rollout, a_reading(10), minute, bad).rollout
    assert (rollout.phase, rollout.hold_end) == (PROGRESSING, NOON + 70 * MINUTE)
    assert decide_tick(rollout, a_reading(10), 70, bad).rollout.phase is PAUSED


def test_a_pause_stays_a_pause_when_data_come() -> None:
    paused = held(NO_DATA, range(13, 93), **HOUR)
    assert decide_tick(paused, a_reading(10), 93, WELL).rollout.phase is PAUSED


def test_a_resumed_rollout_waits_for_data_anew() -> None:
    paused = held(NO_DATA, range(13, 93), **HOUR)
    rollout = decide_command(paused, Verb.RESUME, a_reading(10), reason="r", minute=100).rollout
    for minute in range(101, 180):
        rollout = decide_tick(rollout, a_reading(10), minute, NO_DATA).rollout
    assert rollout.phase is PROGRESSING
    assert decide_tick(rollout, a_reading(10), 180, NO_DATA).rollout.phase is PAUSED


def test_a_hold_says_that_it_waits_for_data_and_until_when_at_most() -> None:
    waiting = held(NO_DATA, range(13, 20), **HOUR)
    assert waiting.sentence.startswith(
        "on hold at 10%, waiting for data until 2026-11-24 13:32 UTC at most: "
    )
    following = next_action(waiting)
    assert following.at == NOON + 92 * MINUTE
    assert following.text == (
        "50% as soon as its data come and every criterion passes; "
        "without data pauses at the first tick from 2026-11-24 13:32 UTC on"
    )


@pytest.mark.parametrize("then", ["pause", "rollback", "advance"])
def test_a_history_with_such_a_wait_derives_again(then: str) -> None:
    """Also where ticks came at odd times: an entry has no time of the tick before."""
    run = a_run(under(AT_10, max_wait="1h", on_inconclusive=then).policy)
    run.tick(a_reading(10))
    run.failing_metrics = ["requests", "errors"]
    for gap in (13, 2, 9, 14, 1, 1, 20, 3, 5):
        run.tick(a_reading(10), gap * MINUTE)
    run.tick_on(a_reading(10), 60)
    assert not isinstance(run.rollout.state, Progressing) or run.rollout.pending
    assert run.replay.consistent
