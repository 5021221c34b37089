"""permanent: for a policy alone, for a rollout, and its mention in status."""

from datetime import timedelta
from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness

_MINUTE = timedelta(minutes=1)
MINUTES = 20  # the short policy takes ten


@pytest.fixture
def succeeded(desk: CliHarness) -> CliHarness:
    """A rollout of `orders` that reached 100% and stayed there."""
    assert desk.run("start", desk.policy).status == Exit.DONE
    for _ in range(MINUTES):
        desk.world.clock.advance(_MINUTE)
        assert desk.run("tick").status == Exit.DONE
    assert "orders#1  succeeded" in desk.run("status", "orders").out
    return desk


def test_a_rollout_that_succeeded_is_shown_with_the_end_of_its_watch(succeeded: CliHarness) -> None:
    for reference in ("orders", "orders#1", succeeded.policy):
        ended = succeeded.run("permanent", reference)
        assert (ended.status, ended.err) == (Exit.DONE, "")
        assert ended.out.startswith("orders#1 succeeded: what makes ")
        assert "keep the old path until 20" in ended.out


def test_a_rollout_that_has_not_succeeded_gets_a_warning(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    ended = desk.run("permanent", "orders", "--json")
    assert ended.err == (
        "rolloutctl: warning: orders#1 is progressing at 10%: run this after its success\n"
    )
    assert (ended.status, ended.data["phase"]) == (Exit.DONE, "progressing")
    assert sorted(ended.data["changes"]) == ["cdk", "cloudformation", "terraform"]
    assert "permanent" not in desk.run("status", "orders").out


def test_after_a_rollback_there_is_nothing_to_make_permanent(desk: CliHarness) -> None:
    """Its list ends with the removal of the path that serves every request now."""
    desk.run("start", desk.policy)
    desk.run("rollback", "orders")
    for reference in ("orders", desk.policy):
        ended = desk.run("permanent", reference)
        assert (ended.status, ended.out) == (Exit.USAGE, "")
        assert "orders#1 was rolled back: requests take the stable path" in ended.err


def test_a_store_that_cannot_be_read_is_no_reason_to_print_nothing(
    desk: CliHarness, tmp_path: Path
) -> None:
    (tmp_path / "rollouts.db").write_bytes(b"no database" * 100)
    ended = desk.run("permanent", desk.policy)
    assert ended.status == Exit.DONE
    assert ended.err.startswith("rolloutctl: note: whether the rollout succeeded is unknown: ")


def test_an_unknown_name_is_refused(desk: CliHarness) -> None:
    desk.run("store", "init")
    assert desk.run("permanent", "nobody").status == Exit.USAGE
