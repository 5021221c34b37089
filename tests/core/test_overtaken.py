"""A weight that is written after its rollout went back is lowered, and no other one is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.core.effects import Lower
from controller.core.observation import Observation, Reading, Unreadable
from controller.core.overtaken import too_late
from controller.core.rollout import Rollout
from tests.ladder import AT_10, BACK, FIRST_RAISE, GOING_BACK, GONE, MOVING
from tests.rollouts import NOON, reads

LONG_AFTER = NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("stored", "target", "lowers", "kind"),
    [
        pytest.param(BACK, reads(10), True, "guarding_zero", id="ours"),
        pytest.param(BACK, reads(10, MOVING), True, "guarding_zero", id="ours, on its way"),
        pytest.param(BACK, GONE, True, "guarding_zero", id="perhaps ours"),
        pytest.param(BACK, reads(40), False, None, id="another one"),
        pytest.param(BACK, reads(0), False, None, id="none"),
        pytest.param(GOING_BACK, reads(10), True, None, id="ours, the rollback still goes on"),
    ],
)
def test_what_stands_there_when_the_rollout_has_gone_back_meanwhile_is(
    stored: Rollout, target: Reading | Unreadable, lowers: bool, kind: str | None
) -> None:
    """An hour later nobody guards zero any more, and another rollout may own the target."""
    stored = replace(stored, unconfirmed=True, reminded=LONG_AFTER)
    decision = too_late(stored, FIRST_RAISE, Observation(target), LONG_AFTER)
    assert isinstance(decision.move, Lower) is lowers
    assert (decision.record and decision.record.kind) == kind


def test_a_weight_that_came_back_is_told_as_such() -> None:
    decision = too_late(BACK, AT_10, Observation(reads(10)), LONG_AFTER)
    assert [one.text for one in decision.notices] == [
        "checkout#1: 10 % came back after the rollback; lowering it again"
    ]
