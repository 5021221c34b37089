"""A failing finding begins where the change was found, however many checkpoints came since."""

import pytest

from tests.support.core import Rollout, Series, Verdict, sentence_of
from tests.support.judging import (
    CHECKPOINT_AGE,
    SETTLE,
    START,
    a_step,
    datapoints,
    findings_at,
    policy_of,
    with_checkpoint,
)

RATE = {"kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99.9%"}
SLOPE = 160  # the minute in which a fault begins that is too small to be seen within the hour
LONG = [{"weight": 10, "bake": "12h"}, {"weight": 100, "bake": "12h"}]


def series(minutes: int, bad_from: int, errors: float) -> dict[str, Series]:
    return datapoints(
        {
            "requests": [200] * minutes,
            "errors": [
                errors if minute >= bad_from else minute % 10 == 0 for minute in range(minutes)
            ],
        }
    )


def a_long_step() -> Rollout:
    return a_step(policy_of(RATE, steps=LONG, warmup="0s"))


@pytest.mark.parametrize("every", [60, 25], ids=["hourly", "more often"])
def test_a_finding_begins_with_the_fault_and_not_with_the_last_checkpoint(every: int) -> None:
    rollout, data = a_long_step(), series(420, SLOPE, errors=0.5)
    minute, (found,) = 10, findings_at(rollout, data, 10)
    while found.verdict is not Verdict.FAIL and minute < 420:
        minute += 5
        if minute % every == 0:
            rollout = with_checkpoint(rollout, data, minute)
        (found,) = findings_at(rollout, data, minute)
    assert found.verdict is Verdict.FAIL
    last_checkpoint = minute // every * every - CHECKPOINT_AGE
    assert minute - SETTLE - SLOPE > every, "the fault was found before a checkpoint"
    begin, end = (
        (int(found.facts[f"regression_{name}"]) - START) // 60 for name in ("start", "end")
    )
    assert (abs(begin - SLOPE) <= 10, end) == (True, minute - SETTLE)
    assert begin < last_checkpoint
    # The counts are those of the whole time, so the share is that of the fault.
    assert found.facts["requests"] == 200 * (end - begin)
    assert found.facts["failures"] == pytest.approx(0.5 * (end - SLOPE), abs=2)
    assert "2026-11-24 14:4" in sentence_of(found)
