"""Raising and lowering when Lambda answers with faults."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from controller.adapters.aws.clients import StrangeAnswerError
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.adapters.targets.resource_target import LOWER_ATTEMPTS
from controller.errors import (
    TargetError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)
from controller.tools.simulation.fakes.errors import Proceed, read_timeout
from controller.tools.simulation.world import World
from tests.adapters.contracts.target import HANDLER, pair
from tests.adapters.targets.odd_lambda import (
    BROKEN,
    CLOSED,
    CONFLICT,
    MINUTE,
    OTHERS,
    PRECONDITION,
    READ,
    UPDATE,
    Odd,
    a_world,
    answered,
    fails,
    happens_but,
    meets,
    open_handler,
    unreadable,
    variables,
)
from tests.support.core import TargetReading, UpdateStatus


@pytest.fixture
def world() -> World:
    """A world whose handler is at 10% and has a secret."""
    return a_world()


# --- raising --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(read_timeout("lambda"), id="the answer is lost"),
        pytest.param(CLOSED, id="the connection is closed"),
        pytest.param(StrangeAnswerError(), id="a proxy answers"),
        pytest.param(answered("ServiceException"), id="500"),
        pytest.param(answered(PRECONDITION), id="412 of a repeated call"),
        pytest.param(answered(CONFLICT), id="409 of a repeated call"),
    ],
)
def test_a_raise_that_happened_after_all_is_done(world: World, error: Exception) -> None:
    target = open_handler(world)
    meets(world, UPDATE, happens_but(error))
    target.shift_to(50, target.read().token)
    assert variables(world) == {**OTHERS, **pair("50", "false")}


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        pytest.param(read_timeout("lambda"), WriteUncertainError, id="no answer"),
        pytest.param(BROKEN, WriteUncertainError, id="no connection"),
        pytest.param(answered("ServiceException"), WriteUncertainError, id="500"),
        pytest.param(answered("TooManyRequestsException"), WriteUncertainError, id="429"),
        pytest.param(answered(CONFLICT), WriteConflictError, id="409"),
        pytest.param(answered(PRECONDITION), WriteConflictError, id="412"),
        pytest.param(answered("AccessDeniedException"), WriteRefusedError, id="403"),
        pytest.param(answered("ResourceNotFoundException"), WriteRefusedError, id="404"),
        pytest.param(answered("InvalidParameterValueException"), WriteRefusedError, id="400"),
        pytest.param(NoCredentialsError(), WriteRefusedError, id="no credentials"),
    ],
)
def test_a_raise_that_did_not_happen_says_how_sure_that_is_and_is_one_shot(
    world: World, error: Exception, raised: type[TargetError]
) -> None:
    target = open_handler(world)
    meets(world, UPDATE, fails(error))
    with pytest.raises(TargetError, match=r"handler was not set to 50% \(lambda:Update") as caught:
        target.shift_to(50, target.read().token)
    assert type(caught.value) is raised
    assert world.calls["lambda", UPDATE] == 1
    assert variables(world) == {**OTHERS, **pair("10", "false")}


def test_a_raise_without_any_answer_is_uncertain_when_the_function_cannot_be_read_either(
    world: World,
) -> None:
    target = open_handler(world)
    token = target.read().token

    def odd(proceed: Proceed) -> dict[str, Any]:
        meets(world, READ, unreadable)
        raise read_timeout("lambda")

    meets(world, UPDATE, odd)
    with pytest.raises(WriteUncertainError, match=r"not set to 50%.* and then .*cannot be read"):
        target.shift_to(50, token)


def test_a_raise_into_an_environment_that_cannot_be_read_writes_nothing(world: World) -> None:
    target = open_handler(world)
    token = target.read().token
    meets(world, READ, unreadable)
    with pytest.raises(WriteRefusedError, match="nothing is written"):
        target.shift_to(50, token)
    assert variables(world) == {**OTHERS, **pair("10", "false")}


def test_a_raise_that_lambda_takes_and_cannot_read_back_is_uncertain(world: World) -> None:
    target = open_handler(world)
    meets(world, UPDATE, unreadable)
    with pytest.raises(WriteUncertainError, match="Lambda took 50% for handler but cannot read"):
        target.shift_to(50, target.read().token)


def test_a_raise_beyond_the_size_of_an_environment_writes_nothing(world: World) -> None:
    full = {"BIG": "x" * (4_096 - len('{"BIG":""}'))}
    world.add_function("handler", full)
    target = open_handler(world)
    with pytest.raises(WriteRefusedError, match=r"would have 4132 bytes as JSON"):
        target.shift_to(50, target.read().token)
    assert variables(world) == full


def test_nothing_is_raised_without_a_token(world: World) -> None:
    with pytest.raises(WriteRefusedError, match="handler has no RevisionId"):
        open_handler(world).shift_to(50, "")
    assert variables(world) == {**OTHERS, **pair("10", "false")}


# --- lowering -------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize(
    ("operation", "odd"),
    [
        pytest.param(READ, fails(read_timeout("lambda")), id="read: no answer"),
        pytest.param(READ, fails(answered("ServiceException", READ)), id="read: 500"),
        pytest.param(READ, fails(answered("TooManyRequestsException", READ)), id="read: 429"),
        pytest.param(UPDATE, fails(answered(CONFLICT)), id="write: 409"),
        pytest.param(UPDATE, fails(answered(PRECONDITION)), id="write: 412"),
        pytest.param(UPDATE, fails(answered("TooManyRequestsException")), id="write: 429"),
        pytest.param(UPDATE, fails(answered("ServiceException")), id="write: 500"),
        pytest.param(UPDATE, fails(BROKEN), id="write: no connection"),
        pytest.param(UPDATE, fails(read_timeout("lambda")), id="write: no answer"),
        pytest.param(UPDATE, lambda _: {}, id="write: a proxy answers"),
        pytest.param(READ, lambda _: {}, id="read: a proxy answers"),
        pytest.param(UPDATE, happens_but(read_timeout("lambda")), id="write: done, no answer"),
    ],
)
def test_lowering_retries_transient_failures(
    world: World, operation: str, odd: Odd, times: int
) -> None:
    meets(world, operation, odd, times)
    open_handler(world).lower_to_zero(MINUTE)
    assert variables(world) == {**OTHERS, **pair("0", "false")}


def concurrent_update(world: World, takes: timedelta) -> Odd:
    """Another client changes another variable `takes` before the call."""

    def odd(proceed: Proceed) -> dict[str, Any]:
        world.set_variables("handler", {"LOG_LEVEL": "debug"})
        world.clock.advance(takes)
        return proceed()

    return odd


@pytest.mark.parametrize("takes", [timedelta(), MINUTE / 2], ids=["in progress", "done"])
def test_lowering_keeps_a_concurrent_update(world: World, takes: timedelta) -> None:
    meets(world, UPDATE, concurrent_update(world, takes), times=1)
    open_handler(world).lower_to_zero(MINUTE)
    assert variables(world) == {**OTHERS, "LOG_LEVEL": "debug", **pair("0", "false")}


@pytest.mark.parametrize("takes", [timedelta(), MINUTE / 2], ids=["in progress", "done"])
def test_a_raise_gives_way_to_a_concurrent_update(world: World, takes: timedelta) -> None:
    target = open_handler(world)
    meets(world, UPDATE, concurrent_update(world, takes))
    with pytest.raises(WriteConflictError):
        target.shift_to(50, target.read().token)
    assert variables(world) == {**OTHERS, "LOG_LEVEL": "debug", **pair("10", "false")}


def test_lowering_waits_no_longer_than_its_deadline_for_an_update(world: World) -> None:
    world.function("handler").status = "InProgress"
    begin = world.clock.now()
    with pytest.raises(
        TargetError, match=r"1m; the target shows .*: an update is in progress\. Roll"
    ):
        open_handler(world).lower_to_zero(MINUTE)
    assert world.clock.now() - begin == MINUTE


def test_lowering_writes_0_again_where_its_update_failed(world: World) -> None:
    function = world.add_function("handler", pair("0", "false"))
    function.status = "Failed"
    open_handler(world).lower_to_zero(MINUTE)
    assert open_handler(world).read().update is UpdateStatus.IN_PROGRESS


def test_lowering_leaves_an_update_to_0_alone(world: World) -> None:
    target = open_handler(world)
    target.lower_to_zero(MINUTE)
    moving = target.read()
    target.lower_to_zero(MINUTE)
    assert target.read() == moving
    assert moving.update is UpdateStatus.IN_PROGRESS


def test_lowering_ends_at_its_deadline_with_the_current_value_and_what_to_do(
    world: World,
) -> None:
    meets(world, UPDATE, fails(answered("ServiceException")))
    begin = world.clock.now()
    with pytest.raises(TargetError) as caught:
        open_handler(world).lower_to_zero(MINUTE)
    assert world.clock.now() - begin == MINUTE
    assert str(caught.value) == (
        "handler was not set to 0% within 1m; the target shows PERCENTAGE=10, ENABLED=false; "
        "last problem: handler was not set to 0% (lambda:UpdateFunctionConfiguration): "
        "ServiceException: Odd; it may pass; run again in a moment. Roll back again, or set "
        "PERCENTAGE=0, ENABLED=false in AWS"
    )


@dataclass
class StoppedClock:
    """A clock that stands still, as under a test that froze it."""

    slept: int = 0

    def now(self) -> datetime:
        return datetime(2026, 1, 5, tzinfo=UTC)

    def sleep(self, length: timedelta) -> None:
        self.slept += 1


def test_lowering_ends_also_where_the_clock_stands_still(world: World) -> None:
    meets(world, UPDATE, fails(answered("ServiceException")))
    clock = StoppedClock()
    with pytest.raises(TargetError):
        LambdaEnvTarget(world.client("lambda"), HANDLER, clock).lower_to_zero(MINUTE)
    assert clock.slept == LOWER_ATTEMPTS - 1


@pytest.mark.parametrize(
    ("operation", "odd", "raised"),
    [
        pytest.param(READ, unreadable, WriteRefusedError, id="no environment is shown"),
        pytest.param(
            READ, fails(answered("AccessDeniedException", READ)), TargetError, id="read: 403"
        ),
        pytest.param(
            UPDATE, fails(answered("AccessDeniedException")), WriteRefusedError, id="write: 403"
        ),
        pytest.param(
            UPDATE,
            fails(answered("InvalidParameterValueException")),
            WriteRefusedError,
            id="write: 400",
        ),
    ],
)
def test_lowering_does_not_retry_a_permanent_failure(
    world: World, operation: str, odd: Odd, raised: type[TargetError]
) -> None:
    meets(world, operation, odd)
    begin = world.clock.now()
    with pytest.raises(TargetError) as caught:
        open_handler(world).lower_to_zero(MINUTE)
    assert type(caught.value) is raised
    assert world.clock.now() == begin
    assert variables(world) == {**OTHERS, **pair("10", "false")}


def test_lowering_that_lambda_takes_and_cannot_read_back_stops_at_once(world: World) -> None:
    meets(world, UPDATE, unreadable)
    with pytest.raises(WriteRefusedError, match="Lambda took 0% for handler but cannot read"):
        open_handler(world).lower_to_zero(MINUTE)


def test_lowering_asks_lambda_and_not_itself_whether_the_environment_fits(world: World) -> None:
    """If Lambda ever counts differently, a rollback must not fail because of our arithmetic."""
    world.add_function("handler", {"BIG": "x" * 4_090, **pair("100", "true")})

    def generous(proceed: Proceed) -> dict[str, Any]:
        world.add_function("handler", pair("0", "false"))
        return world.client("lambda").get_function_configuration(FunctionName="handler")  # type: ignore[no-any-return]

    meets(world, UPDATE, generous)
    open_handler(world).lower_to_zero(MINUTE)
    assert open_handler(world).read().weight == 0


def test_a_lost_answer_of_the_last_attempt_is_read_back_before_an_error(
    world: World,
) -> None:
    def accepted_and_lost(proceed: Proceed) -> dict[str, Any]:
        proceed()
        raise read_timeout("lambda")

    meets(world, UPDATE, accepted_and_lost)
    open_handler(world).lower_to_zero(timedelta())
    assert variables(world)["PERCENTAGE"] == "0"


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(fails(answered("TooManyRequestsException")), id="429"),
        pytest.param(fails(read_timeout("lambda")), id="no answer"),
        pytest.param(happens_but(read_timeout("lambda")), id="done, no answer"),
    ],
)
def test_lowering_at_0_retries_until_the_token_of_a_raise_is_old(world: World, odd: Odd) -> None:
    world.add_function("handler", pair("0", "false"))
    token = open_handler(world).read().token
    meets(world, UPDATE, odd, times=3)
    open_handler(world).lower_to_zero(MINUTE, outdated_token=token)
    assert open_handler(world).read().token != token
    assert variables(world) == pair("0", "false")


def test_lowering_at_0_that_could_not_make_the_token_of_a_raise_old_says_so(world: World) -> None:
    world.add_function("handler", pair("0", "false"))
    token = open_handler(world).read().token
    meets(world, UPDATE, fails(answered("ServiceException")))
    with pytest.raises(TargetError, match="ServiceException"):
        open_handler(world).lower_to_zero(MINUTE, outdated_token=token)


def test_lowering_checks_every_reading_before_it_writes(world: World) -> None:
    """A check may find that this is another function of the same name."""
    meets(world, READ, fails(read_timeout("lambda")), times=1)

    def foreign(reading: TargetReading) -> None:
        raise WriteRefusedError(f"{reading.identity} is not ours")

    with pytest.raises(WriteRefusedError, match="function:handler is not ours"):
        open_handler(world).lower_to_zero(MINUTE, check=foreign)
    assert variables(world) == {**OTHERS, **pair("10", "false")}
