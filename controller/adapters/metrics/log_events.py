"""Log events with their text, through FilterLogEvents, and the log group of a function.

IAM: logs:FilterLogEvents on the log group of the function; lambda:GetFunctionConfiguration to find
that log group.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, StrangeAnswerError, code_of, error_text
from controller.adapters.iam.permission import FUNCTION, FUNCTION_LOGS, Job, Permission
from controller.errors import LogsError, NoLogGroupError
from controller.ports.logs import LogEvent

IAM: Final = (
    Permission("logs:FilterLogEvents", FUNCTION_LOGS, {Job.INVESTIGATE}),
    Permission("lambda:GetFunctionConfiguration", FUNCTION, {Job.INVESTIGATE}),
)

_MISSING: Final = "ResourceNotFoundException"


class CloudWatchLogEvents:
    """`LogReader` on a boto3 client of CloudWatch Logs.

    open_client: returns the client; called only when something is read.
    """

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def pages(
        self, group: str, pattern: str, start: datetime, end: datetime
    ) -> Iterator[Sequence[LogEvent]]:
        """Yield the events from `start` to `end`, page by page. Raises LogsError."""
        request: dict[str, Any] = {
            "logGroupName": group,
            "startTime": _milliseconds(start),
            "endTime": _milliseconds(end),
            **({"filterPattern": pattern} if pattern else {}),
        }
        client = self._open_client()
        while True:
            page = _page(client, request)
            yield [
                LogEvent(one.get("eventId", ""), one["timestamp"], one.get("message", ""))
                for one in page.get("events", ())
            ]
            next_token = page.get("nextToken")
            if not next_token:
                return
            if next_token == request.get("nextToken"):  # an endless loop
                raise _logs_error(group, StrangeAnswerError("its next page is the same one"))
            request["nextToken"] = next_token


def _page(client: Any, request: Mapping[str, Any]) -> Mapping[str, Any]:
    group = request["logGroupName"]
    try:
        page: Mapping[str, Any] = client.filter_log_events(**request)
    except AWS_ERRORS as error:
        if code_of(error) == _MISSING:
            raise NoLogGroupError(
                f"there is no log group {group}: the function has not logged yet, or logs "
                "elsewhere; check the name, the region and the account",
                code=_MISSING,
            ) from error
        raise _logs_error(group, error) from error
    return page


def _logs_error(group: str, error: Exception) -> LogsError:
    text = error_text(f"{group} could not be read (logs:FilterLogEvents)", error)
    return LogsError(text, code=code_of(error))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)
