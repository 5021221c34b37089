"""The author of a history entry: the claimed name, and the caller that AWS STS verifies."""

import pytest

from controller.errors import Exit
from controller.tools.simulation.world import CALLER
from tests.cli.conftest import CliHarness
from tests.support.stage import ActBefore, FailingCall
from tests.tools.simulation.worlds import FUNCTION, MINUTE

ARN = CALLER["Arn"]
STS = ("sts", "GetCallerIdentity")


def callers(desk: CliHarness, since: int = 0) -> list[tuple[str, str | None]]:
    """Return the authors of the entries after the first `since`."""
    return [(entry["by"], entry.get("caller")) for entry in desk.entries()[since:]]


SILENT = FailingCall(STS, "timeout")


@pytest.fixture
def started(desk: CliHarness) -> CliHarness:
    assert desk.run("start", desk.policy, "--by", "grace").status == Exit.DONE
    desk.world.clock.advance(MINUTE)
    return desk


def test_a_tick_does_not_ask_sts(started: CliHarness) -> None:
    before = started.world.calls[STS]
    entry_count = len(started.entries())
    for _ in range(5):
        started.world.clock.advance(MINUTE)
        assert started.run("tick").status == Exit.DONE
    assert started.world.calls[STS] == before
    assert set(callers(started, entry_count)) == {("tester", None)}


@pytest.mark.parametrize(
    "verb",
    [
        "pause orders --reason wait",
        "rollback orders",
        "set-weight {policy} 40 --force --reason demo",
    ],
)
def test_a_verb_of_people_names_the_caller(started: CliHarness, verb: str) -> None:
    entry_count = len(started.entries())
    started.run(*verb.format(policy=started.policy).split(), "--by", "ada")
    assert callers(started, entry_count)
    assert set(callers(started, entry_count)) == {("ada", ARN)}


def test_without_a_name_the_caller_is_the_name(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLLOUTCTL_BY")
    for name in ("GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR", "GITLAB_USER_LOGIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "root")
    desk.run("start", desk.policy)
    assert callers(desk)[0] == (ARN, ARN)
    assert desk.run("history", "orders").out.splitlines()[0].endswith(f"(by {ARN})")


@pytest.mark.parametrize("verb", ["pause orders --reason wait", "rollback orders"])
def test_no_answer_is_recorded_as_unverified_and_stops_nothing(
    started: CliHarness, verb: str
) -> None:
    entry_count = len(started.entries())
    started.world.interceptors.append(SILENT)
    ended = started.run(*verb.split())
    assert ended.status == Exit.DONE
    assert set(callers(started, entry_count)) == {("tester", "")}
    assert [event["event"] for event in ended.events].count("caller_unknown") == 1
    last = started.run("history", "orders").out.splitlines()[-1]
    assert last.endswith("(by tester (identity unverified))")


@pytest.mark.parametrize("reference", ["orders", "{policy}"])
def test_a_rollback_is_written_before_sts_is_asked_for_the_caller(
    started: CliHarness, reference: str
) -> None:
    written = list[str]()

    def watch() -> None:
        written.append(started.world.function(FUNCTION).variables["PERCENTAGE"])

    started.world.interceptors += [SILENT, ActBefore(STS, watch)]
    assert started.run("rollback", reference.format(policy=started.policy)).status == Exit.DONE
    assert written == ["0"]


def test_a_rollback_of_a_table_is_written_first_too(
    started: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table has no target file next to it: 0% is written by the names in the store."""
    monkeypatch.setattr("controller.cli.rollback._target_without_store", lambda _call, _given: None)
    test_a_rollback_is_written_before_sts_is_asked_for_the_caller(started, "orders")


def test_who_only_looks_is_not_asked_for(started: CliHarness) -> None:
    before = started.world.calls[STS]
    for verb in ("status", "history orders", "replay orders", "tick --dry-run"):
        started.run(*verb.split())
    assert started.world.calls[STS] == before
