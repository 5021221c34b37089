"""What a tick tells of itself: facts in its log, and metrics for whoever asks for them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.adapters.metrics.data_age import LagTrackingMetrics
from controller.core.observation import MetricQuery, Series, Span
from controller.engine import telemetry
from controller.engine.lease import Skip
from controller.engine.tick import TickResult
from controller.errors import Exit, StoreError
from controller.simulation.clock import VirtualClock

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
NOTHING = TickResult([])


def told(ticked: TickResult = NOTHING, lag: timedelta | None = None) -> dict[str, Any]:
    """Return what a tick of 1.5 s with five requests says."""
    calls = {"lambda": 2, "dynamodb": 3}
    return telemetry.tick_summary(ticked, timedelta(seconds=1.5), calls, lag)


def test_a_tick_with_nothing_to_do_says_that_it_came_to_its_end() -> None:
    assert told() == {
        "status": Exit.DONE,
        "duration_ms": 1500,
        "rollouts": {},
        "verdicts": {},
        "busy": 0,
        "errors": 0,
        "unconfirmed": 0,
        "drifted": 0,
        "calls": {"lambda": 2, "dynamodb": 3},
        "data_lag_s": None,
    }


def test_a_rollout_that_cannot_be_read_is_an_error() -> None:
    assert told(TickResult([], [Skip("orders#1", StoreError("torn"))]))["errors"] == 1


def test_without_a_namespace_a_line_is_no_metric() -> None:
    assert telemetry.embedded_metrics(told(), "", NOW) == {}


def test_every_metric_has_its_value_at_the_top_of_the_line_and_no_dimension() -> None:
    line = telemetry.embedded_metrics(told(lag=timedelta(seconds=62)), "rolloutctl/shop", NOW)
    (published,) = line["_aws"]["CloudWatchMetrics"]
    assert line["_aws"]["Timestamp"] == NOW.timestamp() * 1_000
    assert (published["Namespace"], published["Dimensions"]) == ("rolloutctl/shop", [[]])
    assert {one["Name"]: (line[one["Name"]], one["Unit"]) for one in published["Metrics"]} == {
        "Ticks": (1, "Count"),
        "DurationMs": (1500, "Milliseconds"),
        "ApiCalls": (5, "Count"),
        "Errors": (0, "Count"),
        "DataLagSeconds": (62, "Seconds"),
    }


@pytest.mark.parametrize(
    ("counted", "metric"),
    [
        ({"rollouts": {"rolling_back": 2}}, "RolloutsRollingBack"),
        ({"verdicts": {"inconclusive": 2}}, "VerdictsInconclusive"),
    ],
)
def test_phases_and_verdicts_are_metrics_of_their_own(counted: dict[str, Any], metric: str) -> None:
    assert telemetry.embedded_metrics({**told(), **counted}, "rolloutctl", NOW)[metric] == 2


class Measured:
    """A source with two series: one that is a minute old, and one without a datapoint."""

    def read(self, queries: Any, span: Span) -> dict[MetricQuery, Series]:
        new, old, silent = (MetricQuery("N", name, "Sum", 60) for name in ("new", "old", "silent"))
        at = int(NOW.timestamp())
        return {new: Series({at - 120: 1.0}), old: Series({at - 300: 1.0}), silent: Series()}


def test_the_lag_of_data_is_counted_from_the_end_of_the_newest_datapoint() -> None:
    metrics = LagTrackingMetrics(Measured, VirtualClock(NOW))
    assert metrics.lag is None
    metrics.read((), Span(0, 60))
    assert metrics.lag == timedelta(minutes=1)
