"""Work side by side: in the order of its items, within a number, and without waiting for long."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from controller.engine.side_by_side import Run, SideBySide, one_by_one
from controller.process import signals, workers
from controller.process.signals import StoppedError

SOON, LONG = timedelta(milliseconds=50), timedelta(seconds=30)


def threads(at_once: int) -> Run:
    return SideBySide(time.monotonic, at_once)


@pytest.mark.parametrize("run", [one_by_one, threads(1), threads(3)], ids=["one by one", "1", "3"])
def test_results_are_in_the_order_of_the_items(run: Run) -> None:
    done = run(lambda item: item * 2, range(10), LONG)
    assert (done.in_time, done.late) == ([item * 2 for item in range(10)], None)


def test_no_more_items_are_in_progress_than_were_asked_for() -> None:
    running, most, lock = set[int](), list[int](), threading.Lock()
    meet = threading.Barrier(3)

    def work(item: int) -> None:
        with lock:
            running.add(item)
            most.append(len(running))
        meet.wait(30)
        with lock:
            running.remove(item)

    threads(3)(work, range(9))
    assert max(most) == 3


def test_an_item_that_takes_long_holds_no_other_up_and_its_result_comes_later() -> None:
    free = threading.Event()

    def work(item: str) -> str:
        if item == "slow":
            free.wait(30)
        return item

    done = threads(1)(work, ["slow", "a", "b"], SOON)
    assert done.in_time == ["a", "b"]
    assert done.late is not None
    assert (done.late.take(), done.late.is_over) == ([], False)
    free.set()
    while not (late := done.late.take()):
        done.late.wait()
    assert (late, done.late.is_over) == (["slow"], True)


@pytest.mark.parametrize("room", [0, 1])
def test_work_is_done_where_the_system_starts_no_more_threads(
    monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    start, left = threading.Thread.start, [None] * room

    def start_if_there_is_room(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_there_is_room)
    monkeypatch.setattr(workers, "run", workers.Workers().run)
    assert threads(3)(lambda item: item * 2, range(10), LONG).in_time == [*range(0, 20, 2)]


@pytest.mark.parametrize("most", [0, 10**6])
def test_late_work_is_replaced_only_while_there_are_few_threads(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("controller.engine.side_by_side.MOST_THREADS", most)
    free, order = threading.Event(), list[str]()

    def work(item: str) -> None:
        if item == "slow":
            free.wait(0.5 if most == 0 else 30)
        order.append(item)

    late = threads(1)(work, ["slow", "next"], SOON).late
    free.set()
    while late and not late.is_over:
        late.take()
    assert order == (["slow", "next"] if most == 0 else ["next", "slow"])


def test_what_the_work_raises_is_raised() -> None:
    def work(item: int) -> int:
        return 1 // item

    with pytest.raises(ZeroDivisionError):
        threads(2)(work, [1, 0, 1], LONG)


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes a stop signal arrive."""
    state = signals.Signals()
    monkeypatch.setattr(signals, "_signals", state)
    return lambda: setattr(state, "first_signal", 15)


@pytest.mark.parametrize("run", [one_by_one, threads(1)], ids=["one by one", "threads"])
def test_after_a_stop_signal_nothing_is_begun_but_what_must_be(
    run: Run, stop: Callable[[], None]
) -> None:
    def work(item: int) -> int:
        stop()
        return item

    assert run(work, [1, 2, 3], LONG).in_time == [1]
    assert run(work, [1, 2, 3], always=True).in_time == [1, 2, 3]


def test_an_error_of_a_signal_handler_ends_the_wait_and_begins_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, busy = list[int](), threading.Lock()  # whose `acquire` waits for no condition

    def work(item: int) -> None:
        begun.append(item)
        busy.acquire(timeout=30)

    def interrupted(*_: object) -> bool:
        raise StoppedError

    monkeypatch.setattr(threading.Condition, "wait", interrupted)
    busy.acquire()
    with pytest.raises(StoppedError):
        threads(1)(work, [1, 2, 3], LONG)
    busy.release()
    assert begun in ([], [1])


def test_a_sleep_in_another_thread_ends_when_a_stop_signal_comes(stop: Callable[[], None]) -> None:
    slept = list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        stop()

    in_another_thread(lambda: signals.interruptible_sleep(sleep, 30))
    assert slept == [signals.LOOK_S]


def test_the_pauses_between_retries_stay_after_a_stop_signal(stop: Callable[[], None]) -> None:
    slept = list[float]()
    stop()
    in_another_thread(lambda: signals.interruptible_sleep(slept.append, 1))
    assert sum(slept) == pytest.approx(1)


def in_another_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
