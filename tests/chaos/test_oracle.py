"""The witness says what has really happened, who did it, and nothing else."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.targets.weight_variables import Pair
from controller.core.judge.findings import Verdict
from controller.core.policy import LambdaEnv
from controller.process import logging
from controller.simulation.fakes.errors import client_error
from controller.simulation.operators import weight_variables
from tests.chaos.event_log import (
    PERSON,
    TIME,
    EnvironmentWrite,
    GateVerdict,
    LambdaResponse,
    ObservedEvent,
    OperatorCommand,
    ProcessEnd,
    ProcessStart,
    RolloutSave,
    UpdateCompletion,
    is_external,
    may_mean_full_weight,
    parse_weight,
)
from tests.chaos.oracle import Oracle
from tests.chaos.process import CrashedError, Process
from tests.chaos.sample_plans import CANARY_ERRORS
from tests.simulation.worlds import FUNCTION, MINUTE, scenario
from tests.support.stage import METRICS, SECRET, FailingCall, Stage, function_with, open_stage

VALUES = (None, "", "0", "1", "00", "07", "50", "99", "100", "101", "-1", "ten", "5.0", "\u0665")
FLAGS = (None, "", "true", "false", "TRUE", "False", "yes", "1")


@pytest.mark.parametrize("boolean", ["ENABLED", None])
def test_the_witness_reads_a_weight_as_the_adapter_does(boolean: str | None) -> None:
    target = LambdaEnv(kind="lambda-env", function="f", percentage="PERCENTAGE", boolean=boolean)
    pair = Pair("PERCENTAGE", boolean)
    for value in VALUES:
        for flag in FLAGS:
            given = {"PERCENTAGE": value, "ENABLED": flag}
            found = {name: one for name, one in given.items() if one is not None}
            assert parse_weight(target, found) == pair.weight(found), found
            assert may_mean_full_weight(target, found) == pair.may_be_full(found), found


@pytest.mark.parametrize(
    ("by", "hand"),
    [("person", True), ("person anna", True), ("deploy", True), ("tick 3", False), (TIME, False)],
)
def test_a_hand_is_told_from_a_process(by: str, hand: bool) -> None:
    assert is_external(by) is hand


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage with a function that has another variable, and a canary that becomes sick."""
    logging.disable()
    with open_stage(tmp_path, scenario(function=function_with(), events=[CANARY_ERRORS])) as stage:
        yield stage


@pytest.fixture
def heard(stage: Stage) -> list[ObservedEvent]:
    return []


@pytest.fixture
def witness(stage: Stage, heard: list[ObservedEvent]) -> Iterator[Oracle]:
    with SqliteStore(stage.file, durable=False) as pristine:
        yield Oracle(stage.world, stage.policy.target, pristine, heard.append)


def a_process(stage: Stage, witness: Oracle, interceptor: Any = None) -> Any:
    """Return the Lambda client in the hands of a watched process."""
    process = Process("tick 1", witness.intercept(interceptor or (lambda _, proceed: proceed())))
    return process.client(stage.world.client("lambda"), "lambda")


def send(client: Any, weight: int) -> None:
    whole = {"API_KEY": SECRET, "PERCENTAGE": str(weight), "ENABLED": "false"}
    client.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": whole})


def test_nothing_has_happened(witness: Oracle) -> None:
    assert witness.observe("tick 1") == []


def test_a_write_is_put_down_to_the_process_and_its_end_to_time(
    stage: Stage, witness: Oracle, heard: list[ObservedEvent]
) -> None:
    client = a_process(stage, witness)
    before = stage.world.function(FUNCTION).revision
    send(client, 10)
    stage.world.clock.advance(MINUTE)
    witness.observe(TIME)
    began, wrote, answered, in_force = heard
    assert isinstance(began, ProcessStart)
    assert isinstance(wrote, EnvironmentWrite)
    assert (wrote.by, wrote.weight_before, wrote.weight_after) == ("tick 1", 0, 10)
    assert (wrote.token, wrote.raised) == (before, True)
    assert isinstance(answered, LambdaResponse)
    assert isinstance(in_force, UpdateCompletion)
    assert (in_force.by, in_force.weight) == (TIME, 10)


def test_a_write_that_changes_nothing_is_a_write(stage: Stage, witness: Oracle) -> None:
    stage.world.set_variables(FUNCTION, {})
    (wrote,) = witness.observe(PERSON)
    assert isinstance(wrote, EnvironmentWrite)
    assert wrote.before == wrote.after


def test_what_others_do_before_a_call_is_not_put_down_to_it(
    stage: Stage, witness: Oracle, heard: list[ObservedEvent]
) -> None:
    def late(_: object, proceed: Any) -> Any:
        stage.world.set_variables(FUNCTION, weight_variables(stage.policy.target, 70))
        witness.observe("person anna")
        stage.world.clock.advance(MINUTE)
        witness.observe(TIME)
        return proceed()

    send(a_process(stage, witness, late), 10)
    wrote = [(one.by, one.weight_after) for one in heard if isinstance(one, EnvironmentWrite)]
    assert wrote == [("person anna", 70), ("tick 1", 10)]


def test_a_crash_after_a_call_does_not_hide_what_the_call_has_done(
    stage: Stage, witness: Oracle, heard: list[ObservedEvent]
) -> None:
    def gone(_: object, proceed: Any) -> Any:
        proceed()
        raise CrashedError

    with pytest.raises(CrashedError):
        send(a_process(stage, witness, gone), 10)
    assert [one.by for one in heard if isinstance(one, EnvironmentWrite)] == ["tick 1"]


def refused(*_: object) -> Any:
    raise client_error("GetFunctionConfiguration", "TooManyRequestsException", "slow down")


def undecryptable(_: object, proceed: Any) -> Any:
    return {**proceed(), "Environment": {"Error": {"ErrorCode": "AccessDeniedException"}}}


@pytest.mark.parametrize(
    ("fate", "sound"), [(None, True), (refused, False), (undecryptable, False)]
)
def test_an_answer_that_is_no_use_is_told_apart(
    stage: Stage, witness: Oracle, heard: list[ObservedEvent], fate: Any, sound: bool
) -> None:
    client = a_process(stage, witness, fate)
    with suppress(ClientError):  # the witness has heard of it
        client.get_function_configuration(FunctionName=FUNCTION)
    assert [one.sound for one in heard if isinstance(one, LambdaResponse)] == [sound]


def test_an_answer_during_an_update_is_none_to_act_on(
    stage: Stage, witness: Oracle, heard: list[ObservedEvent]
) -> None:
    stage.world.set_variables(FUNCTION, {})
    witness.observe(PERSON)
    a_process(stage, witness).get_function_configuration(FunctionName=FUNCTION)
    assert [one.sound for one in heard if isinstance(one, LambdaResponse)] == [False]


def test_a_save_is_told_with_the_entries_it_added(stage: Stage, witness: Oracle) -> None:
    stage.start()
    started = [one for one in witness.observe("start") if isinstance(one, RolloutSave)]
    stage.tick(after=timedelta(seconds=5))
    ticked = [one for one in witness.observe("tick 1") if isinstance(one, RolloutSave)]
    assert [one.before for one in started] == [None]
    assert [entry.kind for one in started for entry in one.entries] == ["started", "settled"]
    assert started[0].owners == dict.fromkeys(started[0].after.locks, "orders#1")
    (saved,) = ticked
    assert (saved.before, saved.entries) == (started[0].after, ())
    assert saved.after == stage.rollout


def test_what_a_process_is_shown_is_judged_beside_it(
    stage: Stage, witness: Oracle, heard: list[ObservedEvent]
) -> None:
    stage.start()
    witness.observe("start")
    looking = stage.runner.observer
    object.__setattr__(looking, "metrics", witness.metrics("tick", looking.metrics))
    stage.ticks(5)
    verdicts = [one.verdict for one in heard if isinstance(one, GateVerdict)]
    assert verdicts[0] is Verdict.INCONCLUSIVE
    assert verdicts[-1] is Verdict.FAIL
    assert stage.variables["PERCENTAGE"] == "0"


def test_metrics_that_do_not_answer_are_judged_to_say_nothing(
    stage: Stage, witness: Oracle, heard: list[ObservedEvent]
) -> None:
    stage.start()
    witness.observe("start")
    looking = stage.runner.observer
    object.__setattr__(looking, "metrics", witness.metrics("tick", looking.metrics))
    stage.world.interceptors.append(FailingCall(METRICS))
    stage.ticks(2)
    assert {one.verdict for one in heard if isinstance(one, GateVerdict)} == {Verdict.INCONCLUSIVE}


def test_what_only_the_story_knows_is_passed_on(
    witness: Oracle, heard: list[ObservedEvent]
) -> None:
    witness.record_command("promote", "promote")
    witness.record_end("promote", None)
    now = witness.world.clock.now()
    assert heard == [OperatorCommand(now, "promote", "promote"), ProcessEnd(now, "promote", None)]
