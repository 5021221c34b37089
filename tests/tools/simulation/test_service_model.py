"""The check of fake answers against botocore's models: it rejects answers that AWS never gives."""

from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.tools.simulation.fakes.errors import STATUS, client_error
from tests.tools.simulation.service_model import hold_to_model, operation_model, undeclared_parts

READ = ("lambda", "GetFunctionConfiguration")
METRICS = ("cloudwatch", "GetMetricData")


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        (READ, {"FunctionNaem": "handler"}),
        (READ, {"Timeout": "30"}),
        (READ, {"LastUpdateStatus": "Done"}),
        (READ, {"SnapStart": {"ApplyOn": "Always"}}),
        (METRICS, {"MetricDataResults": [{"StatusCode": "Done"}]}),
        (METRICS, {"MetricDataResults": [{"Timestamps": [datetime(2026, 1, 5)]}]}),  # noqa: DTZ001
        (METRICS, {"MetricDataResults": [{"Values": ["1"]}]}),
    ],
    ids=[
        "unknown key",
        "wrong type",
        "unknown status",
        "unknown value deep inside",
        "unknown status of a result",
        "time without a zone",
        "text for a number",
    ],
)
def test_an_answer_that_aws_never_gives_is_found(
    operation: tuple[str, str], answer: dict[str, Any]
) -> None:
    assert list(undeclared_parts(answer, operation_model(*operation).output_shape))


def test_an_error_that_an_operation_does_not_have_is_found() -> None:
    def answer_412() -> dict[str, Any]:
        raise client_error(
            "GetFunctionConfiguration", "PreconditionFailedException", "no such thing"
        )

    with pytest.raises(AssertionError):
        hold_to_model(*READ, {"FunctionName": "handler"}, answer_412)


def test_a_refusal_looks_as_botocore_raises_it() -> None:
    error = client_error("UpdateFunctionConfiguration", "ResourceConflictException", "busy")
    assert isinstance(error, ClientError)
    assert error.operation_name == "UpdateFunctionConfiguration"
    assert error.response["Error"] == {"Code": "ResourceConflictException", "Message": "busy"}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert STATUS["PreconditionFailedException"] == 412
