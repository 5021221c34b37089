"""Threads that are used again: to start one takes longer than most of what they do.

A tick makes three calls for each rollout, each in another thread than the one that waits for it.
"""

import os
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeAlias

from controller.process import signals

_Jobs: TypeAlias = SimpleQueue[Callable[[], object]]


class Workers:
    """The threads of a process. They end with it, and no signal interrupts one."""

    def __init__(self) -> None:
        self._started: list[_Jobs] = []
        self._idle: list[_Jobs] = []

    def run(self, work: Callable[[], object]) -> None:
        """Begin `work`, which raises nothing, in another thread, in the context of this one.

        Raises RuntimeError where the system starts no more threads.
        """
        try:
            jobs = self._idle.pop()
        except IndexError:
            jobs = SimpleQueue()
            with signals.blocked():
                threading.Thread(target=self._work_off, args=(jobs,), daemon=True).start()
            self._started.append(jobs)
        jobs.put(partial(copy_context().run, work))

    def busy(self) -> int:
        """Return how many threads are at work."""
        return len(self._started) - len(self._idle)

    def forget(self) -> None:
        """Forget the threads: a process that is forked has none of them."""
        self._started.clear()
        self._idle.clear()

    def _work_off(self, jobs: _Jobs) -> None:
        while True:
            jobs.get()()
            self._idle.append(jobs)


_WORKERS: Final = Workers()
os.register_at_fork(after_in_child=_WORKERS.forget)
run, busy = _WORKERS.run, _WORKERS.busy
