"""Checks every call of a simulated world against botocore's service models."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import ListShape, OperationModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

from controller.tools.simulation.fakes.errors import Proceed

# Errors of every service; no model lists them per operation.
COMMON_ERRORS = {
    "AccessDeniedException": 403,
    "InternalFailure": 500,
    "Throttling": 400,
    "ThrottlingException": 400,
    "ValidationError": 400,
}


def hold_to_model(
    service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
) -> dict[str, Any]:
    """An interceptor: every request, answer and error must fit the model of the service."""
    model = operation_model(service, operation)
    report = ParamValidator().validate(request, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    try:
        answer = proceed()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert (code, status) in known_errors(model).items()
        raise
    assert list(undeclared_parts(answer, model.output_shape)) == []
    return answer


@lru_cache
def operation_model(service: str, operation: str) -> OperationModel:
    """Return botocore's model of one operation."""
    session = botocore.session.get_session()
    model: OperationModel = session.get_service_model(service).operation_model(operation)
    return model


def known_errors(model: OperationModel) -> dict[str, int]:
    """Return the status of each error code that an operation may answer with."""
    codes = dict(COMMON_ERRORS)
    for shape in model.error_shapes:
        details = shape.metadata.get("error", {})  # services that speak JSON name no status
        codes[details.get("code", shape.name)] = details.get("httpStatusCode", 400)
    return codes


def undeclared_parts(answer: Any, shape: Shape | None) -> Iterator[str]:
    """Yield parts of `answer` that its shape does not declare: keys, types, enums, naive times."""
    if shape is None:
        if answer:
            yield f"{answer!r} where nothing is answered"
        return
    report = ParamValidator().validate(answer, shape)
    if report.has_errors():
        yield report.generate_report()
    yield from _inside(answer, shape, shape.name)


def _inside(value: Any, shape: Shape, path: str) -> Iterator[str]:
    match shape:
        case StructureShape():
            for name in value.keys() & shape.members.keys():
                yield from _inside(value[name], shape.members[name], f"{path}.{name}")
        case ListShape():
            for inner in value:
                yield from _inside(inner, shape.member, f"{path}[]")
        case StringShape() if shape.enum and value not in shape.enum:
            yield f"{path} is {value!r}, not of {shape.enum}"
        case _ if isinstance(value, datetime) and value.tzinfo is None:
            yield f"{path} has no time zone"
