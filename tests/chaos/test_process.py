"""Every external call of a process is intercepted, and none is made after its crash."""

from datetime import timedelta
from typing import Any

import pytest

from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.errors import read_timeout
from tests.chaos.process import CrashedError, ExternalCall, Proceed, Process
from tests.support.core import Notice, Severity
from tests.support.rollouts import a_rollout, lambda_env
from tests.support.stage import short_policy
from tests.tools.simulation.worlds import FUNCTION, MINUTE, START, world

POLICY = short_policy()


class RecordingInterceptor:
    """An interceptor that records every call, and crashes the process at the call `ends`."""

    def __init__(self, ends: int = -1) -> None:
        self.calls: list[tuple[int, str, str]] = []
        self._ends = ends

    def __call__(self, call: ExternalCall, proceed: Proceed) -> Any:
        self.calls.append((call.number, call.service, call.operation))
        if call.number == self._ends:
            raise CrashedError
        return proceed()


class CountingFake:
    """A fake store, announcer and client that records its calls."""

    def __init__(self) -> None:
        self.meta = "not a call"
        self.done: list[str] = []

    def load(self, rollout_id: str) -> str:
        self.done.append(rollout_id)
        return f"loaded {rollout_id}"

    def notify(self, *_: object) -> None:
        self.done.append("told")


def test_calls_are_numbered_and_named_as_aws_names_them() -> None:
    interceptor, simulated = RecordingInterceptor(), world()
    process = Process("tick 1", interceptor)
    process.client(simulated.client("lambda"), "lambda").get_function_configuration(
        FunctionName=FUNCTION
    )
    process.store(CountingFake()).load("orders#1")  # type: ignore[arg-type]
    process.clock(simulated.clock).sleep(timedelta(seconds=1))
    process.announcer(CountingFake().notify)(a_rollout(), Notice(Severity.INFO, "hello"))
    assert interceptor.calls == [
        (0, "lambda", "GetFunctionConfiguration"),
        (1, "store", "load"),
        (2, "clock", "sleep"),
        (3, "people", "notify"),
    ]
    assert process.call_count == 4


def test_an_attribute_is_no_call() -> None:
    interceptor = RecordingInterceptor()
    assert Process("tick 1", interceptor).client(CountingFake(), "dynamodb").meta == "not a call"
    assert interceptor.calls == []


def test_a_process_that_has_crashed_does_nothing_more() -> None:
    interceptor, fake = RecordingInterceptor(ends=0), CountingFake()
    process = Process("tick 1", interceptor)
    store = process.store(fake)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(CrashedError):
            store.load("orders#1")
    assert (fake.done, process.crashed, len(interceptor.calls)) == ([], True, 1)


@pytest.mark.parametrize("number", range(4))
def test_a_lowering_that_insists_ends_with_the_crash_of_its_process(number: int) -> None:
    def crash_at_number(call: ExternalCall, proceed: Proceed) -> Any:
        if call.number == number:
            raise CrashedError
        if call.service == "lambda":
            raise read_timeout("lambda")
        return proceed()

    simulated, process = world(), Process("tick 1", crash_at_number)
    client = process.client(simulated.client("lambda"), "lambda")
    target = LambdaEnvTarget(client, lambda_env(POLICY), process.clock(simulated.clock))
    with pytest.raises(CrashedError):
        target.lower_to_zero(MINUTE)
    assert process.call_count == number + 1


def test_a_clock_that_is_wrong_shows_another_moment_and_waits_as_long_as_any() -> None:
    clock = VirtualClock(START)
    wrong = Process("tick 1").clock(clock, skew=3 * MINUTE)
    wrong.sleep(MINUTE)
    assert (clock.now() - START, wrong.now() - START) == (MINUTE, 4 * MINUTE)
