"""Code that is deployed during a rollout, beside a revision that the pipeline has named."""

import json

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.errors import Exit
from controller.tools.simulation.fakes.lambda_ import code_digest
from tests.cli.conftest import CliHarness
from tests.tools.simulation.worlds import FUNCTION

NAMED = ("--revision", "0a1b2c3d")


def deploy(desk: CliHarness) -> None:
    function = desk.world.function(FUNCTION)
    function.code_sha256, function.revision = code_digest("a hotfix"), "of a pipeline"


@pytest.mark.parametrize("revision", [(), NAMED], ids=["the code", "a commit"])
def test_status_names_the_other_code_and_nothing_is_decided(
    desk: CliHarness, revision: tuple[str, ...]
) -> None:
    assert desk.run("start", desk.policy, *revision).status == Exit.DONE
    desk.ticks(2)
    deploy(desk)
    desk.ticks(2)
    shown = " ".join(desk.run("status", "orders").out.split())
    assert f"its code is {code_digest('a hotfix')[:12]}, and orders#1 rolled out" in shown
    assert desk.weight == 10
    history = json.loads(desk.run("history", "orders", "--json").out)["entries"]
    assert [one["kind"] for one in history].count("released_outside") == 1
    assert desk.run("replay", "orders").status == Exit.DONE


def test_in_the_first_format_a_named_revision_hides_the_code(desk: CliHarness) -> None:
    with SqliteStore(desk.store) as store:
        store.set_format(1)
    assert desk.run("start", desk.policy, *NAMED).status == Exit.DONE
    desk.ticks(1)
    deploy(desk)
    desk.ticks(2)
    assert "its code is" not in desk.run("status", "orders").out
