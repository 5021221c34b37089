from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from controller.adapters.dry_run import (
    DryRunLog,
    DryRunStore,
    DryRunTarget,
)
from controller.adapters.notifiers.slack import SlackChannel
from controller.adapters.stores.sqlite import SqliteStore
from controller.core.policy import LambdaHook
from controller.errors import (
    StoreError,
    TargetTakenError,
    UnknownRolloutError,
    WriteRefusedError,
)
from controller.ports.notify import HookCall
from controller.ports.store import Store
from tests.adapters.contracts.target import pair
from tests.adapters.notifiers.channels import a_message
from tests.adapters.targets.odd_lambda import OTHERS, a_world, open_handler, variables
from tests.support.core import Consent, HookAnswer, Notice, Phase, Severity, TargetReading
from tests.support.rollouts import MINUTE, NOON, a_rollout, in_phase, with_entry


@pytest.fixture
def journal() -> DryRunLog:
    """An empty journal."""
    return DryRunLog()


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Store]:
    """A store with one rollout, checkout#1, that owns a lock."""
    with SqliteStore(tmp_path / "rollouts.db") as store:
        rollout, entry = with_entry(a_rollout())
        store.create(rollout, [entry], ["lock"])
        yield store


@pytest.fixture
def dry(stored: Store, journal: DryRunLog) -> DryRunStore:
    """The same store in a dry run."""
    return DryRunStore(stored, journal)


# --- the target ---------------------------------------------------------------------------------


def test_a_target_is_read_and_never_written(journal: DryRunLog) -> None:
    world = a_world()
    target = DryRunTarget(open_handler(world), "handler", journal)
    target.shift_to(50, target.read().token)
    target.lower_to_zero(timedelta(minutes=1))
    assert target.read() == open_handler(world).read()
    assert list(target.obstacles()) == list(open_handler(world).obstacles())
    assert variables(world) == {**OTHERS, **pair("10", "false")}
    assert journal.lines == ["set handler to 50%", "lower handler to 0%"]


def test_a_target_that_is_not_the_right_one_is_refused_as_it_would_be(journal: DryRunLog) -> None:
    def foreign(reading: TargetReading) -> None:
        raise WriteRefusedError(f"{reading.identity} is not ours")

    target = DryRunTarget(open_handler(a_world()), "handler", journal)
    with pytest.raises(WriteRefusedError):
        target.lower_to_zero(timedelta(minutes=1), check=foreign)
    assert journal.lines == []


# --- the store ----------------------------------------------------------------------------------


def test_what_was_saved_is_loaded_in_this_process_and_stored_nowhere(
    dry: DryRunStore, stored: Store, journal: DryRunLog
) -> None:
    before = stored.load("checkout#1")
    after, entry = with_entry(dry.load("checkout#1"), sentence="The gate at 10% passed.")
    saved = dry.save(after, [entry])
    assert saved.version == before.version + 1
    assert dry.load("checkout#1") == saved
    assert [one.seq for one in dry.history("checkout#1")] == [1, 2]
    assert stored.load("checkout#1") == before
    assert [one.seq for one in stored.history("checkout#1")] == [1]
    assert journal.lines == ["record transition of checkout#1: The gate at 10% passed."]


def test_a_rollout_that_was_created_is_found_in_this_process_and_stored_nowhere(
    dry: DryRunStore, stored: Store, journal: DryRunLog
) -> None:
    rollout, entry = with_entry(a_rollout("basket#1"))
    dry.create(rollout, [entry], ["other lock"])
    assert dry.load("basket#1") == rollout
    assert dry.history("basket#1") == (entry,)
    assert dry.of_name("basket") == ("basket#1",)
    assert dry.of_name("checkout") == ("checkout#1",)
    assert dry.active(NOON) == ("checkout#1", "basket#1")
    assert dry.owner("other lock") == "basket#1"
    with pytest.raises(UnknownRolloutError):
        stored.load("basket#1")
    assert stored.owner("other lock") is None
    assert journal.lines == ["create basket#1: Started at 10%."]


def test_a_rollout_that_another_run_leased_is_read_and_left_to_it(
    dry: DryRunStore, stored: Store, journal: DryRunLog
) -> None:
    leased = stored.acquire("checkout#1", NOON, NOON + MINUTE)
    assert dry.acquire("checkout#1", NOON, NOON + MINUTE) == leased
    dry.save(leased, [], hold=NOON + MINUTE)
    dry.release("checkout#1")
    assert stored.save(leased, []).version == leased.version + 1
    assert journal.lines == []


def test_a_received_rollout_is_found_in_this_process_and_stored_nowhere(
    dry: DryRunStore, stored: Store, journal: DryRunLog
) -> None:
    rollout, entry = with_entry(in_phase(Phase.SUCCEEDED, "basket#1", watch_until=NOON))
    dry.receive(rollout, [entry], ["other lock"])
    assert dry.all() == ("checkout#1", "basket#1")
    assert dry.history("basket#1") == (entry,)
    assert dry.active(NOON) == ("checkout#1",)
    assert stored.all() == ("checkout#1",)
    assert journal.lines == ["take in basket#1 and its history (1 entries)"]
    with pytest.raises(TargetTakenError, match="checkout#1 owns lock"):
        dry.receive(a_rollout("basket#2"), [], ["lock"])


def test_a_target_is_refused_until_its_owner_is_final_as_without_a_dry_run(
    dry: DryRunStore, stored: Store, journal: DryRunLog
) -> None:
    with pytest.raises(TargetTakenError, match="checkout#1 owns lock; let it finish"):
        dry.create(a_rollout("basket#1"), [], ["lock"])
    assert journal.lines == []
    stored.save(in_phase(Phase.ROLLED_BACK), [])
    dry.create(a_rollout("basket#1"), [], ["lock"])
    assert dry.owner("lock") == "basket#1"


def test_a_store_that_is_not_there_is_empty_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rollouts.db"
    with SqliteStore(path, create=False) as store:
        assert store.active(NOON) == ()
        assert store.of_name("checkout") == ()
        assert store.owner("lock") is None
        with pytest.raises(UnknownRolloutError, match=r"checkout#1 in .*new/rollouts\.db"):
            store.load("checkout#1")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_there_is_read_and_checked_also_when_none_is_to_be_made(
    tmp_path: Path,
) -> None:
    with SqliteStore(tmp_path / "rollouts.db") as store:
        store.create(a_rollout(), [], ["lock"])
    with SqliteStore(tmp_path / "rollouts.db", create=False) as store:
        assert store.owner("lock") == "checkout#1"
    (tmp_path / "letter.txt").write_text("Dear friend, this is no database, but a long letter.")
    with pytest.raises(StoreError, match="is not an SQLite database"):
        SqliteStore(tmp_path / "letter.txt", create=False)


# --- notices and messages -----------------------------------------------------------------------


def test_no_notice_is_sent(journal: DryRunLog) -> None:
    journal.announce(a_rollout(), Notice(Severity.CRITICAL, "Look at it."))
    assert journal.lines == ["notify (critical): Look at it."]


def test_no_message_is_sent_and_the_journal_names_the_channel(journal: DryRunLog) -> None:
    channel = SlackChannel.model_validate({"kind": "slack", "webhook": {"environment": "HOOK"}})
    journal.deliver(channel, a_rollout(), a_message())
    assert journal.lines == ["send rolled_back (warning) to slack by the environment variable HOOK"]


def test_no_hook_is_called_and_the_run_goes_on_as_if_it_allowed(journal: DryRunLog) -> None:
    gate = LambdaHook(kind="lambda", function="gate")
    call = HookCall("before_advance", "delivery", "{}")
    answer = journal.ask(gate, call, within=MINUTE, private=())
    journal.tell(gate, HookCall("after_advance", "delivery", "{}"), within=MINUTE, private=())
    assert answer == HookAnswer(Consent.GIVEN)
    assert journal.lines == [
        "call lambda gate (before_advance), and continue if it allows that",
        "call lambda gate (after_advance)",
    ]
