"""Whose AWS credentials a person works with. IAM: none; STS answers whoever has credentials."""

from dataclasses import dataclass
from datetime import UTC, datetime

from controller.adapters.aws.clients import AWS_ERRORS, Clients, error_text
from controller.errors import UsageError
from controller.process import logging

log = logging.logger()


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Who calls, and when, as AWS says; at: None where the answer has no date.

    problem: why nobody knows; the rest is empty then.
    """

    arn: str = ""
    at: datetime | None = None
    problem: str = ""


def caller_identity(clients: Clients) -> CallerIdentity:
    """Return who calls, by one question to STS. Raises UsageError without region or credentials."""
    try:
        answer = clients.get("sts").get_caller_identity()
    except AWS_ERRORS as error:
        return CallerIdentity(problem=error_text("sts:GetCallerIdentity", error))
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return CallerIdentity(str(answer.get("Arn", "")), _date(headers.get("date", "")))


def caller_arn(clients: Clients) -> str:
    """Return the ARN behind this process's credentials; empty without any, or when AWS is silent.

    A name for the history is worth no error: what keeps it from us is logged, whatever it is. By
    the time of this question a rollback is written, and must be recorded.
    """
    try:
        found = caller_identity(clients)
    except UsageError:  # no region, no credentials: nobody calls
        return ""
    except Exception as error:  # noqa: BLE001 - as above
        found = CallerIdentity(problem=f"sts:GetCallerIdentity: unexpected {type(error).__name__}")
    if found.problem:
        log.warning("caller_unknown", problem=found.problem)
    return found.arn


def _date(header: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # ticks call nobody

    try:
        found = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)  # "-0000" is UTC too
