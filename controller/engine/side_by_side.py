"""Runs one piece of work for many items: one after the other, or side by side in threads.

The work of a tick that waits for answers of others is run like this. Each piece of work is about
one rollout or one batch, and catches what goes wrong with it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import takewhile
from typing import Final, Generic, Protocol, TypeVar

from controller.immutable import Immutable
from controller.process import signals, workers

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Value = TypeVar("_Value")
_Value_co = TypeVar("_Value_co", covariant=True)

MOST_THREADS: Final = 512  # that are busy, those of calls included; Lambda allows 1,024
_MOMENT_S: Final = 0.1


def until_stop(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield `items`, one at a time; after a stop signal no more."""
    return takewhile(lambda _item: not signals.stop_requested(), items)


class Late(Protocol[_Value_co]):
    """Work that takes longer than the patience."""

    @property
    def is_over(self) -> bool:
        """Whether all of its results were taken."""

    def take(self) -> Sequence[_Value_co]:
        """Return the results of what has ended since the last call; raise what it raised."""

    def wait(self) -> None:
        """Wait a moment for more results."""


class Results(Immutable, Generic[_Value]):
    """The results of work, in the order of its items.

    late: the work that took longer than the patience, and goes on.
    """

    in_time: Sequence[_Value]
    late: Late[_Value] | None = None


class Run(Protocol):
    """Runs work for items."""

    def __call__(
        self,
        work: Callable[[_Item], _Result],
        items: Iterable[_Item],
        patience: timedelta | None = None,
        /,
        *,
        always: bool = False,
    ) -> Results[_Result]:
        """Return the results of `work`, and raise what it raises.

        patience: how long one item is waited for, from when it is begun; the rest is late. None:
        until the work ends. always: also after a stop signal; else no further item is begun then,
        and has no result.
        """


def one_by_one(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    _patience: timedelta | None = None,
    *,
    always: bool = False,
) -> Results[_Result]:
    """`Run` in this thread, in the order of the items; it waits for each item until it ends."""
    return Results([work(item) for item in (items if always else until_stop(items))])


class SideBySide(Immutable):
    """`Run` in threads, `at_once` items at a time; one that is late gives its place to the next.

    Where the process has many threads already, the next one waits for it.

    seconds: a clock that never goes back.
    """

    seconds: Callable[[], float]
    at_once: int

    def __call__(
        self,
        work: Callable[[_Item], _Result],
        items: Iterable[_Item],
        patience: timedelta | None = None,
        *,
        always: bool = False,
    ) -> Results[_Result]:
        """Return the results of `work`, as `Run` says; threads end with the process."""
        jobs = [_Job[_Item, _Result](item) for item in items]
        threads = _Threads(work, jobs, self.seconds, always=always)
        if not threads.start(min(self.at_once, len(jobs))):
            threads.take_jobs()
        in_time = threads.wait_for(jobs, patience)
        late = [job for job in jobs if job.late]
        return Results(in_time, _LateJobs(threads, late) if late else None)


class _Job(Generic[_Item, _Result]):
    """The work for one item: not begun, in progress, or ended with a result or an error."""

    def __init__(self, item: _Item) -> None:
        self.item = item
        self.results: list[_Result] = []
        self.error: BaseException | None = None
        self.begun: float | None = None
        self.ended = self.late = self.is_replaced = False

    @property
    def is_awaited(self) -> bool:
        """Whether to wait for it: it has not ended, and is not late."""
        return not (self.ended or self.late)


class _Threads(Generic[_Item, _Result]):
    """Threads that take jobs from one queue."""

    def __init__(
        self,
        work: Callable[[_Item], _Result],
        jobs: Sequence[_Job[_Item, _Result]],
        seconds: Callable[[], float],
        *,
        always: bool,
    ) -> None:
        self._work, self._queue, self._seconds = work, deque(jobs), seconds
        self._always = always
        self._awaited = len(jobs)
        self._changed = threading.Condition()

    def start(self, number: int) -> bool:
        """Let so many threads take jobs. False: the system starts no more of them."""
        with suppress(RuntimeError):
            for _ in range(number):
                workers.run(self.take_jobs)
            return True
        return False

    def wait_for(
        self, jobs: Sequence[_Job[_Item, _Result]], patience: timedelta | None
    ) -> list[_Result]:
        """Return the results of those `jobs` that are not late; raise the first error of them."""
        try:
            with self._changed:
                while awaited := [job for job in jobs if job.is_awaited]:
                    self._changed.wait(self._mark_late(awaited, patience))
        except BaseException:  # as a signal handler raises it
            self._queue.clear()
            raise
        return _results_of(job for job in jobs if not job.late)

    def wait_a_moment(self) -> None:
        """Wait until a job ends, or a moment is over."""
        with self._changed:
            self._changed.wait(_MOMENT_S)

    def _mark_late(
        self, awaited: Iterable[_Job[_Item, _Result]], patience: timedelta | None
    ) -> float | None:
        """Mark jobs that are late; return the seconds until the next one may be; None: no limit."""
        if patience is None:
            return None
        left, now = patience.total_seconds(), self._seconds()
        for job in awaited:
            if job.begun is None:
                continue
            until = job.begun + patience.total_seconds()
            left = max(0.0, min(left, until - now))
            if now >= until:
                job.late = True
                self._awaited -= 1
                # Another thread, in the place of the one that is still busy with it.
                job.is_replaced = workers.busy() < MOST_THREADS and self.start(1)
        return left

    def take_jobs(self) -> None:
        """Do the work for one job after the other, until there is none."""
        while (job := self._next()) is not None:
            try:
                job.results.append(self._work(job.item))
            except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
                job.error = error
            with self._changed:
                self._end(job)
                if job.is_replaced:
                    return

    def _next(self) -> "_Job[_Item, _Result] | None":
        """Return the next job; None: there is none. A stop signal ends those not begun."""
        with self._changed:
            while self._queue:
                job = self._queue.popleft()
                if self._always or not signals.stop_requested():
                    job.begun = self._seconds()
                    return job
                self._end(job)
            return None

    def _end(self, job: "_Job[_Item, _Result]") -> None:
        """Mark `job` as ended, and wake who waits for it, or for the last one that is not late."""
        job.ended = True
        self._awaited -= not job.late
        if job.late or not self._awaited:
            self._changed.notify_all()


class _LateJobs(Generic[_Item, _Result]):
    """`Late` in threads."""

    def __init__(
        self, threads: _Threads[_Item, _Result], jobs: Sequence[_Job[_Item, _Result]]
    ) -> None:
        self._threads, self._jobs = threads, jobs

    @property
    def is_over(self) -> bool:
        return not self._jobs

    def take(self) -> Sequence[_Result]:
        ended = [job for job in self._jobs if job.ended]
        self._jobs = [job for job in self._jobs if job not in ended]
        return _results_of(ended)

    def wait(self) -> None:
        self._threads.wait_a_moment()


def _results_of(jobs: Iterable[_Job[_Item, _Result]]) -> list[_Result]:
    """Return the results of jobs that have ended; raise the first error of them."""
    jobs = list(jobs)
    for error in (job.error for job in jobs):
        if error is not None:
            raise error
    return [result for job in jobs for result in job.results]
