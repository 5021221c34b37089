"""The contract of every store. A test module subclasses `StoreContract` and opens the store."""

import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, ClassVar

import pytest

from controller.core.judge.evidence import FixStart, RolloutEvidence
from controller.core.message import RecipientList
from controller.core.visit_order import Visits
from controller.errors import (
    Exit,
    LeaseHeldError,
    NotOwnerError,
    RolloutError,
    StateConflictError,
    StoreError,
    TargetTakenError,
    UnknownRolloutError,
)
from controller.immutable import replace
from controller.ports.store import LockHolder, Store
from tests.support.core import (
    Entry,
    Message,
    Phase,
    Reason,
    Rollout,
    Severity,
    State,
    append,
    broken_link,
)
from tests.support.rollouts import (
    LADDER,
    MINUTE,
    NOON,
    a_policy,
    a_record,
    a_rollout,
    a_state,
    with_entry,
    with_state,
)

RACERS = 12
RACE_LIMIT = timedelta(seconds=60)
LOCK, BOOLEAN_LOCK = "eu-central-1/handler/PERCENTAGE", "eu-central-1/handler/BOOLEAN"
LIVING = [Phase.PROGRESSING, Phase.PAUSED, Phase.ROLLING_BACK]
FINAL = [Phase.ROLLED_BACK, Phase.SUCCEEDED]

LATER = NOON + 2 * MINUTE  # the end of a lease that begins at noon
WATCHED = a_state(Phase.SUCCEEDED, watch_until=LATER)
UNTOLD = Message(
    "key", NOON, Severity.INFO, "leak_checked", "text", "rolled_back", 0, 0, "", ("notify[0]",)
)
MOMENT = timedelta(microseconds=1)
MOST_BYTES = 1 << 20  # of a state

OpenStore = Callable[[], AbstractContextManager[Store]]


def started(store: Store, rollout: Rollout, *locks: str) -> Rollout:
    """Create `rollout` with one entry, and return it as the store has it."""
    rollout, entry = with_entry(rollout)
    store.create(rollout, [entry], locks)
    return store.load(rollout.id)


def save_changes(
    store: Store, rollout: Rollout, state: State | None = None, **facts: Any
) -> Rollout:
    """Save `rollout` in `state` with one entry, changed by `facts`; return what `save` returned."""
    after, entry = with_entry(replace(rollout, state=state or rollout.state, **facts))
    return store.save(after, [entry])


def check_long_holder(store: Store) -> None:
    """Check that the holder of the lock, whose id has 300 KB, keeps it and is named in short."""
    with pytest.raises(TargetTakenError) as raised:
        started(store, a_rollout("search#1"), LOCK)
    assert str(raised.value).count("xxx... (300,000 characters)") == 1
    assert len(str(raised.value)) < 400
    owner, holder = store.owner(LOCK), store.holder(LOCK)
    assert owner is not None
    assert holder is not None
    assert len(owner) == len(holder.rollout_id) < 200


def superseded(store: Store, rollout_id: str) -> Rollout:
    """Save a rollout as a tick does when another rollout owns its target."""
    rollout = store.acquire(rollout_id, NOON, LATER)
    assert not store.owns(rollout_id, [LOCK])
    return save_changes(store, rollout)


def race(open_store: OpenStore, act: Callable[[Store, int], object]) -> list[RolloutError | None]:
    """Let all racers `act` at once, each on its own store; return the error of each, or None."""
    line = threading.Barrier(RACERS, timeout=RACE_LIMIT.total_seconds())
    ends: list[RolloutError | BaseException | None] = [AssertionError("never ended")] * RACERS

    def run(number: int) -> None:
        try:
            with open_store() as store:
                line.wait()
                act(store, number)
            ends[number] = None
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the test
            ends[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(RACE_LIMIT.total_seconds())
    strange = [end for end in ends if not (end is None or isinstance(end, RolloutError))]
    if strange:
        raise strange[0]
    return [end for end in ends if end is None or isinstance(end, RolloutError)]


def save_as(read: Rollout, store: Store, number: int) -> None:
    """Save `read` with the racer's number."""
    save_changes(store, with_state(read, sentence=f"Run {number}."))


def start_on(lock: str, name: str, store: Store, number: int) -> None:
    """Start the racer's own rollout on the common target."""
    started(store, a_rollout(f"{name}-{number}#1"), lock)


def acquire_at_noon(rollout_id: str, store: Store, number: int) -> None:
    """Acquire the common rollout."""
    store.acquire(rollout_id, NOON, LATER)


def with_history(rollout: Rollout, entries: int) -> tuple[Rollout, list[Entry]]:
    """Return `rollout` after a number of entries, one a minute, and these entries."""
    history: list[Entry] = []
    for minute in range(entries):
        rollout, entry = with_entry(replace(rollout, updated=NOON + minute * MINUTE))
        history.append(entry)
    return rollout, history


def with_noise(rollout: Rollout, megabytes: int) -> tuple[Rollout, Entry]:
    """Return `rollout` with an entry of so many megabytes, which compress to three quarters."""
    noise = b64encode(Random(1).randbytes(megabytes * 750_000)).decode()
    return append(rollout, a_record(rollout), by="tester", observation={"noise": noise})


def a_fix(rollout_id: str) -> Rollout:
    """Return a rollout that was started as a fix."""
    (works,) = LADDER["criteria"].values()
    policy = a_policy(criteria={"service": works, "quiet": works})
    fix = FixStart({"service": 0.0525, "quiet": None})
    return replace(a_rollout(rollout_id, policy=policy), evidence=RolloutEvidence(fix=fix))


class StoreContract:
    """Tests of one store; each call of `open_store` opens the same data anew."""

    rounds: ClassVar = 20  # of each race
    long_history: ClassVar = 2_000  # entries

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Return how to open the store under test."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Store:
        """Return a store that stays open for the test."""
        raise NotImplementedError

    # --- round trips ----------------------------------------------------------------------------

    def test_a_created_rollout_is_loaded_as_it_was(self, store: Store) -> None:
        rollout, entry = with_entry(a_rollout())
        store.create(rollout, [entry], [LOCK])
        assert store.load("checkout#1") == rollout
        assert store.history("checkout#1") == (entry,)

    @pytest.mark.parametrize(
        ("criteria", "part"), [(257, r"state: .* 1,052,672 bytes"), (3_000, "policy: values: ")]
    )
    def test_a_policy_that_may_become_too_large_to_be_read_is_refused_before_anything_is_written(
        self, store: Store, criteria: int, part: str
    ) -> None:
        (works,) = LADDER["criteria"].values()
        policy = a_policy(criteria={f"{'x' * 50}-{number}": works for number in range(criteria)})
        with pytest.raises(StoreError, match=rf"^checkout#1 is too large .*{part}.* nothing was "):
            started(store, a_rollout(policy=policy), LOCK)
        assert (store.all(), store.owner(LOCK)) == ((), None)

    def test_the_format_of_new_rollouts_is_the_one_that_was_set(self, store: Store) -> None:
        older = started(store, a_rollout(format=1))
        for stored_format in (2, 1):
            store.set_format(stored_format)
            assert store.format() == stored_format
        store.set_format(3)
        with pytest.raises(
            StoreError, match=r"by a newer version of rolloutctl \(format 3\); .* 1 and 2;"
        ):
            store.format()
        assert store.load(older.id) == older

    def test_a_save_keeps_the_format_of_the_rollout(self, store: Store) -> None:
        for number in (1, 2):
            rollout = started(store, a_rollout(f"checkout#{number}", format=number))
            assert save_changes(store, rollout).format == number
            assert store.load(rollout.id).format == number

    def test_the_first_entry_is_read_without_the_others(self, store: Store) -> None:
        rollout = started(store, a_rollout())
        first, second = append(rollout, a_record(rollout), by="x" * 800_000, observation={})
        store.save(first, [second])
        assert [one.seq for one in store.history("checkout#1")] == [1, 2]
        assert store.history("checkout#1", most=1) == store.history("checkout#1")[:1]

    def test_many_are_loaded_in_the_order_of_their_ids_each_with_its_own_error(
        self, store: Store
    ) -> None:
        ids = [f"checkout#{number}" for number in range(1, 106)]
        for one in ids:
            started(store, a_rollout(one))
        rollout, entry = with_entry(replace(a_rollout(), id="search#1"))
        store.create(rollout, [entry], [LOCK])  # its policy has another name
        asked = [*reversed(ids), "search#1", "checkout#900", "no id", ids[0]]
        loaded = store.load_all(asked)
        assert loaded[:105] == [store.load(one) for one in reversed(ids)]
        damaged, unknown, invalid, again = loaded[105:]
        assert "search#1 is damaged" in str(damaged)
        assert isinstance(unknown, UnknownRolloutError)
        assert isinstance(invalid, UnknownRolloutError)
        assert again == loaded[104]
        assert store.load_all([]) == []

    @pytest.mark.parametrize("rollout_id", ["Checkout#1", "..#1", "search#1"])
    def test_a_record_whose_id_has_another_name_than_its_policy_is_refused(
        self, store: Store, rollout_id: str
    ) -> None:
        started(store, a_rollout())
        rollout, entry = with_entry(replace(a_rollout(), id=rollout_id))
        store.create(rollout, [entry], [LOCK])
        for read in (store.load, lambda one: store.acquire(one, NOON, LATER)):
            with pytest.raises(StoreError, match=f"{rollout_id} is damaged .id: it has another"):
                read(rollout_id)

    def test_what_could_not_be_read_back_is_not_written(self, store: Store) -> None:
        first = started(store, a_rollout())
        _, entry = with_entry(first, sentence="x" * 16 * MOST_BYTES)
        after = with_state(first, sentence="x" * MOST_BYTES)
        for state, entries in ((after, []), (first, [entry])):
            with pytest.raises(StoreError, match=r"^checkout#1 is too large .*nothing was written"):
                store.save(state, entries)
        assert store.load("checkout#1") == first

    def test_a_saved_rollout_is_seen_by_every_other_run(
        self, store: Store, open_store: OpenStore
    ) -> None:
        saved = save_changes(store, started(store, a_rollout()), a_state(applied=True))
        with open_store() as other:
            assert other.load("checkout#1") == saved
            assert len(other.history("checkout#1")) == saved.entries == 2

    def test_a_save_without_entries_leaves_the_history_alone(self, store: Store) -> None:
        rollout = started(store, a_rollout())
        before = store.history("checkout#1")
        store.save(with_state(rollout, sentence="Baking."), [])
        assert store.history("checkout#1") == before

    def test_a_history_comes_in_order_and_its_chain_holds(self, store: Store) -> None:
        """Eleven entries: as text, 10 would come before 9."""
        rollout = started(store, a_rollout())
        for minute in range(10):
            rollout = save_changes(store, rollout, updated=NOON + minute * MINUTE)
        history = store.history("checkout#1")
        assert [entry.seq for entry in history] == list(range(1, 12))
        assert broken_link(history, rollout.chain) is None

    def test_a_history_is_read_entry_by_entry_while_others_write(self, store: Store) -> None:
        rollout = started(store, a_rollout())
        for minute in range(10):
            rollout = save_changes(store, rollout, updated=NOON + minute * MINUTE)
        whole, entries = store.history("checkout#1"), store.entries("checkout#1")
        first = next(entries)
        save_changes(store, rollout, updated=NOON + 10 * MINUTE)
        assert [first, *entries][: len(whole)] == list(whole)

    def test_the_entries_of_an_unknown_id_raise_at_the_first(self, store: Store) -> None:
        with pytest.raises(UnknownRolloutError, match="checkout#9"):
            next(store.entries("checkout#9"))

    @pytest.mark.parametrize("read", ["load", "history"])
    def test_an_unknown_id_is_named(self, store: Store, read: str) -> None:
        with pytest.raises(UnknownRolloutError, match="checkout#9") as raised:
            getattr(store, read)("checkout#9")
        assert raised.value.exit_status == Exit.USAGE

    def test_saving_what_was_never_created_is_refused(self, store: Store) -> None:
        with pytest.raises(UnknownRolloutError, match="checkout#1"):
            store.save(a_rollout(), [])

    # --- compare-and-swap -----------------------------------------------------------------------

    def test_a_stale_run_writes_nothing_and_the_error_names_the_first_save(
        self, store: Store
    ) -> None:
        stale = started(store, a_rollout())
        baking = a_state(reason=Reason.BAKING)
        winner = save_changes(store, stale, baking, updated=NOON + 5 * MINUTE)

        with pytest.raises(StateConflictError) as raised:
            save_changes(store, with_state(stale, sentence="I am late."))

        assert store.load("checkout#1") == winner
        assert len(store.history("checkout#1")) == 2
        assert raised.value.exit_status == Exit.BUSY
        for word in ("checkout#1", "baking", "12:05", "safe to retry"):
            assert word in str(raised.value)

    def test_of_twelve_runs_that_save_at_once_one_wins(
        self, store: Store, open_store: OpenStore
    ) -> None:
        rollout = started(store, a_rollout())
        for _ in range(self.rounds):
            ends = race(open_store, partial(save_as, rollout))
            assert ends.count(None) == 1
            assert {type(end) for end in ends if end} == {StateConflictError}
            winner = store.load("checkout#1")
            assert winner.sentence == f"Run {ends.index(None)}."
            assert winner.version == rollout.version + 1
            rollout = winner
        assert rollout.entries == len(store.history("checkout#1")) == self.rounds + 1
        assert broken_link(store.history("checkout#1"), rollout.chain) is None

    def test_of_twelve_starts_on_one_target_one_wins(
        self, store: Store, open_store: OpenStore
    ) -> None:
        """From the second turn on, the target has an owner that is closed."""
        before = ""
        for turn in range(self.rounds):
            ends = race(open_store, partial(start_on, LOCK, f"turn-{turn}"))
            winner = f"turn-{turn}-{ends.index(None)}#1"
            assert ends.count(None) == 1
            assert store.owner(LOCK) == winner
            for end in ends:
                assert end is None or (isinstance(end, TargetTakenError) and winner in str(end))
            save_changes(store, store.load(winner), WATCHED)
            if before:
                superseded(store, before)
            assert store.active(NOON) == (winner,)
            before = winner

    def test_of_twelve_starts_of_one_id_one_wins(self, store: Store, open_store: OpenStore) -> None:
        ends = race(open_store, lambda other, _: started(other, a_rollout(), LOCK))
        assert ends.count(None) == 1
        assert {type(end) for end in ends if end} == {StateConflictError}
        assert len(store.history("checkout#1")) == 1

    # --- leases ---------------------------------------------------------------------------------

    def test_a_leased_rollout_is_refused_with_the_end_of_the_lease_and_prolonged_by_no_other_run(
        self, store: Store, open_store: OpenStore
    ) -> None:
        rollout = started(store, a_rollout())
        store.acquire("checkout#1", NOON, LATER)
        with open_store() as other:
            with pytest.raises(LeaseHeldError) as raised:
                other.acquire("checkout#1", NOON + MINUTE, LATER + MINUTE)
            assert other.load("checkout#1") == rollout
            assert other.acquire("checkout#1", LATER, LATER + MINUTE) == rollout
        assert raised.value.exit_status == Exit.BUSY
        for word in ("checkout#1", "12:02", "safe to retry"):
            assert word in str(raised.value)

    @pytest.mark.parametrize(
        ("early", "free"),
        [
            pytest.param(MOMENT, False, id="a moment before the end"),
            pytest.param(timedelta(0), True, id="at the end"),
            pytest.param(-MINUTE, True, id="a minute after the end"),
        ],
    )
    def test_a_lease_that_is_over_is_taken_and_no_other(
        self, store: Store, open_store: OpenStore, early: timedelta, free: bool
    ) -> None:
        end = LATER + timedelta(milliseconds=500)
        started(store, a_rollout())
        store.acquire("checkout#1", NOON, end)
        with open_store() as other:
            if free:
                other.acquire("checkout#1", end - early, end + MINUTE)
            else:
                with pytest.raises(LeaseHeldError):
                    other.acquire("checkout#1", end - early, end + MINUTE)

    @pytest.mark.parametrize(
        ("late", "free"),
        [
            pytest.param(timedelta(0), False, id="twice as long"),
            pytest.param(MOMENT, True, id="a moment more than twice as long"),
            pytest.param(6 * 60 * MINUTE, True, id="hours longer"),
        ],
    )
    def test_a_lease_of_a_clock_that_is_ahead_holds_up_to_twice_the_length_asked_for(
        self, store: Store, open_store: OpenStore, late: timedelta, free: bool
    ) -> None:
        """Else a killed run on such a host would keep all others out for hours."""
        started(store, a_rollout())
        ahead = store.acquire("checkout#1", NOON + late, NOON + 4 * MINUTE + late)
        with open_store() as other:
            if not free:
                with pytest.raises(LeaseHeldError):
                    other.acquire("checkout#1", NOON, LATER)
                return
            other.acquire("checkout#1", NOON, LATER)
            with pytest.raises(StateConflictError, match="took checkout#1 over"):
                save_changes(store, ahead)

    def test_a_run_may_acquire_again_what_it_has(self, store: Store, open_store: OpenStore) -> None:
        rollout = started(store, a_rollout())
        store.acquire("checkout#1", NOON, LATER)
        store.acquire("checkout#1", NOON + MINUTE, LATER + MINUTE)
        with open_store() as other, pytest.raises(LeaseHeldError, match="12:03"):
            other.acquire("checkout#1", LATER, LATER + MINUTE)
        assert save_changes(store, rollout).version == 1

    def test_a_save_ends_the_lease(self, store: Store, open_store: OpenStore) -> None:
        started(store, a_rollout())
        saved = save_changes(store, store.acquire("checkout#1", NOON, LATER))
        with open_store() as other:
            assert other.acquire("checkout#1", NOON, LATER) == saved

    def test_a_save_that_holds_on_prolongs_the_lease_until_the_next_one(
        self, store: Store, open_store: OpenStore
    ) -> None:
        started(store, a_rollout())
        after, entry = with_entry(store.acquire("checkout#1", NOON, LATER))
        saved = store.save(after, [entry], hold=LATER + MINUTE)
        with open_store() as other:
            with pytest.raises(LeaseHeldError, match="12:03"):
                other.acquire("checkout#1", LATER, LATER + MINUTE)
            last = save_changes(store, saved)
            assert other.acquire("checkout#1", NOON, LATER) == last

    def test_a_released_rollout_is_free_and_as_it_was(
        self, store: Store, open_store: OpenStore
    ) -> None:
        rollout = started(store, a_rollout())
        store.acquire("checkout#1", NOON, LATER)
        store.release("checkout#1")
        with open_store() as other:
            assert other.acquire("checkout#1", NOON, LATER) == rollout

    @pytest.mark.parametrize("took", [False, True], ids=["never had it", "lost it"])
    def test_releasing_what_another_run_has_does_nothing(
        self, store: Store, open_store: OpenStore, took: bool
    ) -> None:
        started(store, a_rollout())
        if took:
            store.acquire("checkout#1", NOON, LATER)
        with open_store() as other, open_store() as third:
            other.acquire("checkout#1", LATER, LATER + MINUTE)
            store.release("checkout#1")
            with pytest.raises(LeaseHeldError, match="12:03"):
                third.acquire("checkout#1", LATER, LATER + MINUTE)

    def test_a_run_whose_lease_was_taken_over_saves_nothing_and_the_error_says_why(
        self, store: Store, open_store: OpenStore
    ) -> None:
        """Also when the other run has not saved yet, or ended without a save."""
        started(store, a_rollout())
        slow = store.acquire("checkout#1", NOON, LATER)
        with open_store() as other:
            quick = other.acquire("checkout#1", LATER, LATER + MINUTE)
            with pytest.raises(StateConflictError, match=r"took checkout#1 over.*safe to retry"):
                save_changes(store, with_state(slow, sentence="I am late."))
            saved = save_changes(other, with_state(quick, reason=Reason.BAKING))
            with pytest.raises(StateConflictError, match=r"checkout#1 first \(baking, .*12:00"):
                save_changes(store, with_state(slow, sentence="I am late."))
        assert store.load("checkout#1") == saved
        assert len(store.history("checkout#1")) == 2

    def test_a_run_that_released_what_it_took_over_has_shut_the_first_one_out(
        self, store: Store, open_store: OpenStore
    ) -> None:
        started(store, a_rollout())
        slow = store.acquire("checkout#1", NOON, LATER)
        with open_store() as other:
            other.acquire("checkout#1", LATER, LATER + MINUTE)
            other.release("checkout#1")
        with pytest.raises(StateConflictError):
            save_changes(store, slow)
        assert save_changes(store, store.acquire("checkout#1", LATER, LATER + MINUTE)).version == 1

    @pytest.mark.parametrize("hold", [None, LATER + MINUTE], ids=["and lets go", "and holds on"])
    def test_a_run_that_never_acquired_saves_all_the_same_and_takes_the_lease(
        self, store: Store, open_store: OpenStore, hold: datetime | None
    ) -> None:
        """A manual rollback waits for no lease."""
        started(store, a_rollout())
        holder = store.acquire("checkout#1", NOON, LATER)
        with open_store() as person:
            going_back = replace(holder, state=a_state(Phase.ROLLING_BACK))
            after, entry = with_entry(going_back)
            saved = person.save(after, [entry], hold=hold)
            with pytest.raises(StateConflictError, match="saved checkout#1 first"):
                save_changes(store, holder)
            with pytest.raises(StateConflictError):
                save_changes(store, store.load("checkout#1"))
            if hold is None:
                assert store.acquire("checkout#1", NOON, LATER) == saved
            else:
                with pytest.raises(LeaseHeldError, match="12:03"):
                    store.acquire("checkout#1", NOON, LATER)
                assert save_changes(person, saved).version == 2

    def test_a_rollout_that_is_created_and_held_is_its_creators_alone(
        self, store: Store, open_store: OpenStore
    ) -> None:
        rollout, entry = with_entry(a_rollout())
        store.create(rollout, [entry], [LOCK], hold=LATER)
        with open_store() as other:
            with pytest.raises(LeaseHeldError, match="12:02"):
                other.acquire("checkout#1", NOON, LATER)
            saved = save_changes(store, rollout)
            assert other.acquire("checkout#1", NOON, LATER) == saved
            with pytest.raises(StateConflictError):
                save_changes(store, saved)

    def test_an_unknown_rollout_is_not_acquired(self, store: Store) -> None:
        for unknown in ("checkout#9", "checkout#01", "checkout", "#1", ""):
            with pytest.raises(UnknownRolloutError, match=f"id {unknown} in"):
                store.acquire(unknown, NOON, LATER)
            store.release(unknown)

    def test_of_twelve_runs_that_acquire_at_once_one_has_it(
        self, store: Store, open_store: OpenStore
    ) -> None:
        for turn in range(self.rounds):
            rollout = started(store, a_rollout(f"checkout#{turn + 1}"))
            ends = race(open_store, partial(acquire_at_noon, rollout.id))
            assert ends.count(None) == 1
            assert {type(end) for end in ends if end} == {LeaseHeldError}
            assert store.load(rollout.id) == rollout

    # --- locks ----------------------------------------------------------------------------------

    def test_a_lock_has_the_owner_that_took_it(self, store: Store) -> None:
        started(store, a_rollout(), LOCK, BOOLEAN_LOCK, LOCK)
        owners = [store.owner(lock) for lock in (LOCK, BOOLEAN_LOCK, "another/lock")]
        assert owners == ["checkout#1", "checkout#1", None]

    def test_the_owners_of_many_locks_come_from_one_read(self, store: Store) -> None:
        started(store, a_rollout("checkout#1"), LOCK)
        started(store, a_rollout("search#1"), BOOLEAN_LOCK)
        unowned = [f"lock {number}" for number in range(250)]
        owners = store.owners([LOCK, *unowned, BOOLEAN_LOCK, LOCK])
        assert owners == {LOCK: "checkout#1", BOOLEAN_LOCK: "search#1"}
        assert store.owners([]) == {}

    @pytest.mark.parametrize("lock", ["x" * 3_000, "half a character \ud800"])
    def test_a_lock_that_can_have_no_owner_hides_no_other_one(
        self, store: Store, lock: str
    ) -> None:
        """The name comes from the text of a record, and one read is about the locks of all."""
        started(store, a_rollout("checkout#1"), LOCK)
        assert store.owners([lock, LOCK]) == {LOCK: "checkout#1"}

    def test_a_save_that_needs_locks_is_refused_without_them(self, store: Store) -> None:
        rollout = started(store, a_rollout("checkout#1"), LOCK)
        started(store, a_rollout("search#1"), BOOLEAN_LOCK)
        before = store.history(rollout.id)
        after, entry = with_entry(rollout)
        for locks, owner in (((BOOLEAN_LOCK,), "search#1"), ((LOCK, "free"), None)):
            with pytest.raises(NotOwnerError) as raised:
                store.save(after, [entry], locks=locks)
            assert raised.value.context.get("owner") == owner
        assert (store.load(rollout.id), store.history(rollout.id)) == (rollout, before)
        assert store.save(after, [entry], locks=[LOCK]).version == rollout.version + 1

    def test_a_second_owner_is_refused_by_the_name_of_the_first(self, store: Store) -> None:
        started(store, a_rollout("checkout#1"), LOCK)

        with pytest.raises(TargetTakenError) as raised:
            started(store, a_rollout("search#1"), BOOLEAN_LOCK, LOCK)

        assert raised.value.exit_status == Exit.USAGE
        for word in ("checkout#1", LOCK, "search#1 was not started"):
            assert word in str(raised.value)
        assert (store.owner(LOCK), store.owner(BOOLEAN_LOCK)) == ("checkout#1", None)
        assert (store.of_name("search"), store.active(NOON)) == ((), ("checkout#1",))

    def test_a_lock_is_taken_over_again_and_again(self, store: Store) -> None:
        for attempt in (1, 2, 3):
            rollout = started(store, a_rollout(f"checkout#{attempt}"), LOCK, BOOLEAN_LOCK)
            assert store.owner(BOOLEAN_LOCK) == rollout.id
            save_changes(store, rollout, WATCHED)
        superseded(store, "checkout#1")
        superseded(store, "checkout#2")
        assert store.active(NOON) == ("checkout#3",)

    def test_a_rollout_that_lost_its_locks_is_not_watched_again_when_it_is_saved(
        self, store: Store
    ) -> None:
        first = started(store, a_rollout("checkout#1"), LOCK)
        first = save_changes(store, first, WATCHED)
        started(store, a_rollout("checkout#2"), LOCK)
        first = superseded(store, first.id)
        save_changes(store, with_state(first, watch_until=LATER + MINUTE))
        assert store.active(NOON) == ("checkout#2",)

    def test_a_rollout_that_lost_one_lock_has_lost_them_all(self, store: Store) -> None:
        """With one lock left, it would report the weight of another rollout as drift."""
        first = started(store, a_rollout("checkout#1"), LOCK, BOOLEAN_LOCK)
        save_changes(store, first, a_state(Phase.SUCCEEDED, watch_until=NOON + MINUTE))
        started(store, a_rollout("checkout#2"), LOCK)
        assert store.owner(LOCK) == "checkout#2"
        superseded(store, "checkout#1")
        assert store.active(NOON) == ("checkout#2",)
        started(store, a_rollout("search#1"), BOOLEAN_LOCK)
        assert store.owner(BOOLEAN_LOCK) == "search#1"

    def test_a_takeover_writes_nothing_of_the_rollout_it_takes_over_from(
        self, store: Store, open_store: OpenStore
    ) -> None:
        """A role that may start one rollout need not be allowed to write another one."""
        first = started(store, a_rollout("checkout#1"), LOCK, BOOLEAN_LOCK)
        first = save_changes(store, first, WATCHED, outbox=(UNTOLD,))
        with open_store() as other:
            leased = other.acquire("checkout#1", NOON, LATER)
            started(store, a_rollout("search#1"), LOCK, BOOLEAN_LOCK)
            assert store.load("checkout#1") == first == leased
            assert save_changes(other, leased).version == first.version + 1

    def test_a_final_rollout_that_goes_on_before_another_one_starts_keeps_its_target(
        self, store: Store
    ) -> None:
        first = started(store, a_rollout("checkout#1"), LOCK)
        first = save_changes(store, first, WATCHED)
        save_changes(store, first, a_state(Phase.ROLLING_BACK))
        with pytest.raises(TargetTakenError, match="checkout#1"):
            started(store, a_rollout("search#1"), LOCK)
        assert store.owner(LOCK) == "checkout#1"

    def test_a_rollout_without_its_target_takes_no_lock_back_by_what_it_saves(
        self, store: Store
    ) -> None:
        first = started(store, a_rollout("checkout#1"), LOCK, BOOLEAN_LOCK)
        first = save_changes(store, first, a_state(Phase.SUCCEEDED))
        started(store, a_rollout("search#1"), LOCK)
        going = save_changes(store, first, a_state(Phase.ROLLING_BACK))
        save_changes(store, going, a_state(Phase.ROLLED_BACK), exposed_to=LATER)
        holder = store.holder(LOCK)
        assert holder == LockHolder("search#1", final=False)

    def test_a_rollout_that_ends_while_another_starts_gives_way_or_stays_the_owner(
        self, store: Store, open_store: OpenStore
    ) -> None:
        for turn in range(self.rounds):
            lock = f"{LOCK}-{turn}"
            first = started(store, a_rollout(f"first-{turn}#1"), lock)

            def act(
                other: Store,
                number: int,
                turn: int = turn,
                lock: str = lock,
                first: Rollout = first,
            ) -> None:
                if number == 0:
                    save_changes(other, first, WATCHED)
                else:
                    start_on(lock, f"next-{turn}", other, number)

            ends = race(open_store, act)
            assert ends[0] is None
            winners = [number for number, end in enumerate(ends) if number and end is None]
            assert len(winners) <= 1
            assert {type(end) for end in ends if end} <= {TargetTakenError}
            owner = f"next-{turn}-{winners[0]}#1" if winners else first.id
            assert store.holder(lock) == LockHolder(owner, final=not winners)
            assert store.load(first.id).phase is Phase.SUCCEEDED

    @pytest.mark.parametrize(
        ("phase", "final"),
        [*((phase, False) for phase in LIVING), *((phase, True) for phase in FINAL)],
    )
    def test_a_lock_tells_whether_its_owner_is_final(
        self, store: Store, phase: Phase, final: bool
    ) -> None:
        save_changes(
            store, started(store, a_rollout("checkout#1"), LOCK, BOOLEAN_LOCK), a_state(phase)
        )
        for lock in (LOCK, BOOLEAN_LOCK):
            assert store.holder(lock) == LockHolder("checkout#1", final)
        assert store.holder("another/lock") is None

    def test_an_id_is_used_once(self, store: Store) -> None:
        first = started(store, a_rollout(), LOCK)
        with pytest.raises(StateConflictError, match=r"checkout#1 exists already.*safe to retry"):
            started(store, a_rollout(state=a_state(sentence="Me too.")), BOOLEAN_LOCK)
        assert store.load("checkout#1") == first
        assert store.owner(BOOLEAN_LOCK) is None

    # --- catalogue ------------------------------------------------------------------------------

    def test_an_empty_store_has_nothing_to_do(self, store: Store) -> None:
        exposures = store.exposures("x", [LOCK])
        listed = store.active(NOON), store.all(), store.of_name("checkout"), exposures
        assert listed == ((), (), (), ())

    @pytest.mark.parametrize(
        ("state", "taken_over", "visited"),
        [
            *(pytest.param(a_state(phase), False, True, id=f"{phase}") for phase in LIVING),
            *(
                pytest.param(a_state(phase, watch_until=NOON + left), *rest, id=f"{phase}, {what}")
                for phase in FINAL
                for what, left, *rest in [
                    ("watched", MINUTE, False, True),
                    ("watched for a moment more", timedelta(microseconds=1), False, True),
                    ("the watch is just over", timedelta(0), False, False),
                    ("the watch is long over", -MINUTE, False, False),
                    ("watched, but there is a new owner", MINUTE, True, False),
                ]
            ),
        ],
    )
    def test_a_tick_visits(
        self, store: Store, state: State, taken_over: bool, visited: bool
    ) -> None:
        first = started(store, a_rollout("checkout#1"), LOCK)
        save_changes(store, first, state)
        if taken_over:
            started(store, a_rollout("checkout#2"), LOCK)
            superseded(store, "checkout#1")
        assert ("checkout#1" in store.active(NOON)) is visited

    def test_a_superseded_rollout_is_visited_until_its_messages_are_delivered(
        self, store: Store
    ) -> None:
        first = started(store, a_rollout("checkout#1"), LOCK)
        first = save_changes(store, first, WATCHED, outbox=(UNTOLD,))
        started(store, a_rollout("checkout#2"), LOCK)
        assert store.active(NOON) == ("checkout#2", "checkout#1")
        assert store.active(UNTOLD.at + 3 * 60 * MINUTE) == (
            "checkout#2",
        )  # delivery is abandoned by then
        first = superseded(store, "checkout#1")
        assert "checkout#1" in store.active(NOON)
        save_changes(store, first, outbox=())
        assert store.active(NOON) == ("checkout#2",)

    def test_all_rollouts_are_listed_oldest_first_whatever_their_phase(self, store: Store) -> None:
        ages = {"middle#1": MINUTE, "old#1": 2 * MINUTE, "young#1": MINUTE - MOMENT}
        for rollout_id, age in ages.items():
            started(store, a_rollout(rollout_id, created=NOON - age))
        save_changes(store, store.load("old#1"), a_state(Phase.SUCCEEDED))
        assert store.all() == ("old#1", "middle#1", "young#1")
        assert set(store.scan()) == set(ages)

    def test_a_rollout_that_lost_its_target_and_goes_back_again_is_visited(
        self, store: Store
    ) -> None:
        """An operator rolls an old success back after another rollout took the target."""
        first = started(store, a_rollout("checkout#1"), LOCK)
        save_changes(store, first, a_state(Phase.SUCCEEDED, watch_until=NOON + MINUTE))
        started(store, a_rollout("checkout#2", updated=NOON + MINUTE), LOCK)
        done = superseded(store, "checkout#1")
        save_changes(store, done, a_state(Phase.ROLLING_BACK))
        assert store.active(NOON) == ("checkout#1", "checkout#2")

    def test_the_active_rollout_that_was_saved_longest_ago_comes_first(self, store: Store) -> None:
        """To the microsecond: text without fractions would sort wrongly."""
        ages = {"middle#1": timedelta(0), "old#1": -MINUTE, "young#1": timedelta(microseconds=1)}
        for rollout_id, age in ages.items():
            started(store, a_rollout(rollout_id, updated=NOON + 2 * MINUTE + age))
        assert store.active(NOON) == ("old#1", "middle#1", "young#1")
        save_changes(store, store.acquire("old#1", NOON, LATER), updated=NOON + 3 * MINUTE)
        assert store.active(NOON) == ("middle#1", "young#1", "old#1")
        store.save(
            replace(store.load("middle#1"), updated=NOON + 4 * MINUTE), []
        )  # without an entry
        assert store.active(NOON) == ("young#1", "old#1", "middle#1")

    def test_of_some_names_only_their_rollouts_are_visited_and_rollbacks_first(
        self, store: Store
    ) -> None:
        """A name with another one as its prefix is another name."""
        for number, name in enumerate(("shop", "shop-2", "sho", "other")):
            started(store, a_rollout(f"{name}#1", updated=NOON + number * MINUTE), name)
        done = started(store, a_rollout("shop#2"), "another")
        save_changes(store, done, WATCHED)
        save_changes(store, store.load("other#1"), a_state(Phase.ROLLING_BACK))
        assert set(store.active(NOON, ["shop"])) == {"shop#1", "shop#2"}
        assert store.active(LATER, ["shop"]) == ("shop#1",)
        assert store.active(NOON, ["shop-2"]) == ("shop-2#1",)
        some = store.active(NOON, ["shop", "other", "shop"])
        assert (some[0], sorted(some)) == ("other#1", ["other#1", "shop#1", "shop#2"])
        assert store.active(NOON, ["nobody"]) == ()

    def test_rollbacks_come_first_and_what_is_over_comes_last(self, store: Store) -> None:
        for number, name in enumerate(("done", "going", "paused", "back", "back-later")):
            started(store, a_rollout(f"{name}#1", updated=NOON + number * MINUTE), name)
        back = a_state(Phase.ROLLING_BACK)
        save_changes(store, store.load("back-later#1"), back, updated=NOON + 9 * MINUTE)
        save_changes(store, store.load("back#1"), back, updated=NOON + 8 * MINUTE)
        save_changes(store, store.load("paused#1"), a_state(Phase.PAUSED))
        save_changes(store, store.load("done#1"), WATCHED)
        assert store.active(NOON) == ("back#1", "back-later#1", "going#1", "paused#1", "done#1")

    def test_a_rollout_that_is_not_due_is_left_to_a_later_tick(self, store: Store) -> None:
        """A moment further ahead than five minutes, of damage or a wrong clock, hides nothing."""
        ages = {"none": None, "now": 0, "soon": 1, "farthest": 5, "too-far": 6}
        for name, minutes in ages.items():
            due = None if minutes is None else NOON + minutes * MINUTE
            rollout = started(store, a_rollout(f"{name}#1"), name)
            assert save_changes(store, rollout, due=due) == store.load(rollout.id)
        later = (Phase.PROGRESSING, Phase.PROGRESSING)
        due_now = ("none#1", "now#1", "too-far#1")
        assert store.visits(NOON) == Visits(due_now, later)
        assert set(store.active(NOON)) == {f"{name}#1" for name in ages}
        assert store.visits(NOON, ["soon"]) == Visits((), later[:1])
        assert "soon#1" in store.visits(NOON + MINUTE).due
        save_changes(store, store.load("soon#1"), due=None)
        assert "soon#1" in store.visits(NOON).due

    @pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.ROLLING_BACK, Phase.ROLLED_BACK])
    def test_a_rollback_and_a_pause_are_always_due(self, store: Store, phase: Phase) -> None:
        """Whatever their record says."""
        rollout = started(store, a_rollout(), LOCK)
        state = a_state(phase, watch_until=LATER) if phase in FINAL else a_state(phase)
        save_changes(store, rollout, state, due=NOON + MINUTE)
        assert store.visits(NOON) == Visits(("checkout#1",))

    def test_attempts_of_a_name_come_in_order(self, store: Store) -> None:
        for attempt in (10, 2, 1):
            started(store, a_rollout(f"checkout#{attempt}"))
        started(store, a_rollout("check#3"))
        assert store.of_name("checkout") == ("checkout#1", "checkout#2", "checkout#10")

    def test_exposures_of_a_target_come_earliest_first(self, store: Store) -> None:
        def exposed(rollout_id: str, lock: str = LOCK, **facts: Any) -> Rollout:
            rollout = started(store, a_rollout(rollout_id, **{"target": "fn", **facts}), lock)
            return save_changes(store, rollout, a_state(Phase.SUCCEEDED))

        earlier, end = NOON - 9 * MINUTE, NOON - 5 * MINUTE
        save_changes(store, exposed("checkout#1", created=earlier), exposed_to=end)
        exposed("checkout#2")
        exposed("search#1", "elsewhere", target="another")

        known = (("checkout#1", earlier, end), ("checkout#2", NOON, None))
        assert store.exposures("fn", [LOCK, BOOLEAN_LOCK]) == known

    def test_an_exposure_is_known_while_it_goes_on_and_ends_when_it_ends(
        self, store: Store
    ) -> None:
        rollout = started(store, a_rollout(target="fn"), LOCK, BOOLEAN_LOCK)
        for locks in ([LOCK], [BOOLEAN_LOCK], [LOCK, BOOLEAN_LOCK]):
            assert store.exposures("fn", locks) == (("checkout#1", NOON, None),)
        rollout = save_changes(store, rollout, exposed_to=LATER)
        assert store.exposures("fn", [LOCK]) == (("checkout#1", NOON, LATER),)
        save_changes(store, rollout, exposed_to=None)
        assert store.exposures("fn", [LOCK]) == (("checkout#1", NOON, None),)

    def test_of_many_exposures_none_is_forgotten(self, store: Store) -> None:
        """The oldest may be merged into one that spans all of them."""
        ends = []
        for attempt in range(1, 16):
            begin = NOON + (attempt - 16) * MINUTE
            ends.append((begin, begin + MINUTE / 2))
            rollout = a_rollout(f"checkout#{attempt}", target="fn", created=begin)
            rollout = replace(rollout, exposed_to=begin + MINUTE / 2)
            save_changes(store, started(store, rollout, LOCK), a_state(Phase.ROLLED_BACK))
        exposures = store.exposures("fn", [LOCK])
        assert len(exposures) > 5
        for begin, end in ends:
            assert any(
                one <= begin and other is not None and end <= other for _, one, other in exposures
            )
        assert exposures[-1] == ("checkout#15", *ends[-1])

    # --- recipients -----------------------------------------------------------------------------

    def test_a_list_of_recipients_is_replaced_as_a_whole_and_can_be_removed(
        self, store: Store, open_store: OpenStore
    ) -> None:
        assert store.recipients() is None
        for allowed in ({"shop": ("a:b", "c:d"), "*": ()}, {"shop-2": ("e:f",)}, {}):
            store.set_recipients(RecipientList(allowed))
            with open_store() as other:
                assert other.recipients() == RecipientList(allowed)
        for _ in range(2):
            store.set_recipients(None)
            assert store.recipients() is None

    def test_a_list_of_recipients_is_no_rollout(self, store: Store) -> None:
        store.set_recipients(RecipientList({"checkout": ("a:b",)}))
        started(store, a_rollout("checkout#1"), LOCK)
        assert store.all() == store.active(NOON) == store.of_name("checkout") == ("checkout#1",)

    def test_a_list_of_recipients_that_is_too_large_is_refused(self, store: Store) -> None:
        most = RecipientList({"shop": tuple(f"arn:{number:096}" for number in range(2_500))})
        store.set_recipients(most)
        with pytest.raises(StoreError, match=r"too large \(size: .*\); nothing was written"):
            store.set_recipients(RecipientList({"shop": most.allowed["shop"] * 2}))
        assert store.recipients() == most

    # --- rules ----------------------------------------------------------------------------------

    def test_rules_are_kept_as_they_were_written_and_can_be_removed(
        self, store: Store, open_store: OpenStore
    ) -> None:
        assert store.rules() is None
        started(store, a_rollout("checkout#1"), LOCK)
        for text in ("# why\nversion: 1\nowner: née\n", "owner: x" + "#" * (64 << 10), ""):
            store.set_rules(text)
            with open_store() as other:
                assert other.rules() == text
        assert store.all() == store.active(NOON) == ("checkout#1",)
        for _ in range(2):
            store.set_rules(None)
            assert store.rules() is None

    # --- fixes ----------------------------------------------------------------------------------

    def test_what_was_red_at_a_start_as_a_fix_is_kept_apart_from_the_rollout(
        self, store: Store, open_store: OpenStore
    ) -> None:
        plain, fix = a_rollout("checkout#1"), a_fix("checkout#2")
        for rollout in (plain, fix):
            one, entry = with_entry(rollout)
            store.create(one, [entry], [])
        with open_store() as other:
            assert other.red_before("checkout#1") is None
            assert other.red_before("checkout#2") == {"service": 0.0525, "quiet": None}
        ended = replace(store.load("checkout#2"), evidence=RolloutEvidence())
        store.save(ended, [])
        assert store.red_before("checkout#2") == {"service": 0.0525, "quiet": None}
        assert store.all() == ("checkout#1", "checkout#2")

    def test_a_fix_that_is_not_created_leaves_nothing(self, store: Store) -> None:
        started(store, a_rollout("search#1", policy=a_policy(name="search")), LOCK)
        rollout, entry = with_entry(a_fix("checkout#1"))
        with pytest.raises(TargetTakenError):
            store.create(rollout, [entry], [LOCK])
        assert store.red_before("checkout#1") is None

    # --- receive --------------------------------------------------------------------------------

    def test_a_received_rollout_goes_on_as_if_it_had_always_been_here(
        self, store: Store, open_store: OpenStore
    ) -> None:
        rollout, entries = with_history(a_rollout(version=41), 12)
        store.receive(rollout, entries, [LOCK, BOOLEAN_LOCK])
        with open_store() as other:
            assert other.history("checkout#1") == tuple(entries)
            assert (other.owner(LOCK), other.owner(BOOLEAN_LOCK)) == ("checkout#1", "checkout#1")
            assert other.active(NOON) == other.all() == other.of_name("checkout") == ("checkout#1",)
            exposures = other.exposures(rollout.target, [LOCK])
            assert exposures == (("checkout#1", NOON, None),)
            known = other.acquire("checkout#1", NOON, LATER)
            assert replace(known, version=41) == rollout
            saved = save_changes(other, known)
            assert saved.version > known.version >= 41
            assert broken_link(other.history("checkout#1"), saved.chain) is None

    def test_a_history_of_thousands_of_entries_is_received_whole(self, store: Store) -> None:
        rollout, entries = with_history(a_rollout(), self.long_history)
        store.receive(rollout, entries, [LOCK])
        assert store.history("checkout#1") == tuple(entries)

    @pytest.mark.parametrize(
        ("state", "outbox", "visited"),
        [
            pytest.param(a_state(Phase.PAUSED), (), True, id="living"),
            pytest.param(WATCHED, (), True, id="watched"),
            pytest.param(a_state(Phase.SUCCEEDED, watch_until=NOON), (), False, id="watched out"),
            pytest.param(
                a_state(Phase.ROLLED_BACK, watch_until=NOON), (UNTOLD,), True,
                id="watched out, with a message to deliver",
            ),
        ],
    )  # fmt: skip
    def test_a_received_rollout_is_visited_as_it_would_have_been(
        self, store: Store, state: State, outbox: tuple[Message, ...], visited: bool
    ) -> None:
        rollout, entries = with_history(a_rollout(state=state, outbox=outbox), 1)
        store.receive(rollout, entries, [LOCK])
        assert ("checkout#1" in store.active(NOON)) is visited

    @pytest.mark.parametrize(("outbox", "visited"), [((), False), ((UNTOLD,), True)])
    def test_a_received_rollout_that_owned_nothing_is_visited_for_its_messages_alone(
        self, store: Store, outbox: tuple[Message, ...], visited: bool
    ) -> None:
        rollout, entries = with_history(a_rollout(state=WATCHED, outbox=outbox), 1)
        store.receive(rollout, entries, [])
        assert ("checkout#1" in store.active(NOON)) is visited

    def test_a_received_rollout_takes_the_locks_of_closed_rollouts_and_no_others(
        self, store: Store
    ) -> None:
        rollout, entries = with_history(a_rollout("checkout#7"), 3)
        owner = started(store, a_rollout("search#1"), LOCK, BOOLEAN_LOCK)
        with pytest.raises(TargetTakenError, match="search#1 owns"):
            store.receive(rollout, entries, [LOCK])
        for read in (store.load, store.history):
            with pytest.raises(UnknownRolloutError):
                read("checkout#7")
        save_changes(store, owner, WATCHED)
        store.receive(rollout, entries, [LOCK])
        assert store.owner(LOCK) == "checkout#7"
        superseded(store, "search#1")
        assert store.active(NOON) == ("checkout#7",)

    def test_a_rollout_that_went_its_own_way_here_is_not_received_again(self, store: Store) -> None:
        rollout, entries = with_history(a_rollout(), 3)
        store.receive(rollout, entries, [LOCK])
        here = save_changes(store, store.load("checkout#1"))
        with pytest.raises(StateConflictError, match=r"checkout#1 is in this store already"):
            store.receive(rollout, entries, [LOCK])
        assert store.load("checkout#1") == here
        assert len(store.history("checkout#1")) == 4

    # --- large records --------------------------------------------------------------------------

    def test_an_entry_of_three_megabytes_comes_back_as_it_was(self, store: Store) -> None:
        rollout = started(store, a_rollout())
        after, entry = with_noise(rollout, 3)
        saved = store.save(after, [entry])
        after, small = with_entry(saved)
        saved = store.save(after, [small])
        history = store.history("checkout#1")
        assert history[1:] == (entry, small)
        assert broken_link(history, saved.chain) is None

    def test_a_state_of_a_hundred_kilobytes_comes_back_as_it_was(self, store: Store) -> None:
        long = a_state(sentence="Why? " * 20_000)
        saved = save_changes(store, started(store, a_rollout()), long)
        assert store.load("checkout#1") == saved
        assert store.acquire("checkout#1", NOON, LATER) == saved
        with pytest.raises(StateConflictError, match="version 1 is stored"):
            save_changes(store, a_rollout())
