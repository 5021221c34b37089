"""Every exit status and every verb, as a scheduler or a CI job gets it."""

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import repeat
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from controller import cli
from controller.engine.exit_status import VERBS
from controller.errors import Exit
from tests.e2e.account import PERCENTAGE, POLICY
from tests.e2e.calls import named
from tests.e2e.faults import refused
from tests.e2e.on_call import MINUTE, ROLLOUT, Desk
from tests.e2e.program import Program, Running
from tests.e2e.proxy import Proxy

pytestmark = pytest.mark.ministack

# An action while the command runs.
Meanwhile: TypeAlias = Callable[[Running], None]
Situation: TypeAlias = Callable[[Desk, Program, Proxy], AbstractContextManager[Meanwhile]]

READ: Final = named("GetFunctionConfiguration")
WRITE: Final = named("UpdateFunctionConfiguration")
INTERRUPTED: Final = 128 + signal.SIGINT
TERMINATED: Final = 128 + signal.SIGTERM


def nothing(_running: Running) -> None:
    """Do nothing."""


@contextmanager
def baking(desk: Desk, _program: Program, _watched: Proxy) -> Iterator[Meanwhile]:
    desk.serve(5 * MINUTE)
    yield nothing


@contextmanager
def damaged(desk: Desk, _program: Program, _watched: Proxy) -> Iterator[Meanwhile]:
    with closing(sqlite3.connect(desk.folder / "rollouts.db")) as connection, connection:
        connection.execute("UPDATE rollouts SET state = '{'")
    yield nothing


@contextmanager
def rolled_back(desk: Desk, _program: Program, _watched: Proxy) -> Iterator[Meanwhile]:
    desk.serve(30 * MINUTE, failing=3)
    assert desk.tick().data["rollouts"][0]["phase"] == "rolled_back"
    yield nothing


@contextmanager
def unwritable(_desk: Desk, _program: Program, watched: Proxy) -> Iterator[Meanwhile]:
    watched.spoil(WRITE, repeat(refused(403, "AccessDeniedException", "no")))
    yield nothing


@contextmanager
def unreadable(desk: Desk, _program: Program, watched: Proxy) -> Iterator[Meanwhile]:
    desk.serve(5 * MINUTE)
    watched.spoil(READ, repeat(refused(403, "AccessDeniedException", "no")))
    yield nothing


@contextmanager
def failing(desk: Desk, _program: Program, _watched: Proxy) -> Iterator[Meanwhile]:
    desk.serve(30 * MINUTE, failing=3)
    yield nothing


@contextmanager
def failing_unwritable(desk: Desk, _program: Program, watched: Proxy) -> Iterator[Meanwhile]:
    """Let the canary fail, and Lambda refuse the write of 0%."""
    desk.serve(30 * MINUTE, failing=3)
    watched.spoil(WRITE, repeat(refused(403, "AccessDeniedException", "no")))
    yield nothing


@contextmanager
def drifted(desk: Desk, _program: Program, _watched: Proxy) -> Iterator[Meanwhile]:
    desk.account.change(**{PERCENTAGE: "50"})
    desk.serve(5 * MINUTE)
    yield nothing


@contextmanager
def lease_held(desk: Desk, program: Program, watched: Proxy) -> Iterator[Meanwhile]:
    """Let another tick hold the lease."""
    with watched.holding(READ) as held:
        other = program.at(desk.now).begin("tick")
        held.wait()
        yield nothing
    assert other.answer().status == Exit.DONE


def signalled(number: signal.Signals) -> Situation:
    """Return the situation in which a signal comes while the command reads the function."""

    @contextmanager
    def situation(_desk: Desk, _program: Program, watched: Proxy) -> Iterator[Meanwhile]:
        with watched.holding(READ) as held:

            def meanwhile(running: Running) -> None:
                held.wait()
                running.signal(number)
                held.free()

            yield meanwhile

    return situation


STATUSES: Final[list[tuple[int, Situation, list[str | Path]]]] = [
    (Exit.DONE, baking, ["tick"]),
    (Exit.DONE, lease_held, ["tick", "--scheduled"]),
    (Exit.INTERNAL, damaged, ["tick"]),
    (Exit.USAGE, baking, ["tick", "--store", "sqlite:////nowhere/rollouts.db"]),
    (Exit.USAGE, baking, ["start", "gone.yaml"]),
    (Exit.UNCONFIRMED, failing_unwritable, ["tick"]),
    (Exit.UNCONFIRMED, failing_unwritable, ["tick", "--scheduled"]),
    (Exit.INTERNAL, unreadable, ["verify", ROLLOUT]),
    (Exit.CHECK_FAILED, drifted, ["verify", ROLLOUT]),
    (Exit.ROLLED_BACK, rolled_back, ["plan", POLICY, "--live", "--exit-code"]),
    (Exit.ROLLED_BACK, failing, ["plan", POLICY, "--live", "--exit-code"]),
    (Exit.UNDECIDED, baking, ["plan", POLICY, "--live", "--exit-code"]),
    (Exit.UNDECIDED, baking, ["status", ROLLOUT, "--exit-code"]),
    (Exit.ROLLED_BACK, rolled_back, ["status", ROLLOUT, "--exit-code"]),
    (Exit.ROLLED_BACK, rolled_back, ["start", POLICY]),
    (Exit.UNCONFIRMED, unwritable, ["rollback", ROLLOUT]),
    (Exit.DRIFT, drifted, ["tick"]),
    (Exit.DRIFT, drifted, ["tick", "--scheduled"]),
    (Exit.CHECK_FAILED, baking, ["rehearse", POLICY, "--interval", "15m", "--expect", "paused"]),
    (Exit.BUSY, lease_held, ["tick"]),
    (INTERRUPTED, signalled(signal.SIGINT), ["tick"]),
    (TERMINATED, signalled(signal.SIGTERM), ["tick"]),
    (TERMINATED, signalled(signal.SIGTERM), ["tick", "--every", "1m"]),
]


def _rows() -> Iterator[object]:
    """Yield the rows for parametrize; the first one of a status runs by default."""
    seen = set[int]()
    for status, situation, command in STATUSES:
        words = " ".join(one.name if isinstance(one, Path) else one for one in command)
        marks = pytest.mark.deep if status in seen else ()
        seen.add(status)
        yield pytest.param(status, situation, command, id=f"{int(status)} {words}", marks=marks)


@pytest.mark.parametrize(("status", "situation", "command"), [*_rows()])
def test_a_process_ends_with(
    started: Desk,
    program: Program,
    watched: Proxy,
    status: int,
    situation: Situation,
    command: list[str | Path],
) -> None:
    with situation(started, program, watched) as meanwhile:
        running = program.at(started.now).begin(*command)
        meanwhile(running)
        answer = running.answer()
    assert (answer.status, "Traceback" in answer.err) == (status, False), answer.err


def test_there_is_a_process_for_every_status() -> None:
    assert {int(status) for status, *_ in STATUSES} == {*Exit, INTERRUPTED, TERMINATED}


# --- verbs --------------------------------------------------------------------------------------

# One rollout from its start to its end: the exit status of each verb, in this order.
VERBS_IN_TURN: Final[list[tuple[str, Exit, list[str | Path]]]] = [
    ("validate", Exit.DONE, ["validate", POLICY]),
    ("validate", Exit.USAGE, ["validate", "gone.yaml"]),
    ("schema", Exit.DONE, ["schema"]),
    ("explain", Exit.DONE, ["explain", "steps.bake"]),
    ("backtest", Exit.USAGE, ["backtest", POLICY, "--csv", "gone.csv"]),
    ("plan", Exit.DONE, ["plan", POLICY]),
    ("plan --live --exit-code", Exit.DONE, ["plan", POLICY, "--live", "--exit-code"]),
    ("init", Exit.DONE, ["init", "--from", "quiet-service", "-o", "/dev/null", "--force"]),
    ("init", Exit.INTERNAL, ["init", "--function", "gone"]),
    ("rehearse", Exit.DONE, ["rehearse", POLICY, "--interval", "15m"]),
    ("store", Exit.DONE, ["store", "init"]),
    ("start", Exit.DONE, ["start", POLICY]),
    ("start", Exit.DONE, ["start", POLICY]),
    ("tick", Exit.DONE, ["tick"]),
    ("tick --scheduled", Exit.DONE, ["tick", "--scheduled"]),
    ("tick --every", Exit.USAGE, ["tick", "--every", "1m", "--json"]),
    ("run", Exit.UNDECIDED, ["run", POLICY, "--timeout", "1s"]),
    ("status", Exit.DONE, ["status"]),
    ("status --exit-code", Exit.UNDECIDED, ["status", ROLLOUT, "--exit-code"]),
    ("history", Exit.DONE, ["history", ROLLOUT]),
    ("history", Exit.USAGE, ["history", "nobody"]),
    ("report", Exit.DONE, ["report", ROLLOUT, "--html", "/dev/null"]),
    ("dashboard", Exit.DONE, ["dashboard", "--timeout", "1s"]),
    ("dashboard", Exit.USAGE, ["dashboard", "--allow", "set-weight"]),
    ("replay", Exit.DONE, ["replay", ROLLOUT]),
    ("metrics", Exit.DONE, ["metrics", POLICY]),
    ("logs", Exit.INTERNAL, ["logs", POLICY]),  # the function has not logged yet
    ("verify", Exit.DONE, ["verify", ROLLOUT]),
    ("doctor", Exit.CHECK_FAILED, ["doctor", POLICY]),  # no alarm watches
    ("iam", Exit.DONE, ["iam", POLICY, "--for", "tick"]),
    ("record", Exit.USAGE, ["record", "."]),  # there are files
    ("completion", Exit.DONE, ["completion", "bash"]),
    ("monitoring", Exit.DONE, ["monitoring", "plan", POLICY]),
    ("permanent", Exit.DONE, ["permanent", ROLLOUT]),
    ("ack", Exit.USAGE, ["ack", ROLLOUT]),
    ("approve", Exit.USAGE, ["approve", ROLLOUT]),
    ("attest", Exit.USAGE, ["attest", ROLLOUT, "nothing", "--note", "seen"]),
    ("retry", Exit.USAGE, ["retry", ROLLOUT, "--reason", "again"]),
    ("pause", Exit.DONE, ["pause", ROLLOUT]),
    ("promote", Exit.USAGE, ["promote", ROLLOUT]),
    ("resume", Exit.DONE, ["resume", ROLLOUT]),
    ("set-weight", Exit.USAGE, ["set-weight", POLICY, "20"]),
    ("set-weight", Exit.DONE, ["set-weight", POLICY, "20", "--force"]),
    ("rollback", Exit.DONE, ["rollback", ROLLOUT]),
    ("rollback", Exit.DONE, ["rollback", POLICY]),
    ("rollback", Exit.USAGE, ["rollback"]),
    ("status --exit-code", Exit.ROLLED_BACK, ["status", ROLLOUT, "--exit-code"]),
    ("start", Exit.ROLLED_BACK, ["start", POLICY]),
]


def test_every_verb_ends_as_the_mapping_says(desk: Desk) -> None:
    ends = []
    for _, _, command in VERBS_IN_TURN:
        answer = desk.run(*command)
        assert "Traceback" not in answer.err
        ends.append(answer.status)
        desk.serve(MINUTE)
    commands = [" ".join(map(str, command)) for _, _, command in VERBS_IN_TURN]
    expected = [status for _, status, _ in VERBS_IN_TURN]
    assert dict(zip(commands, ends, strict=True)) == dict(zip(commands, expected, strict=True))


def test_the_mapping_knows_every_verb_and_every_verb_is_played() -> None:
    assert {verb.partition(" ")[0] for verb in VERBS} == set(cli.VERBS)
    assert {verb for verb, _, _ in VERBS_IN_TURN} == set(VERBS)
    unlisted = [(verb, status) for verb, status, _ in VERBS_IN_TURN if status not in VERBS[verb]]
    assert unlisted == []
