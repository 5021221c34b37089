"""Log events counted in CloudWatch Logs, through FilterLogEvents alone.

IAM: logs:FilterLogEvents on each log group in which a policy counts events.

Nothing of an event is kept but its time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text
from controller.adapters.iam.permission import GATE_LOGS, LOGS, TRAFFIC_JOBS, Job, Permission
from controller.core.observation import LogQuery, QueryStatus, Series
from controller.core.units import MINUTE_S, format_duration
from controller.errors import UsageError
from controller.ports.clock import Clock

IAM: Final = (
    Permission("logs:FilterLogEvents", LOGS, {Job.TICK, Job.DOCTOR}),
    Permission("logs:FilterLogEvents", GATE_LOGS, TRAFFIC_JOBS - {Job.TICK}),
)

# A page may be empty and not the last: these two end the search all the same.
PAGES_PER_QUERY: Final = 50
SEARCH_LIMIT: Final = timedelta(seconds=20)  # for all queries of one call together
_LIMIT_TEXT: Final = f"{format_duration(SEARCH_LIMIT)} for all searches of a tick"

_DENIED: Final = ("AccessDenied", "AccessDeniedException")


class CloudWatchLogCounts:
    """`LogSource` on a boto3 client of CloudWatch Logs.

    open_client: gives the client; called when something is counted, and not before.
    """

    def __init__(self, open_client: Callable[[], Any], clock: Clock) -> None:
        self._open_client = open_client
        self._clock = clock

    def count(self, queries: Iterable[LogQuery]) -> Mapping[LogQuery, Series]:
        """Return how many events match each query, by minute, or as many as are enough.

        What could not be read to the end says why, with what was counted until then. A search that
        has no end takes none of the time of those after it.
        """
        wanted = list(dict.fromkeys(queries))
        end = self._clock.now() + SEARCH_LIMIT
        found: dict[LogQuery, Series] = {}
        for query in wanted:
            now = self._clock.now()
            part = max(end - now, timedelta()) / (len(wanted) - len(found))
            found[query] = self._count_query(query, now + part)
        return found

    def _count_query(self, query: LogQuery, deadline: datetime) -> Series:
        minutes: Counter[int] = Counter()
        answer, why = QueryStatus.COMPLETE, ""
        try:
            for page in self._pages(query, deadline):
                minutes.update(_minutes(page, query.limit - minutes.total()))
                if minutes.total() >= query.limit:
                    break
        except _UnfinishedError as error:
            answer, why = QueryStatus.PARTIAL, f"{query.group} was searched in part: {error}"
        except UsageError as error:
            answer, why = QueryStatus.ERROR, str(error)
        except AWS_ERRORS as error:
            answer = QueryStatus.FORBIDDEN if code_of(error) in _DENIED else QueryStatus.ERROR
            why = error_text(f"{query.group} could not be searched (logs:FilterLogEvents)", error)
        return Series({second: float(n) for second, n in sorted(minutes.items())}, answer, why)

    def _pages(self, query: LogQuery, deadline: datetime) -> Iterator[Mapping[str, Any]]:
        """Yield page after page. Raises _UnfinishedError when there are more than may be read."""
        request: dict[str, Any] = {
            "logGroupName": query.group,
            "startTime": query.span.start * 1_000,
            "endTime": query.span.end * 1_000 - 1,  # of this one, the end is included
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
    """The search was ended before its last page."""


def _minutes(page: Mapping[str, Any], most: int) -> list[int]:
    """Return the minute of each event of `page`, in unix seconds, of the first `most`."""
    stamps = [event["timestamp"] for event in page.get("events", ())[:most]]
    return [stamp // 1_000 // MINUTE_S * MINUTE_S for stamp in stamps]
