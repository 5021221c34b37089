"""The table of a store: creation, checks of an existing one, and the CloudFormation template."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from boto3.session import Session
from moto import mock_aws
from ruamel.yaml import YAML

from controller.adapters.clock import SystemClock
from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.table import (
    BACKUP_LIMIT,
    TABLE_DEFINITION,
    create_table,
    template,
)
from controller.errors import StoreError
from controller.ports.clock import Clock
from tests.adapters.contracts.store import LOCK, started
from tests.adapters.stores import odd_dynamodb as odd
from tests.adapters.stores.odd_dynamodb import Call, OddClient, an_error
from tests.support.emulator import REGION, WAITER_CONFIG, Emulator
from tests.support.rollouts import NOON, a_rollout

SESSION = Session("test", "test", region_name=REGION)


class QuickClock:
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        self._now = NOON

    def now(self) -> Any:
        return self._now

    def sleep(self, length: timedelta) -> None:
        self._now += length


@pytest.fixture
def clock() -> Clock:
    """Return a clock on which waiting takes no time."""
    return QuickClock()


@pytest.fixture
def client() -> Iterator[OddClient]:
    """Return a client of moto without faults yet."""
    with mock_aws():
        yield OddClient(SESSION.client("dynamodb"))


def facts(client: Any, table: str) -> dict[str, Any]:
    """Return the description of a table without what differs between accounts."""
    description = client.describe_table(TableName=table)["Table"]
    backups = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    indexes = description["GlobalSecondaryIndexes"]
    return {
        "keys": description["KeySchema"],
        "types": sorted(str(one) for one in description["AttributeDefinitions"]),
        "indexes": {
            index["IndexName"]: (index["KeySchema"], index["Projection"]) for index in indexes
        },
        "billing": description["BillingModeSummary"]["BillingMode"],
        "protected": description["DeletionProtectionEnabled"],
        "backups": backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
    }


def test_a_new_table_is_protected_backed_up_and_paid_by_use(client: OddClient) -> None:
    assert create_table(client, "rollouts", SystemClock()) is True
    actual = facts(client, "rollouts")
    expected = {"billing": "PAY_PER_REQUEST", "protected": True, "backups": "ENABLED"}
    assert {name: actual[name] for name in expected} == expected


def test_a_table_that_is_there_is_left_as_it_is(client: OddClient, clock: Clock) -> None:
    create_table(client, "rollouts", clock)
    store = DynamoDbStore(client, "rollouts")
    rollout = started(store, a_rollout(), LOCK)
    for operation in ("create_table", "update_continuous_backups"):
        client.faults[operation] = [odd.refused]
    assert create_table(client, "rollouts", clock) is False
    assert store.load("checkout#1") == rollout


def test_another_run_may_make_it_at_the_same_moment(client: OddClient, clock: Clock) -> None:
    def made_first(call: Call) -> Any:
        call()
        raise an_error("ResourceInUseException", 400)

    client.faults["create_table"] = [made_first]
    assert create_table(client, "rollouts", clock) is False
    assert facts(client, "rollouts")["backups"] == "ENABLED"


def test_backups_are_switched_on_as_soon_as_aws_allows_it(client: OddClient, clock: Clock) -> None:
    not_yet = an_error("ContinuousBackupsUnavailableException", 400)

    def unavailable(call: Call) -> Any:
        raise not_yet

    client.faults["update_continuous_backups"] = [unavailable] * 3
    assert create_table(client, "rollouts", clock) is True
    assert facts(client, "rollouts")["backups"] == "ENABLED"


def test_backups_that_never_come_are_an_error_and_the_next_run_goes_on(
    client: OddClient, clock: Clock
) -> None:
    def unavailable(call: Call) -> Any:
        raise an_error("ContinuousBackupsUnavailableException", 400)

    client.faults["update_continuous_backups"] = [unavailable] * 1_000
    with pytest.raises(StoreError, match=r"rollouts is there, but without backups .*run again"):
        create_table(client, "rollouts", clock)
    assert BACKUP_LIMIT <= clock.now() - NOON < 2 * BACKUP_LIMIT
    client.faults.clear()
    assert create_table(client, "rollouts", clock) is False
    assert facts(client, "rollouts")["backups"] == "ENABLED"


def test_the_wait_for_a_table_has_a_limit(client: OddClient, clock: Clock) -> None:
    def creating(call: Call) -> Any:
        answer = call()
        answer["Table"]["TableStatus"] = "CREATING"
        return answer

    client.faults["describe_table"] = [lambda call: call(), creating, creating]
    create_table(client, "rollouts", clock)
    client.faults["describe_table"] = [creating] * 1_000
    with pytest.raises(StoreError, match="rollouts is not active after 5m: it is CREATING"):
        create_table(client, "rollouts", clock)


OTHER_KEY = {
    **TABLE_DEFINITION,
    "LocalSecondaryIndexes": None,
    "AttributeDefinitions": [
        *TABLE_DEFINITION["AttributeDefinitions"][1:],
        {"AttributeName": "id", "AttributeType": "N"},
    ],
    "KeySchema": [
        {"AttributeName": "id", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
}
NO_INDEX = {
    **TABLE_DEFINITION,
    "AttributeDefinitions": TABLE_DEFINITION["AttributeDefinitions"][:2],
    "GlobalSecondaryIndexes": None,
    "LocalSecondaryIndexes": None,
}
KEYS_ONLY = {
    **TABLE_DEFINITION,
    "GlobalSecondaryIndexes": [
        {**one, "Projection": {"ProjectionType": "KEYS_ONLY"}}
        for one in TABLE_DEFINITION["GlobalSecondaryIndexes"]
    ],
}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (OTHER_KEY, r"the key should be \(pk S, sk S\), and is \(id N, sk S\)"),
        (NO_INDEX, r"index active should be \(active S, created S\) .*, and is missing; index by"),
        (KEYS_ONLY, r"index active should be .* closed, .*, and is .* KEYS_ONLY"),
    ],
    ids=["another key", "no index", "an index without what is looked for"],
)
def test_a_table_of_another_shape_is_refused_with_what_differs(
    client: OddClient, clock: Clock, shape: dict[str, Any], expected: str
) -> None:
    given = {name: value for name, value in shape.items() if value is not None}
    client.create_table(TableName="rollouts", **given)
    with pytest.raises(
        StoreError, match=f"rollouts is there, but .*{expected}.* name another table"
    ):
        create_table(client, "rollouts", clock)


@pytest.mark.parametrize("call", ["describe_table", "create_table", "describe_continuous_backups"])
def test_what_aws_refuses_is_an_error(client: OddClient, clock: Clock, call: str) -> None:
    client.faults[call] = [odd.refused]
    with pytest.raises(StoreError, match=r"\(dynamodb:.*; grant the action to this role$"):
        create_table(client, "rollouts", clock)


def test_cloudformation_makes_the_very_same_table(ministack: Emulator, account: str) -> None:
    client, stacks = (ministack.client(one, account) for one in ("dynamodb", "cloudformation"))
    stacks.create_stack(StackName="store", TemplateBody=template("from-template"))
    stacks.get_waiter("stack_create_complete").wait(StackName="store", WaiterConfig=WAITER_CONFIG)
    assert create_table(client, "from-template", SystemClock()) is False
    assert create_table(client, "by-call", SystemClock()) is True
    assert facts(client, "from-template") == facts(client, "by-call")
    started(DynamoDbStore(client, "from-template"), a_rollout(), LOCK)


def test_a_table_outlives_its_stack() -> None:
    resource = YAML(typ="safe").load(template("rollouts"))["Resources"]["Rollouts"]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert resource["Properties"]["TableName"] == "rollouts"
