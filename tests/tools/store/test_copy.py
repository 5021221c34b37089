"""Migration of finished rollouts between two stores, which never control the same one."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.core.transitions.rollback import ROLLBACK_GUARD
from controller.core.units import clock_text
from controller.errors import Exit, StateConflictError, StoreError, UnknownRolloutError, UsageError
from controller.immutable import replace
from controller.ports.store import Store
from controller.tools.simulation.clock import VirtualClock
from controller.tools.store.copy import CopiedRollout, Endpoint, Migration
from tests.support.cases import cases
from tests.support.core import Live, Paused, Phase, Progressing, Rollout, Succeeded, broken_link
from tests.support.rollouts import ARN, MINUTE, NOON, a_rollout, a_state, with_entry

OLD, NEW = "sqlite:////old.db", "dynamodb://new"
OTHER_ARN = ARN.replace("handler", "other")
LOCKS = a_rollout().locks
UNFINISHED = [phase for phase in Phase if phase not in (Phase.SUCCEEDED, Phase.ROLLED_BACK)]


class FailingStore:
    """A store that fails the next `failures` calls of one method."""

    def __init__(self, store: Store, method: str, failures: int = 1) -> None:
        self._store, self._method, self._failures = store, method, failures

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._failures:
            self._failures -= 1
            raise StoreError("the network is gone")
        return getattr(self._store, name)


class InterruptedStore:
    """A store that runs `act` before the next call of one method."""

    def __init__(self, store: Store, method: str, act: Callable[[], object]) -> None:
        self._store, self._method, self._acts = store, method, [act]

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._acts:
            self._acts.pop()()
        return getattr(self._store, name)


class TwoStores:
    """Two stores and the migration between them, from `old` to `new`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._opened = folder, list[SqliteStore]()
        self.old, self.new = self.store("old"), self.store("new")
        self.clock = VirtualClock(NOON + ROLLBACK_GUARD)

    def store(self, name: str) -> SqliteStore:
        """Open a store once more, as another process does."""
        store = SqliteStore(self._folder / f"{name}.db", durable=False)
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Close all stores that were opened."""
        for store in self._opened:
            store.close()

    def migration(self, **ends: Any) -> Migration:
        source, destination = ends.get("old", self.old), ends.get("new", self.new)
        return Migration(Endpoint(source, OLD), Endpoint(destination, NEW), self.clock)

    def copy(self, *names: str, **ends: Any) -> list[tuple[str, str]]:
        """Copy rollouts; return each id with its outcome."""
        migration = self.migration(**ends)
        return outcomes_of(list(migration.run(migration.plan(names))))


def outcomes_of(items: list[CopiedRollout]) -> list[tuple[str, str]]:
    return [(item.id, str(item.outcome)) for item in items]


def create_rollout(
    store: Store,
    rollout_id: str = "checkout#1",
    phase: Phase = Phase.SUCCEEDED,
    *,
    target: str = ARN,
    created: datetime = NOON,
    **facts: Any,
) -> Rollout:
    """Create a rollout with its locks and two entries in `store`; `facts` are of its state."""
    state = a_state(phase, since=created, **facts)
    if isinstance(state, Progressing | Paused | Succeeded):
        weight = {"weight": state.position.weight, "step": state.position.step}
        state = replace(state, position=Live(**weight, since=created))
    rollout = a_rollout(
        rollout_id, state, target=target, created=created, updated=max(NOON, created)
    )
    rollout, first = with_entry(rollout)
    rollout, second = with_entry(rollout)
    store.create(rollout, [first, second], rollout.locks)
    return store.load(rollout_id)


def append_entry(store: Store, **facts: Any) -> Rollout:
    """Save `checkout#1`, changed by `facts`, with one more entry."""
    rollout, entry = with_entry(replace(store.load("checkout#1"), **facts), sentence="More.")
    return store.save(rollout, [entry])


@pytest.fixture
def both(tmp_path: Path) -> Iterator[TwoStores]:
    stores = TwoStores(tmp_path)
    yield stores
    stores.close()


# --- one copy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.ROLLED_BACK])
def test_a_copied_rollout_is_in_the_new_store_as_it_is_in_the_old(
    both: TwoStores, phase: Phase
) -> None:
    was, history = create_rollout(both.old, phase=phase), both.old.history("checkout#1")
    assert both.copy() == [("checkout#1", "copied")]
    assert both.new.load("checkout#1") == was
    assert both.new.history("checkout#1") == history
    assert broken_link(history, was.chain) is None
    both.new.save(was, [])


def test_the_old_store_is_only_read(both: TwoStores) -> None:
    was, history = create_rollout(both.old), both.old.history("checkout#1")
    both.copy()
    assert (both.old.load("checkout#1"), both.old.history("checkout#1")) == (was, history)
    assert [both.old.owner(lock) for lock in LOCKS] == ["checkout#1", "checkout#1"]


def test_a_rollout_of_a_newer_format_is_copied_once_the_new_store_is_upgraded(
    both: TwoStores,
) -> None:
    create_rollout(both.old)
    both.new.set_format(1)
    with pytest.raises(UsageError, match=r"has format 2, and .* has format 1: .* store upgrade"):
        both.copy()
    both.new.set_format(2)
    assert both.copy() == [("checkout#1", "copied")]


def test_a_copied_rollout_takes_along_only_the_locks_that_it_holds(both: TwoStores) -> None:
    create_rollout(both.old, "checkout#1", Phase.ROLLED_BACK)
    create_rollout(both.old, "checkout#2", created=NOON + MINUTE)
    assert both.copy() == [("checkout#1", "copied"), ("checkout#2", "copied")]
    assert [both.new.owner(lock) for lock in LOCKS] == ["checkout#2", "checkout#2"]
    assert both.new.of_name("checkout") == ("checkout#1", "checkout#2")


def test_all_attempts_of_a_name_are_copied_together_and_nothing_else(both: TwoStores) -> None:
    create_rollout(both.old, "checkout#1", Phase.ROLLED_BACK)
    create_rollout(both.old, "search#1", target=OTHER_ARN, created=NOON + MINUTE)
    create_rollout(both.old, "checkout#2", created=NOON + 2 * MINUTE)
    assert both.copy("checkout") == [("checkout#1", "copied"), ("checkout#2", "copied")]
    assert both.new.all() == ("checkout#1", "checkout#2")


# --- repeated copies ------------------------------------------------------------------------------


def test_what_is_there_already_is_skipped_however_far_it_has_gone_since(both: TwoStores) -> None:
    create_rollout(both.old)
    both.copy()
    after = append_entry(both.new)
    assert both.copy() == [("checkout#1", "there")]
    assert both.new.load("checkout#1") == after


def test_a_copy_that_was_cut_short_is_finished_by_the_same_command(both: TwoStores) -> None:
    create_rollout(both.old, "checkout#1")
    create_rollout(both.old, "search#1", target=OTHER_ARN, created=NOON + MINUTE)
    migration = both.migration()
    steps = migration.run(migration.plan())
    assert next(steps).id == "checkout#1"
    with pytest.raises(StoreError, match="the network is gone"):
        both.copy(new=FailingStore(both.new, "receive"))
    assert both.new.all() == ("checkout#1",)
    assert both.copy() == [("checkout#1", "there"), ("search#1", "copied")]


def test_of_two_copies_at_once_the_slower_one_finds_that_it_is_done(both: TwoStores) -> None:
    create_rollout(both.old)
    migration = both.migration()
    planned = migration.plan()
    both.copy()
    after = append_entry(both.new)
    assert outcomes_of(list(migration.run(planned))) == [("checkout#1", "there")]
    assert both.new.load("checkout#1") == after


def test_a_rollout_of_this_id_that_came_at_the_last_moment_is_not_overwritten(
    both: TwoStores,
) -> None:
    create_rollout(both.old)
    slower = InterruptedStore(both.new, "receive", lambda: another_of_this_id(both))
    with pytest.raises(StateConflictError, match="is in this store already, with another history"):
        both.copy(new=slower)
    assert both.new.load("checkout#1").target == OTHER_ARN


def test_what_is_added_to_a_history_while_it_is_copied_is_left_for_the_next_copy(
    both: TwoStores,
) -> None:
    was = create_rollout(both.old)
    slower = InterruptedStore(both.old, "history", lambda: append_entry(both.store("old")))
    migration = both.migration()
    planned = migration.plan()
    assert outcomes_of(list(both.migration(old=slower).run(planned))) == [("checkout#1", "copied")]
    assert both.new.load("checkout#1") == was
    assert len(both.new.history("checkout#1")) == was.entries


# --- refusals -------------------------------------------------------------------------------------


def refusals(both: TwoStores) -> list[str]:
    """Return the refusals of a copy, which writes nothing."""
    before = both.new.all()
    with pytest.raises(UsageError) as raised:
        both.copy()
    assert raised.value.exit_status == Exit.USAGE
    assert both.new.all() == before
    first, *lines = str(raised.value).splitlines()
    assert first == "nothing was copied:"
    return [line.strip() for line in lines]


@pytest.mark.parametrize("phase", UNFINISHED)
def test_nothing_is_copied_while_a_rollout_is_not_finished_and_each_is_named(
    both: TwoStores, phase: Phase
) -> None:
    create_rollout(both.old, "checkout#1")
    for number, name in enumerate(("search#1", "orders#1"), 1):
        create_rollout(
            both.old, name, phase, target=f"{ARN}-{number}", created=NOON + number * MINUTE
        )
    weight = both.old.load("search#1").weight
    why = f"it is {phase} at {weight}%; let it end or roll it back first, then copy"
    assert refusals(both) == [f"search#1: {why}", f"orders#1: {why}"]


def test_an_unfinished_rollout_does_not_block_other_names(both: TwoStores) -> None:
    create_rollout(both.old, "checkout#1")
    create_rollout(both.old, "search#1", Phase.PROGRESSING, target=OTHER_ARN)
    assert both.copy("checkout") == [("checkout#1", "copied")]


def test_a_rollout_that_is_rolled_back_between_plan_and_copy_is_not_copied(both: TwoStores) -> None:
    create_rollout(both.old)
    migration = both.migration()
    planned = migration.plan()
    append_entry(both.old, state=a_state(Phase.ROLLING_BACK))
    with pytest.raises(UsageError, match="checkout#1 was not copied: it is rolling_back at 0%"):
        list(migration.run(planned))
    assert both.new.all() == ()


def another_of_this_id(both: TwoStores) -> None:
    create_rollout(both.new, "checkout#1", Phase.PROGRESSING, target=OTHER_ARN)


def an_older_copy(both: TwoStores) -> None:
    both.copy()
    append_entry(both.old)


@cases("arrange, phase", {
    "another rollout": (another_of_this_id, Phase.PROGRESSING),
    "a copy from before its last entry": (an_older_copy, Phase.SUCCEEDED),
})  # fmt: skip
def test_another_history_under_an_id_is_refused_before_anything_is_touched(
    both: TwoStores, arrange: Callable[[TwoStores], None], phase: Phase
) -> None:
    create_rollout(both.old)
    arrange(both)
    was = both.new.load("checkout#1")
    assert refusals(both) == [
        f"checkout#1: {NEW} has another history of this id, {phase} since {clock_text(NOON)}; "
        "copy to a store that does not have it"
    ]
    assert both.new.load("checkout#1") == was


def test_one_that_is_refused_holds_up_the_others_and_all_are_named(both: TwoStores) -> None:
    for number, name in enumerate(("checkout#1", "search#1", "orders#1")):
        arn = f"{ARN}-{number}"
        create_rollout(both.old, name, target=arn, created=NOON + number * MINUTE)
        if name != "orders#1":
            create_rollout(both.new, name, target=arn, created=NOON, sentence="Another.")
    create_rollout(both.old, "basket#1", Phase.PAUSED, target=f"{ARN}-3", created=NOON + 3 * MINUTE)
    named = [line.split(": ")[0] for line in refusals(both)]
    assert named == ["checkout#1", "search#1", "basket#1"]


@cases("phase, there, created, owner", {
    "of two finished ones the older":
        (Phase.SUCCEEDED, Phase.SUCCEEDED, NOON - MINUTE, "checkout#1"),
    "of two finished ones the older, the one that is copied too":
        (Phase.SUCCEEDED, Phase.SUCCEEDED, NOON + MINUTE, "search#1"),
    "the one that is copied to one that is not finished":
        (Phase.ROLLED_BACK, Phase.PROGRESSING, NOON - MINUTE, "search#1"),
})  # fmt: skip
def test_a_target_has_one_owner_in_the_new_store_which_is(
    both: TwoStores, phase: Phase, there: Phase, created: datetime, owner: str
) -> None:
    create_rollout(both.new, "search#1", there, created=created)
    create_rollout(both.old, phase=phase)
    assert both.copy() == [("checkout#1", "copied")]
    assert [both.new.owner(lock) for lock in LOCKS] == [owner, owner]


def test_a_name_without_a_rollout_is_unknown(both: TwoStores) -> None:
    create_rollout(both.old)
    with pytest.raises(
        UnknownRolloutError, match="no rollout is called 'orders' in sqlite:////old"
    ):
        both.copy("checkout", "orders")
    assert both.new.all() == ()


def test_a_history_that_was_changed_is_not_copied(both: TwoStores) -> None:
    create_rollout(both.old)
    both.old._connection.execute("DELETE FROM history WHERE seq = 1")
    with pytest.raises(
        StoreError, match="its history was changed or is incomplete from entry 1 on"
    ):
        both.copy()
    assert both.new.all() == ()
