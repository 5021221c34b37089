"""Broken streams stop no command: stdout and stderr are closed, full, or without a reader."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.e2e.account import POLICY, Account
from tests.e2e.on_call import ROLLOUT
from tests.e2e.program import LIMIT_S, ROOT, Program
from tests.support.deep_rows import deep_after

pytestmark = pytest.mark.ministack

Broken = Callable[[], AbstractContextManager[int | None]]


@pytest.fixture
def program(environment: dict[str, str]) -> Program:
    """The program in the shop, with working streams; `run` starts it with broken ones."""
    return Program(environment, forked=True)


@contextmanager
def closed() -> Iterator[None]:
    yield


@contextmanager
def full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@contextmanager
def without_a_reader() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


BROKEN = [
    pytest.param(full, id="full"),
    pytest.param(closed, id="closed"),
    pytest.param(without_a_reader, id="without a reader"),
]


def run(
    program: Program, *arguments: str | Path, **streams: int | None
) -> subprocess.CompletedProcess[str]:
    """Run one command; a stream that is None is closed, and one that is left out is captured."""
    redirections = {"stdout": " >&-", "stderr": " 2>&-"}
    shell = 'exec "$@"' + "".join(
        redirections[name] for name, descriptor in streams.items() if descriptor is None
    )
    captured: dict[str, int | None] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        **streams,
    }
    return subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "controller", *map(str, arguments)],
        env=dict(program.environment), cwd=ROOT, text=True, timeout=LIMIT_S, check=False,
        stdin=subprocess.DEVNULL, stdout=captured["stdout"], stderr=captured["stderr"],
    )  # fmt: skip


@pytest.mark.parametrize("broken", deep_after(1, BROKEN))
def test_a_tick_and_a_rollback_need_no_stderr(
    program: Program, shop: Account, broken: Broken
) -> None:
    assert program.run("start", POLICY).status == 0
    assert shop.pair() == ("10", "false")

    with broken() as stderr:
        tick = run(program, "tick", "--scheduled", stderr=stderr)
        back = run(program, "rollback", ROLLOUT, "--reason", "the log is full", stderr=stderr)

    assert (tick.returncode, back.returncode) == (0, 0)
    assert tick.stdout.startswith("execution-api#1  progressing  10%")
    assert shop.pair() == ("0", "false")
    assert program.run("status", ROLLOUT, "--json").data["phase"] == "rolled_back"
    assert "the log is full" in program.run("history", ROLLOUT).out


@pytest.mark.parametrize(
    ("broken", "status", "words"),
    deep_after(
        2,
        [
            pytest.param(
                full, 1, "No space left on device; what was done stays done", id="full: 1"
            ),
            pytest.param(without_a_reader, 0, "", id="without a reader: it has seen enough"),
            pytest.param(closed, 0, "", id="closed: as asked for"),
        ],
    ),
)
def test_a_rollback_whose_result_is_not_written_is_done_and_recorded(
    program: Program, shop: Account, broken: Broken, status: int, words: str
) -> None:
    assert program.run("start", POLICY).status == 0

    with broken() as stdout:
        back = run(program, "rollback", ROLLOUT, stdout=stdout)

    assert back.returncode == status
    messages = [line for line in back.stderr.splitlines() if not line.startswith("{")]
    assert len(messages) == 1 + bool(words)  # the first one says that 0% is written
    assert words in back.stderr
    assert shop.pair() == ("0", "false")
    assert program.run("status", ROLLOUT, "--json").data["phase"] == "rolled_back"
