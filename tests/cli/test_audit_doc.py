"""The security model: its program compares the log with the store."""

import contextlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Final

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.cli.test_snapshots import StoreTampering, bound_loosened, with_all_digests
from tests.tools.simulation.worlds import MINUTE

_PAGE: Final = Path(__file__).parents[2] / "docs" / "contributors" / "security-model.md"
TEXT: Final = _PAGE.read_text(encoding="utf-8")
_SECTION: Final = TEXT[TEXT.index("## What the history proves") :]
_PROGRAM: Final = re.findall(r"^```python\n(.*?)^```", _SECTION, re.DOTALL | re.MULTILINE)[0]
_SHOWN: Final = re.findall(r"^\$ cat .*?\n(.*?)^```", _SECTION, re.DOTALL | re.MULTILINE)[0]


class Audit:
    """A rollout, and the log of every command on it."""

    def __init__(self, desk: CliHarness, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._desk, self._folder, self._patch = desk, folder, patch
        self.log = ""

    def run(self, *words: str) -> None:
        ended = self._desk.run(*words)
        assert ended.status == Exit.DONE
        self.log += ended.err

    def output(self) -> str:
        """Return the output of the document's program."""
        history = self._desk.run("history", "orders#1", "--json")
        assert history.status == Exit.DONE  # the store alone shows nothing
        file = self._folder / "history.json"
        file.write_text(history.out)
        self._patch.setattr(sys, "argv", ["audit.py", str(file)])
        self._patch.setattr(sys, "stdin", io.StringIO(self.log))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(_PROGRAM, "audit.py", "exec"), {})  # noqa: S102 - it is ours
        return printed.getvalue()


@pytest.fixture
def audit(desk: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    made = Audit(desk, tmp_path, monkeypatch)
    made.run("start", desk.policy)
    desk.world.clock.advance(MINUTE)
    made.run("tick")
    return made


def test_the_audit_goes_as_it_is_written(audit: Audit, tmp_path: Path) -> None:
    with_all_digests(StoreTampering(tmp_path / "rollouts.db"), bound_loosened)
    assert audit.output() == _SHOWN


def test_a_log_that_fits_finds_nothing(audit: Audit) -> None:
    assert audit.output().splitlines() == _SHOWN.splitlines()[:1]


def test_a_save_without_a_line_is_found(audit: Audit) -> None:
    lines = audit.log.splitlines(keepends=True)
    second = next(line for line in lines if _version(line) == 1)
    audit.log = audit.log.replace(second, "")
    assert audit.output().splitlines()[-1] == "the log has no line of save 1"


def test_a_history_that_was_cut_off_is_found(audit: Audit, tmp_path: Path) -> None:
    tampering = StoreTampering(tmp_path / "rollouts.db")
    first, *_ = tampering.entries()
    tampering.keep(1)
    tampering.state(entries=1, chain=first.hash)
    assert "entry 2 is missing" in audit.output().splitlines()


def _version(line: str) -> int | None:
    event = json.loads(line) if line.startswith("{") else {}
    version: int | None = event.get("version") if event.get("event") == "rollout_saved" else None
    return version
