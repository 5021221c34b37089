"""Metrics that arrive later than the policy waits for."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from controller.core.observation import MetricQuery, Span
from controller.immutable import Immutable
from controller.operations.checks import Check
from controller.operations.live_checks.metrics import lateness_checks
from tests.support.cases import cases
from tests.support.core import Series
from tests.support.stage import short_policy

NOW: Final = datetime(2026, 1, 6, 9, tzinfo=UTC)


class Late(Immutable):
    """A metric source whose newest datapoint is so old; gap_s: seconds between two."""

    minutes: int
    gap_s: int = 60
    missing: int = 0

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        newest = int((NOW - timedelta(minutes=self.minutes)).timestamp()) - self.gap_s
        seconds = range(newest, span.start, -self.gap_s)
        points = {
            one: 1.0 for number, one in enumerate(seconds) if number != self.missing or not number
        }
        return {query: Series(points) for query in queries}


def warnings(late: Late, idle: Callable[[str], bool] = lambda _: False) -> list[Check]:
    return list(lateness_checks(late, short_policy(), NOW, idle=idle))


@cases(
    "late, delay",
    {
        "five minutes late": (Late(5), "6m"),
        "a datapoint every five minutes, ten minutes late": (Late(10, 300), "7m"),
    },
)
def test_a_late_metric_is_named_with_the_delay_that_waits_for_it(late: Late, delay: str) -> None:
    (check,) = warnings(late)
    assert f"write `evaluation_delay: {delay}`" in check.remedy
    assert "requests" in check.detail


@cases(
    "late",
    {
        "as late as the policy waits": Late(3),
        "every five minutes, and the next one is hardly due": Late(7, 300),
        "quiet minutes say nothing": Late(10, missing=5),
        "too few datapoints say nothing": Late(10, 900),
        "what stopped half an hour ago is not late": Late(30),
    },
)
def test_what_is_in_time_or_not_known_is_no_warning(late: Late) -> None:
    assert not list(warnings(late))


def test_a_canary_that_gets_no_requests_is_not_late() -> None:
    """After a rollback its newest datapoint grows old, and none is due."""
    policy = short_policy()
    canary = {name for name, counts in policy.counts.items() if counts == "canary"}
    assert canary
    for check in warnings(Late(5), canary.__contains__):
        assert not [name for name in canary if name in check.detail.split(" arrive ")[0]]
