"""Ticks over several rollouts: slices, work in any order and late, kills, and ticks that share."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.stores.sqlite import one_call_at_a_time
from controller.engine import time_limits
from controller.engine.side_by_side import Results, SideBySide, one_by_one
from controller.errors import LeaseHeldError, MetricsError
from controller.immutable import Immutable, replace
from controller.operations.start import StartRequest, start
from controller.process.signals import StoppedError
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed, client_error
from tests.support.core import Rollout
from tests.support.other_sources import OTHERS
from tests.support.shuffled import LateWork, Shuffled
from tests.support.stage import PatchedStore, Stage, function_with, open_stage, short_policy
from tests.tools.simulation.worlds import MINUTE, POLICY, scenario

READ, WRITE = ("lambda", "GetFunctionConfiguration"), ("lambda", "UpdateFunctionConfiguration")
SICK = [{"kind": "errors", "server_errors": "20%", "at": {"step": 1}}]
NAMES = ("a", "b", "c", "d", "e")
SECOND = timedelta(seconds=1)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a stage whose five canaries fail, each with its own function."""
    with sick_stage(tmp_path) as opened:
        yield opened


@contextmanager
def sick_stage(folder: Path) -> Iterator[Stage]:
    with open_stage(folder, scenario(function=function_with(), events=SICK)) as opened:
        for name in NAMES:
            opened.world.add_function(name, {"PERCENTAGE": "0", "ENABLED": "false"})
            target = {**POLICY["target"], "function": name}
            start(opened.runner, StartRequest(short_policy(name=name, target=target)))
        opened.start()  # whose weight decides how many requests fail
        yield opened


def tick(stage: Stage, after: timedelta = MINUTE) -> Any:
    stage.world.clock.advance(after)
    return stage.runner.tick_active(early=True)


def tick_until_it_is_stopped(stage: Stage) -> None:
    for _ in range(10):
        tick(stage)


def weights(stage: Stage) -> list[str]:
    return [stage.world.function(name).variables["PERCENTAGE"] for name in NAMES]


def story(stage: Stage) -> list[list[tuple[str, str]]]:
    """Return what the history of each rollout says."""
    return [
        [(one.kind, one.body["sentence"]) for one in stage.store.history(f"{name}#1")]
        for name in NAMES
    ]


class CallsOf(Immutable):
    """An interceptor: calls of one kind for some functions do something else first."""

    call: tuple[str, str]
    functions: tuple[str, ...]
    act: Callable[[str], None]

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        function = request.get("FunctionName", "")
        if (service, operation) == self.call and function in self.functions:
            self.act(function)
        return proceed()


# --- any order ------------------------------------------------------------------------------------


def test_the_order_of_the_work_and_late_work_change_no_decision(tmp_path: Path) -> None:
    stories = []
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with sick_stage(folder) as stage:
            if seed:
                stage.rewire(run=Shuffled(seed))
            for _ in range(7):
                tick(stage)
            assert weights(stage) == ["0"] * len(NAMES)
            stories.append(story(stage))
    assert stories[1:] == stories[:1] * 2


def test_a_slice_that_is_killed_at_any_call_is_carried_on_by_the_next_tick(stage: Stage) -> None:
    class Killed(BaseException):
        pass

    stage.rewire(run=Shuffled(7))
    kills = iter((3, 8, 14, 19, 5))
    left = [next(kills)]

    def kill(_service: str, _operation: str, _request: object, proceed: Proceed) -> AwsResponse:
        left[0] -= 1
        if left[0] == 0:
            left[0] = next(kills, 10**6)
            raise Killed
        return proceed()

    stage.world.interceptors.append(kill)
    for _ in range(12):
        with suppress(Killed):
            tick(stage, after=time_limits.LEASE_DURATION)
    assert weights(stage) == ["0"] * len(NAMES)
    for name in NAMES:
        kinds = [one.kind for one in stage.store.history(f"{name}#1")]
        assert len(kinds) == len(set(kinds))  # no transition was recorded twice


# --- one rollout's trouble ------------------------------------------------------------------------


class FailingMetrics(Immutable):
    """A source of metrics of which the read of one rollout's own metric fails."""

    source: Any
    namespace: str

    def read(self, queries: Any, span: Any) -> Any:
        requested = list(queries)
        if any(one.namespace == self.namespace for one in requested):
            raise MetricsError("no answer")
        return self.source.read(requested, span)


def test_a_failed_batch_of_metrics_blinds_its_own_rollouts_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.rewire(observer=replace(stage.runner.observer, catalogue=OTHERS))
    stage.world.add_function("odd", {"PERCENTAGE": "0", "ENABLED": "false"})
    target = {**POLICY["target"], "function": "odd"}
    strange = {name: {**one, "namespace": "Strange"} for name, one in POLICY["metrics"].items()}
    odd = start(
        stage.runner, StartRequest(short_policy(name="odd", target=target, metrics=strange))
    ).rollout
    monkeypatch.setattr("controller.engine.visitor.QUERIES_PER_CALL", 1)
    source = FailingMetrics(stage.runner.observer.metrics, "Strange")
    stage.rewire(observer=replace(stage.runner.observer, metrics=source))
    for _ in range(6):
        tick(stage)
    assert weights(stage) == ["0"] * len(NAMES)
    assert stage.world.function("odd").variables["PERCENTAGE"] == "10"
    assert "no answer" in str(stage.store.load(odd.id).evidence.findings)


def test_a_function_that_does_not_answer_holds_no_rollback_of_another_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With threads: the call of the first one ends only once the others have been lowered."""
    monkeypatch.setattr(time_limits, "PATIENCE", timedelta(seconds=0.1))
    lowered, all_lowered, waited = set[str](), threading.Event(), list[bool]()

    def lower(function: str) -> None:
        lowered.add(function)
        if lowered >= {"b", "c", "d", "e"}:
            all_lowered.set()

    for _ in range(3):
        tick(stage)
    stage.use_store(one_call_at_a_time(stage.store))
    stage.rewire(run=SideBySide(time.monotonic, 2))
    stage.world.interceptors += [
        CallsOf(READ, ("a",), lambda _: waited.append(all_lowered.wait(60))),
        CallsOf(WRITE, ("b", "c", "d", "e"), lower),
    ]
    for _ in range(3):
        tick(stage)
    assert lowered == {"b", "c", "d", "e"}
    assert any(waited)
    assert weights(stage) == ["0"] * len(NAMES)


class LateCalls(Immutable):
    """`Run` in one thread, whose work of one kind is late, and over when it is looked at."""

    kind: str

    def __call__(
        self, work: Any, items: Any, _patience: Any = None, *, always: bool = False
    ) -> Results[Any]:
        if getattr(work, "func", work).__name__ != self.kind:
            return one_by_one(work, items, always=always)
        left = list(items)
        return Results([], LateWork(lambda: [work(left.pop(0)) for _ in list(left)], left))


def test_a_verdict_that_is_late_does_not_wait_for_the_rollouts_of_all_slices(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limits, "SLICE", 2)
    calls = list[str]()
    stage.world.interceptors += [
        CallsOf(READ, (NAMES[-1],), lambda _: calls.append("read the last")),
        CallsOf(WRITE, (NAMES[0],), lambda _: calls.append("write the first")),
    ]
    stage.rewire(run=LateCalls("measure"))
    while weights(stage)[0] != "0":
        calls.clear()
        tick(stage)
    assert calls[:2] == ["write the first", "read the last"]


@pytest.mark.parametrize("method", ["acquire", "owners_and_requests", "release"])
def test_a_store_call_that_hangs_holds_no_rollback_of_another_slice_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """With threads: the call about the first one ends only once the others have been lowered."""
    monkeypatch.setattr(time_limits, "PATIENCE", timedelta(seconds=0.1))
    monkeypatch.setattr(time_limits, "SLICE", 2)
    lowered, others_lowered, waited = set[str](), threading.Event(), list[bool]()

    def lower(function: str) -> None:
        lowered.add(function)
        if lowered >= {"c", "d", "e"}:
            others_lowered.set()

    for _ in range(3):
        tick(stage)
    is_of_locks = method == "owners_and_requests"
    of_first = stage.store.load("a#1").locks[0] if is_of_locks else "a#1"
    store = one_call_at_a_time(stage.store)

    def hang(about: Any, *values: Any) -> Any:
        if about == of_first or of_first in about:
            waited.append(others_lowered.wait(60))
        return getattr(store, method)(about, *values)

    stage.use_store(PatchedStore(store, **{method: hang}))
    stage.rewire(run=SideBySide(time.monotonic, 2))
    stage.world.interceptors.append(CallsOf(WRITE, ("c", "d", "e"), lower))
    tick(stage)
    assert waited == [True]
    assert weights(stage) == ["0"] * len(NAMES)
    now = stage.world.clock.now()
    stage.another_runner().store.acquire("a#1", now, now + MINUTE)  # it was released


def test_a_lease_that_is_answered_after_the_tick_has_ended_is_released_unused(
    stage: Stage,
) -> None:
    for _ in range(3):
        tick(stage)
    store, other = stage.store, stage.another_runner().store

    def answer_late(rollout_id: str, now: datetime, until: datetime) -> Rollout:
        stored = store.acquire(rollout_id, now, until)
        stage.world.clock.advance(time_limits.TICK_LIMIT)
        return stored

    stage.use_store(PatchedStore(store, acquire=answer_late))
    stage.rewire(run=LateCalls("_lease"))
    result = tick(stage)
    assert (len(result.skips), weights(stage)) == (len(NAMES) + 1, ["10"] * len(NAMES))
    now = stage.world.clock.now()
    for name in NAMES:
        other.acquire(f"{name}#1", now, now + MINUTE)


def test_rollouts_without_a_tick_for_twenty_minutes_are_counted_as_late(stage: Stage) -> None:
    assert tick(stage).late == 0
    stage.world.clock.advance(20 * MINUTE)
    assert tick(stage).late == len(NAMES) + 1
    assert tick(stage).late == 0


def test_a_denied_and_a_damaged_rollout_change_nothing_for_the_others(stage: Stage) -> None:
    def deny(_function: str) -> None:
        raise client_error(READ[1], "AccessDeniedException", "no", status=403)

    stage.use_store(one_call_at_a_time(stage.store))
    stage.rewire(run=SideBySide(time.monotonic, 4))
    stage.world.interceptors.append(CallsOf(READ, ("c",), deny))
    results = [tick(stage) for _ in range(6)]
    assert weights(stage) == ["0", "0", "10", "0", "0"]
    assert all(len(result.visits) == len(NAMES) + 1 for result in results)


def test_a_tick_that_is_interrupted_keeps_the_lease_of_a_write_in_progress(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another run could decide about a rollout whose write may still be carried out."""
    entered, free, stopped = threading.Event(), threading.Event(), threading.Event()

    def block(_function: str) -> None:
        entered.set()
        free.wait(30)

    def wait_or_stop(waiting: threading.Condition, seconds: float | None = None) -> bool:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and entered.is_set() and not stopped.is_set():  # once: the test waits as well
            stopped.set()
            raise StoppedError
        return wait(waiting, min(seconds, 0.1) if is_main and seconds is not None else seconds)

    stage.use_store(one_call_at_a_time(stage.store))
    stage.rewire(run=SideBySide(time.monotonic, 1))
    stage.world.interceptors.append(CallsOf(WRITE, ("c",), block))
    wait = threading.Condition.wait
    monkeypatch.setattr(threading.Condition, "wait", wait_or_stop)
    try:
        with pytest.raises(StoppedError):
            tick_until_it_is_stopped(stage)
        now = stage.world.clock.now()
        other = stage.another_runner().store
        with pytest.raises(LeaseHeldError):
            other.acquire("c#1", now, now + MINUTE)
        for written_before_or_not_begun in ("a#1", "b#1", "d#1"):
            other.acquire(written_before_or_not_begun, now, now + MINUTE)
    finally:
        free.set()


# --- ticks that share -----------------------------------------------------------------------------


def test_ticks_that_run_at_once_share_the_rollouts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limits, "SLICE", 2)
    other, read, shared = stage.another_runner(), list[str](), list[Any]()

    def tick_meanwhile(function: str) -> None:
        read.append(function)
        if not shared:
            shared.append(None)
            stage.world.clock.advance(SECOND)
            shared[0] = other.tick_active(early=True)
            stage.world.clock.advance(SECOND)

    everything = (*NAMES, "handler")
    stage.world.interceptors.append(CallsOf(READ, everything, tick_meanwhile))
    first = tick(stage)
    assert sorted(read) == sorted(everything)  # each was read by one of the two
    assert sum(visit.busy for visit in shared[0].visits) == 2
    assert sum(visit.busy for visit in first.visits) == 4


@pytest.mark.parametrize(("later", "is_visited"), [(5 * SECOND, False), (MINUTE, True)])
def test_only_what_was_saved_a_moment_ago_is_left_to_the_run_that_saved_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, later: timedelta, is_visited: bool
) -> None:
    """A tick may last longer than a minute; then the next one has begun before the save."""
    monkeypatch.setattr(time_limits, "SLICE", 2)
    read = list[str]()

    def save_and_wait(_function: str) -> None:
        if read.count("a") == 1:
            stage.world.clock.advance(SECOND)
            now = stage.world.clock.now()
            stage.store.save(replace(stage.store.load("e#1"), updated=now), [])
            stage.world.clock.advance(later)

    stage.world.interceptors += [
        CallsOf(READ, ("a",), save_and_wait),
        CallsOf(READ, (*NAMES, "handler"), read.append),
    ]
    tick(stage)
    assert read[0] == "a"
    assert ("e" in read) is is_visited


def test_a_rollback_in_progress_is_never_left_to_another_tick(stage: Stage) -> None:
    refused = CallsOf(WRITE, ("a",), lambda _: refuse())

    def refuse() -> None:
        raise client_error(WRITE[1], "ServiceException", "it is us", status=500)

    stage.world.interceptors.append(refused)
    for _ in range(6):
        tick(stage)
    assert str(stage.store.load("a#1").phase) == "rolling_back"
    stage.world.interceptors.remove(refused)
    acquire, saved = stage.store.acquire, list[Rollout]()

    def save_meanwhile(rollout_id: str, _now: datetime, _until: datetime) -> Rollout:
        if not saved:
            stage.world.clock.advance(SECOND)
            now = stage.world.clock.now()
            saved.append(stage.store.save(replace(stage.store.load("a#1"), updated=now), []))
        now = stage.world.clock.now()
        return acquire(rollout_id, now, now + time_limits.LEASE_DURATION)

    stage.use_store(PatchedStore(stage.store, acquire=save_meanwhile))
    tick(stage)
    assert weights(stage)[0] == "0"
