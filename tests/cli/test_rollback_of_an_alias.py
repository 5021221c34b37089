"""rollback of an alias whose policy names no version, where another tool has set another canary."""

from typing import Any, Final

import pytest

from controller.errors import Exit
from controller.tools.simulation.lambda_alias import SimulatedLambdaAlias
from tests.cli.conftest import CliHarness, Ended, MakeDesk
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import FUNCTION

ALIAS: Final = {"kind": "lambda-alias", "function": FUNCTION, "alias": "live"}
BARE: Final = ("--function", FUNCTION, "--alias", "live")
FOREIGN: Final = {"3": 0.2}


def routing(desk: CliHarness) -> SimulatedLambdaAlias:
    """Return the alias of the world."""
    alias = desk.world.simulated_target
    assert isinstance(alias, SimulatedLambdaAlias)
    return alias


@pytest.fixture
def desk(desk_in: MakeDesk) -> CliHarness:
    """A desk whose policy leaves the versions of an alias to the account."""
    return desk_in(policy={**SHORT_POLICY, "target": ALIAS})


def taken_over(desk: CliHarness, start: bool = True) -> SimulatedLambdaAlias:
    """Start the rollout, and set the routing of another tool; return the alias."""
    alias = routing(desk)
    if start:
        assert desk.run("start", desk.policy).status == Exit.DONE
        assert dict(alias.weights) == {"2": 0.1}
    alias.publish("3")
    alias.version, alias.weights, alias.revision = "1", dict(FOREIGN), "of another tool"
    return alias


def warned(ended: Ended) -> bool:
    """Tell whether a command says that it takes out version 3."""
    return "warning: version 3 is taken out of handler:live (live: version 1, ver" in ended.err


def test_a_policy_file_takes_out_the_version_of_its_rollout(desk: CliHarness) -> None:
    alias = taken_over(desk)
    ended = desk.run("rollback", desk.policy)
    assert (ended.status, alias.version, alias.weights) == (Exit.DONE, "1", FOREIGN)
    assert "handler:live had 0% already (live: version 1, version 3 at 20%)" in ended.err
    assert not warned(ended)


def test_it_does_so_with_a_store_that_cannot_be_opened(desk: CliHarness) -> None:
    alias = taken_over(desk)
    desk.store.write_text("no database")
    ended = desk.run("rollback", desk.policy)
    assert (ended.status, alias.weights) == (Exit.DONE, FOREIGN)


def test_versions_that_contradict_the_rollout_are_those_of_the_policy(desk: CliHarness) -> None:
    alias = taken_over(desk)
    named = desk.another_policy("orders", target={**ALIAS, "canary": "3"})
    ended = desk.run("rollback", named)
    assert (ended.status, dict(alias.weights)) == (Exit.DONE, {})
    alias.weights = dict(FOREIGN)
    contrary = desk.another_policy("orders", target={**ALIAS, "stable": "2"})
    assert desk.run("rollback", contrary).status == Exit.DONE


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["done", "dry"])
@pytest.mark.parametrize("form", ["policy", "bare"])
def test_where_nothing_names_a_version_the_one_taken_out_is_said(
    desk: CliHarness, table: Any, form: str, dry: tuple[str, ...]
) -> None:
    alias = taken_over(desk)
    ended = desk.run("rollback", *(BARE if form == "bare" else [desk.policy]), *dry)
    assert (ended.status, warned(ended)) == (Exit.DONE, True)
    assert ended.err.count("is taken out") == 1
    assert dict(alias.weights) == (FOREIGN if dry else {})


def test_it_is_part_of_the_data(desk: CliHarness) -> None:
    taken_over(desk, start=False)
    (warning,) = desk.run("rollback", *BARE, "--json").data["warnings"]
    assert warning.startswith("version 3 is taken out of handler:live")
    assert desk.run("rollback", *BARE, "--json").data["warnings"] == []


def test_a_rollback_by_name_says_nothing_of_it(desk: CliHarness) -> None:
    alias = taken_over(desk)
    ended = desk.run("rollback", "orders")
    assert (ended.status, "taken out" in ended.err, alias.weights) == (Exit.DONE, False, FOREIGN)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["done", "dry"])
@pytest.mark.parametrize("form", ["policy", "bare"])
def test_at_100_the_command_with_the_version_before_it_is_printed(
    desk: CliHarness, form: str, dry: tuple[str, ...]
) -> None:
    alias = routing(desk)
    alias.version = "2"
    desk.store.write_text("no database")
    ended = desk.run("rollback", *(BARE if form == "bare" else [desk.policy]), *dry)
    assert ended.status == Exit.UNCONFIRMED
    assert ended.out.splitlines()[-1] == "would: nothing" or not dry
    assert "is taken out" not in ended.err
    command = ("rollback", *BARE, "--stable", "1")
    printed = " ".join(["rolloutctl", *command[:-1], "VERSION"])
    assert printed in " ".join(ended.out.split())
    assert alias.version == "2"

    ended = desk.run(*command, *dry)
    assert (ended.status, alias.version) == (Exit.DONE, "2" if dry else "1")
