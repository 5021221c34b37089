"""The identity behind the AWS credentials of this process. IAM: none; STS needs no permission."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from controller.adapters.aws.clients import AWS_ERRORS, ClientSource, error_text
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.process import logging

log = logging.logger()


class CallerIdentity(Immutable):
    """The caller of AWS, as STS answers.

    arn: of the caller. at: AWS's time of the answer; None without a date.
    problem: why the caller is unknown; the other fields are empty then.
    """

    arn: str = ""
    at: datetime | None = None
    problem: str = ""


def caller_identity(clients: ClientSource) -> CallerIdentity:
    """Return the caller, by one call of STS. Raises UsageError without region or credentials."""
    try:
        answer = clients.get("sts").get_caller_identity()
    except AWS_ERRORS as error:
        return CallerIdentity(problem=error_text("sts:GetCallerIdentity", error))
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return CallerIdentity(str(answer.get("Arn", "")), _date(headers.get("date", "")))


def caller_arn(clients: ClientSource) -> str:
    """Return the ARN of the caller; empty without credentials, or when STS does not answer.

    Every failure is logged and none is raised: the ARN is only a name for the history, and by then
    a rollback may have been written, which must be recorded.
    """
    try:
        caller = caller_identity(clients)
    except UsageError:  # no region or no credentials: there is no caller
        return ""
    except Exception as error:  # noqa: BLE001 - as above
        caller = CallerIdentity(problem=f"sts:GetCallerIdentity: unexpected {type(error).__name__}")
    if caller.problem:
        log.warning("caller_unknown", problem=caller.problem)
    return caller.arn


def _date(header: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)  # "-0000" is UTC too
