"""Who did it: the name that was claimed, and whose credentials AWS says they are."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from controller.errors import Exit
from controller.simulation.fakes.errors import read_timeout
from controller.simulation.fakes.outages import AwsResponse, Proceed
from controller.simulation.world import CALLER
from tests.cli.conftest import Desk
from tests.simulation.worlds import FUNCTION, MINUTE

ARN = CALLER["Arn"]
STS = ("sts", "GetCallerIdentity")

Layer = Callable[[str, str, Mapping[str, Any], Proceed], AwsResponse]


def entries(desk: Desk) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.run("history", "orders", "--json").data["entries"]
    return found


def callers(desk: Desk, since: int = 0) -> list[tuple[str, str | None]]:
    """Return who did it, by the entries after the first `since`."""
    return [(one["by"], one.get("caller")) for one in entries(desk)[since:]]


def silent(
    service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
) -> AwsResponse:
    """Let STS give no answer."""
    if (service, operation) == STS:
        raise read_timeout(service)
    return proceed()


@pytest.fixture
def started(desk: Desk) -> Desk:
    assert desk.run("start", desk.policy, "--by", "grace").status == Exit.DONE
    desk.world.clock.advance(MINUTE)
    return desk


def test_a_start_names_the_caller_beside_the_name_that_was_claimed(started: Desk) -> None:
    assert set(callers(started)) == {("grace", ARN)}


def test_a_tick_does_not_ask_sts(started: Desk) -> None:
    before = started.world.calls[STS]
    known = len(entries(started))
    for _ in range(5):
        started.world.clock.advance(MINUTE)
        assert started.run("tick").status == Exit.DONE
    assert started.world.calls[STS] == before
    assert set(callers(started, known)) == {("tester", None)}


@pytest.mark.parametrize(
    "verb",
    [
        "pause orders --reason wait",
        "rollback orders",
        "set-weight {policy} 40 --force --reason demo",
    ],
)
def test_a_verb_of_people_names_the_caller(started: Desk, verb: str) -> None:
    known = len(entries(started))
    started.run(*verb.format(policy=started.policy).split(), "--by", "ada")
    assert callers(started, known)
    assert set(callers(started, known)) == {("ada", ARN)}


def test_history_shows_both_where_they_differ(started: Desk) -> None:
    first, *_ = started.run("history", "orders").out.splitlines()
    assert first.endswith(f"(by grace (verified: {ARN}))")


def test_without_a_name_the_caller_is_the_name(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUTCTL_BY")
    for name in ("GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR", "GITLAB_USER_LOGIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "root")
    desk.run("start", desk.policy)
    assert callers(desk)[0] == (ARN, ARN)
    assert desk.run("history", "orders").out.splitlines()[0].endswith(f"(by {ARN})")


@pytest.mark.parametrize("verb", ["pause orders --reason wait", "rollback orders"])
def test_no_answer_is_recorded_as_unverified_and_stops_nothing(started: Desk, verb: str) -> None:
    known = len(entries(started))
    started.world.interceptors.append(silent)
    ended = started.run(*verb.split())
    assert ended.status == Exit.DONE
    assert set(callers(started, known)) == {("tester", "")}
    assert [one["event"] for one in ended.events].count("caller_unknown") == 1
    last = started.run("history", "orders").out.splitlines()[-1]
    assert last.endswith("(by tester (unverified))")


@pytest.mark.parametrize("given", ["orders", "{policy}"])
def test_a_rollback_is_written_before_anybody_asks_who_calls(started: Desk, given: str) -> None:
    written = list[str]()

    def watching(
        service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == STS:
            written.append(started.world.function(FUNCTION).variables["PERCENTAGE"])
        return silent(service, operation, request, proceed)

    started.world.interceptors.append(watching)
    assert started.run("rollback", given.format(policy=started.policy)).status == Exit.DONE
    assert written == ["0"]


def test_a_rollback_of_a_table_is_written_first_too(
    started: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing beside a table knows the names: 0 % is written by what the store says."""
    monkeypatch.setattr("controller.cli.rollback._target_without_store", lambda given, url: None)
    test_a_rollback_is_written_before_anybody_asks_who_calls(started, "orders")


def test_who_only_looks_is_not_asked_for(started: Desk) -> None:
    before = started.world.calls[STS]
    for verb in ("status", "history orders", "replay orders", "tick --dry-run"):
        started.run(*verb.split())
    assert started.world.calls[STS] == before
