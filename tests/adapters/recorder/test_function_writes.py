"""The writes of a recording to a function, whose environment must survive whatever happens."""

from collections.abc import Mapping
from typing import Any

from controller.adapters.recorder import Recorder
from controller.adapters.recorder.calls import VARIABLE, record_function_writes
from controller.tools.simulation.fakes.errors import Proceed
from tests.aws_facts.recordings import WithModel
from tests.tools.simulation.worlds import empty_world

SECRETS = {"TOKEN": "kept", "URL": "kept, too"}


def test_an_environment_that_becomes_unreadable_is_not_written_empty() -> None:
    """KMS may refuse to decrypt it at any moment; then no variables are answered."""
    world = empty_world()
    world.add_function("handler", SECRETS)
    reads = 0

    def deny_after_the_first(
        service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> dict[str, Any]:
        nonlocal reads
        answer = proceed()
        if operation == "GetFunctionConfiguration":
            reads += 1
            if reads > 1:
                error = {"ErrorCode": "AccessDeniedException", "Message": "denied"}
                answer = {**answer, "Environment": {"Error": error}}
        return answer

    world.interceptors.append(deny_after_the_first)
    recorder = Recorder(lambda service: WithModel(world.client(service)), world.clock)
    (left,) = record_function_writes(recorder, "handler")
    assert world.function("handler").variables == {**SECRETS, VARIABLE: "1"}
    assert f"the variable {VARIABLE} may be left in its environment (it cannot be read)" in left


def test_an_environment_that_cannot_be_read_is_left_alone() -> None:
    world = empty_world()
    recorder = Recorder(lambda service: WithModel(world.client(service)), world.clock)
    (left,) = record_function_writes(recorder, "absent")
    assert "not written" in left
    assert [call.operation for call in recorder.calls] == ["GetFunctionConfiguration"]
