"""What has to be counted in a log for the criteria that look for events in it."""

from collections.abc import Iterator
from datetime import timedelta

from controller.core.observation import LogQuery, Span
from controller.core.policy import LogEvents

# What the key of every series of log events begins with.
LOG = "log:"
# Of the control, one event shows that logs arrive; some more make a sentence.
ENOUGH_OF_CONTROL = 100
# So much of a log is searched for an event in one tick. It is more than an hour leaves unsealed;
# after an outage the rest follows tick by tick, for a search that takes too long ends nowhere.
AT_ONCE = timedelta(hours=2)
# More than this is not left unsealed by an hour and a tick of a quarter of an hour.
LATE = timedelta(minutes=90)


def log_keys(name: str) -> tuple[str, str]:
    """Return the series keys of criterion `name`: of its event, and of its control."""
    return f"{LOG}{name}", f"{LOG}{name}:control"


def log_keys_read(name: str, span: Span) -> tuple[str, ...]:
    """Return the keys of what is read; of an event that is sealed to the end, its control alone."""
    event, control = log_keys(name)
    return (event, control) if span.start < span.end else (control,)


def event_span(begin: int, closed: int) -> Span:
    """Return where an event is looked for in one tick; nowhere once it is sealed to the end.

    begin: from where it is not sealed. closed: end of the settled time, unix seconds.
    """
    return Span(begin, max(begin, min(closed, begin + int(AT_ONCE.total_seconds()))))


def log_queries_of(
    name: str, criterion: LogEvents, function: str, begin: int, seen: Span
) -> Iterator[tuple[str, LogQuery]]:
    """Yield what has to be counted in the log, by series key.

    begin: from where the event is not sealed. seen: the judged and settled time of the step.
    """
    if seen.start >= seen.end:
        return
    group = criterion.log_group_of(function)
    event, control = log_keys(name)
    newest = Span(control_from(criterion, seen.start, seen.end), seen.end)
    span = event_span(begin, seen.end)
    if span.start < span.end:
        yield event, LogQuery(group, criterion.event, span, _most(criterion))
    yield control, LogQuery(group, criterion.control, newest, ENOUGH_OF_CONTROL)


def _most(criterion: LogEvents) -> int:
    """Return how many events have to be counted: one too many, or as many as are asked for."""
    return criterion.bound + 1 if criterion.present is None else criterion.bound


def control_from(criterion: LogEvents, start: int, closed: int) -> int:
    return max(start, closed - int(criterion.over.total_seconds()))
