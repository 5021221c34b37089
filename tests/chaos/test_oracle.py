"""The oracle emits what has really happened, with its cause, and nothing else."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.targets.weight_variables import Pair
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.immutable import replace
from controller.process import logging
from controller.tools.simulation.fakes.errors import client_error
from tests.chaos.event_log import (
    PERSON,
    TIME,
    GateVerdict,
    ObservedEvent,
    OperatorCommand,
    ProcessEnd,
    ProcessStart,
    RolloutSave,
    TargetResponse,
    TargetWrite,
    UpdateCompletion,
    is_external,
)
from tests.chaos.ground_truth import open_ground_truth
from tests.chaos.ground_truth.lambda_env import may_mean_full_weight, parse_weight
from tests.chaos.oracle import Oracle
from tests.chaos.process import CrashedError, Process
from tests.chaos.sample_plans import CANARY_ERRORS
from tests.support.core import Verdict
from tests.support.stage import METRICS, SECRET, FailingCall, Stage, function_with, open_stage
from tests.tools.simulation.worlds import FUNCTION, MINUTE, scenario

VALUES = (None, "", "0", "1", "00", "07", "50", "99", "100", "101", "-1", "ten", "5.0", "\u0665")
FLAGS = (None, "", "true", "false", "TRUE", "False", "yes", "1")


@pytest.mark.parametrize("boolean", ["ENABLED", None])
def test_the_oracle_reads_a_weight_as_the_adapter_does(boolean: str | None) -> None:
    target = LambdaEnv(kind="lambda-env", function="f", percentage="PERCENTAGE", boolean=boolean)
    pair = Pair("PERCENTAGE", boolean)
    for value in VALUES:
        for flag in FLAGS:
            given = {"PERCENTAGE": value, "ENABLED": flag}
            variables = {name: one for name, one in given.items() if one is not None}
            assert parse_weight(target, variables) == pair.weight(variables), variables
            assert may_mean_full_weight(target, variables) == pair.may_be_full(variables), variables


@pytest.mark.parametrize(
    ("by", "external"),
    [("person", True), ("person anna", True), ("deploy", True), ("tick 3", False), (TIME, False)],
)
def test_an_external_actor_is_told_from_a_process(by: str, external: bool) -> None:
    assert is_external(by) is external


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage whose function has another variable, and whose canary fails later."""
    logging.disable()
    with open_stage(tmp_path, scenario(function=function_with(), events=[CANARY_ERRORS])) as stage:
        yield stage


@pytest.fixture
def events(stage: Stage) -> list[ObservedEvent]:
    return []


@pytest.fixture
def oracle(stage: Stage, events: list[ObservedEvent]) -> Iterator[Oracle]:
    with SqliteStore(stage.file, durable=False) as fault_free:
        truth = open_ground_truth(stage.policy.target, stage.world)
        yield Oracle(stage.world, truth, fault_free, events.append)


def a_process(stage: Stage, oracle: Oracle, interceptor: Any = None) -> Any:
    """Return a Lambda client whose calls are intercepted by the oracle."""
    process = Process("tick 1", oracle.intercept(interceptor or (lambda _, proceed: proceed())))
    return process.client(stage.world.client("lambda"), "lambda")


def send(client: Any, weight: int) -> None:
    variables = {"API_KEY": SECRET, "PERCENTAGE": str(weight), "ENABLED": "false"}
    client.update_function_configuration(
        FunctionName=FUNCTION, Environment={"Variables": variables}
    )


def test_nothing_has_happened(oracle: Oracle) -> None:
    assert oracle.observe("tick 1") == []


def test_a_write_is_attributed_to_the_process_and_its_end_to_time(
    stage: Stage, oracle: Oracle, events: list[ObservedEvent]
) -> None:
    client = a_process(stage, oracle)
    before = stage.world.function(FUNCTION).revision
    send(client, 10)
    stage.world.clock.advance(MINUTE)
    oracle.observe(TIME)
    began, wrote, answered, in_force = events
    assert isinstance(began, ProcessStart)
    assert isinstance(wrote, TargetWrite)
    assert (wrote.by, wrote.weight_before, wrote.weight_after) == ("tick 1", 0, 10)
    assert (wrote.token, wrote.raised) == (before, True)
    assert isinstance(answered, TargetResponse)
    assert isinstance(in_force, UpdateCompletion)
    assert (in_force.by, in_force.weight) == (TIME, 10)


def test_a_write_that_changes_nothing_is_a_write(stage: Stage, oracle: Oracle) -> None:
    stage.world.set_variables(FUNCTION, {})
    (wrote,) = oracle.observe(PERSON)
    assert isinstance(wrote, TargetWrite)
    assert not wrote.effective


def test_what_a_write_changes_beside_the_weight_is_named(stage: Stage, oracle: Oracle) -> None:
    variables = {"API_KEY": "another", "LOG_LEVEL": "DEBUG", "PERCENTAGE": "10"}
    stage.world.set_variables(FUNCTION, variables)
    (wrote,) = oracle.observe("tick 1")
    assert isinstance(wrote, TargetWrite)
    assert wrote.beside == ("API_KEY", "LOG_LEVEL")


def test_what_actors_do_before_a_call_is_not_attributed_to_it(
    stage: Stage, oracle: Oracle, events: list[ObservedEvent]
) -> None:
    def after_an_external_write(_: object, proceed: Any) -> Any:
        stage.world.set_variables(FUNCTION, stage.policy.target.settings(70))
        oracle.observe("person anna")
        stage.world.clock.advance(MINUTE)
        oracle.observe(TIME)
        return proceed()

    send(a_process(stage, oracle, after_an_external_write), 10)
    wrote = [(event.by, event.weight_after) for event in events if isinstance(event, TargetWrite)]
    assert wrote == [("person anna", 70), ("tick 1", 10)]


def test_a_crash_after_a_call_does_not_hide_what_the_call_has_done(
    stage: Stage, oracle: Oracle, events: list[ObservedEvent]
) -> None:
    def crash(_: object, proceed: Any) -> Any:
        proceed()
        raise CrashedError

    with pytest.raises(CrashedError):
        send(a_process(stage, oracle, crash), 10)
    assert [event.by for event in events if isinstance(event, TargetWrite)] == ["tick 1"]


def refused(*_: object) -> Any:
    raise client_error("GetFunctionConfiguration", "TooManyRequestsException", "slow down")


def undecryptable(_: object, proceed: Any) -> Any:
    return {**proceed(), "Environment": {"Error": {"ErrorCode": "AccessDeniedException"}}}


@pytest.mark.parametrize(
    ("interceptor", "sound"), [(None, True), (refused, False), (undecryptable, False)]
)
def test_an_answer_that_is_no_use_is_told_apart(
    stage: Stage, oracle: Oracle, events: list[ObservedEvent], interceptor: Any, sound: bool
) -> None:
    client = a_process(stage, oracle, interceptor)
    with suppress(ClientError):  # the oracle has recorded it
        client.get_function_configuration(FunctionName=FUNCTION)
    assert [event.sound for event in events if isinstance(event, TargetResponse)] == [sound]


def test_an_answer_during_an_update_is_none_to_act_on(
    stage: Stage, oracle: Oracle, events: list[ObservedEvent]
) -> None:
    stage.world.set_variables(FUNCTION, {})
    oracle.observe(PERSON)
    a_process(stage, oracle).get_function_configuration(FunctionName=FUNCTION)
    assert [event.sound for event in events if isinstance(event, TargetResponse)] == [False]


def test_a_save_is_emitted_with_the_entries_it_added(stage: Stage, oracle: Oracle) -> None:
    stage.start()
    started = [one for one in oracle.observe("start") if isinstance(one, RolloutSave)]
    stage.tick(after=timedelta(seconds=5))
    ticked = [one for one in oracle.observe("tick 1") if isinstance(one, RolloutSave)]
    assert [one.before for one in started] == [None]
    assert [entry.kind for one in started for entry in one.entries] == ["started", "applied"]
    assert started[0].owners == dict.fromkeys(started[0].after.locks, "orders#1")
    (saved,) = ticked
    assert (saved.before, saved.entries) == (started[0].after, ())
    assert saved.after == stage.rollout


def test_the_metrics_of_a_process_are_judged_by_the_oracle(
    stage: Stage, oracle: Oracle, events: list[ObservedEvent]
) -> None:
    stage.start()
    oracle.observe("start")
    observer = stage.runner.observer
    judged = replace(observer, metrics=oracle.metrics("tick", observer.metrics))
    stage.rewire(observer=judged)
    stage.ticks(5)
    verdicts = [event.verdict for event in events if isinstance(event, GateVerdict)]
    assert verdicts[0] is Verdict.INCONCLUSIVE
    assert verdicts[-1] is Verdict.FAIL
    assert stage.variables["PERCENTAGE"] == "0"


def test_metrics_that_do_not_answer_are_judged_to_say_nothing(
    stage: Stage, oracle: Oracle, events: list[ObservedEvent]
) -> None:
    stage.start()
    oracle.observe("start")
    observer = stage.runner.observer
    judged = replace(observer, metrics=oracle.metrics("tick", observer.metrics))
    stage.rewire(observer=judged)
    stage.world.interceptors.append(FailingCall(METRICS))
    stage.ticks(2)
    assert {event.verdict for event in events if isinstance(event, GateVerdict)} == {
        Verdict.INCONCLUSIVE
    }


def test_records_of_the_simulation_are_passed_on(
    oracle: Oracle, events: list[ObservedEvent]
) -> None:
    oracle.record_command("promote", "promote")
    oracle.record_end("promote", None)
    now = oracle.world.clock.now()
    assert events == [OperatorCommand(now, "promote", "promote"), ProcessEnd(now, "promote", None)]
