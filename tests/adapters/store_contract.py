"""What every store promises. A test module subclasses `StoreContract` and says how to open one."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from controller.core.history import broken_link
from controller.core.rollout import Phase, Reason, Rollout
from controller.errors import (
    Exit,
    RolloutError,
    StateConflictError,
    TargetTakenError,
    UnknownRolloutError,
)
from controller.ports import Store
from tests.rollouts import MINUTE, NOON, a_rollout, recorded

RACERS, ROUNDS = 12, 20
RACE_LIMIT = timedelta(seconds=60)
LOCK, BOOLEAN_LOCK = "eu-central-1/handler/PERCENTAGE", "eu-central-1/handler/BOOLEAN"
LIVING = [Phase.PROGRESSING, Phase.PAUSED, Phase.ROLLING_BACK]
FINAL = [Phase.ROLLED_BACK, Phase.SUCCEEDED]

OpenStore = Callable[[], AbstractContextManager[Store]]


def started(store: Store, rollout: Rollout, *locks: str) -> Rollout:
    """Create `rollout` with one entry, and return it as the store has it."""
    rollout, entry = recorded(rollout)
    store.create(rollout, [entry], locks)
    return store.load(rollout.id)


def moved(store: Store, rollout: Rollout, **facts: object) -> Rollout:
    """Save `rollout` changed by `facts`, with one entry, and return what `save` returned."""
    after, entry = recorded(replace(rollout, **facts))  # type: ignore[arg-type]
    return store.save(after, [entry])


def race(open_store: OpenStore, act: Callable[[Store, int], object]) -> list[RolloutError | None]:
    """Let all racers `act` at once, each with a store of its own; return how each one ended."""
    line = threading.Barrier(RACERS, timeout=RACE_LIMIT.total_seconds())
    ends: list[RolloutError | BaseException | None] = [AssertionError("never ended")] * RACERS

    def run(number: int) -> None:
        try:
            with open_store() as store:
                line.wait()
                act(store, number)
            ends[number] = None
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test's own thread
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
    moved(store, read, sentence=f"Run {number}.")


def start_on(lock: str, name: str, store: Store, number: int) -> None:
    """Start a rollout of the racer's own on the target of all."""
    started(store, a_rollout(f"{name}-{number}#1"), lock)


class StoreContract:
    """Tests of one store; `open_store` opens the same data anew each time it is called."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Return how to open the store under test."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Store:
        """Return a store that stays open for the test."""
        raise NotImplementedError

    # --- what is written is what is read --------------------------------------------------------

    def test_a_created_rollout_is_loaded_as_it_was(self, store: Store) -> None:
        rollout, entry = recorded(a_rollout())
        store.create(rollout, [entry], [LOCK])
        assert store.load("checkout#1") == rollout
        assert store.history("checkout#1") == (entry,)

    def test_a_saved_rollout_is_seen_by_every_other_run(
        self, store: Store, open_store: OpenStore
    ) -> None:
        rollout = started(store, a_rollout())
        saved = moved(store, rollout, reason=Reason.BAKING, settled=NOON)
        with open_store() as other:
            assert other.load("checkout#1") == saved
            assert len(other.history("checkout#1")) == saved.entries == 2

    def test_a_save_without_entries_leaves_the_history_alone(self, store: Store) -> None:
        rollout = started(store, a_rollout())
        before = store.history("checkout#1")
        store.save(replace(rollout, sentence="Baking."), [])
        assert store.history("checkout#1") == before

    def test_every_save_raises_the_version_by_one(self, store: Store) -> None:
        rollout = started(store, a_rollout())
        versions = [rollout.version]
        for _ in range(3):
            rollout = moved(store, rollout)
            versions.append(rollout.version)
        assert versions == [0, 1, 2, 3]

    def test_a_history_comes_in_order_and_its_chain_holds(self, store: Store) -> None:
        """Eleven entries: as text, 10 would come before 9."""
        rollout = started(store, a_rollout())
        for minute in range(10):
            rollout = moved(store, rollout, updated=NOON + minute * MINUTE)
        history = store.history("checkout#1")
        assert [entry.seq for entry in history] == list(range(1, 12))
        assert broken_link(history, rollout.chain) is None

    def test_histories_of_two_rollouts_do_not_mix(self, store: Store) -> None:
        started(store, a_rollout("checkout#1"))
        other = moved(store, started(store, a_rollout("search#1")))
        assert [len(store.history(one)) for one in ("checkout#1", "search#1")] == [1, 2]
        assert broken_link(store.history("search#1"), other.chain) is None

    @pytest.mark.parametrize("read", ["load", "history"])
    def test_an_unknown_id_is_named(self, store: Store, read: str) -> None:
        with pytest.raises(UnknownRolloutError, match="checkout#9") as raised:
            getattr(store, read)("checkout#9")
        assert raised.value.exit_status == Exit.USAGE

    def test_saving_what_was_never_created_is_refused(self, store: Store) -> None:
        with pytest.raises(UnknownRolloutError, match="checkout#1"):
            store.save(a_rollout(), [])

    # --- one run wins ---------------------------------------------------------------------------

    def test_a_stale_run_writes_nothing_and_hears_who_was_first(self, store: Store) -> None:
        stale = started(store, a_rollout())
        winner = moved(store, stale, reason=Reason.BAKING, updated=NOON + 5 * MINUTE)

        with pytest.raises(StateConflictError) as raised:
            moved(store, stale, sentence="I am late.")

        assert store.load("checkout#1") == winner
        assert len(store.history("checkout#1")) == 2
        assert raised.value.exit_status == Exit.BUSY
        for word in ("checkout#1", "baking", "12:05 UTC", "safe to run again"):
            assert word in str(raised.value)

    def test_of_twelve_runs_that_save_at_once_one_wins(
        self, store: Store, open_store: OpenStore
    ) -> None:
        rollout = started(store, a_rollout())
        for _ in range(ROUNDS):
            ends = race(open_store, partial(save_as, rollout))
            assert ends.count(None) == 1
            assert {type(end) for end in ends if end} == {StateConflictError}
            winner = store.load("checkout#1")
            assert winner.sentence == f"Run {ends.index(None)}."
            assert winner.version == rollout.version + 1
            rollout = winner
        assert rollout.entries == len(store.history("checkout#1")) == ROUNDS + 1
        assert broken_link(store.history("checkout#1"), rollout.chain) is None

    def test_of_twelve_starts_on_one_target_one_wins(
        self, store: Store, open_store: OpenStore
    ) -> None:
        for turn in range(ROUNDS):
            lock = f"{LOCK}/{turn}"
            ends = race(open_store, partial(start_on, lock, f"turn-{turn}"))
            winner = f"turn-{turn}-{ends.index(None)}#1"
            assert ends.count(None) == 1
            assert store.owner(lock) == winner
            for end in ends:
                assert end is None or (isinstance(end, TargetTakenError) and winner in str(end))

    def test_of_twelve_starts_of_one_id_one_wins(self, store: Store, open_store: OpenStore) -> None:
        ends = race(open_store, lambda other, _: started(other, a_rollout(), LOCK))
        assert ends.count(None) == 1
        assert {type(end) for end in ends if end} == {StateConflictError}
        assert len(store.history("checkout#1")) == 1

    # --- one owner per target -------------------------------------------------------------------

    def test_a_lock_has_the_owner_that_took_it(self, store: Store) -> None:
        started(store, a_rollout(), LOCK, BOOLEAN_LOCK, LOCK)
        owners = [store.owner(lock) for lock in (LOCK, BOOLEAN_LOCK, "another/lock")]
        assert owners == ["checkout#1", "checkout#1", None]

    @pytest.mark.parametrize("phase", LIVING)
    def test_a_second_owner_is_refused_by_the_name_of_the_first(
        self, store: Store, phase: Phase
    ) -> None:
        moved(store, started(store, a_rollout("checkout#1"), LOCK), phase=phase)

        with pytest.raises(TargetTakenError) as raised:
            started(store, a_rollout("search#1"), BOOLEAN_LOCK, LOCK)

        assert raised.value.exit_status == Exit.USAGE
        for word in ("checkout#1", LOCK, "search#1 was not started"):
            assert word in str(raised.value)
        assert (store.owner(LOCK), store.owner(BOOLEAN_LOCK)) == ("checkout#1", None)
        assert (store.of_name("search"), store.active(NOON)) == ((), ("checkout#1",))

    @pytest.mark.parametrize("phase", FINAL)
    def test_the_lock_of_a_final_rollout_is_taken_over(self, store: Store, phase: Phase) -> None:
        moved(store, started(store, a_rollout("checkout#1"), LOCK), phase=phase)
        started(store, a_rollout("checkout#2"), LOCK)
        assert store.owner(LOCK) == "checkout#2"

    def test_a_rollout_that_lost_one_lock_has_lost_them_all(self, store: Store) -> None:
        """Half an owner would watch the weight of somebody else, and call it drift."""
        first = started(store, a_rollout("checkout#1"), LOCK, BOOLEAN_LOCK)
        moved(store, first, phase=Phase.SUCCEEDED, watch_until=NOON + MINUTE)
        started(store, a_rollout("checkout#2"), LOCK)
        assert (store.owner(LOCK), store.owner(BOOLEAN_LOCK)) == ("checkout#2", None)
        assert store.active(NOON) == ("checkout#2",)

    def test_an_id_is_used_once(self, store: Store) -> None:
        first = started(store, a_rollout(), LOCK)
        with pytest.raises(StateConflictError, match=r"checkout#1 exists already.*safe to run"):
            started(store, a_rollout(sentence="Me too."), BOOLEAN_LOCK)
        assert store.load("checkout#1") == first
        assert store.owner(BOOLEAN_LOCK) is None

    # --- finding rollouts -----------------------------------------------------------------------

    def test_an_empty_store_has_nothing_to_do(self, store: Store) -> None:
        found = store.active(NOON), store.of_name("checkout"), store.exposures("x")
        assert found == ((), (), ())

    @pytest.mark.parametrize(
        ("phase", "watched", "taken_over", "visited"),
        [
            *(pytest.param(phase, None, False, True, id=f"{phase}") for phase in LIVING),
            *(pytest.param(phase, None, False, False, id=f"{phase}") for phase in FINAL),
            *(
                pytest.param(phase, *rest, id=f"{phase} and {what}")
                for phase in FINAL
                for what, *rest in [
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
        self,
        store: Store,
        phase: Phase,
        watched: timedelta | None,
        taken_over: bool,
        visited: bool,
    ) -> None:
        until = None if watched is None else NOON + watched
        first = started(store, a_rollout("checkout#1"), LOCK)
        moved(store, first, phase=phase, watch_until=until)
        if taken_over:
            started(store, a_rollout("checkout#2"), LOCK)
        assert ("checkout#1" in store.active(NOON)) is visited

    def test_the_oldest_active_rollout_comes_first(self, store: Store) -> None:
        """To the microsecond, which text without fractions would sort wrongly."""
        ages = {"middle#1": timedelta(0), "old#1": -MINUTE, "young#1": timedelta(microseconds=1)}
        for rollout_id, age in ages.items():
            started(store, a_rollout(rollout_id, created=NOON + age))
        assert store.active(NOON) == ("old#1", "middle#1", "young#1")

    def test_attempts_of_a_name_come_in_order(self, store: Store) -> None:
        for attempt in (10, 2, 1):
            started(store, a_rollout(f"checkout#{attempt}"))
        started(store, a_rollout("check#3"))
        assert store.of_name("checkout") == ("checkout#1", "checkout#2", "checkout#10")

    def test_exposures_of_a_target_come_earliest_first(self, store: Store) -> None:
        def exposed(rollout_id: str, **facts: object) -> None:
            rollout = started(store, a_rollout(rollout_id, target=facts.pop("target", "fn")))
            moved(store, rollout, **facts)

        later, end = NOON + 9 * MINUTE, NOON + 5 * MINUTE
        exposed("checkout#2", exposed_from=later)
        exposed("checkout#1", exposed_from=NOON, exposed_to=end)
        exposed("checkout#3")
        exposed("search#1", exposed_from=NOON, target="another")

        assert store.exposures("fn") == (("checkout#1", NOON, end), ("checkout#2", later, None))

    def test_moments_come_back_with_their_time_zone(self, store: Store) -> None:
        rollout = started(store, a_rollout(target="fn", exposed_from=NOON, exposed_to=NOON))
        ((_, begin, end),) = store.exposures("fn")
        moments: Sequence[object] = (begin, end, rollout.created, store.history(rollout.id)[0].at)
        assert [getattr(moment, "tzinfo", None) is not None for moment in moments] == [True] * 4
