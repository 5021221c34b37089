"""Log events in CloudWatch Logs, through FilterLogEvents: their counts, or their text.

IAM: logs:FilterLogEvents on each log group in which a policy counts events, and on that of its
function; lambda:GetFunctionConfiguration to find the latter.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from controller.adapters.aws.clients import (
    AWS_ERRORS,
    StrangeAnswerError,
    code_of,
    error_text,
    is_denied,
)
from controller.adapters.iam import (
    FUNCTION,
    FUNCTION_LOGS,
    GATE_LOGS,
    LOGS,
    Job,
    Permission,
)
from controller.core.observation import LogQuery, QueryStatus, Series
from controller.core.units import MINUTE_S, format_duration
from controller.errors import LogsError, NoLogGroupError, UsageError
from controller.ports.clock import Clock
from controller.ports.logs import LogEvent

IAM: Final = (
    Permission("logs:FilterLogEvents", LOGS, {Job.TICK, Job.START, Job.DOCTOR}),
    Permission("logs:FilterLogEvents", GATE_LOGS, {Job.OPERATE}),
    Permission("logs:FilterLogEvents", FUNCTION_LOGS, {Job.INVESTIGATE}),
    Permission("lambda:GetFunctionConfiguration", FUNCTION, {Job.INVESTIGATE}),
)

# An empty page may not be the last one, so these two limits end a search.
PAGES_PER_QUERY: Final = 50
SEARCH_LIMIT: Final = timedelta(seconds=20)  # for all queries of one call together
_LIMIT_TEXT: Final = f"{format_duration(SEARCH_LIMIT)} for all searches of a tick"


class CloudWatchLogCounts:
    """`LogSource` on a boto3 client of CloudWatch Logs.

    open_client: returns the client; called only when something is counted. Only the time of an
    event is read, never its text.
    """

    def __init__(self, open_client: Callable[[], Any], clock: Clock) -> None:
        self._open_client = open_client
        self._clock = clock

    def count(self, queries: Iterable[LogQuery]) -> Mapping[LogQuery, Series]:
        """Return the number of matching events of each query by minute, up to its limit.

        A query that could not be read to its end has the counts so far, and the reason. The time
        is divided among the queries, so an endless search leaves the others their part.
        """
        distinct = list(dict.fromkeys(queries))
        end = self._clock.now() + SEARCH_LIMIT
        counts: dict[LogQuery, Series] = {}
        for query in distinct:
            now = self._clock.now()
            part = max(end - now, timedelta()) / (len(distinct) - len(counts))
            counts[query] = self._count_query(query, now + part)
        return counts

    def _count_query(self, query: LogQuery, deadline: datetime) -> Series:
        minutes: Counter[int] = Counter()
        status, reason = QueryStatus.COMPLETE, ""
        try:
            for page in self._pages(query, deadline):
                events = page.get("events", ())[: query.limit - minutes.total()]
                minutes.update(
                    event["timestamp"] // 1_000 // MINUTE_S * MINUTE_S for event in events
                )
                if minutes.total() >= query.limit:
                    break
        except _UnfinishedError as error:
            status, reason = QueryStatus.PARTIAL, f"{query.group} was searched in part: {error}"
        except UsageError as error:
            status, reason = QueryStatus.ERROR, str(error)
        except AWS_ERRORS as error:
            status = QueryStatus.FORBIDDEN if is_denied(error) else QueryStatus.ERROR
            action = f"{query.group} could not be searched (logs:FilterLogEvents)"
            reason = error_text(action, error)
        points = {second: float(count) for second, count in sorted(minutes.items())}
        return Series(points, status, reason)

    def _pages(self, query: LogQuery, deadline: datetime) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a search. Raises _UnfinishedError at the limit of pages or time."""
        request: dict[str, Any] = {
            "logGroupName": query.group,
            "startTime": query.span.start * 1_000,
            "endTime": query.span.end * 1_000 - 1,  # CloudWatch includes the end time
            "limit": query.limit,
            **({"filterPattern": query.pattern} if query.pattern else {}),
        }
        client = self._open_client()
        for _ in range(PAGES_PER_QUERY):
            if self._clock.now() >= deadline:
                raise _UnfinishedError(f"it took longer than its part of {_LIMIT_TEXT}")
            page = client.filter_log_events(**request)
            yield page
            if not page.get("nextToken"):
                return
            request["nextToken"] = page["nextToken"]
        raise _UnfinishedError(f"there were more than {PAGES_PER_QUERY} pages")


class _UnfinishedError(Exception):
    """The search was stopped before its last page."""


# --- Texts ----------------------------------------------------------------------------------------

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
