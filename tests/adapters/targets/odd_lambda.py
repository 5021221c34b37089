"""Faults in the answers of a simulated Lambda function."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError

from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.tools.simulation.fakes.errors import Proceed, client_error
from controller.tools.simulation.world import World
from tests.adapters.contracts.target import HANDLER, pair

READ, UPDATE = "GetFunctionConfiguration", "UpdateFunctionConfiguration"
SECRET = "hunter2-and-more"
OTHERS = {"TOKEN": SECRET, "LOG_LEVEL": "info"}
MINUTE = timedelta(minutes=1)
DENIED = {"ErrorCode": "AccessDeniedException", "Message": "KMS access was denied."}

Odd = Callable[[Proceed], dict[str, Any]]


def a_world() -> World:
    """Return a world whose handler is at 10% and has a secret."""
    made = World()
    made.add_function("handler", {**OTHERS, **pair("10", "false")})
    return made


def open_handler(world: World) -> LambdaEnvTarget:
    """Return the handler as a target."""
    return LambdaEnvTarget(world.client("lambda"), HANDLER, world.clock)


def variables(world: World) -> dict[str, str]:
    """Return the handler's environment, also when the API would not return it."""
    return world.function("handler").variables


def meets(world: World, operation: str, odd: Odd, times: int | None = None) -> None:
    """Let the next `times` calls of `operation`, or all calls, meet a fault."""
    remaining = [times]

    def layer(
        service: str, called: str, request: Mapping[str, Any], proceed: Proceed
    ) -> dict[str, Any]:
        if called != operation or remaining[0] == 0:
            return proceed()
        remaining[0] = None if remaining[0] is None else remaining[0] - 1
        return odd(proceed)

    world.interceptors.append(layer)


def fails(error: Exception) -> Odd:
    """The call is not carried out and raises `error`."""

    def odd(proceed: Proceed) -> dict[str, Any]:
        raise error

    return odd


def happens_but(error: Exception) -> Odd:
    """The call is carried out and its answer is replaced by `error`."""

    def odd(proceed: Proceed) -> dict[str, Any]:
        proceed()
        raise error

    return odd


def unreadable(proceed: Proceed) -> dict[str, Any]:
    """The call is carried out, and answered without the environment."""
    return {**proceed(), "Environment": {"Error": DENIED}}


def answered(code: str, operation: str = UPDATE, message: str = "Odd.") -> Exception:
    """Return the error that AWS answers with `code`."""
    return client_error(operation, code, message)


BROKEN = EndpointConnectionError(endpoint_url="https://lambda.invalid")
CLOSED = ConnectionClosedError(endpoint_url="https://lambda.invalid")
CONFLICT = "ResourceConflictException"
PRECONDITION = "PreconditionFailedException"
