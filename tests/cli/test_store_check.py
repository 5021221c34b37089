"""store check: what is wrong with the records of a store, on both stores; nothing is written."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.stores.sqlite import rows as sql
from controller.errors import Exit, StoreError
from controller.immutable import replace
from controller.ports.store import Store
from controller.tools.store.check import ProblemKind, StoreCheck
from tests.cli.conftest import CliHarness, Ended
from tests.support.core import Entry, Rollout, Succeeded
from tests.support.damage import key_of
from tests.support.rollouts import state_of, with_entry
from tests.support.stage import PatchedStore, failing
from tests.tools.simulation.worlds import FUNCTION, HOUR, MINUTE

TABLE = "rollouts"


@dataclass
class Checked:
    """A desk, and its store: a file, or a table with its client."""

    desk: CliHarness
    store: Store
    table: Any

    def check(self) -> Ended:
        return self.desk.run("store", "check")

    def kinds(self) -> list[str]:
        """Return the kind of each problem of `orders#1`."""
        problems = self.desk.run("store", "check", "--json").data["problems"]
        return [problem["kind"] for problem in problems if problem["id"] == "orders#1"]

    def mutate(self, mutation: Callable[[Rollout], Rollout]) -> None:
        """Save a mutated record without an entry."""
        self.store.save(mutation(self.store.load("orders#1")), [])

    def unlist(self, attribute: str) -> None:
        """Let the list of active rollouts lack `orders#1`: remove an attribute or a column."""
        if self.table is None:
            self.desk.sql(f"UPDATE rollouts SET {attribute} = NULL WHERE id = 'orders#1'")  # noqa: S608
        else:
            names, key = {"#one": attribute}, key_of("orders#1")
            self.table.update_item(
                TableName=TABLE, Key=key,
                UpdateExpression="REMOVE #one", ExpressionAttributeNames=names,
            )  # fmt: skip

    def contents(self) -> object:
        """Return everything that is stored."""
        if self.table is None:
            tables = ("rollouts", "history", "locks")
            return [self.desk.sql(f"SELECT * FROM {table}") for table in tables]  # noqa: S608
        return self.table.scan(TableName=TABLE)["Items"]


@pytest.fixture(params=["file", "table"])
def at(request: pytest.FixtureRequest, desk: CliHarness) -> Iterator[Checked]:
    """A store in which `orders` stands at 10%."""
    table = request.getfixturevalue("table") if request.param == "table" else None
    assert desk.run("start", desk.policy).status == Exit.DONE
    desk.ticks(1)
    if table is not None:
        yield Checked(desk, DynamoDbStore(table, TABLE), table)
        return
    with SqliteStore(desk.store) as store:
        yield Checked(desk, store, None)


def ended(at: Checked) -> None:
    """Roll back, and let the watch of 0% end."""
    at.desk.run("rollback", "orders")
    at.desk.ticks(2)
    at.desk.world.clock.advance(HOUR)


# --- a sound store --------------------------------------------------------------------------------


def test_a_sound_store_has_no_problem_in_any_phase(at: Checked) -> None:
    fine = (Exit.DONE, "1 record checked: nothing is wrong\n")
    desk = at.desk
    for act in (
        lambda: desk.run("pause", "orders"),
        lambda: desk.run("resume", "orders"),
        lambda: desk.ticks(12),
        lambda: desk.run("rollback", "orders"),
        lambda: desk.ticks(1),
        lambda: desk.world.clock.advance(HOUR),
    ):
        act()
        before = at.contents()
        checked = at.check()
        assert (checked.status, checked.out) == fine
        assert at.contents() == before


def test_a_watched_rollout_whose_target_was_taken_over_needs_no_visit(at: Checked) -> None:
    at.desk.ticks(12)
    at.desk.world.set_variables(FUNCTION, {"PERCENTAGE": "0", "ENABLED": "false"})
    at.desk.world.clock.advance(MINUTE)
    assert at.desk.run("start", at.desk.policy, "--revision", "next").status == Exit.DONE
    for _ in range(2):
        assert at.check().out == "2 records checked: nothing is wrong\n"
        at.desk.ticks(1)


def test_an_empty_store_has_no_problem(desk: CliHarness) -> None:
    desk.run("store", "init")
    assert desk.run("store", "check").out == "0 records checked: nothing is wrong\n"


# --- problems -------------------------------------------------------------------------------------


def test_a_problem_is_a_line_and_a_document(at: Checked) -> None:
    at.mutate(lambda one: replace(one, approved=1))
    checked = at.check()
    assert checked.status == Exit.INTERNAL
    line, summary = checked.out.splitlines()
    assert line.startswith("orders#1: the stored state of orders#1 is not the one that its history")
    assert "(approved)" in line
    assert summary == "1 record checked: 1 problem"
    document = at.desk.run("store", "check", "--json").data
    assert (document["schema"], document["checked"]) == ("store-check/1", 1)
    assert document["problems"] == [
        {"id": "orders#1", "kind": "state_changed", "text": line.removeprefix("orders#1: ")}
    ]


def test_an_ended_record_is_compared_with_its_history_too(at: Checked) -> None:
    """No tick visits it any more."""
    at.desk.ticks(12)
    at.desk.world.clock.advance(1000 * HOUR)
    assert at.desk.run("tick").out == "no active rollout\n"

    def since_before(rollout: Rollout) -> Rollout:
        state = state_of(rollout, Succeeded)
        return replace(rollout, state=replace(state, since=state.since - MINUTE))

    at.mutate(since_before)
    assert "(since)" in at.check().out


def test_a_record_whose_chain_does_not_end_with_its_newest_entry_is_named(at: Checked) -> None:
    ended(at)
    at.mutate(lambda one: replace(one, chain="0" * 64))
    assert "(chain)" in at.check().out


def test_a_record_that_was_saved_in_the_future_is_named(at: Checked) -> None:
    ended(at)
    at.mutate(lambda one: replace(one, updated=at.desk.world.clock.now() + timedelta(minutes=16)))
    assert at.kinds() == [ProblemKind.IN_FUTURE]


def test_an_open_record_that_does_not_own_its_target_is_named(at: Checked) -> None:
    if at.table is None:
        at.desk.sql("DELETE FROM locks")
    else:
        for lock in at.store.load("orders#1").locks:
            key = {"pk": {"S": f"LOCK#{lock}"}, "sk": {"S": "LOCK"}}
            at.table.delete_item(TableName=TABLE, Key=key)
    assert at.kinds() == [ProblemKind.NOT_OWNER]


def test_a_record_that_cannot_be_read_hides_no_other_one(at: Checked) -> None:
    at.desk.start_payments()
    at.mutate(lambda one: replace(one, approved=1))
    if at.table is None:
        at.desk.sql("UPDATE rollouts SET state = '{' WHERE name = 'payments'")
    else:
        at.table.update_item(
            TableName=TABLE, Key=key_of("payments#1"),
            UpdateExpression="REMOVE created, target",  # so that it is in no list
        )  # fmt: skip
        assert "payments#1" not in at.store.all()
    document = at.desk.run("store", "check", "--json").data
    kinds = {one["id"]: one["kind"] for one in document["problems"]}
    assert kinds == {"orders#1": "state_changed", "payments#1": "unreadable"}
    assert document["checked"] == 2


def test_a_changed_policy_is_named(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    ((policy,),) = desk.sql("SELECT policy FROM rollouts")
    changed = {**json.loads(policy), "summary": "Nothing to see here."}
    desk.sql("UPDATE rollouts SET policy = ?", json.dumps(changed))
    document = desk.run("store", "check", "--json").data
    assert [one["kind"] for one in document["problems"]] == ["policy_changed"]


# --- active records that no tick visits -----------------------------------------------------------


def test_an_open_record_that_the_index_lacks_is_named_and_put_back(
    desk: CliHarness, table: Any
) -> None:
    """A file has no such index: there, every open record is listed."""
    desk.run("start", desk.policy)
    at = Checked(desk, DynamoDbStore(table, TABLE), table)
    at.unlist("active")
    assert desk.run("tick").out == "no active rollout\n"
    (line, _) = at.check().out.splitlines()
    assert line == (
        "orders#1: the list of active rollouts lacks orders#1 (progressing), so no tick visits it: "
        "find out who wrote to the store, then put it back: rolloutctl tick orders#1"
    )
    desk.run("tick", "orders#1")
    assert at.check().status == Exit.DONE
    assert desk.run("tick").out.startswith("orders#1")


@pytest.mark.parametrize("attribute", ["active", "watch_until"])
def test_a_watched_record_that_the_list_lacks_is_named_and_visited_by_its_id(
    at: Checked, attribute: str
) -> None:
    if at.table is None and attribute == "active":
        pytest.skip("a file has no such column")
    desk = at.desk
    desk.ticks(12)
    assert desk.state()["phase"] == "succeeded"
    at.unlist(attribute)
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "0", "ENABLED": "false"})
    assert desk.run("tick").out == "no active rollout\n"
    assert at.kinds() == [ProblemKind.UNLISTED]
    assert (
        "and until 2026-01-12 09:10 UTC visit it by its id: rolloutctl tick orders#1\n"
        in at.check().out
    )
    assert desk.run("tick", "orders#1").status == Exit.DRIFT


# --- the store meanwhile --------------------------------------------------------------------------


def test_what_another_run_saves_between_two_reads_is_no_problem(at: Checked) -> None:
    saved = list[Entry]()

    def newest_after_a_save(rollout_id: str) -> Entry | None:
        if not saved:
            rollout, entry = with_entry(at.store.load(rollout_id))
            saved.append(entry)
            at.store.save(rollout, [entry])
        return at.store.newest_entry(rollout_id)

    patched = PatchedStore(at.store, newest_entry=newest_after_a_save)
    (problems,) = StoreCheck(patched, at.desk.world.clock).run()
    assert (problems, len(saved)) == ([], 1)


def test_a_store_that_does_not_answer_is_no_damaged_record(at: Checked) -> None:
    patched = PatchedStore(at.store, newest_entry=failing(StoreError("throttled")))
    with pytest.raises(StoreError, match="throttled"):
        list(StoreCheck(patched, at.desk.world.clock).run())


def test_a_fault_is_the_problem_of_one_record(at: Checked) -> None:
    patched = PatchedStore(at.store, load=failing(TypeError("no such thing")))
    ((problem,),) = StoreCheck(patched, at.desk.world.clock).run()
    assert problem.kind is ProblemKind.UNREADABLE
    assert "unexpected TypeError while checking orders#1" in problem.text


def test_a_file_is_read_page_by_page(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run("start", desk.policy)
    desk.start_payments()
    monkeypatch.setattr(sql, "PAGE", sql.PAGE.replace("LIMIT 500", "LIMIT 1"))
    assert desk.run("store", "check").out == "2 records checked: nothing is wrong\n"
