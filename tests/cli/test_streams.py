"""stdout without a reader, full or closed: what verbs do comes first, and then how they end."""

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO, cast

import pytest

from controller import cli
from controller.cli.streams import PrintableStream, final_status, unfiltered_stream
from controller.errors import Exit
from controller.process.logging import BestEffortStream
from tests.cli.conftest import CliHarness
from tests.process.test_logging import Full
from tests.support.cases import cases
from tests.support.deep_rows import pairs
from tests.tools.simulation.worlds import MINUTE

ROOT = Path(__file__).parents[2]
POLICY = "policies/execution-api.yaml"


def run(shell: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command as a shell does, with what `shell` says after it."""
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", sys.executable, "-m", "controller",
         *arguments],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere"}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


SHORT = ("--scenario", "console-up", "--interval", "1h", "--expect", "paused")
REHEARSE = ("rehearse", POLICY, *SHORT)


# What becomes of the streams; the exit status, and what stderr says.
STREAMS: Final[Mapping[str, tuple[str, Exit, str]]] = {
    "closed": (">&-", Exit.DONE, ""),
    "closed, and stderr too": (">&- 2>&-", Exit.DONE, ""),
    "full": (
        ">/dev/full",
        Exit.INTERNAL,
        "rolloutctl: the result was not written to stdout: No space left on device; what was "
        "done stays done\n",
    ),
    "full, and stderr too": (">/dev/full 2>/dev/full", Exit.INTERNAL, ""),
    "without a reader": ("| true", Exit.DONE, ""),
}
VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "validate": ("validate", POLICY),
    "rehearse": REHEARSE,
}


@pytest.mark.parametrize(("streams", "verb"), pairs(STREAMS, VERBS))
def test_no_verb_breaks_with_its_stdout(
    streams: tuple[str, Exit, str], verb: tuple[str, ...]
) -> None:
    shell, status, words = streams
    ended = run(shell, *verb)
    assert (ended.returncode, ended.stderr) == (status, words)


def test_a_reader_may_stop_after_the_first_of_many_lines() -> None:
    ended = run("| head -1", "schema")
    assert (ended.returncode, ended.stdout, ended.stderr) == (Exit.DONE, "{\n", "")


@cases("status, ends", {
    "what was done well": (Exit.DONE, Exit.INTERNAL),
    "drift, which is in the history": (Exit.DRIFT, Exit.INTERNAL),
    "but not a rollback to page for": (Exit.UNCONFIRMED, Exit.UNCONFIRMED),
})  # fmt: skip
def test_a_result_that_is_not_written_ends_with_1(status: Exit, ends: Exit) -> None:
    results = BestEffortStream(Full())
    results.write("0% is applied")
    assert final_status(results, status) == ends


def test_an_annotation_that_is_not_written_ends_with_1_too() -> None:
    results = PrintableStream(Full())
    unfiltered_stream(cast("TextIO", results)).write("::error::a mistake")
    assert final_status(results, Exit.DONE) == Exit.INTERNAL


def test_a_command_reaches_the_stream_as_it_is_and_nothing_else_does() -> None:
    stream = io.StringIO()
    results = PrintableStream(stream)
    print("::error::outside\x1b[2J", file=results)
    print("::error::ours", file=unfiltered_stream(cast("TextIO", results)))
    assert stream.getvalue() == "\\u003a:error::outside\\u001b[2J\n::error::ours\n"


class Lossy(io.StringIO):
    """stdout of which only the first line is read."""

    def write(self, text: str) -> int:
        if self.getvalue():
            raise BrokenPipeError
        return super().write(text)


@cases("verb, status", {
    "history --follow": (("history", "orders", "--follow"), Exit.DONE),
    "status --watch": (("status", "orders", "--watch"), Exit.UNDECIDED),
})  # fmt: skip
def test_following_ends_when_stdout_is_closed(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...], status: Exit
) -> None:
    def tick() -> None:
        desk.run("tick")

    desk.run("start", desk.policy)
    for minutes in range(1, 15):
        at = desk.world.clock.now() + minutes * MINUTE
        desk.world.clock.at(at, tick)
    begin = desk.world.clock.now()
    read = Lossy()
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", read)
        assert cli.main(verb) == status
    assert len(read.getvalue().splitlines()) == 1
    assert desk.world.clock.now() - begin <= 10 * MINUTE
