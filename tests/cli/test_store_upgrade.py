"""store upgrade: the format of a store and of its active rollouts is raised, on both stores."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.sqlite import SqliteStore
from controller.core import stored_formats
from controller.engine.time_limits import LEASE_DURATION
from controller.errors import Exit
from controller.immutable import replace
from controller.ports.store import Store
from tests.cli.conftest import CliHarness
from tests.tools.simulation.worlds import FUNCTION


@pytest.fixture(params=["file", "table"])
def store(request: pytest.FixtureRequest, desk: CliHarness) -> Iterator[Store]:
    """A store of the format before, in which `orders` bakes at 10%."""
    if request.param == "table":
        opened: Store = DynamoDbStore(request.getfixturevalue("table"), "rollouts")
        assert desk.run("start", desk.policy).status == Exit.DONE
        desk.ticks(1)
        yield opened
        return
    with SqliteStore(desk.store) as file:
        file.set_format(1)
        assert desk.run("start", desk.policy).status == Exit.DONE
        desk.ticks(1)
        yield file


def test_a_dry_run_says_what_an_upgrade_changes_and_changes_nothing(
    desk: CliHarness, store: Store
) -> None:
    before = store.load("orders#1")
    ended = desk.run("store", "upgrade", "--dry-run")
    assert (ended.status, ended.out) == (
        Exit.DONE,
        "would: store new rollouts in format 2, which adds threads, code, slack-bot, pagerduty, "
        "parameter\n"
        "would: store orders#1 in format 2\n",
    )
    assert (store.format(), store.load("orders#1"), before.format) == (1, before, 1)


def test_an_upgrade_changes_the_format_of_a_rollout_and_nothing_else(
    desk: CliHarness, store: Store
) -> None:
    before, history = store.load("orders#1"), store.history("orders#1")
    ended = desk.run("store", "upgrade")
    assert ended.status == Exit.DONE
    first, last = ended.out.splitlines()
    assert first == "orders#1: format 2"
    assert last.endswith("get format 2; older versions refuse it")
    assert store.load("orders#1") == replace(before, format=2, version=before.version + 1)
    assert store.history("orders#1") == history
    assert store.format() == 2

    again = desk.run("store", "upgrade")
    assert again.out.endswith(" get format 2 already\n")
    assert desk.run("store", "upgrade", "--dry-run").out == "would: nothing\n"
    assert desk.run("store", "check").status == desk.run("replay", "orders").status == Exit.DONE


def test_a_rollout_that_no_tick_visits_keeps_its_format_and_is_read(
    desk: CliHarness, store: Store
) -> None:
    desk.run("rollback", "orders")
    desk.ticks(2)
    desk.world.clock.advance(timedelta(days=8))
    desk.ticks(2)
    assert desk.run("store", "upgrade", "--json").data["rollouts"] == []
    assert store.load("orders#1").format == 1
    assert desk.run("retry", desk.policy, "--reason", "mended").status == Exit.DONE
    assert store.load("orders#2").format == 2


def test_a_damaged_rollout_is_left_and_the_others_are_upgraded(
    desk: CliHarness, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = store.load("orders#1")
    store.create(replace(rollout, id="other#1", policy=rollout.policy), [], [])
    ended = desk.run("store", "upgrade")
    assert ended.status == Exit.INTERNAL
    assert "other#1: left as it is: the state of other#1 is damaged" in ended.err
    assert store.load("orders#1").format == 2


def test_an_upgrade_waits_for_the_lease_of_a_tick(desk: CliHarness, store: Store) -> None:
    begin = desk.world.clock.now()
    store.acquire("orders#1", begin, begin + LEASE_DURATION)
    assert desk.run("store", "upgrade").status == Exit.DONE
    assert store.load("orders#1").format == 2
    assert desk.world.clock.now() >= begin + LEASE_DURATION


def test_a_policy_with_a_newer_field_is_started_after_the_upgrade(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_formats, "POLICY_FIELDS", {"target.kind.lambda-env": 2})
    with SqliteStore(desk.store) as file:
        file.set_format(1)
        refused = desk.run("start", desk.policy)
        assert refused.status == Exit.USAGE
        assert "target.kind.lambda-env: needs format 2 of the store" in refused.err
        assert not file.all()
    assert desk.run("store", "upgrade").status == Exit.DONE
    assert desk.run("start", desk.policy).status == Exit.DONE


# --- The version before ---------------------------------------------------------------------------


def test_the_version_before_ticks_until_the_upgrade_and_then_refuses_by_name(
    desk: CliHarness, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = stored_formats.NEWEST
    monkeypatch.setattr(stored_formats, "NEWEST", newest - 1)
    assert desk.run("tick").status == Exit.DONE
    monkeypatch.setattr(stored_formats, "NEWEST", newest)
    assert desk.run("store", "upgrade").status == Exit.DONE
    upgraded, function = store.load("orders#1"), desk.world.function(FUNCTION)
    variables = dict(function.variables)

    monkeypatch.setattr(stored_formats, "NEWEST", newest - 1)
    desk.world.clock.advance(timedelta(minutes=2))
    for words in (
        ("tick", "--early"),
        ("status", "orders"),
        ("start", desk.policy, "--revision", "next"),
    ):
        ended = desk.run(*words)
        assert ended.status == Exit.INTERNAL
        assert "stored by a newer version of rolloutctl (format 2); this version reads 1" in (
            ended.out + ended.err
        )
    monkeypatch.setattr(stored_formats, "NEWEST", newest)
    assert (store.load("orders#1"), function.variables) == (upgraded, variables)
