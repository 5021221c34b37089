"""Readings of a function, and values that no error or log quotes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError
from structlog.testing import capture_logs

from controller.errors import (
    RolloutError,
    WriteRefusedError,
)
from controller.tools.simulation.fakes.errors import Proceed, client_error, read_timeout
from controller.tools.simulation.world import World
from tests.adapters.targets.odd_lambda import (
    MINUTE,
    PRECONDITION,
    READ,
    SECRET,
    UPDATE,
    Odd,
    a_world,
    answered,
    fails,
    meets,
    open_handler,
    unreadable,
)
from tests.support.core import UpdateStatus


@pytest.fixture
def world() -> World:
    """A world whose handler is at 10% and has a secret."""
    return a_world()


def test_an_answer_without_a_status_means_a_finished_update(world: World) -> None:
    """Functions from before 2021 have no status."""

    def plain(proceed: Proceed) -> dict[str, Any]:
        return {key: value for key, value in proceed().items() if key != "LastUpdateStatus"}

    meets(world, READ, plain)
    assert open_handler(world).read().has_applied(10)


def test_a_reading_of_a_failed_update_has_its_reason(world: World) -> None:
    function = world.function("handler")
    function.status, function.reason_code = "Failed", "EniLimitExceeded"
    function.reason = "No interface is left."
    reading = open_handler(world).read()
    assert reading.update is UpdateStatus.FAILED
    assert reading.detail == "EniLimitExceeded: No interface is left."


def test_a_boolean_that_contradicts_the_percentage_may_be_full(world: World) -> None:
    assert not open_handler(world).read().may_be_full
    world.function("handler").variables["ENABLED"] = "true"
    contradictory = open_handler(world).read()
    assert (contradictory.weight, contradictory.may_be_full) == (None, True)


def test_an_unknown_status_is_not_applied(world: World) -> None:
    world.function("handler").status = "Reticulating"
    assert open_handler(world).read().update is UpdateStatus.IN_PROGRESS


def test_an_environment_that_cannot_be_decrypted_is_an_error_with_the_missing_permission(
    world: World,
) -> None:
    meets(world, READ, unreadable)
    with pytest.raises(WriteRefusedError, match=r"KMS access was denied.*kms:Decrypt"):
        open_handler(world).read()


# --- secrets --------------------------------------------------------------------------------------

QUOTED = f"Value '{{TOKEN={SECRET}}}' at 'environment.variables' failed to satisfy constraint"
CUT_OFF = f"Value '{{TOKEN={SECRET[:10]}... at 'environment.variables' failed"


AS_AWS = (
    (403, "AccessDeniedException"),
    (404, "ResourceNotFoundException"),
    (409, "ResourceConflictException"),
    (412, "PreconditionFailedException"),
    (429, "TooManyRequestsException"),
    (500, "ServiceException"),
    (502, "KMSAccessDeniedException"),
    (503, "ServiceUnavailableException"),
)


@pytest.mark.parametrize(
    ("operation", "odd"),
    [
        pytest.param(
            UPDATE,
            fails(answered("InvalidParameterValueException", message=QUOTED)),
            id="AWS quotes it",
        ),
        pytest.param(
            UPDATE,
            fails(answered("InvalidParameterValueException", message=CUT_OFF)),
            id="AWS quotes its beginning",
        ),
        pytest.param(UPDATE, fails(ParamValidationError(report=QUOTED)), id="botocore quotes it"),
        pytest.param(
            UPDATE,
            fails(client_error(UPDATE, "RequestTooLargeException", QUOTED, status=413)),
            id="it is too large",
        ),
        pytest.param(
            UPDATE, fails(client_error(UPDATE, "502", QUOTED, status=502)), id="a proxy quotes it"
        ),
        pytest.param(
            UPDATE,
            fails(client_error(UPDATE, "403", QUOTED, status=403)),
            id="a firewall quotes it",
        ),
        *(
            pytest.param(
                UPDATE,
                fails(client_error(UPDATE, code, QUOTED, status=status)),
                id=f"a proxy quotes it as AWS answers {status}",
            )
            for status, code in AS_AWS
        ),
        pytest.param(
            UPDATE,
            fails(client_error(UPDATE, f"blocked {SECRET}", "no", status=403)),
            id="a proxy quotes it in the code",
        ),
        pytest.param(UPDATE, fails(answered(PRECONDITION)), id="conflict"),
        pytest.param(UPDATE, fails(read_timeout("lambda")), id="no answer"),
        pytest.param(UPDATE, unreadable, id="not read back"),
        pytest.param(READ, unreadable, id="not shown"),
    ],
)
@pytest.mark.parametrize("raising", [True, False], ids=["raise", "lower"])
def test_no_error_or_log_quotes_the_value_of_another_variable(
    world: World, operation: str, odd: Odd, raising: bool
) -> None:
    target = open_handler(world)
    token = target.read().token
    meets(world, operation, odd)
    with capture_logs() as logs, pytest.raises(RolloutError) as caught:
        target.shift_to(50, token) if raising else target.lower_to_zero(MINUTE)
    texts = [text for error in chain(caught.value) for text in (str(error), repr(vars(error)))]
    assert [text for text in [*texts, repr(logs)] if SECRET[:10] in text] == []


def test_a_refusal_shows_only_its_code_however_the_environment_in_it_is_spelt(
    world: World,
) -> None:
    target = open_handler(world)
    spelt = json.dumps({"TOKEN": 'a "quoted"\nsecret'})
    refused = f"exceeded the 4KB limit. String measured: {spelt}"
    meets(world, UPDATE, fails(answered("InvalidParameterValueException", message=refused)))
    with pytest.raises(WriteRefusedError, match="InvalidParameterValueException") as caught:
        target.shift_to(50, target.read().token)
    assert "quoted" not in str(caught.value)


def test_a_target_and_its_readings_do_not_show_other_variables(world: World) -> None:
    target = open_handler(world)
    shown = [repr(target), repr(target.read()), repr(target._function.read())]
    assert [text for text in shown if SECRET in text] == []


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes and contexts, also those that a traceback leaves out."""
    while error is not None:
        yield error
        if error.__context__ is not error.__cause__:
            yield from chain(error.__context__)
        error = error.__cause__
