"""Reading a log group once and following it: completeness, duplicates, limits."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

import pytest

from controller.adapters.metrics.logs import CloudWatchLogEvents
from controller.core.units import clock_text
from controller.errors import LogsError
from controller.operations.log_tail import (
    MAX_EVENTS,
    MAX_FAILURES,
    MAX_PAGES,
    OVERLAP,
    READ_LIMIT,
    Tail,
)
from controller.ports.logs import LogEvent
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.world import World
from tests.support.cases import cases
from tests.support.stage import FailingCall
from tests.tools.simulation.worlds import HOUR, MINUTE, START, empty_world

GROUP = "/aws/lambda/handler"
SECOND = timedelta(seconds=1)
LOGS = ("logs", "FilterLogEvents")


@pytest.fixture
def world() -> World:
    """A world with the log group; its responses are validated by the service models."""
    world = empty_world()
    world.add_log_event(GROUP, START - 10 * HOUR, "long ago")
    return world


def tail(world: World, page: int = 10_000, pattern: str = "") -> Tail:
    reader = CloudWatchLogEvents(lambda: _Pages(world, page))
    return Tail(reader, world.clock, GROUP, pattern)


class _Pages:
    """A client of the world's log with `size` events a page."""

    def __init__(self, world: World, size: int) -> None:
        self._client, self._size = world.client("logs"), size

    def filter_log_events(self, **request: object) -> object:
        return self._client.filter_log_events(**{**request, "limit": self._size})


def receive_at(world: World, moment: datetime, *texts: str, stamp: datetime | None = None) -> None:
    """Let the log receive `texts` at `moment`, with the timestamp `stamp`."""
    for text in texts:
        world.clock.at(moment, partial(world.add_log_event, GROUP, stamp or moment, text))


def texts(events: Sequence[LogEvent] | Iterator[LogEvent]) -> list[str]:
    return [event.text for event in events]


# --- one read -------------------------------------------------------------------------------------


def test_what_lies_in_a_span_is_read_oldest_first(world: World) -> None:
    for second in (3, 1, 2):
        world.add_log_event(GROUP, START + second * SECOND, f"{second}")
    world.clock.advance(HOUR)
    result = tail(world, page=2).read(START, world.clock.now())
    assert (texts(result.events), result.truncation) == (["1", "2", "3"], "")


class Endless:
    """A reader whose pages never end; each has `size` events and `takes` some time."""

    def __init__(self, clock: VirtualClock, size: int, takes: timedelta = timedelta()) -> None:
        self.clock, self.size, self.takes = clock, size, takes

    def pages(
        self, group: str, pattern: str, start: datetime, end: datetime
    ) -> Iterator[Sequence[LogEvent]]:
        number = 0
        while True:
            self.clock.advance(self.takes)
            stamp = int(START.timestamp() * 1_000) + number
            yield [LogEvent(f"{number}-{one}", stamp, "call") for one in range(self.size)]
            number += 1


@cases("size, takes, cut, events", {
    "more events than anybody reads":
        (4_000, timedelta(), f"after 12,000 events, at {clock_text(START)}", 12_000),
    "empty pages without end": (0, timedelta(), "after 100 pages", 0),
    "a log that is slow": (1, 7 * SECOND, f"after 1m, at {clock_text(START)}", 8),
})  # fmt: skip
def test_a_read_has_limits_and_says_where_it_stopped(
    size: int, takes: timedelta, cut: str, events: int
) -> None:
    clock = VirtualClock(START)
    result = Tail(Endless(clock, size, takes), clock, GROUP).read(START, START + HOUR)
    assert (len(result.events), result.truncation) == (events, f"reading stopped {cut}")
    assert (MAX_EVENTS, MAX_PAGES, READ_LIMIT) == (10_000, 100, 60 * SECOND)


# --- following ------------------------------------------------------------------------------------


def test_what_was_there_and_what_comes_is_shown_once(world: World) -> None:
    for minute in range(1, 10):
        receive_at(world, START + minute * MINUTE, f"{minute}")
    world.clock.advance(3 * MINUTE)
    followed = tail(world, page=2).follow(START, START + 20 * MINUTE, 5 * SECOND)
    assert texts(followed) == [str(minute) for minute in range(1, 10)]


def test_what_comes_late_is_shown_too_as_long_as_it_is_not_too_late(world: World) -> None:
    late = START + 10 * MINUTE
    receive_at(world, late, "in time", stamp=late - OVERLAP + 10 * SECOND)
    receive_at(world, late, "too late", stamp=late - OVERLAP - 10 * SECOND)
    followed = tail(world).follow(START, START + 20 * MINUTE, 5 * SECOND)
    assert texts(followed) == ["in time"]


def test_events_that_say_the_same_are_not_taken_for_one(world: World) -> None:
    receive_at(world, START + MINUTE, "same", "same")
    assert texts(tail(world).follow(START, START + 5 * MINUTE, 5 * SECOND)) == ["same", "same"]


def test_memory_does_not_grow_with_the_log(world: World) -> None:
    for minute in range(1, 60):
        receive_at(world, START + minute * MINUTE, f"{minute}")
    following = tail(world)
    assert len(texts(following.follow(START, START + HOUR, 5 * SECOND))) == 59
    assert len(following._seen_ids) <= OVERLAP / MINUTE + 1


def test_however_much_there_is_nothing_is_left_out(world: World) -> None:
    for second in range(500):
        world.add_log_event(GROUP, START + second * SECOND, f"{second}")
    world.clock.advance(HOUR)
    followed = tail(world, page=2).follow(START, world.clock.now(), 5 * SECOND)
    assert texts(followed) == [f"{second}" for second in range(500)]


def test_a_log_that_does_not_answer_for_a_while_leaves_no_gap(world: World) -> None:
    broken = FailingCall(LOGS, "denied")
    for minute in range(1, 10):
        receive_at(world, START + minute * MINUTE, f"{minute}")
    world.clock.at(START + 4 * MINUTE, lambda: world.interceptors.append(broken))
    world.clock.at(START + 7 * MINUTE, lambda: world.interceptors.remove(broken))
    followed = tail(world).follow(START, START + 20 * MINUTE, MINUTE)
    assert texts(followed) == [f"{minute}" for minute in range(1, 10)]


def test_a_log_that_never_answers_again_is_given_up(world: World) -> None:
    world.clock.at(
        START + 4 * MINUTE, lambda: world.interceptors.append(FailingCall(LOGS, "denied"))
    )
    with pytest.raises(LogsError):
        list(tail(world).follow(START, START + HOUR, MINUTE))
    assert world.clock.now() == START + (3 + MAX_FAILURES) * MINUTE
