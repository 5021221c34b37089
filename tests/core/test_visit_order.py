"""The order of visits: policy names take turns, and rollbacks go first."""

from datetime import timedelta

from controller.core.visit_order import Turns, in_turns
from controller.immutable import replace
from tests.support.core import Phase, Rollout
from tests.support.rollouts import NOON, a_rollout, a_state


def rollout(rollout_id: str, phase: Phase = Phase.PROGRESSING, minutes: int = 0) -> Rollout:
    saved = NOON + timedelta(minutes=minutes)
    return replace(a_rollout(rollout_id, a_state(phase)), updated=saved)


def order(*rollouts: Rollout) -> tuple[list[str], list[str], list[str]]:
    turns = Turns.of(rollouts, lambda one: one)
    first, others, further = turns.rollbacks, turns.others, turns.further
    return [one.id for one in first], [other.id for other in others], [one.id for one in further]


def test_the_policy_names_take_turns() -> None:
    ids = ("a#1", "a#2", "a#3", "b#1", "b#2", "c#1", "c#2", "c#3")
    assert in_turns(ids, str) == ["a#1", "b#1", "c#1", "a#2", "b#2", "c#2", "a#3", "c#3"]


def test_the_first_rollback_of_each_name_goes_first_and_its_further_ones_last() -> None:
    rolling_back = Phase.ROLLING_BACK
    rollbacks = [rollout(f"a#{attempt}", rolling_back, attempt) for attempt in (1, 2, 3)]
    found = order(rollout("c#1"), *rollbacks, rollout("b#1", rolling_back, 2))
    assert found == (["a#1", "b#1"], ["c#1"], ["a#2", "a#3"])


def test_the_rollout_whose_last_save_is_the_oldest_goes_first() -> None:
    late, early = rollout("a#1", minutes=2), rollout("b#1", minutes=1)
    watched = rollout("c#1", Phase.SUCCEEDED)
    assert order(late, watched, early) == ([], ["b#1", "a#1", "c#1"], [])
