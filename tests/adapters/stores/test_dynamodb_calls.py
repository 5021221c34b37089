"""Lost, refused, odd or late answers: each write has a known outcome, or an error says not."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from boto3.session import Session
from moto import mock_aws

from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb import calls as dynamodb_calls
from controller.adapters.stores.dynamodb.calls import TRIES
from controller.adapters.stores.dynamodb.writes import UnknownWriteOutcomeError
from controller.errors import (
    Exit,
    LeaseHeldError,
    NoStoreError,
    StateConflictError,
    StoreError,
    TargetTakenError,
)
from controller.ports.store import LockHolder
from tests.adapters.contracts.store import BOOLEAN_LOCK, LATER, LOCK, WATCHED, save_changes, started
from tests.adapters.stores import odd_dynamodb as odd
from tests.adapters.stores.odd_dynamodb import TABLE, Call, Fault, OddClient, a_store, repeat_next
from tests.support.cases import cases
from tests.support.core import Phase, Reason, Rollout, broken_link
from tests.support.emulator import REGION
from tests.support.rollouts import MINUTE, NOON, a_rollout, a_state, with_entry, with_state

SESSION = Session("test", "test", region_name=REGION)
DONE_UNHEARD = [odd.answer_lost, odd.done_then_500]
WRITES = ["update_item", "transact_write_items"]


@pytest.fixture
def client() -> Iterator[OddClient]:
    """Return a client of moto without faults yet."""
    with mock_aws():
        yield OddClient(SESSION.client("dynamodb"))


@pytest.fixture
def store(client: OddClient) -> DynamoDbStore:
    """Return a store of one run."""
    return a_store(client)


@pytest.fixture
def other(client: OddClient, store: DynamoDbStore) -> DynamoDbStore:
    """Return the store of another run."""
    return DynamoDbStore(client, TABLE)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attempts of a write follow each other without a pause."""
    monkeypatch.setattr(dynamodb_calls, "PAUSE_S", 0.001)


def lose_every_read(client: OddClient) -> None:
    """Lose the answer of every read."""
    client.faults["get_item"] = [odd.never_arrived] * 9


def save(store: DynamoDbStore, rollout: Rollout, operation: str) -> Rollout:
    """Save `rollout` by `operation`: a transaction has an entry, an update none."""
    after, entry = with_entry(with_state(rollout, reason=Reason.BAKING))
    if operation == "update_item":
        return store.save(with_state(rollout, reason=Reason.BAKING), [])
    return store.save(after, [entry])


# --- written, with a lost answer ------------------------------------------------------------------

# What becomes of the answer to the next call of an operation, which is executed.
Lose = Callable[[OddClient, str], None]


def by(fault: Fault) -> Lose:
    def lose(client: OddClient, operation: str) -> None:
        client.faults[operation] = [fault]

    return lose


def twice(client: OddClient, operation: str) -> None:
    repeat_next(client, "".join(map(str.title, operation.split("_"))))


UNHEARD: Mapping[str, Lose] = {
    "it does not come": by(odd.answer_lost),
    "it is an internal error": by(odd.done_then_500),
    "botocore sends the call twice": twice,
}
unheard = cases("lose", UNHEARD)


@pytest.mark.parametrize("operation", WRITES)
@unheard
def test_a_save_whose_answer_was_lost_counts_once(
    client: OddClient, store: DynamoDbStore, operation: str, lose: Lose
) -> None:
    rollout = started(store, a_rollout())
    lose(client, operation)
    saved = save(store, rollout, operation)
    assert store.load("checkout#1") == saved
    assert (saved.version, len(store.history("checkout#1"))) == (1, saved.entries)
    assert broken_link(store.history("checkout#1"), saved.chain) is None
    assert save_changes(store, saved).version == 2


@unheard
def test_a_lease_whose_answer_was_lost_is_held(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore, lose: Lose
) -> None:
    rollout = started(store, a_rollout())
    lose(client, "update_item")
    assert store.acquire("checkout#1", NOON, LATER) == rollout
    with pytest.raises(LeaseHeldError):
        other.acquire("checkout#1", NOON, LATER)
    assert save_changes(store, rollout).version == 1


@unheard
def test_a_release_whose_answer_was_lost_counts(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore, lose: Lose
) -> None:
    rollout = started(store, a_rollout())
    store.acquire("checkout#1", NOON, LATER)
    lose(client, "update_item")
    store.release("checkout#1")
    assert other.acquire("checkout#1", NOON, LATER) == rollout


@unheard
def test_a_start_whose_answer_was_lost_counts_once(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore, lose: Lose
) -> None:
    rollout, entry = with_entry(a_rollout())
    lose(client, "transact_write_items")
    store.create(rollout, [entry], [LOCK], hold=LATER)
    assert (other.load("checkout#1"), other.history("checkout#1")) == (rollout, (entry,))
    assert other.owner(LOCK) == "checkout#1"
    with pytest.raises(LeaseHeldError):
        other.acquire("checkout#1", NOON, LATER)
    assert save_changes(store, rollout).version == 1


# --- not written, or unknown ----------------------------------------------------------------------


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("fault", [odd.never_arrived, odd.proxy_answers])
def test_a_save_that_never_arrived_is_an_error_and_not_written(
    client: OddClient, store: DynamoDbStore, operation: str, fault: Fault
) -> None:
    rollout = started(store, a_rollout())
    client.faults[operation] = [fault]
    with pytest.raises(UnknownWriteOutcomeError, match="cannot save checkout#1") as raised:
        save(store, rollout, operation)
    assert raised.value.exit_status == Exit.INTERNAL
    assert store.load("checkout#1") == rollout
    assert save(store, rollout, operation).version == 1


@pytest.mark.parametrize("fault", [odd.never_arrived, odd.proxy_answers])
def test_a_lease_that_was_never_requested_is_not_held(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore, fault: Fault
) -> None:
    rollout = started(store, a_rollout())
    client.faults["update_item"] = [fault]
    with pytest.raises(UnknownWriteOutcomeError, match="cannot acquire checkout#1"):
        store.acquire("checkout#1", NOON, LATER)
    assert other.acquire("checkout#1", NOON, LATER) == rollout


def test_a_start_that_never_arrived_is_an_error_and_not_written(
    client: OddClient, store: DynamoDbStore
) -> None:
    client.faults["transact_write_items"] = [odd.never_arrived]
    with pytest.raises(UnknownWriteOutcomeError, match="cannot create checkout#1"):
        started(store, a_rollout(), LOCK)
    assert (store.all(), store.owner(LOCK)) == ((), None)
    started(store, a_rollout(), LOCK)


def test_a_write_that_cannot_be_read_back_has_an_unknown_outcome(
    client: OddClient, store: DynamoDbStore
) -> None:
    rollout = started(store, a_rollout())
    client.faults["update_item"] = [odd.answer_lost]
    lose_every_read(client)
    with pytest.raises(StoreError, match=r"ReadTimeoutError.*whether it was written is not known"):
        store.save(rollout, [])


def loses_the_save(client: OddClient, meanwhile: Callable[[], object]) -> None:
    def lost_and_superseded(call: Call) -> Any:
        call()
        meanwhile()
        return odd.never_arrived(call)

    client.faults["update_item"] = [lost_and_superseded]


def sends_the_save_twice(client: OddClient, meanwhile: Callable[[], object]) -> None:
    repeat_next(client, "UpdateItem", meanwhile)


@pytest.mark.parametrize("happens", [loses_the_save, sends_the_save_twice])
def test_a_save_that_another_one_may_have_replaced_has_an_unknown_outcome(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore, happens: Callable[..., None]
) -> None:
    rollout = started(store, a_rollout())
    happens(client, lambda: save_changes(other, other.load("checkout#1")))
    with pytest.raises(
        UnknownWriteOutcomeError, match=r"version 1 of checkout#1 .*not known.*version 2"
    ):
        store.save(rollout, [])


def test_a_lost_save_of_a_stale_version_gets_the_error_of_the_newer_one(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore
) -> None:
    rollout = started(store, a_rollout())
    save_changes(other, with_state(rollout, reason=Reason.BAKING))
    client.faults["update_item"] = [odd.never_arrived]
    with pytest.raises(StateConflictError, match=r"checkout#1 first .baking"):
        store.save(rollout, [])


@pytest.mark.parametrize("done", [True, False], ids=["written", "not written"])
def test_a_transaction_that_is_still_on_its_way_is_looked_up(
    client: OddClient, store: DynamoDbStore, done: bool
) -> None:
    """botocore repeats a call whose answer was lost, and the first attempt may still be running."""
    rollout = started(store, a_rollout())

    def on_its_way(call: Call) -> Any:
        if done:
            call()
        raise odd.an_error("TransactionInProgressException", 400)

    client.faults["transact_write_items"] = [on_its_way]
    if done:
        assert save(store, rollout, "transact_write_items") == store.load("checkout#1")
    else:
        with pytest.raises(UnknownWriteOutcomeError, match="whether it was written is not known"):
            save(store, rollout, "transact_write_items")
        assert store.load("checkout#1") == rollout


# --- conflicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("update_item", odd.conflicts),
        ("transact_write_items", odd.transaction_conflicts),
    ],
)
@pytest.mark.usefixtures("no_pauses")
class TestMeetingAnotherWrite:
    """Two writes of the same item at the same moment: DynamoDB refuses, and a retry succeeds."""

    def test_is_tried_again(
        self, client: OddClient, store: DynamoDbStore, operation: str, fault: Fault
    ) -> None:
        rollout = started(store, a_rollout())
        client.faults[operation] = [fault] * (TRIES - 1)
        saved = save(store, rollout, operation)
        assert saved.version == 1
        assert store.load("checkout#1") == saved

    def test_is_not_tried_for_ever(
        self, client: OddClient, store: DynamoDbStore, operation: str, fault: Fault
    ) -> None:
        rollout = started(store, a_rollout())
        client.faults[operation] = [fault] * TRIES
        with pytest.raises(StateConflictError, match=r"save checkout#1.*safe to retry"):
            save(store, rollout, operation)
        assert store.load("checkout#1") == rollout


@pytest.mark.usefixtures("no_pauses")
class TestATransactionThatIsThrottled:
    """botocore does not recognise it inside a transaction: the store retries, and then raises."""

    def test_is_tried_again(self, client: OddClient, store: DynamoDbStore) -> None:
        rollout = started(store, a_rollout())
        client.faults["transact_write_items"] = [odd.transaction_was_throttled] * (TRIES - 1)
        assert save(store, rollout, "transact_write_items").version == 1

    @pytest.mark.parametrize("others", [[], [odd.transaction_conflicts] * (TRIES - 1)])
    def test_is_an_error_in_the_end_and_does_not_pass_for_another_run(
        self, client: OddClient, store: DynamoDbStore, others: list[Fault]
    ) -> None:
        rollout = started(store, a_rollout())
        throttled = [odd.transaction_was_throttled] * (TRIES - len(others))
        client.faults["transact_write_items"] = [*others, *throttled]
        with pytest.raises(
            StoreError, match=r"save checkout#1 .*ThrottlingError it was; .* limit for such calls"
        ) as raised:
            save(store, rollout, "transact_write_items")
        assert raised.value.exit_status == Exit.INTERNAL
        assert store.load("checkout#1") == rollout

    def test_makes_no_error_of_another_run_that_was_met_last(
        self, client: OddClient, store: DynamoDbStore
    ) -> None:
        rollout = started(store, a_rollout())
        throttled = [odd.transaction_was_throttled] * (TRIES - 1)
        client.faults["transact_write_items"] = [*throttled, odd.transaction_conflicts]
        with pytest.raises(StateConflictError):
            save(store, rollout, "transact_write_items")


def test_a_start_whose_target_got_an_owner_meanwhile_is_refused_by_its_name(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore
) -> None:
    def locked_meanwhile(call: Call) -> Any:
        started(other, a_rollout("search#1"), BOOLEAN_LOCK)
        return call()

    client.faults["transact_write_items"] = [locked_meanwhile]
    with pytest.raises(TargetTakenError, match="checkout#1 was not started: search#1 owns"):
        started(store, a_rollout(), LOCK, BOOLEAN_LOCK)
    assert (store.owner(LOCK), store.all()) == (None, ("search#1",))


def test_a_start_whose_target_changed_its_owner_meanwhile_takes_it_over(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore
) -> None:
    save_changes(other, started(other, a_rollout("search#1"), LOCK), a_state(Phase.SUCCEEDED))

    def changed_owner(call: Call) -> Any:
        save_changes(other, started(other, a_rollout("search#2"), LOCK), a_state(Phase.SUCCEEDED))
        return call()

    client.faults["transact_write_items"] = [changed_owner]
    started(store, a_rollout(), LOCK)
    assert store.owner(LOCK) == "checkout#1"


def test_a_start_whose_target_goes_on_again_meanwhile_is_refused(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore
) -> None:
    """An operator rolls an old success back while the next rollout starts."""
    done = save_changes(
        other, started(other, a_rollout("search#1"), LOCK), a_state(Phase.SUCCEEDED)
    )

    def goes_on(call: Call) -> Any:
        save_changes(other, done, a_state(Phase.ROLLING_BACK))
        return call()

    client.faults["transact_write_items"] = [goes_on]
    with pytest.raises(TargetTakenError, match="search#1 owns"):
        started(store, a_rollout(), LOCK)
    assert (store.owner(LOCK), store.of_name("checkout")) == ("search#1", ())


def test_a_rollout_whose_lock_is_taken_while_it_is_saved_is_saved_without_it(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore
) -> None:
    done = started(store, a_rollout(), LOCK, BOOLEAN_LOCK)
    done = save_changes(store, done, WATCHED)

    def locked_meanwhile(call: Call) -> Any:
        started(other, a_rollout("search#1"), LOCK)
        return call()

    client.faults["transact_write_items"] = [locked_meanwhile]
    saved = save_changes(store, done, exposed_to=LATER)
    assert store.load("checkout#1") == saved
    assert store.holder(LOCK) == LockHolder("search#1", final=False)
    assert other.active(NOON) == ("search#1",)
    assert not store.owns("checkout#1", [LOCK])


@pytest.mark.parametrize("fault", DONE_UNHEARD)
def test_an_end_whose_answer_is_lost_is_in_the_lock_too(
    client: OddClient, store: DynamoDbStore, fault: Fault
) -> None:
    rollout = started(store, a_rollout(), LOCK, BOOLEAN_LOCK)
    client.faults["transact_write_items"] = [fault]
    saved = save_changes(store, rollout, a_state(Phase.SUCCEEDED))
    assert store.load("checkout#1") == saved
    for lock in (LOCK, BOOLEAN_LOCK):
        assert store.holder(lock) == LockHolder("checkout#1", final=True)


@pytest.mark.parametrize("after", [Phase.SUCCEEDED, Phase.ROLLED_BACK])
def test_an_end_that_was_not_saved_is_not_in_the_lock(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore, after: Phase
) -> None:
    rollout = started(store, a_rollout(), LOCK)
    client.faults["transact_write_items"] = [odd.never_arrived]
    with pytest.raises(StoreError):
        save_changes(store, rollout, a_state(after))
    assert store.load("checkout#1") == rollout
    with pytest.raises(TargetTakenError, match="checkout#1 owns"):
        started(other, a_rollout("search#1"), LOCK)
    save_changes(store, rollout, a_state(after))
    started(other, a_rollout("search#1"), LOCK)


def test_a_stale_run_marks_no_lock_as_final(store: DynamoDbStore, other: DynamoDbStore) -> None:
    stale = started(store, a_rollout(), LOCK)
    save_changes(other, with_state(stale, sentence="I was first."))
    with pytest.raises(StateConflictError):
        save_changes(store, stale, a_state(Phase.SUCCEEDED))
    assert store.holder(LOCK) == LockHolder("checkout#1", final=False)


def test_nothing_but_an_index_is_read_as_it_was_a_moment_ago(
    client: OddClient, store: DynamoDbStore
) -> None:
    started(store, a_rollout(), LOCK)
    stale: list[object] = []

    def look(params: Mapping[str, Any], **_: Any) -> None:
        if "IndexName" not in params and not params.get("ConsistentRead"):
            stale.append(params)

    for operation in ("GetItem", "Query", "Scan"):
        client.meta.events.register(f"provide-client-params.dynamodb.{operation}", look)
    store.load("checkout#1")
    store.history("checkout#1")
    store.of_name("checkout")
    store.owner(LOCK)
    store.all()
    list(store.scan())
    assert stale == []


# --- refusals -------------------------------------------------------------------------------------


def test_without_a_table_every_call_says_how_to_make_it(client: OddClient) -> None:
    store = DynamoDbStore(client, "rollouts")
    expected = (
        r"there is no table rollouts in us-east-1 of this account; .* make an empty one: "
        r"rolloutctl store init --store dynamodb://rollouts$"
    )
    calls: list[Callable[[], object]] = [
        lambda: store.load("checkout#1"),
        lambda: store.acquire("checkout#1", NOON, LATER),
        lambda: store.save(a_rollout(), []),
        lambda: started(store, a_rollout(), LOCK),
        lambda: started(store, a_rollout()),
        lambda: store.active(NOON),
        store.all,
        lambda: list(store.scan()),
        lambda: store.of_name("checkout"),
        lambda: store.exposures("fn", [LOCK]),
        lambda: store.owner(LOCK),
        lambda: store.holder(LOCK),
        lambda: store.owns("checkout#1", [LOCK]),
        lambda: store.active(NOON, ["checkout"]),
        lambda: store.receive(a_rollout(), [], []),
    ]
    for call in calls:
        with pytest.raises(NoStoreError, match=expected) as raised:
            call()
        assert raised.value.exit_status == Exit.USAGE


@pytest.mark.parametrize(
    ("operation", "fault", "expected"),
    [
        ("update_item", odd.refused, r"AccessDeniedException.*; grant the action to this role$"),
        ("transact_write_items", odd.transaction_was_wrong, "ValidationError it was"),
    ],
)
def test_what_aws_refuses_is_an_error_and_is_not_written(
    client: OddClient, store: DynamoDbStore, operation: str, fault: Fault, expected: str
) -> None:
    rollout = started(store, a_rollout())
    client.faults[operation] = [fault]
    with pytest.raises(StoreError, match=expected) as raised:
        save(store, rollout, operation)
    assert type(raised.value) is StoreError
    assert "cannot save checkout#1 (dynamodb:" in str(raised.value)
    assert store.load("checkout#1") == rollout


@pytest.mark.parametrize("fault", [odd.never_arrived, odd.proxy_answers, odd.refused])
def test_a_store_that_cannot_be_read_is_no_empty_store(
    client: OddClient, store: DynamoDbStore, fault: Fault
) -> None:
    started(store, a_rollout(), LOCK)
    for read in (lambda: store.load("checkout#1"), lambda: store.owner(LOCK)):
        client.faults["get_item"] = [fault]
        with pytest.raises(StoreError, match=r"\(dynamodb:GetItem, table rollouts\)") as raised:
            read()
        assert type(raised.value) is StoreError


@pytest.mark.parametrize("operation", ["Query", "Scan"])
def test_a_list_that_a_proxy_answered_is_no_empty_list(
    client: OddClient, store: DynamoDbStore, operation: str
) -> None:
    started(store, a_rollout(), LOCK)
    event = f"after-call.dynamodb.{operation}"
    client.meta.events.register(event, lambda parsed, **_: parsed.clear())
    with pytest.raises(StoreError, match="the answer is not one of AWS"):
        store.all() if operation == "Scan" else store.active(NOON)


@pytest.mark.parametrize("operation", ["query", "scan"])
def test_a_list_that_leads_back_to_its_own_page_is_not_read_for_ever(
    client: OddClient, store: DynamoDbStore, operation: str
) -> None:
    client.faults[operation] = [odd.leads_back] * 2
    with pytest.raises(StoreError, match="the answer is not one of AWS"):
        store.all() if operation == "scan" else store.active(NOON)


def test_a_run_that_lost_its_lease_while_an_answer_was_lost_gets_a_conflict(
    client: OddClient, store: DynamoDbStore, other: DynamoDbStore
) -> None:
    started(store, a_rollout())
    rollout = store.acquire("checkout#1", NOON, LATER)
    other.acquire("checkout#1", LATER, LATER + MINUTE)
    client.faults["update_item"] = [odd.never_arrived]
    with pytest.raises(StateConflictError, match="took checkout#1 over"):
        store.save(rollout, [])
