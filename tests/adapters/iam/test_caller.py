"""The caller of AWS: a name for the history, whose failure is only logged."""

from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from structlog.testing import capture_logs

from controller.adapters.aws.clients import Clients
from controller.adapters.iam import caller_arn
from controller.errors import UsageError

ARN = "arn:aws:sts::123456789012:assumed-role/Admin/jo"
DENIED = {"Error": {"Code": "ExpiredToken", "Message": "The token is too old."}}


@dataclass
class Sts(Clients):
    """Clients whose STS returns an answer, or raises it."""

    answer: Any

    def get(self, service: str, *, lowers: bool = False) -> Any:
        if isinstance(self.answer, UsageError):
            raise self.answer
        return self

    def get_caller_identity(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_the_caller_is_the_owner_of_the_credentials() -> None:
    assert caller_arn(Sts({"Arn": ARN, "Account": "123456789012"})) == ARN


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(
            ClientError(DENIED, "GetCallerIdentity"),
            "ExpiredToken: The token is too old; the credentials have expired; log in again",
            id="credentials that are no good",
        ),
        pytest.param(
            ConnectTimeoutError(endpoint_url="https://sts"), "ConnectTimeoutError: ", id="no way"
        ),
    ],
)
def test_a_call_that_fails_is_logged_and_no_error(answer: object, problem: str) -> None:
    with capture_logs() as logs:
        assert caller_arn(Sts(answer)) == ""
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("caller_unknown", "warning")
    assert line["problem"].startswith("sts:GetCallerIdentity: ")
    assert problem in line["problem"]


def test_without_credentials_there_is_no_caller_and_nothing_is_logged() -> None:
    with capture_logs() as logs:
        assert caller_arn(Sts(UsageError("there are no AWS credentials"))) == ""
    assert logs == []


def test_whatever_else_is_raised_is_logged_by_its_kind_alone() -> None:
    with capture_logs() as logs:
        assert caller_arn(Sts(ValueError("a secret"))) == ""
    (line,) = logs
    assert line["problem"] == "sts:GetCallerIdentity: unexpected ValueError"


def test_the_call_is_tried_once_and_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a rollback waits for this call."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    config = Clients().get("sts").meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.connect_timeout + config.read_timeout <= 3
