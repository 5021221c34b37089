"""A damaged item is refused by name, and does not affect other items."""

import tracemalloc
from typing import Any

import pytest

from controller.adapters.stores.codec import STATE_LIMITS
from controller.adapters.stores.dynamodb import DynamoDbStore, items
from controller.errors import StoreError, TargetTakenError, UnknownRolloutError
from tests.adapters.contracts.damage import DamageContract, Damaged
from tests.adapters.contracts.store import LATER, LOCK, check_long_holder, save_changes, started
from tests.adapters.stores.odd_dynamodb import TABLE, a_store
from tests.support.core import Phase
from tests.support.damage import (
    DYNAMODB_DAMAGES,
    POLICY_DAMAGES,
    STATE_DAMAGES,
    bomb,
    key_of,
)
from tests.support.emulator import Emulator
from tests.support.rollouts import NOON, a_rollout, a_state


@pytest.fixture
def client(ministack: Emulator, account: str) -> Any:
    return ministack.client("dynamodb", account)


@pytest.fixture
def store(client: Any) -> DynamoDbStore:
    return a_store(client)


# These texts are damaged in a file as well, where a test takes a tenth of the time.
SAME_TEXTS = frozenset({*STATE_DAMAGES, *POLICY_DAMAGES})


class TestDamagedItems(DamageContract):
    """Each damage to an item: the item is refused, the other one works."""

    names = tuple(DYNAMODB_DAMAGES)
    deep = SAME_TEXTS

    @pytest.fixture
    def damaged(self, store: DynamoDbStore, client: Any) -> Damaged:
        return Damaged(store, lambda name: DYNAMODB_DAMAGES[name](client, TABLE, "checkout#1"))


@pytest.mark.parametrize(
    ("key", "listed_id"),
    [
        ({"sk": {"S": "x"}}, "checkout#x"),
        ({"sk": {"S": "99999999999999999999999"}}, "checkout#9999999999"),
        ({"sk": {"S": "1"}}, "checkout#1"),
        ({"pk": {"S": "FOREIGN"}}, "FOREIGN#1"),
        ({"pk": {"S": "ROLLOUT#"}}, "#1"),
    ],
)
def test_an_item_with_a_foreign_key_is_listed_and_refused(
    store: DynamoDbStore, client: Any, key: dict[str, Any], listed_id: str
) -> None:
    started(store, a_rollout("checkout#1"), LOCK)
    sound = started(store, a_rollout("search#1"))
    old = key_of("checkout#1")
    item = client.get_item(TableName=TABLE, Key=old)["Item"]
    client.delete_item(TableName=TABLE, Key=old)
    client.put_item(TableName=TABLE, Item={**item, **key})
    assert set(store.active(NOON)) == set(store.all()) == {listed_id, "search#1"}
    assert store.active(NOON)[-1] == listed_id
    for read in (store.load, store.history, lambda one: store.acquire(one, NOON, LATER)):
        with pytest.raises(StoreError, match="is damaged") as raised:
            read(listed_id)
        assert not isinstance(raised.value, UnknownRolloutError)
    assert store.load("search#1") == sound


def test_a_text_that_expands_to_a_hundred_megabytes_takes_no_memory(
    store: DynamoDbStore, client: Any
) -> None:
    started(store, a_rollout())
    item = client.get_item(TableName=TABLE, Key=key_of("checkout#1"))["Item"]
    item["state"] = {"B": bomb(100_000_000)}
    tracemalloc.start()
    try:
        with pytest.raises(StoreError, match="expands to more than 1,048,576 bytes"):
            items.rollout_of(item)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * STATE_LIMITS.size


def test_a_holder_with_a_long_id_is_named_in_short_and_once(
    store: DynamoDbStore, client: Any
) -> None:
    started(store, a_rollout("checkout#1"), LOCK)
    key = {"pk": {"S": f"LOCK#{LOCK}"}, "sk": {"S": "LOCK"}}
    lock = client.get_item(TableName=TABLE, Key=key)["Item"]
    client.put_item(TableName=TABLE, Item={**lock, "rollout": {"S": "x" * 300_000}})
    check_long_holder(store)
    ((holder, *_),) = store.exposures("", [LOCK])
    assert len(holder) < 200


@pytest.mark.parametrize("name", ["lock: without a rollout", "lock: its rollout is a number"])
def test_a_lock_that_names_no_rollout_is_not_taken_over(
    store: DynamoDbStore, client: Any, name: str
) -> None:
    started(store, a_rollout("checkout#1"), LOCK)
    DYNAMODB_DAMAGES[name](client, TABLE, "checkout#1")
    with pytest.raises(StoreError, match=f"the lock {LOCK} is damaged"):
        started(store, a_rollout("search#1"), LOCK)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("final", None),
        ("final", {"S": "true"}),
        ("final", {"NULL": True}),
        ("version", None),
        ("past", {"S": "no JSON"}),
        ("past", {"S": '[["search#1"]]'}),
        ("past", {"S": '[["search#1","noon",null]]'}),
        ("past", {"S": "[" * 100_000}),
        ("past", {"S": "[" * 100_000 + "]" * 100_000}),
        ("past", {"S": '[["search#1","2026-11-24T12:00:00Z",{"":{}}]]'}),
        ("past", {"N": "1"}),
        ("exposed_from", {"S": "noon"}),
        ("exposed_to", {"S": "noon"}),
    ],
)
def test_a_lock_without_the_state_of_its_owner_is_not_taken_over(
    store: DynamoDbStore, client: Any, attribute: str, value: Any
) -> None:
    first = started(store, a_rollout("checkout#1"), LOCK)
    first = save_changes(store, first, a_state(Phase.SUCCEEDED))
    key = {"pk": {"S": f"LOCK#{LOCK}"}, "sk": {"S": "LOCK"}}
    item = {**client.get_item(TableName=TABLE, Key=key)["Item"], attribute: value}
    given = {name: one for name, one in item.items() if one is not None}
    client.put_item(TableName=TABLE, Item=given)
    with pytest.raises(StoreError, match=f"the lock {LOCK} is damaged") as raised:
        started(store, a_rollout("search#1"), LOCK)
    assert f"LOCK#{LOCK}" in str(raised.value)
    assert store.owner(LOCK) == "checkout#1"
    save_changes(store, first, a_state(Phase.ROLLING_BACK))  # which repairs the state in the lock
    assert client.get_item(TableName=TABLE, Key=key)["Item"]["final"] == {"BOOL": False}


@pytest.mark.parametrize("name", ["lock: without a rollout", "lock: of a rollout that is gone"])
def test_a_rollout_is_saved_and_ends_despite_a_damaged_lock(
    store: DynamoDbStore, client: Any, name: str
) -> None:
    first = started(store, a_rollout("checkout#1"), LOCK)
    DYNAMODB_DAMAGES[name](client, TABLE, "checkout#1")
    save_changes(store, first, a_state(Phase.ROLLED_BACK))
    assert store.load("checkout#1").phase is Phase.ROLLED_BACK


def test_a_lock_of_an_attempt_that_is_gone_gives_way_to_the_next_attempt_alone(
    store: DynamoDbStore, client: Any
) -> None:
    """A bound role may not read rollouts of another name."""
    started(store, a_rollout("checkout#1"), LOCK)
    client.delete_item(TableName=TABLE, Key=key_of("checkout#1"))
    with pytest.raises(TargetTakenError, match="checkout#1"):
        started(store, a_rollout("search#1"), LOCK)
    started(store, a_rollout("checkout#2"), LOCK)
    assert store.owner(LOCK) == "checkout#2"


@pytest.mark.parametrize("name", ["closed: missing", "closed: text", "closed: null"])
def test_an_open_rollout_keeps_its_target_despite_damaged_attributes(
    store: DynamoDbStore, client: Any, name: str
) -> None:
    started(store, a_rollout("checkout#1"), LOCK)
    DYNAMODB_DAMAGES[name](client, TABLE, "checkout#1")
    with pytest.raises(TargetTakenError, match="checkout#1"):
        started(store, a_rollout("search#1"), LOCK)


def test_a_save_that_meets_a_damage_ends_in_an_error_of_the_store(
    store: DynamoDbStore, client: Any
) -> None:
    """Or writes over the damage, as it does over most of them."""
    for number, how in enumerate(DYNAMODB_DAMAGES):
        started(store, a_rollout(f"checkout#{number}"), f"lock {number}")
        leased = store.acquire(f"checkout#{number}", NOON, LATER)
        DYNAMODB_DAMAGES[how](client, TABLE, leased.id)
        try:
            save_changes(store, leased)
        except StoreError as error:
            assert leased.id in str(error), how  # noqa: PT017 - as the docstring says
