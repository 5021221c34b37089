"""Work in other threads, which are used again."""

import os
import threading
import time
from contextvars import ContextVar

from controller.process import workers
from controller.process.workers import Workers

CALLER: ContextVar[str] = ContextVar("CALLER", default="no caller")


def thread_of_work(own: Workers) -> int:
    """Return the id of the thread that did some work, once it is idle again."""
    ids, done = list[int](), threading.Event()

    def work() -> None:
        ids.append(threading.get_ident())
        done.set()

    own.run(work)
    assert done.wait(30)
    end = time.monotonic() + 30
    while own.busy():
        assert time.monotonic() < end
        time.sleep(0.001)
    return ids[0]


def test_one_thread_does_one_piece_of_work_after_the_other() -> None:
    own = Workers()
    assert len({thread_of_work(own) for _ in range(3)} | {threading.get_ident()}) == 2


def test_work_that_has_not_ended_takes_another_thread() -> None:
    own, free, begun = Workers(), threading.Event(), threading.Barrier(3)

    def work() -> None:
        begun.wait(30)
        free.wait(30)

    own.run(work)
    own.run(work)
    begun.wait(30)
    assert own.busy() == 2
    free.set()


def test_work_has_the_context_of_its_caller() -> None:
    own, seen, done = Workers(), list[str](), threading.Barrier(2)

    def work() -> None:
        seen.append(CALLER.get())
        CALLER.set("another")
        done.wait(30)

    token = CALLER.set("a tick")
    for _ in range(2):
        own.run(work)
        done.wait(30)
    assert (seen, CALLER.get()) == (["a tick", "a tick"], "a tick")
    CALLER.reset(token)


def test_a_forked_process_waits_for_no_thread_of_its_parent() -> None:
    done = threading.Event()
    workers.run(done.set)
    assert done.wait(30)
    child = os.fork()
    if not child:
        done.clear()
        workers.run(done.set)
        os._exit(0 if done.wait(30) else 1)
    assert os.waitpid(child, 0)[1] == 0
