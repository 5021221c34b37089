"""The program as schedulers and people start it: a process of its own, on the real clock."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.desk import Answer

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 60.0


@dataclass(slots=True)
class Running:
    """A command that has been started."""

    process: subprocess.Popen[str]

    def answer(self) -> Answer:
        """Wait for its end, at most a minute, and return how it ended."""
        try:
            out, err = self.process.communicate(timeout=LIMIT_S)
        finally:
            self.process.kill()
        return Answer(self.process.returncode, out, err)


@dataclass(frozen=True, slots=True)
class Program:
    """`python -m controller` in one environment, and in no other."""

    environment: Mapping[str, str]

    def run(self, *arguments: str | Path) -> Answer:
        """Run one command."""
        return self.begin(*arguments).answer()

    def begin(self, *arguments: str | Path) -> Running:
        """Start a command and do not wait for it."""
        return self._begin(["-m", "controller", *map(str, arguments)])

    def python(self, code: str) -> Answer:
        """Run Python `code`."""
        return self._begin(["-c", code]).answer()

    def elsewhere(self, *without: str, **instead: str) -> "Program":
        """Return the program in an environment `without` some names and with others `instead`."""
        kept = {name: self.environment[name] for name in self.environment if name not in without}
        return Program({**kept, **instead})

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
