"""The program in a new process that is forked from a server with all imports done.

The process has its own pid, memory, streams and environment, and the kernel ends it as any other
process; but it need not start Python and import modules first. The tests start hundreds of them.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from subprocess import TimeoutExpired
from typing import IO, Final

from tests.e2e import moved_clock

_CONTEXT: Final = get_context("forkserver")
# This module as well: each new process unpickles a function of it.
_CONTEXT.set_forkserver_preload(["tests.e2e.preloaded", "tests.e2e.forked"])


class Forked:
    """`moved_clock.run` in a forked process, with the needed parts of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        out, child_out = _CONTEXT.Pipe(duplex=False)
        err, child_err = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(
            target=_begin, args=(child_out, child_err, dict(environment), list(arguments))
        )
        self._process.start()
        for child_end in (child_out, child_err):
            child_end.close()
        self.stdout, self.stderr = _text(out), _text(err)

    @property
    def returncode(self) -> int | None:
        """The exit status, as `Popen.returncode` gives it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit status; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self._process.pid is not None and self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended since then
                os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self._process.kill()

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end; return what it wrote. Raises TimeoutExpired after `timeout` seconds."""
        with ThreadPoolExecutor(2) as pool:
            written: list[Future[str]] = [
                pool.submit(one.read) for one in (self.stdout, self.stderr)
            ]
            self._process.join(timeout)
            in_time = self.poll() is not None
            if not in_time:
                self.kill()  # this closes its ends of the pipes
        if not in_time:
            raise TimeoutExpired("moved", timeout)
        self.stdout.close()
        self.stderr.close()
        out, err = (one.result() for one in written)
        return out, err


def _text(end: Connection) -> IO[str]:
    with end:
        return os.fdopen(os.dup(end.fileno()), encoding="utf-8")


def _begin(
    out: Connection, err: Connection, environment: dict[str, str], arguments: list[str]
) -> None:
    """Run `moved_clock.run` in the new process, with new streams and variables."""
    # A shell lets its background jobs ignore SIGINT, and this process would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2)
    )
    sys.stderr.reconfigure(line_buffering=True)
    sys.argv = ["rolloutctl", *arguments]
    sys.exit(moved_clock.run(*arguments))
