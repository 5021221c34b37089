"""A table that is missing, throttled or forbidden: one line says what, where and what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from tests.adapters.stores.odd_dynamodb import an_error
from tests.cli.conftest import CliHarness
from tests.cli.test_store_damage import (
    UNWRITABLE,
    check_copied,
    check_message,
    check_one_damaged,
    each_with_two_verbs,
)
from tests.support.damage import DYNAMODB_DAMAGES
from tests.support.deep_rows import deep_after
from tests.tools.simulation.worlds import MINUTE

WRITES = ("UpdateItem", "TransactWriteItems")
READS = ("GetItem", "Query", "Scan")


@dataclass
class DamagedTable:
    """A table, and the operations that DynamoDB refuses on it; at first none."""

    client: Any

    def refuse(self, code: str, *operations: str) -> None:
        def refusing(model: Any, **_: Any) -> None:
            if model.name in operations:
                raise an_error(code, 400)

        self.client.meta.events.register("before-call.dynamodb", refusing, unique_id=code)

    def restore(self, code: str) -> None:
        self.client.meta.events.unregister("before-call.dynamodb", unique_id=code)


THROTTLED, DENIED = "ProvisionedThroughputExceededException", "AccessDeniedException"


def missing(at: DamagedTable) -> None:
    at.client.update_table(TableName="rollouts", DeletionProtectionEnabled=False)
    at.client.delete_table(TableName="rollouts")


def throttled(at: DamagedTable) -> None:
    at.refuse(THROTTLED, *READS, *WRITES)


def throttled_for_writes(at: DamagedTable) -> None:
    at.refuse(THROTTLED, *WRITES)


def forbidden(at: DamagedTable) -> None:
    at.refuse(DENIED, *READS, *WRITES)


def forbidden_to_write(at: DamagedTable) -> None:
    at.refuse(DENIED, *WRITES)


MAKE = "there is no table rollouts in us-east-1 of this account; a rollout that runs is probably"
SLOW = "table rollouts): ProvisionedThroughputExceededException: Provisioned"
GRANT = "table rollouts): AccessDeniedException: AccessDeniedException was said; grant the action"
ABSENT = (Exit.USAGE,) * 4
# A table has no target file: a rollback by name is not possible without it.
UNREADABLE = (Exit.INTERNAL, Exit.INTERNAL, Exit.INTERNAL, Exit.INTERNAL)
TABLE = [
    (missing, MAKE, ABSENT),
    (throttled, SLOW, UNREADABLE),
    (throttled_for_writes, SLOW, UNWRITABLE),
    (forbidden, GRANT, UNREADABLE),
    (forbidden_to_write, GRANT, UNWRITABLE),
]
CASES = each_with_two_verbs(TABLE)


@pytest.fixture
def at(desk: CliHarness, table: Any) -> DamagedTable:
    """A table in which `orders` stands at 10%."""
    assert desk.run("start", desk.policy).status == Exit.DONE
    desk.world.clock.advance(MINUTE)
    return DamagedTable(table)


@pytest.mark.parametrize(("damage", "verb", "status", "message"), CASES)
def test_one_line_says_what_happened_to_what_and_what_now(
    desk: CliHarness,
    at: DamagedTable,
    damage: Callable[[DamagedTable], None],
    verb: str,
    status: Exit,
    message: str,
) -> None:
    damage(at)
    check_message(desk, verb, status, message)


@pytest.mark.parametrize(
    "damage", [throttled, throttled_for_writes, forbidden, forbidden_to_write],
    ids=lambda one: one.__name__,
)  # fmt: skip
def test_what_was_readable_before_is_readable_after(
    desk: CliHarness, at: DamagedTable, damage: Callable[[DamagedTable], None]
) -> None:
    before = desk.run("history", "orders", "--json").data
    damage(at)
    for verb in ("tick", "status", "promote orders --reason seen", "rollback orders"):
        desk.run(*verb.split())
    for code in (THROTTLED, DENIED):
        at.restore(code)
    assert desk.run("history", "orders", "--json").data == before
    assert desk.run("tick").status in (Exit.DONE, Exit.ROLLED_BACK)


def test_no_item_ever_ends_by_itself(at: DamagedTable) -> None:
    """The table has no TTL: it could delete a rollout that is watched for days."""
    time_to_live = at.client.describe_time_to_live(TableName="rollouts")["TimeToLiveDescription"]
    assert time_to_live["TimeToLiveStatus"] == "DISABLED"
    items = at.client.scan(TableName="rollouts")["Items"]
    assert items
    assert not [name for item in items for name in item if "ttl" in name or "expire" in name]


# --- one damaged rollout among healthy ones -----------------------------------------------------


@pytest.mark.parametrize(
    "name",
    deep_after(4, [
        "step beyond the last one", "policy: cut off", "closed: missing", "state: missing",
        "nested too deeply", "updated in local time", "not UTF-8", "created: no time",
        "version: text", "state: it expands beyond the limit", "fence: null", "phase: missing",
    ]),
)  # fmt: skip
def test_one_damaged_rollout_is_named_and_the_others_are_shown(
    desk: CliHarness, at: DamagedTable, name: str
) -> None:
    check_one_damaged(desk, lambda: DYNAMODB_DAMAGES[name](at.client, "rollouts", "orders#1"))


@pytest.mark.parametrize("name", ["step beyond the last one", "history: a piece is missing"])
def test_a_damaged_rollout_keeps_no_other_one_from_being_copied(
    desk: CliHarness, at: DamagedTable, tmp_path: Path, name: str
) -> None:
    def damage() -> None:
        DYNAMODB_DAMAGES[name](at.client, "rollouts", "orders#1")

    check_copied(desk, "dynamodb://rollouts", f"sqlite:///{tmp_path / 'new.db'}", damage)
