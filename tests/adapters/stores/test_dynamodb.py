"""The DynamoDB store: the contract on ministack (and on moto, with --deep), and more."""

from collections.abc import Iterator
from contextlib import nullcontext
from random import Random
from typing import Any

import pytest
from boto3.session import Session
from moto import mock_aws

from controller.adapters.clock import SystemClock
from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.items import pack
from controller.adapters.stores.dynamodb.table import create_table
from controller.adapters.stores.dynamodb.writes import UnknownWriteOutcomeError
from controller.core.history import SnapshotChangedError
from controller.errors import Exit, StateConflictError, StoreError, UnknownRolloutError
from controller.immutable import replace
from controller.ports.store import LockHolder, Store
from tests.adapters.contracts.store import (
    LATER,
    LOCK,
    UNTOLD,
    WATCHED,
    OpenStore,
    StoreContract,
    save_changes,
    started,
    superseded,
    with_history,
    with_noise,
)
from tests.adapters.stores.odd_dynamodb import (
    TABLE,
    Call,
    OddClient,
    OneAtATime,
    a_store,
    count_calls,
    never_arrived,
    page_by_page,
)
from tests.support.core import Phase, broken_link
from tests.support.emulator import REGION, Emulator
from tests.support.rollouts import MINUTE, NOON, a_rollout, a_state


class DynamoDbContract(StoreContract):
    """The contract on a DynamoDB table; a subclass gives the client."""

    rounds = 3

    @pytest.fixture
    def open_store(self, client: Any) -> OpenStore:
        create_table(client, TABLE, SystemClock())
        return lambda: nullcontext(DynamoDbStore(client, TABLE))

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[Store]:
        with open_store() as store:
            yield store

    @pytest.mark.parametrize(
        ("item", "why"),
        [
            ({"why": {"S": "it looks bad (request of bot)"}}, "it looks bad (request of bot)"),
            ({"why": {"S": "a\n\x1b[31mb"}}, "a \\u001b[31mb"),
            ({"why": {"S": "x" * 5_000}}, "x" * 500),
            ({"why": {"N": "7"}}, "requested in the store, without a reason"),
            ({}, "requested in the store, without a reason"),
        ],
        ids=["a reason", "controls", "a long text", "another type", "nothing"],
    )
    def test_whatever_a_request_says_it_is_one(
        self, client: Any, store: Store, item: dict[str, Any], why: str
    ) -> None:
        key = {"pk": {"S": "LOWER#checkout#1"}, "sk": {"S": "LOWER"}}
        client.put_item(TableName=TABLE, Item={**key, **item})
        assert store.owners_and_requests([], ["checkout#1"]) == ({}, {"checkout#1": why})

    def test_owners_and_requests_come_from_one_read_and_requests_are_no_rollouts(
        self, client: Any, store: Store
    ) -> None:
        started(store, a_rollout("checkout#1"), LOCK)
        store.request_rollback("checkout#1", "it looks bad")
        store.request_rollback("checkout#1", "it looks worse")
        calls = count_calls(client)
        owners, requests = store.owners_and_requests([LOCK], ["checkout#1", "search#1"])
        assert (owners, requests) == ({LOCK: "checkout#1"}, {"checkout#1": "it looks worse"})
        assert calls == ["BatchGetItem"]
        assert store.of_name("checkout") == store.all() == tuple(store.scan()) == ("checkout#1",)


@pytest.fixture
def client(ministack: Emulator, account: str) -> Any:
    """Return a client of an account without a table."""
    return ministack.client("dynamodb", account)


class TestOnMinistack(DynamoDbContract):
    """The contract on ministack, which executes transactions at the same time."""


@pytest.mark.deep
class TestOnMoto(DynamoDbContract):
    """The same on a second emulator, which evaluates conditions by code of its own."""

    long_history = 250  # moto copies the table for each transaction

    @pytest.fixture
    def client(self) -> Iterator[Any]:
        with mock_aws():
            yield OneAtATime(Session("test", "test", region_name=REGION).client("dynamodb"))


# --- beyond the contract ----------------------------------------------------------------------


def test_a_tick_that_records_something_makes_two_calls(client: Any) -> None:
    store = a_store(client)
    started(store, a_rollout(), LOCK)
    calls = count_calls(client)
    save_changes(store, store.acquire("checkout#1", NOON, LATER))
    assert calls == ["UpdateItem", "TransactWriteItems"]


def test_a_hundred_rollouts_are_loaded_by_one_call(client: Any) -> None:
    store = a_store(client)
    ids = [f"checkout#{number}" for number in range(1, 102)]
    for one in ids:
        started(store, a_rollout(one))
    calls = count_calls(client)
    store.load_all(ids[:100])
    store.load_all(ids)
    assert calls == ["BatchGetItem"] * 3


def test_every_page_is_read(client: Any) -> None:
    store = a_store(client)
    for attempt in (1, 2, 3):
        created = NOON + (attempt - 4) * MINUTE
        rollout = a_rollout(f"checkout#{attempt}", target="fn", created=created)
        save_changes(store, save_changes(store, started(store, rollout, f"{attempt}")))
    locks = ["1", "2", "3"]
    page_by_page(client)
    ids = ("checkout#1", "checkout#2", "checkout#3")
    assert store.active(NOON) == store.active(NOON, ["checkout"]) == ids
    assert sorted(store.scan()) == list(ids)
    assert sorted(store.all()) == sorted(store.of_name("checkout")) == list(ids)
    assert tuple(one for one, _, _ in store.exposures("fn", locks)) == ids
    assert [entry.seq for entry in store.history("checkout#1")] == [1, 2, 3]


def test_the_policy_is_written_once(client: Any) -> None:
    """A save by a version that serialises the policy differently keeps the snapshot."""
    store = a_store(client)
    rollout = started(store, a_rollout())
    other = rollout.policy.model_copy(update={"summary": "Another."})
    store.save(replace(rollout, policy=other), [])
    assert store.load("checkout#1").policy == rollout.policy


def test_an_interrupted_receive_shows_nothing_and_is_taken_up_again(client: Any) -> None:
    a_store(client)
    odd = OddClient(client)
    store = DynamoDbStore(odd, TABLE)
    rollout, entries = with_history(a_rollout(), 150)
    odd.faults["transact_write_items"] = [lambda call: call(), never_arrived]

    with pytest.raises(UnknownWriteOutcomeError):
        store.receive(rollout, entries, [LOCK])

    for read in (store.load, store.history):
        with pytest.raises(UnknownRolloutError):
            read("checkout#1")
    assert (store.all(), store.owner(LOCK)) == ((), None)
    store.receive(rollout, entries, [LOCK])
    assert store.history("checkout#1") == tuple(entries)


def test_the_leftover_history_of_an_interrupted_receive_is_not_taken_by_another_rollout(
    client: Any,
) -> None:
    store = a_store(OddClient(client))
    odd = OddClient(client)
    odd.faults["transact_write_items"] = [lambda call: call(), never_arrived]
    rollout, entries = with_history(a_rollout(), 150)
    with pytest.raises(UnknownWriteOutcomeError):
        DynamoDbStore(odd, TABLE).receive(rollout, entries, [LOCK])
    with pytest.raises(StoreError, match="copy from another store that was cut short") as raised:
        started(store, a_rollout(), LOCK)
    assert raised.value.exit_status == Exit.INTERNAL
    assert store.owner(LOCK) is None


def test_a_receive_clears_what_an_interrupted_one_left_of_a_longer_history(client: Any) -> None:
    """Leftover entries, perhaps of another rollout of this id, would block the next entry."""
    store = a_store(client)
    odd = OddClient(client)
    odd.faults["transact_write_items"] = [lambda call: call(), never_arrived]
    longer, leftover = with_history(a_rollout(state=a_state(sentence="Another.")), 150)
    with pytest.raises(UnknownWriteOutcomeError):
        DynamoDbStore(odd, TABLE).receive(longer, leftover, [LOCK])

    rollout, entries = with_history(a_rollout(), 2)
    store.receive(rollout, entries, [LOCK])

    assert store.history("checkout#1") == tuple(entries)
    saved = save_changes(store, store.load("checkout#1"))
    assert broken_link(store.history("checkout#1"), saved.chain) is None


def test_a_receive_never_writes_over_the_history_of_a_rollout_that_came_meanwhile(
    client: Any,
) -> None:
    store = a_store(client)
    odd = OddClient(client)
    rollout, entries = with_history(a_rollout(), 3)
    other = a_rollout(state=a_state(sentence="Started here."))

    def started_meanwhile(call: Call) -> Any:
        started(store, other, LOCK)
        return call()

    odd.faults["transact_write_items"] = [started_meanwhile]
    with pytest.raises(StateConflictError):
        DynamoDbStore(odd, TABLE).receive(rollout, entries, ["another lock"])
    assert [one.body["sentence"] for one in store.history("checkout#1")] == ["Started here."]


def test_a_rollout_that_is_too_large_is_refused_before_anything_is_written(client: Any) -> None:
    store = a_store(client)
    noise = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=600_000))
    with pytest.raises(StoreError, match=r"checkout#1 is too large .* make the policy smaller"):
        started(store, a_rollout(state=a_state(sentence=noise)), LOCK)
    assert (store.all(), store.owner(LOCK)) == ((), None)


def test_an_entry_that_no_transaction_can_take_is_refused_in_one_sentence(client: Any) -> None:
    store = a_store(client)
    rollout = started(store, a_rollout())
    after, entry = with_noise(rollout, 6)
    with pytest.raises(StoreError, match=r"cannot save checkout#1: .* do not fit in one trans"):
        store.save(after, [entry])
    assert store.load("checkout#1") == rollout


def test_a_message_that_comes_while_a_newer_rollout_takes_over_is_still_visited(
    client: Any,
) -> None:
    store, odd = a_store(client), OddClient(client)
    first = save_changes(store, started(store, a_rollout(), LOCK), WATCHED)

    def meanwhile(call: Call) -> Any:
        save_changes(store, first, outbox=(UNTOLD,))
        return call()

    odd.faults["transact_write_items"] = [meanwhile]
    started(DynamoDbStore(odd, TABLE), a_rollout("checkout#2"), LOCK)
    assert store.owner(LOCK) == "checkout#2"
    assert store.active(NOON) == ("checkout#2", "checkout#1")


def test_a_superseded_rollout_is_not_visited_after_its_last_message(
    client: Any,
) -> None:
    store = a_store(client)
    save_changes(store, started(store, a_rollout(), LOCK), WATCHED, outbox=(UNTOLD,))
    started(store, a_rollout("checkout#2"), LOCK)
    superseded(store, "checkout#1")
    assert store.active(NOON) == ("checkout#2", "checkout#1")
    another_run = DynamoDbStore(client, TABLE)
    save_changes(another_run, another_run.load("checkout#1"), outbox=())
    assert store.active(NOON) == ("checkout#2",)


def damage(client: Any) -> None:
    client.update_item(
        TableName=TABLE,
        Key={"pk": {"S": "ROLLOUT#checkout"}, "sk": {"S": "0000000001"}},
        UpdateExpression="SET #state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"B": b"no zlib"}},
    )


def test_a_damaged_rollout_that_is_over_gives_way_to_a_newer_one(client: Any) -> None:
    store = a_store(client)
    first = started(store, a_rollout(), LOCK)
    save_changes(store, first, WATCHED)
    damage(client)
    started(store, a_rollout("checkout#2"), LOCK)
    assert store.owner(LOCK) == "checkout#2"
    assert store.active(NOON) == ("checkout#2", "checkout#1")  # visited while it is damaged


def test_a_rolled_back_rollout_with_a_changed_snapshot_gives_way(client: Any) -> None:
    store = a_store(client)
    rollout = started(store, a_rollout(), LOCK)
    other = rollout.policy.model_copy(update={"summary": "Another."})
    client.update_item(
        TableName=TABLE,
        Key={"pk": {"S": "ROLLOUT#checkout"}, "sk": {"S": "0000000001"}},
        UpdateExpression="SET #policy = :policy",
        ExpressionAttributeNames={"#policy": "policy"},
        ExpressionAttributeValues={":policy": pack(other.snapshot())},
    )
    run = DynamoDbStore(client, TABLE)
    with pytest.raises(SnapshotChangedError) as raised:
        run.acquire("checkout#1", NOON, LATER)
    save_changes(run, raised.value.rollout, a_state(Phase.ROLLED_BACK))
    assert store.holder(LOCK) == LockHolder("checkout#1", final=True)
    assert run.owns("checkout#1", [LOCK])
    started(store, a_rollout("search#1"), LOCK)
    assert not DynamoDbStore(client, TABLE).owns("checkout#1", [LOCK])


def test_a_key_that_dynamodb_refuses_is_not_asked_for(client: Any) -> None:
    """AWS's limits: 2,048 bytes of UTF-8. moto takes any key here; AWS refuses the whole read."""
    store = a_store(client)
    started(store, a_rollout(), LOCK)
    asked = list[str]()

    def note(params: Any, **_: Any) -> None:
        keys = params["RequestItems"][TABLE]["Keys"]
        asked.extend(key["pk"]["S"] for key in keys)

    client.meta.events.register("provide-client-params.dynamodb.BatchGetItem", note)
    longest = "x" * (2_048 - len("LOCK#"))
    locks = [LOCK, longest, f"{longest}x", "\u00e9" * 1_024, "\ud800"]
    assert store.owners(locks) == {LOCK: "checkout#1"}
    assert asked == [f"LOCK#{LOCK}", f"LOCK#{longest}"]


def test_a_missing_piece_of_an_entry_is_called_damage(client: Any) -> None:
    store = a_store(client)
    after, entry = with_noise(started(store, a_rollout()), 3)
    store.save(after, [entry])
    client.delete_item(
        TableName=TABLE,
        Key={"pk": {"S": "HISTORY#checkout#1"}, "sk": {"S": "000000000002.001"}},
    )
    with pytest.raises(StoreError, match="a piece of entry 2 is missing"):
        store.history("checkout#1")
