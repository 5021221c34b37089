"""What has to be counted in a log for the criteria that look for events in it."""

from collections.abc import Iterator

from controller.core.observation import LogQuery, Span
from controller.core.policy import LogEvents
from controller.core.units import MINUTE_S

# What the key of every series of log events begins with.
LOG = "log:"
# Of the control, one event shows that logs arrive; some more make a sentence.
ENOUGH_OF_CONTROL = 100


def log_keys(name: str) -> tuple[str, str]:
    """Return the series keys of criterion `name`: of its event, and of its control."""
    return f"{LOG}{name}", f"{LOG}{name}:control"


def log_queries_of(
    name: str, criterion: LogEvents, function: str, begin: int, seen: Span
) -> Iterator[tuple[str, LogQuery]]:
    """Yield what has to be counted in the log, by series key.

    begin: from where the event is not sealed. seen: the judged and settled time of the step.
    """
    if begin >= seen.end:
        return
    group = criterion.group_of(function)
    event, control = log_keys(name)
    newest = Span(control_from(criterion, seen.start, seen.end), seen.end)
    yield event, LogQuery(group, criterion.event, Span(begin, seen.end), _most(criterion))
    yield control, LogQuery(group, criterion.control, newest, ENOUGH_OF_CONTROL)


def _most(criterion: LogEvents) -> int:
    """Return how many events have to be counted: one too many, or as many as are asked for."""
    return criterion.bound + 1 if criterion.present is None else criterion.bound


def control_from(criterion: LogEvents, start: int, closed: int) -> int:
    newest = closed - int(criterion.over.total_seconds())
    return max(start, newest // MINUTE_S * MINUTE_S)
