"""The program as a real process, as schedulers and people start it."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from controller.immutable import Immutable, replace
from tests.e2e.forked import Forked
from tests.e2e.on_call import Answer

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 60.0


@dataclass(slots=True)
class Running:
    """A command that has been started."""

    process: subprocess.Popen[str] | Forked

    def first_line(self) -> str:
        """Wait for the first line on stdout, and return it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def wait_for(self, event: str) -> None:
        """Wait until it logs `event`. Raises AssertionError when it ends before."""
        assert self.process.stderr is not None
        mark = f'"event": "{event}"'
        lines = []
        for line in self.process.stderr:
            if mark in line:
                return
            lines.append(line)
        raise AssertionError("".join(lines))

    def has_ended(self) -> bool:
        """Tell whether it has ended by now."""
        return self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, as schedulers and keyboards do."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL, as the kernel ends a process without memory left."""
        self.process.kill()
        self.answer()

    def answer(self) -> Answer:
        """Wait for its end, at most a minute, and return how it ended."""
        try:
            out, err = self.process.communicate(timeout=LIMIT_S)
        finally:
            self.process.kill()
        status = self.process.returncode
        assert status is not None
        return Answer(status, out, err)


class Program(Immutable):
    """`python -m controller` with exactly this environment.

    forked: a command is forked from a server that has imported the program; False: a new Python is
    started. moment: the time on its clock when a command starts; None: the real time. clock: the
    file that moves it instead (see moved_clock.py).
    patience_s: its shortened limits (see moved_clock.py); 0: the usual ones.
    """

    environment: Mapping[str, str]
    forked: bool = False
    moment: datetime | None = None
    patience_s: float = 0
    clock: str = ""

    def run(self, *arguments: str | Path) -> Answer:
        """Run one command."""
        return self.begin(*arguments).answer()

    def begin(self, *arguments: str | Path) -> Running:
        """Start a command without waiting for its end."""
        words = [str(argument) for argument in arguments]
        if not self.forked:
            return self._begin(["-m", "controller", *words])
        moment = self.clock if self.moment is None else self.moment.isoformat()
        moved = [moment, str(self.patience_s), *words]
        return Running(Forked(moved, self.environment))

    def python(self, code: str) -> Answer:
        """Run Python `code`."""
        return self._begin(["-c", code]).answer()

    def elsewhere(self, *without: str, **instead: str) -> "Program":
        """Return the program `without` some variables, and with others `instead`."""
        remaining = {
            name: self.environment[name] for name in self.environment if name not in without
        }
        return replace(self, environment={**remaining, **instead})

    def at(self, moment: datetime, patience_s: float = 0) -> "Program":
        """Return the program with a clock that starts at `moment`, and with this patience."""
        return replace(self, forked=True, moment=moment, patience_s=patience_s)

    def _begin(self, arguments: Sequence[str]) -> Running:
        return Running(
            subprocess.Popen(
                [sys.executable, *arguments],
                env=dict(self.environment),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
