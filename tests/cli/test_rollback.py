"""rollback: what must work when little else does."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import Desk, MakeDesk
from tests.simulation.worlds import FUNCTION, MINUTE
from tests.stage import SECRET, WRITE

BARE = ("--function", FUNCTION, "--percentage", "PERCENTAGE", "--boolean", "ENABLED")


def at_10(desk: Desk) -> Desk:
    """Put 10 % of traffic on the canary, by a rollout."""
    desk.run("start", desk.policy)
    assert desk.weight == 10
    return desk


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(["orders"], id="by name"),
        pytest.param(["orders#1"], id="by id"),
        pytest.param(["{policy}"], id="by policy file"),
    ],
)
def test_a_rollout_is_rolled_back_and_says_so(desk: Desk, given: list[str]) -> None:
    at_10(desk)
    ended = desk.run("rollback", *(one.format(policy=desk.policy) for one in given), "--json")
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert (ended.data["schema"], ended.data["phase"]) == ("rollback/1", "rolled_back")
    assert desk.run("status", "orders#1", "--json").data["phase"] == "rolled_back"


def test_the_reason_of_a_person_is_in_the_history(desk: Desk) -> None:
    at_10(desk)
    desk.run("rollback", "orders", "--reason", "support is paged")
    last = desk.run("history", "orders").out.splitlines()[-2:]
    assert last == [
        "2026-01-05 09:00    0 %  rolling_back  support is paged  (by tester)",
        "2026-01-05 09:00    0 %  rolled_back   0 % is in force  (by tester)",
    ]


def test_bare_names_need_no_store_and_no_rollout(desk: Desk, tmp_path: Path) -> None:
    at_10(desk)
    (tmp_path / "rollouts.db").write_text("no database")
    ended = desk.run("rollback", *BARE)
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert ended.out == "handler: 0 % is in force: PERCENTAGE=0, ENABLED=false\n"
    assert desk.world.function(FUNCTION).variables["API_KEY"] == SECRET


def test_the_next_tick_finds_a_bare_rollback_and_ends_the_rollout(desk: Desk) -> None:
    at_10(desk)
    desk.run("rollback", *BARE)
    desk.world.clock.advance(MINUTE)
    desk.run("tick")
    data = desk.run("status", "orders", "--json").data
    assert (data["phase"], data["reason"]) == ("rolled_back", "found_at_zero")


def never_started(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store knows no rollout of this policy."""


def broken_store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(desk.policy).parent / "rollouts.db").write_text("no database")


def full_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    at_10(desk)
    with closing(sqlite3.connect(Path(desk.policy).parent / "rollouts.db")) as store, store:
        store.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON rollouts "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )


def container_without_store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUTCTL_STORE")
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4")


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(never_started, id="nobody started it"),
        pytest.param(broken_store, id="the store is no store"),
        pytest.param(full_disk, id="the store takes no writes"),
        pytest.param(container_without_store, id="a container without a store"),
    ],
)
def test_a_policy_file_rolls_back_whatever_is_wrong_with_the_store(
    desk: Desk, trouble: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "40"})
    desk.world.clock.advance(MINUTE)
    if trouble is full_disk:
        desk.run("rollback", *BARE)
    trouble(desk, monkeypatch)  # type: ignore[operator]
    ended = desk.run("rollback", desk.policy)
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert "rolling back without a record" in ended.err
    assert "0 % is in force" in ended.out


def test_a_name_cannot_be_rolled_back_without_the_store_that_knows_it(desk: Desk) -> None:
    ended = desk.run("rollback", "orders")
    assert ended.status == Exit.USAGE
    assert "no rollout is called 'orders'" in ended.err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param([], "name a rollout, a policy file, or --function", id="nothing"),
        pytest.param(["--function", "f"], "needs both --function and", id="half a target"),
        pytest.param(["orders", "--function", "f"], "not both", id="a rollout and a target"),
        pytest.param(
            ["--function", "f", "--percentage", "TZ"], "this names no target", id="a wrong name"
        ),
    ],
)
def test_rollback_touches_nothing_when_given(desk: Desk, given: list[str], words: str) -> None:
    ended = desk.run("rollback", *given)
    assert ended.status == Exit.USAGE
    assert words in ended.err
    assert not desk.world.calls


@pytest.mark.parametrize("given", [["orders"], BARE], ids=["of a rollout", "of bare names"])
def test_a_dry_rollback_shows_what_it_would_do(desk: Desk, given: list[str]) -> None:
    at_10(desk)
    before = desk.run("status", "orders", "--json").out
    ended = desk.run("rollback", *given, "--dry-run")
    assert ended.status == Exit.DONE
    assert "would: lower handler to 0 %" in ended.out
    assert (desk.weight, desk.world.calls[WRITE]) == (10, 1)
    assert desk.run("status", "orders", "--json").out == before


@pytest.mark.parametrize("given", [["orders"], BARE], ids=["of a rollout", "of bare names"])
def test_a_rollback_that_is_not_in_force_in_time_ends_with_5(
    desk_in: MakeDesk, given: list[str]
) -> None:
    slow = {"kind": "slow_updates", "at": {"step": 1}, "takes": "1h"}
    desk = at_10(desk_in(events=[slow]))
    ended = desk.run("rollback", *given)
    assert (ended.status, desk.weight) == (Exit.UNCONFIRMED, 10)


def test_an_environment_that_cannot_be_read_is_not_wiped(desk_in: MakeDesk) -> None:
    denied = {"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}
    desk = at_10(desk_in(events=[denied]))
    desk.world.clock.advance(2 * MINUTE)
    assert desk.run("rollback", "orders").status == Exit.UNCONFIRMED
    bare = desk.run("rollback", *BARE)
    assert bare.status == Exit.UNCONFIRMED
    assert bare.out.startswith("handler: NOT confirmed: the environment of handler cannot be read")
    assert desk.world.function(FUNCTION).variables["API_KEY"] == SECRET
