"""How often a dashboard reads its store, and what it says when it cannot."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from controller.core.observation import MetricQuery, Series, Span
from controller.errors import MetricsError, StoreError, UnknownRolloutError
from controller.tools.dashboard.feed import Feed
from controller.tools.dashboard.verb import LimitedMetrics
from tests.support.stage import Stage


class Watched:
    """A store that counts its calls, and can be down."""

    def __init__(self, stage: Stage) -> None:
        self._store = stage.store
        self.calls: Counter[str] = Counter()
        self.down = False

    def __getattr__(self, name: str) -> Any:
        if self.down:
            raise StoreError("the disk is gone")
        self.calls[name] += 1
        return getattr(self._store, name)


class Seconds:
    """A clock in seconds."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def watched(stage: Stage) -> Watched:
    return Watched(stage)


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def feed(stage: Stage, watched: Any, seconds: Seconds) -> Feed:
    return Feed(watched, stage.world.clock, timedelta(seconds=5), seconds)


def test_the_store_is_read_once_an_interval_however_many_tabs_look(
    feed: Feed, watched: Watched, seconds: Seconds, stage: Stage
) -> None:
    feed.view()
    watched.calls.clear()
    for second in range(1, 21):
        seconds.at = float(second)
        for _ in range(10):
            feed.view()
            feed.find("orders#1")
    assert watched.calls == {"active": 4, "load_all": 4}


def test_a_store_that_takes_long_is_read_less_often(
    stage: Stage, watched: Any, seconds: Seconds
) -> None:
    class Slow:
        """A store whose list takes two seconds."""

        def __getattr__(self, name: str) -> Any:
            seconds.at += 2.0 if name == "active" else 0.0
            return getattr(watched, name)

    slow: Any = Slow()
    feed = Feed(slow, stage.world.clock, timedelta(seconds=5), seconds)
    feed.view()
    read_s = seconds.at
    watched.calls.clear()
    seconds.at = 4 * read_s
    feed.view()
    assert watched.calls == {}
    seconds.at = 5 * read_s
    feed.view()
    assert watched.calls["active"] == 1


def test_a_new_entry_is_an_event_and_the_newest_comes_first(
    feed: Feed, seconds: Seconds, stage: Stage
) -> None:
    assert [one.entry.kind for one in feed.view().events] == ["applied"]
    stage.tick_until(100)
    seconds.at = 5.0
    view = feed.view()
    assert [one.entry.kind for one in view.events] == ["applied", "applied"]
    assert view.events[0].entry.seq > view.events[1].entry.seq
    assert view.overview.rollouts[0].weight == 100


def test_a_rollout_that_ends_stays_in_view(feed: Feed, seconds: Seconds, stage: Stage) -> None:
    feed.view()
    for _ in range(40):
        stage.tick()
    seconds.at = 5.0
    assert [one.phase for one in feed.view().overview.rollouts] == ["succeeded"]


def test_a_store_that_does_not_answer_leaves_the_last_view_with_the_problem(
    feed: Feed, watched: Watched, seconds: Seconds
) -> None:
    before = feed.view()
    watched.down, seconds.at = True, 5.0
    view = feed.view()
    assert (view.problem, view.overview, view.at) == (
        "the disk is gone",
        before.overview,
        before.at,
    )
    watched.down, seconds.at = False, 10.0
    assert feed.view().problem == ""


def test_an_unknown_rollout_is_named(feed: Feed) -> None:
    with pytest.raises(UnknownRolloutError):
        feed.find("gone#1")


class Metrics:
    """A source of metrics that counts its calls, and can fail."""

    def __init__(self) -> None:
        self.calls, self.fails = 0, False

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        self.calls += 1
        if self.fails:
            raise MetricsError("CloudWatch did not answer")
        return {}


def test_the_same_minutes_are_read_once_and_a_failing_source_once_a_minute(
    seconds: Seconds,
) -> None:
    source = Metrics()
    metrics = LimitedMetrics(source, now_s=seconds)
    for _ in range(3):
        metrics.read((), Span(0, 60))
    assert source.calls == 1
    source.fails = True
    for second in (0.0, 30.0, 59.0):
        seconds.at = second
        with pytest.raises(MetricsError):
            metrics.read((), Span(0, 120))
    assert source.calls == 2
    source.fails, seconds.at = False, 61.0
    metrics.read((), Span(0, 120))
    assert source.calls == 3
