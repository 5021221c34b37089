"""Output on a real terminal: a live view where that can be drawn, else lines."""

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from pathlib import Path

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from tests.cli.test_main import ROOT
from tests.support.core import Live
from tests.support.deep_rows import deep_after
from tests.support.rollouts import a_rollout, a_state, with_entry

COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9]+)*m")
PROGRESS = re.compile(r"\r\x1b\[2K(read at[^\r]*)?")
CURSOR_UP = "\x1b[1A"
LIMIT_S = 60.0
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"

Watch = Callable[..., str]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Return a function that watches a rollout on a terminal for a second: its output."""
    now = datetime.now(UTC)
    baking = a_state(since=now, position=Live(0, 10, now), sentence="baking at 10%")
    rollout = a_rollout(state=baking, created=now, updated=now, seen_weight=10)
    rollout, entry = with_entry(rollout)
    store = tmp_path / "rollouts.db"
    with SqliteStore(store) as opened:
        opened.create(rollout, [entry], rollout.locks)

    def watched(*python: str, **variables: str) -> str:
        arguments = ["status", "checkout", "--watch", "--timeout", "1s", "--interval", "1s"]
        environment = {"PATH": "", "ROLLOUTCTL_STORE": f"sqlite:///{store}", **variables}
        status, sent = on_a_terminal([*(python or ("-m", "controller")), *arguments], environment)
        assert status == 3, sent
        return sent

    return watched


def on_a_terminal(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run Python on a pseudo-terminal; return its exit status and output.

    After a minute it is killed.
    """
    ours, theirs = pty.openpty()
    with (
        os.fdopen(ours, "rb", buffering=0) as screen,
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
        ) as process,
    ):  # fmt: skip
        os.close(theirs)
        clock = threading.Timer(LIMIT_S, process.kill)
        clock.start()
        sent = b"".join(iter(partial(_read, screen), b""))
        clock.cancel()
    return process.returncode, sent.decode()


def _read(screen: FileIO) -> bytes:
    """Return the next output; empty when the process has closed the terminal, an error on Linux."""
    try:
        return screen.read(65_536) or b""
    except OSError:
        return b""


def test_on_a_terminal_a_view_is_drawn_over_itself_and_stays_when_it_is_over(watch: Watch) -> None:
    sent = watch(TERM="xterm-256color")
    assert CURSOR_UP in sent
    assert COLOUR.search(sent)
    assert (sent.count(HIDDEN), sent.count(SHOWN)) == (1, 1)
    last = sent[sent.rindex(CURSOR_UP) :]
    assert "baking at 10%" in last


def test_a_message_during_a_live_view_has_a_line_of_its_own(watch: Watch) -> None:
    sent = watch(TERM="xterm-256color", NO_COLOR="1")
    (line,) = [line for line in sent.splitlines() if "for checkout#1 to end" in line]
    assert "updated" not in line.rsplit("\x1b[2K", 1)[-1]


def test_no_color_means_no_colour(watch: Watch) -> None:
    sent = watch(TERM="xterm-256color", NO_COLOR="1")
    assert CURSOR_UP in sent
    assert COLOUR.search(sent) is None


WITHOUT_RICH = """
import sys
from controller.cli import follow, main
follow.find_spec = lambda name: None
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("python", "term"),
    deep_after(
        2,
        [
            pytest.param((), "dumb", id="a terminal that cannot move its cursor"),
            pytest.param(("-c", WITHOUT_RICH), "xterm-256color", id="no rich"),
            pytest.param((), "", id="a terminal that does not say what it is"),
        ],
    ),
)
def test_lines_are_printed_where_no_view_can_be_drawn(
    watch: Watch, python: tuple[str, ...], term: str
) -> None:
    sent = " ".join(PROGRESS.sub("", watch(*python, TERM=term, NO_COLOR="1")).split())
    line, _, end = sent.partition(" rolloutctl: ")
    assert line.startswith("checkout#1 progressing 10% baking at 10%; next: 100% if ")
    assert end.endswith("to wait on: rolloutctl status checkout#1 --watch")


def rehearsal(**variables: str) -> str:
    arguments = ["-m", "controller", "rehearse", "policies/execution-api.yaml"]
    short = ["--scenario", "console-up", "--interval", "15m"]
    _, sent = on_a_terminal([*arguments, *short], {"PATH": "", **variables})
    return sent


def test_a_rehearsal_says_how_far_it_is_and_a_colour_stands_beside_a_word() -> None:
    """It leaves nothing of its progress, and without colours it says the same."""
    coloured, plain = rehearsal(TERM="xterm-256color"), rehearsal(TERM="dumb")
    shown, _, page = coloured.rpartition("\r\x1b[2K")
    assert "  10%  " in shown
    assert page.startswith(("execution-api, ", "\x1b[1mexecution-api, "))
    assert COLOUR.search(page)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", page) == plain
