"""Moving rollouts between two stores: at no moment do both drive the same one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.sqlite import SqliteStore
from controller.core.history import broken_link
from controller.core.rollout import Phase, Rollout
from controller.errors import (
    Exit,
    LeaseHeldError,
    MovedError,
    StateConflictError,
    StoreError,
    TargetTakenError,
    UnknownRolloutError,
    UsageError,
)
from controller.leasing import LEASE, Leasing
from controller.ports import Store
from controller.simulation.clock import VirtualClock
from controller.transfer import End, Item, Outcome, Transfer
from tests.rollouts import ARN, MINUTE, NOON, a_rollout, recorded, sound

OLD, NEW = "sqlite:////old.db", "dynamodb://new"
OTHER_ARN = ARN.replace("handler", "other")
LOCKS = a_rollout().locks


class Fragile:
    """A store that is away for the next `failures` calls of one method."""

    def __init__(self, store: Store, method: str, failures: int = 1) -> None:
        self._store, self._method, self._failures = store, method, failures

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._failures:
            self._failures -= 1
            raise StoreError("the network is gone")
        return getattr(self._store, name)


class Both:
    """Two stores and what moves rollouts between them. old: where they start."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._opened = folder, list[SqliteStore]()
        self.old, self.new = self.store("old"), self.store("new")
        self.clock = VirtualClock(NOON + MINUTE)

    def store(self, name: str) -> SqliteStore:
        """Open a store once more, as another process does."""
        store = SqliteStore(self._folder / f"{name}.db", durable=False)
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Close whatever was opened."""
        for store in self._opened:
            store.close()

    def transfer(self, **ends: Store) -> Transfer:
        source, destination = ends.get("old", self.old), ends.get("new", self.new)
        return Transfer(End(source, OLD), End(destination, NEW), self.clock, "tester")

    def move(self, *names: str, **ends: Store) -> list[tuple[str, str]]:
        """Move rollouts; return each with what became of it."""
        transfer = self.transfer(**ends)
        return told(list(transfer.carry_out(transfer.survey(names))))


def told(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.rollout_id, str(item.outcome)) for item in items]


def kept(store: Store, rollout_id: str = "checkout#1", **facts: Any) -> Rollout:
    """Keep a rollout with its locks and two entries in `store`."""
    rollout, first = recorded(sound(a_rollout(rollout_id, **facts)))
    rollout, second = recorded(rollout)
    store.create(rollout, [first, second], rollout.locks)
    return store.load(rollout_id)


def keep(both: Both, rollout_id: str) -> None:
    """Let another run have a rollout of the old store, and ask for it again each minute."""
    run, begin = both.store("old"), both.clock.now()

    def once_more() -> None:
        run.acquire(rollout_id, both.clock.now(), both.clock.now() + LEASE)

    once_more()
    for minute in range(1, 10):
        both.clock.at(begin + minute * MINUTE, once_more)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    stores = Both(tmp_path)
    yield stores
    stores.close()


# --- a move -------------------------------------------------------------------------------------


def test_a_moved_rollout_goes_on_in_the_new_store_as_it_was(both: Both) -> None:
    was = kept(both.old, step=1, sentence="Baking.")
    assert both.move() == [("checkout#1", "moved")]
    now = both.new.load("checkout#1")
    same = {"entries": 3, "chain": now.chain, "updated": NOON + MINUTE, "version": now.version}
    assert now == replace(was, **same)  # type: ignore[arg-type]
    assert both.new.active(NOON) == ("checkout#1",)
    both.new.save(now, [])


def test_a_moved_rollout_brings_its_history_and_the_move_is_part_of_it(both: Both) -> None:
    kept(both.old)
    before = both.old.history("checkout#1")
    both.move()
    entries = both.new.history("checkout#1")
    assert entries[:-1] == before
    assert broken_link(entries, both.new.load("checkout#1").chain) is None
    last = entries[-1]
    assert (last.kind, last.at, last.body["by"]) == ("moved", NOON + MINUTE, "tester")
    assert last.body["sentence"] == f"moved from {OLD} to {NEW}"
    assert both.old.history("checkout#1") == entries


def test_the_old_store_says_where_it_went_and_drives_it_no_more(both: Both) -> None:
    kept(both.old)
    both.move()
    assert both.old.load("checkout#1").moved_to == NEW
    assert both.old.active(NOON) == ()
    with pytest.raises(MovedError, match=NEW):
        Leasing(both.old, both.clock).take("checkout#1")


def test_the_target_is_owned_in_the_new_store_and_nobodys_to_start_on_in_the_old(
    both: Both,
) -> None:
    kept(both.old)
    both.move()
    assert [both.new.owner(lock) for lock in LOCKS] == ["checkout#1", "checkout#1"]
    other, entry = recorded(a_rollout("search#1"))
    with pytest.raises(TargetTakenError, match=f"start it there: --store {NEW}"):
        both.old.create(other, [entry], LOCKS)


def test_a_finished_rollout_takes_along_only_what_nobody_took_over(both: Both) -> None:
    kept(both.old, "checkout#1", phase=Phase.ROLLED_BACK)
    kept(both.old, "checkout#2", created=NOON + MINUTE)
    assert both.move() == [("checkout#1", "moved"), ("checkout#2", "moved")]
    assert [both.new.owner(lock) for lock in LOCKS] == ["checkout#2", "checkout#2"]
    assert both.new.of_name("checkout") == ("checkout#1", "checkout#2")


def test_time_never_goes_back_by_a_move(both: Both) -> None:
    kept(both.old, updated=NOON + 5 * MINUTE)
    both.move()
    assert both.new.load("checkout#1").updated == NOON + 5 * MINUTE


def test_all_attempts_of_a_name_move_together_and_nothing_else(both: Both) -> None:
    kept(both.old, "checkout#1", phase=Phase.ROLLED_BACK)
    kept(both.old, "search#1", target=OTHER_ARN, created=NOON + MINUTE)
    kept(both.old, "checkout#2", created=NOON + 2 * MINUTE)
    assert both.move("checkout") == [("checkout#1", "moved"), ("checkout#2", "moved")]
    assert both.new.all() == ("checkout#1", "checkout#2")


def test_a_survey_changes_nothing(both: Both) -> None:
    was = kept(both.old)
    assert told(both.transfer().survey()) == [("checkout#1", "moved")]
    assert (both.old.load("checkout#1"), both.new.all()) == (was, ())


# --- again --------------------------------------------------------------------------------------


def test_what_moved_already_is_skipped_however_far_it_has_gone_since(both: Both) -> None:
    kept(both.old)
    both.move()
    after, entry = recorded(both.new.load("checkout#1"), sentence="Advanced.")
    both.new.save(after, [entry])
    assert both.move() == [("checkout#1", "there")]
    assert both.new.load("checkout#1").entries == 4


def test_a_rollback_by_hand_in_the_old_store_hides_no_move(both: Both) -> None:
    kept(both.old)
    both.move()
    down, entry = recorded(sound(replace(both.old.load("checkout#1"), phase=Phase.ROLLED_BACK)))
    both.old.save(down, [entry])
    assert both.move() == [("checkout#1", "there")]


def test_a_move_that_broke_off_leaves_nothing_driven_and_is_finished_by_another(both: Both) -> None:
    was = kept(both.old, sentence="Baking.", next="50 % at noon")
    with pytest.raises(StoreError, match="nothing drives it; run the same command again") as raised:
        both.move(new=Fragile(both.new, "receive"))
    assert "checkout#1 is retired in sqlite:////old.db and not in dynamodb://new" in str(
        raised.value
    )
    assert (both.old.active(NOON), both.new.all()) == ((), ())
    both.clock.advance(timedelta(days=1))
    assert both.move() == [("checkout#1", "finished")]
    now = both.new.load("checkout#1")
    assert (now.sentence, now.next, now.moved_to) == (was.sentence, was.next, "")
    assert broken_link(both.new.history("checkout#1"), now.chain) is None
    assert [both.new.owner(lock) for lock in LOCKS] == ["checkout#1", "checkout#1"]


def test_those_before_a_failure_stay_moved(both: Both) -> None:
    kept(both.old, "checkout#1")
    kept(both.old, "search#1", target=OTHER_ARN, created=NOON + MINUTE)
    transfer = both.transfer()
    steps = transfer.carry_out(transfer.survey())
    assert next(steps).rollout_id == "checkout#1"
    keep(both, "search#1")
    with pytest.raises(LeaseHeldError):
        both.move(old=both.store("old"))
    assert both.new.all() == ("checkout#1",)
    assert not both.old.load("search#1").moved_to


# --- another run --------------------------------------------------------------------------------


def test_a_tick_that_has_the_rollout_is_waited_for(both: Both) -> None:
    kept(both.old)
    both.store("old").acquire("checkout#1", both.clock.now(), both.clock.now() + MINUTE)
    assert both.move() == [("checkout#1", "moved")]
    assert both.clock.now() >= NOON + 2 * MINUTE


def test_a_run_that_keeps_the_rollout_ends_the_wait_with_75_and_nothing_moves(both: Both) -> None:
    was = kept(both.old)
    keep(both, "checkout#1")
    with pytest.raises(LeaseHeldError) as raised:
        both.move()
    assert raised.value.exit_status == Exit.BUSY
    assert both.clock.now() <= NOON + MINUTE + LEASE + 2 * MINUTE
    assert (both.old.load("checkout#1"), both.new.all()) == (was, ())


def test_a_run_that_looked_before_the_move_can_save_no_more(both: Both) -> None:
    """It would be a second one that drives the rollout."""
    looked = kept(both.old)
    both.move()
    with pytest.raises(StateConflictError):
        both.old.save(looked, [])


def test_a_rollback_that_saves_first_keeps_its_rollout(both: Both) -> None:
    """A person's rollback waits for no lease; the move starts anew from what it left."""
    kept(both.old)

    class Rolling(Fragile):
        def save(self, rollout: Rollout, *rest: Any) -> Rollout:
            down, entry = recorded(
                sound(replace(both.old.load(rollout.id), phase=Phase.ROLLED_BACK))
            )
            both.store("old").save(down, [entry])
            return both.old.save(rollout, *rest)

    with pytest.raises(StateConflictError):
        both.move(old=Rolling(both.old, "nothing"))  # type: ignore[arg-type]
    assert both.new.all() == ()
    assert both.move() == [("checkout#1", "moved")]
    assert both.new.load("checkout#1").phase is Phase.ROLLED_BACK


class Meanwhile:
    """A store before whose next call of one method something else happens."""

    def __init__(self, store: Store, method: str, act: Callable[[], object]) -> None:
        self._store, self._method, self._acts = store, method, [act]

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._acts:
            self._acts.pop()()
        return getattr(self._store, name)


def test_of_two_moves_at_once_the_slower_one_finds_that_it_is_done(both: Both) -> None:
    """The other one has brought it, and ticks drive it there already."""
    kept(both.old)

    def brought_and_ticked() -> None:
        assert both.move(new=both.store("new")) == [("checkout#1", "finished")]
        after, entry = recorded(both.new.load("checkout#1"), sentence="Advanced.")
        both.new.save(after, [entry])

    slower = Meanwhile(both.new, "receive", brought_and_ticked)
    assert both.move(new=slower) == [("checkout#1", "moved")]
    assert both.new.load("checkout#1").entries == 4


def test_of_two_moves_at_once_the_slower_one_goes_on_from_where_the_other_broke_off(
    both: Both,
) -> None:
    kept(both.old)

    def retired_and_gone() -> None:
        with pytest.raises(StoreError):
            both.move(old=both.store("old"), new=Fragile(both.new, "receive"))

    slower = Meanwhile(both.old, "acquire", retired_and_gone)
    assert both.move(old=slower) == [("checkout#1", "finished")]
    assert [one.kind for one in both.new.history("checkout#1")].count("moved") == 1


def test_a_rollout_of_this_id_that_came_meanwhile_is_not_taken_for_the_moved_one(
    both: Both,
) -> None:
    kept(both.old)
    slower = Meanwhile(both.new, "receive", lambda: another_of_this_id(both))
    with pytest.raises(StoreError, match="nothing drives it; run the same command again"):
        both.move(new=slower)


# --- refused ------------------------------------------------------------------------------------


def another_of_this_id(both: Both) -> None:
    kept(both.new, "checkout#1", target=OTHER_ARN)


def another_owner_moved_on(both: Both) -> None:
    kept(both.new, "search#1", moved_to="dynamodb://third")


def another_owner(both: Both) -> None:
    kept(both.new, "search#1")


def moved_from_there(both: Both) -> None:
    kept(both.new)
    both.old = both.store("fresh")
    back = Transfer(End(both.new, NEW), End(both.old, OLD), both.clock, "tester")
    list(back.carry_out(back.survey()))


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        pytest.param(
            another_of_this_id,
            f"checkout#1: {NEW} has another rollout of this id, progressing since 2026-11-24",
            id="an id that is used there",
        ),
        pytest.param(
            another_owner, f"checkout#1: search#1 owns {LOCKS[0]} in {NEW}; let search#1 finish",
            id="a target that a living one drives there",
        ),
        pytest.param(
            another_owner_moved_on, f"checkout#1: search#1 owns {LOCKS[0]} in {NEW}; that was "
            "moved to dynamodb://third before its end: move it there",
            id="a target that is driven from a third store",
        ),
        pytest.param(
            moved_from_there, f"checkout#1: it was moved from {NEW} to {OLD} before, and does not",
            id="a way back",
        ),
    ],
)  # fmt: skip
def test_it_is_refused_before_anything_is_touched(both: Both, arrange: Any, words: str) -> None:
    old = both.old
    arrange(both)
    if both.old is old:
        kept(both.old)
    was = both.old.load("checkout#1")
    with pytest.raises(UsageError) as raised:
        both.move()
    first, *refusals = str(raised.value).splitlines()
    assert (first, len(refusals)) == ("nothing was moved:", 1)
    assert refusals[0].startswith(f"  {words}")
    assert both.old.load("checkout#1") == was


@pytest.mark.parametrize(
    ("phase", "there", "created", "owner"),
    [
        pytest.param(
            Phase.PROGRESSING, Phase.SUCCEEDED, NOON + MINUTE, "checkout#1",
            id="a finished one to one that is not",
        ),
        pytest.param(
            Phase.SUCCEEDED, Phase.SUCCEEDED, NOON - MINUTE, "checkout#1",
            id="of two finished ones the older",
        ),
        pytest.param(
            Phase.SUCCEEDED, Phase.SUCCEEDED, NOON + MINUTE, "search#1",
            id="of two finished ones the older, the one that moves too",
        ),
        pytest.param(
            Phase.ROLLED_BACK, Phase.PROGRESSING, NOON - MINUTE, "search#1",
            id="one that moves finished to one that is not",
        ),
    ],
)  # fmt: skip
def test_a_target_has_one_owner_in_the_new_store_and_who_gives_way_is(
    both: Both, phase: Phase, there: Phase, created: datetime, owner: str
) -> None:
    kept(both.new, "search#1", phase=there, created=created)
    kept(both.old, phase=phase)
    assert both.move() == [("checkout#1", "moved")]
    assert [both.new.owner(lock) for lock in LOCKS] == [owner, owner]


def test_a_final_owner_that_has_moved_on_from_the_new_store_is_in_nobodys_way(both: Both) -> None:
    kept(both.new, "search#1", phase=Phase.SUCCEEDED, moved_to="dynamodb://third")
    kept(both.old)
    both.move()
    assert [both.new.owner(lock) for lock in LOCKS] == ["checkout#1", "checkout#1"]


def test_a_finished_one_gives_way_to_one_that_has_moved_on_from_the_new_store(both: Both) -> None:
    kept(both.new, "search#1", moved_to="dynamodb://third", created=NOON - MINUTE)
    kept(both.old, phase=Phase.SUCCEEDED)
    both.move()
    assert [both.new.owner(lock) for lock in LOCKS] == ["search#1", "search#1"]


def test_one_that_is_refused_holds_up_the_others_and_all_are_named(both: Both) -> None:
    for number, name in enumerate(("checkout#1", "search#1", "orders#1")):
        arn = f"{ARN}-{number}"
        kept(both.old, name, target=arn, created=NOON + number * MINUTE)
        if name != "orders#1":
            kept(both.new, name, target=arn, created=NOON)
    with pytest.raises(UsageError) as raised:
        both.move()
    lines = str(raised.value).splitlines()[1:]
    assert [line.split(": ")[0].strip() for line in lines] == ["checkout#1", "search#1"]
    assert both.old.load("orders#1").moved_to == ""


def test_an_owner_that_came_between_survey_and_move_is_seen(both: Both) -> None:
    was = kept(both.old)
    transfer = both.transfer()
    planned = transfer.survey()
    another_owner(both)
    with pytest.raises(UsageError, match="checkout#1 was not moved: search#1 owns"):
        list(transfer.carry_out(planned))
    assert both.old.load("checkout#1") == was
    assert Leasing(both.old, both.clock).take("checkout#1") == was


def test_a_retired_target_is_taken_over_by_nobody_until_its_move_is_finished(both: Both) -> None:
    kept(both.old)
    with pytest.raises(StoreError):
        both.move(new=Fragile(both.new, "receive"))
    with pytest.raises(TargetTakenError, match=NEW):
        kept(both.old, "checkout#2", created=NOON + MINUTE)
    assert both.move() == [("checkout#1", "finished")]
    assert [both.new.owner(lock) for lock in LOCKS] == ["checkout#1", "checkout#1"]


def test_a_rollout_that_lives_elsewhere_is_left_alone_and_refused_when_named(both: Both) -> None:
    kept(both.old, moved_to="dynamodb://third")
    transfer = both.transfer()
    assert transfer.survey() == [Item("checkout#1", Outcome.ELSEWHERE, "dynamodb://third")]
    assert told(list(transfer.carry_out(transfer.survey()))) == [("checkout#1", "elsewhere")]
    with pytest.raises(UsageError, match="it was moved to dynamodb://third; move it on from there"):
        transfer.survey(["checkout"])


def test_a_name_that_nobody_has_is_unknown(both: Both) -> None:
    kept(both.old)
    with pytest.raises(
        UnknownRolloutError, match="no rollout is called 'orders' in sqlite:////old"
    ):
        both.move("checkout", "orders")
    assert both.new.all() == ()


def test_a_history_that_was_changed_does_not_move(both: Both) -> None:
    was = kept(both.old)
    both.old._connection.execute("DELETE FROM history WHERE seq = 1")
    with pytest.raises(
        StoreError, match="its history was changed or is incomplete from entry 1 on"
    ):
        both.move()
    assert (both.old.load("checkout#1"), both.new.all()) == (was, ())
