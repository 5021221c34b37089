"""Every step that a process takes outside goes by its fate, and none is taken after its crash."""

from datetime import timedelta
from typing import Any

import pytest

from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.decision import Notice, Severity
from controller.simulation.clock import VirtualClock
from controller.simulation.fakes.errors import read_timeout
from tests.chaos.process import CrashedError, ExternalCall, Proceed, Process
from tests.simulation.worlds import FUNCTION, MINUTE, START, world
from tests.support.rollouts import a_rollout
from tests.support.stage import short_policy

POLICY = short_policy()


class RecordingInterceptor:
    """A fate that writes every crossing down, and lets `ends` be the last one."""

    def __init__(self, ends: int = -1) -> None:
        self.crossings: list[tuple[int, str, str]] = []
        self._ends = ends

    def __call__(self, call: ExternalCall, proceed: Proceed) -> Any:
        self.crossings.append((call.number, call.service, call.operation))
        if call.number == self._ends:
            raise CrashedError
        return proceed()


class CountingFake:
    """What stands for a store, a notifier or a client: it does what it is told, and counts."""

    def __init__(self) -> None:
        self.meta = "not a call"
        self.done: list[str] = []

    def load(self, rollout_id: str) -> str:
        self.done.append(rollout_id)
        return f"loaded {rollout_id}"

    def notify(self, *_: object) -> None:
        self.done.append("told")


def test_steps_are_numbered_and_called_as_aws_calls_them() -> None:
    book, played = RecordingInterceptor(), world()
    process = Process("tick 1", book)
    process.client(played.client("lambda"), "lambda").get_function_configuration(
        FunctionName=FUNCTION
    )
    process.store(CountingFake()).load("orders#1")  # type: ignore[arg-type]
    process.clock(played.clock).sleep(timedelta(seconds=1))
    process.notifier(CountingFake()).notify(a_rollout(), Notice(Severity.INFO, "hello"))
    assert book.crossings == [
        (0, "lambda", "GetFunctionConfiguration"),
        (1, "store", "load"),
        (2, "clock", "sleep"),
        (3, "people", "notify"),
    ]
    assert process.call_count == 4


def test_what_is_no_call_is_no_step() -> None:
    book = RecordingInterceptor()
    assert Process("tick 1", book).client(CountingFake(), "dynamodb").meta == "not a call"
    assert book.crossings == []


def test_a_process_that_has_crashed_does_nothing_more() -> None:
    book, kept = RecordingInterceptor(ends=0), CountingFake()
    process = Process("tick 1", book)
    store = process.store(kept)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(CrashedError):
            store.load("orders#1")
    assert (kept.done, process.crashed, len(book.crossings)) == ([], True, 1)


@pytest.mark.parametrize("number", range(4))
def test_a_lowering_that_insists_ends_with_the_crash_of_its_process(number: int) -> None:
    def refused(crossing: ExternalCall, proceed: Proceed) -> Any:
        if crossing.number == number:
            raise CrashedError
        if crossing.service == "lambda":
            raise read_timeout("lambda")
        return proceed()

    played, process = world(), Process("tick 1", refused)
    client = process.client(played.client("lambda"), "lambda")
    target = LambdaEnvTarget(client, POLICY.target, process.clock(played.clock))
    with pytest.raises(CrashedError):
        target.lower_to_zero(MINUTE)
    assert process.call_count == number + 1


def test_a_clock_that_is_wrong_shows_another_moment_and_waits_as_long_as_any() -> None:
    clock = VirtualClock(START)
    wrong = Process("tick 1").clock(clock, skew=3 * MINUTE)
    wrong.sleep(MINUTE)
    assert (clock.now() - START, wrong.now() - START) == (MINUTE, 4 * MINUTE)
