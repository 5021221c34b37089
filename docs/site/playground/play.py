"""Plays a rehearsal by the command line, in the Python of a browser."""

import gc
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from controller import cli
from controller.__main__ import OBJECTS_BEFORE_COLLECTION
from controller.cli.streams import ERASE_LINE

gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
# What the command imports when it runs: to do so now makes the first rehearsal as fast as others.
for module in ("rehearse.verb", "simulation.world", "report.html"):
    import_module(f"controller.tools.{module}")


class Terminal(StringIO):
    """What a command writes to a terminal. on_progress: gets its progress lines."""

    def __init__(self, on_progress: Callable[[str], None]) -> None:
        super().__init__()
        self._on_progress = on_progress

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not text.startswith(ERASE_LINE):
            return super().write(text)
        self._on_progress(text.removeprefix(ERASE_LINE))
        return len(text)


def play(
    files: Sequence[tuple[str, str]],
    options: Sequence[str],
    columns: int,
    on_progress: Callable[[str], None],
) -> tuple[int, str, str]:
    """Return the exit status of `rehearse`, what it printed, and the report; "": it ended early.

    files: the names and the texts of the policy and of the scenario.
    columns: the width of the terminal.
    """
    os.environ.update(TERM="xterm-256color", COLUMNS=str(columns))
    terminal = Terminal(on_progress)
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, text in files:
            Path(name).write_text(text, encoding="utf-8")
        (policy, _), (scenario, _) = files
        arguments = ["rehearse", policy, "--scenario", scenario, "--report", "report.html"]
        with redirect_stdout(terminal), redirect_stderr(terminal):
            status = cli.main([*arguments, *options])
        report = Path("report.html")
        page = report.read_text(encoding="utf-8") if report.exists() else ""
        os.chdir("/")
    return status, terminal.getvalue(), page
