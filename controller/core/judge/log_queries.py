"""The log queries of criteria of kind `log_events`: keys, patterns, spans and limits."""

from collections.abc import Iterator
from datetime import timedelta

from controller.core.observation import LogQuery, Span
from controller.core.policy import LogEvents

# What the key of every series of log events begins with.
LOG_KEY_PREFIX = "log:"
# One control event shows that logs arrive; the finding's sentence says how many, up to this.
CONTROL_EVENT_LIMIT = 100
# A tick searches at most this much of a log for an event. It is more than an hour leaves unsealed;
# after an outage the rest follows tick by tick, because a search that takes too long is cut off.
MAX_SEARCH_TIME = timedelta(hours=2)
# An hourly seal and a tick every quarter of an hour leave no more than this unsealed.
BACKLOG_THRESHOLD = timedelta(minutes=90)


def log_keys(name: str) -> tuple[str, str]:
    """Return the series keys of criterion `name`: of its event, and of its control."""
    return f"{LOG_KEY_PREFIX}{name}", f"{LOG_KEY_PREFIX}{name}:control"


def log_keys_to_read(name: str, span: Span) -> tuple[str, ...]:
    """Return the keys to read: of event and control, or of the control alone for an empty span."""
    event, control = log_keys(name)
    return (event, control) if span.start < span.end else (control,)


def event_search_span(begin: int, closed_end: int) -> Span:
    """Return where one tick searches for an event; an empty span once all of it is sealed.

    begin: end of the sealed time. closed_end: end of the settled time. Both in unix seconds.
    """
    return Span(begin, max(begin, min(closed_end, begin + int(MAX_SEARCH_TIME.total_seconds()))))


def log_queries_of(
    name: str, criterion: LogEvents, group: str, begin: int, judged_span: Span
) -> Iterator[tuple[str, LogQuery]]:
    """Yield the log queries of criterion `name`, by series key.

    begin: end of the sealed time, unix seconds. judged_span: the judged and settled time of the
    step.
    """
    if judged_span.start >= judged_span.end:
        return
    event, control = log_keys(name)
    newest = Span(
        control_window_start(criterion, judged_span.start, judged_span.end), judged_span.end
    )
    span = event_search_span(begin, judged_span.end)
    if span.start < span.end:
        yield event, LogQuery(group, criterion.event, span, _event_limit(criterion))
    yield control, LogQuery(group, criterion.control, newest, CONTROL_EVENT_LIMIT)


def _event_limit(criterion: LogEvents) -> int:
    """Return how many events have to be counted: one too many, or as many as are required."""
    return criterion.bound + 1 if criterion.present is None else criterion.bound


def control_window_start(criterion: LogEvents, start: int, closed_end: int) -> int:
    return max(start, closed_end - int(criterion.over.total_seconds()))
