"""What an entry repeats of a state: what is a change of it, and what is put back."""

import pytest

from controller.core.repeated_state import (
    as_recorded,
    check_state,
    repeated_state,
    without_evidence,
)
from controller.core.stats.combined_tests import SequentialState
from controller.errors import StateChangedError
from controller.immutable import replace
from tests.support.core import BaselineMeasurement, Progressing, Rollout, RolloutEvidence, Tally
from tests.support.rollouts import MINUTE, NOON, a_rollout, state_of

CHECKPOINT = RolloutEvidence(
    baselines={"fast": BaselineMeasurement(0.2, 100.0, 0, 60)},
    tallies={"works": Tally(windows=5)},
    checkpoint_at=NOON,
    fold=SequentialState(through=60),
)


def on_hold(minute: int | None) -> Rollout:
    """Return a rollout whose hold began at a minute after noon; None: at the end of its bake."""
    rollout = a_rollout()
    begin = None if minute is None else NOON + minute * MINUTE
    return replace(rollout, state=replace(state_of(rollout, Progressing), hold_from=begin))


@pytest.mark.parametrize("minute", [5, 6])
def test_a_hold_that_began_when_it_was_recorded_or_later_is_no_change(minute: int) -> None:
    check_state(on_hold(minute), repeated_state(on_hold(5)))


@pytest.mark.parametrize("minute", [4, None])
def test_a_hold_that_began_earlier_is_a_change(minute: int | None) -> None:
    with pytest.raises(StateChangedError, match="hold_from"):
        check_state(on_hold(minute), repeated_state(on_hold(5)))


@pytest.mark.parametrize("field", ["created", "digest", "id", "revision", "target"])
def test_another_rollout_is_not_put_back(field: str) -> None:
    assert as_recorded(a_rollout(), repeated_state(a_rollout()), [field]) is None


def test_a_checkpoint_is_left_out_as_a_whole() -> None:
    """Else it would be read on from where the changed part ends."""
    kept = without_evidence(CHECKPOINT, ["tallies"])
    assert kept == RolloutEvidence(baselines=CHECKPOINT.baselines)


def test_what_was_not_changed_is_kept() -> None:
    assert without_evidence(CHECKPOINT, ["approved", "label"]) == CHECKPOINT
