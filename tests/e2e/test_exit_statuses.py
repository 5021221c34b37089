"""Every exit status of the README, as a scheduler or a CI job gets it from a process."""

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import repeat
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from controller.errors import Exit
from tests.e2e.account import PERCENTAGE, POLICY
from tests.e2e.calls import named
from tests.e2e.desk import MINUTE, ROLLOUT, Desk
from tests.e2e.faults import refused
from tests.e2e.program import Program, Running
from tests.e2e.proxy import Proxy

pytestmark = pytest.mark.ministack

# What happens while the command runs.
Meanwhile: TypeAlias = Callable[[Running], None]
Situation: TypeAlias = Callable[[Desk, Program, Proxy], AbstractContextManager[Meanwhile]]

READ: Final = named("GetFunctionConfiguration")
WRITE: Final = named("UpdateFunctionConfiguration")
INTERRUPTED: Final = 128 + signal.SIGINT
TERMINATED: Final = 128 + signal.SIGTERM


def nothing(_running: Running) -> None:
    """Nothing happens meanwhile."""


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
def moved_by_hand(desk: Desk, _program: Program, _watched: Proxy) -> Iterator[Meanwhile]:
    desk.account.change(**{PERCENTAGE: "50"})
    desk.serve(5 * MINUTE)
    yield nothing


@contextmanager
def taken(desk: Desk, program: Program, watched: Proxy) -> Iterator[Meanwhile]:
    """Another tick is in the middle of its work."""
    with watched.holding(READ) as held:
        other = program.at(desk.now).begin("tick")
        held.wait()
        yield nothing
    assert other.answer().status == Exit.DONE


def asked_to_end(number: signal.Signals) -> Situation:
    """Return the situation in which a signal comes while the command looks at the function."""

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
    (Exit.DONE, taken, ["tick", "--scheduled"]),
    (Exit.INTERNAL, damaged, ["tick"]),
    (Exit.USAGE, baking, ["tick", "--store", "sqlite:////nowhere/rollouts.db"]),
    (Exit.USAGE, baking, ["start", "gone.yaml"]),
    (Exit.UNDECIDED, baking, ["status", ROLLOUT, "--exit-code"]),
    (Exit.ROLLED_BACK, rolled_back, ["status", ROLLOUT, "--exit-code"]),
    (Exit.ROLLED_BACK, rolled_back, ["start", POLICY]),
    (Exit.UNCONFIRMED, unwritable, ["rollback", ROLLOUT]),
    (Exit.DRIFT, moved_by_hand, ["tick"]),
    (Exit.DRIFT, moved_by_hand, ["tick", "--scheduled"]),
    (Exit.CHECK_SAID_NO, baking, ["rehearse", POLICY, "--every", "15m", "--expect", "paused"]),
    (Exit.BUSY, taken, ["tick"]),
    (INTERRUPTED, asked_to_end(signal.SIGINT), ["tick"]),
    (TERMINATED, asked_to_end(signal.SIGTERM), ["tick"]),
]


def _row(status: int, situation: Situation, command: list[str | Path]) -> object:
    words = " ".join(one.name if isinstance(one, Path) else one for one in command)
    return pytest.param(status, situation, command, id=f"{int(status)} {words}")


@pytest.mark.parametrize(("status", "situation", "command"), [_row(*row) for row in STATUSES])
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
        ended = running.answer()
    assert (ended.status, "Traceback" in ended.err) == (status, False), ended.err


def test_there_is_a_process_for_every_status() -> None:
    assert {int(status) for status, *_ in STATUSES} == {*Exit, INTERRUPTED, TERMINATED}
