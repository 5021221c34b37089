"""The summary of a tick: fields of its log line, and metrics where a namespace is set."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.engine import telemetry
from controller.engine.execute import TickOutcome
from controller.engine.lease import SkippedRollout
from controller.engine.slices import TickResult
from controller.errors import Exit, StoreError, TickDeadlineError
from tests.support.core import Phase
from tests.support.rollouts import a_rollout

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
NOTHING = TickResult([])


def summary_of(result: TickResult = NOTHING, lag: timedelta | None = None) -> dict[str, Any]:
    """Return the summary of a tick of 1.5 s with five requests."""
    calls = {"lambda": 2, "dynamodb": 3}
    return telemetry.tick_summary(result, timedelta(seconds=1.5), calls, 1, lag)


def test_a_tick_with_nothing_to_do_has_a_summary_too() -> None:
    assert summary_of() == {
        "status": Exit.DONE,
        "duration_ms": 1500,
        "due": 0,
        "later": 0,
        "visited": 0,
        "late": 0,
        "rollouts": {},
        "verdicts": {},
        "busy": 0,
        "errors": 0,
        "unconfirmed": 0,
        "drifted": 0,
        "calls": {"lambda": 2, "dynamodb": 3},
        "throttled": 1,
        "data_lag_s": None,
    }


def test_rollouts_that_are_not_due_are_counted_and_no_problem() -> None:
    """Those that have an alert are due at each tick, so a count of 0 is that of all of them."""
    later = (Phase.PROGRESSING, Phase.SUCCEEDED)
    summary = summary_of(TickResult([TickOutcome(a_rollout())], later=later))
    assert (summary["due"], summary["later"], summary["drifted"]) == (1, 2, 0)
    assert summary["rollouts"] == {"progressing": 2, "succeeded": 1}


def test_a_rollout_that_cannot_be_read_is_an_error() -> None:
    assert (
        summary_of(TickResult([], [SkippedRollout("orders#1", StoreError("torn"))]))["errors"] == 1
    )


def test_a_rollout_that_had_no_tick_for_long_is_late_and_so_is_one_that_was_not_reached() -> None:
    not_reached = SkippedRollout("orders#1", TickDeadlineError("no time was left"))
    unreadable = SkippedRollout("orders#2", StoreError("torn"))
    result = TickResult([TickOutcome(a_rollout())], [not_reached, unreadable], late=1)
    summary = summary_of(result)
    assert (summary["due"], summary["visited"], summary["late"]) == (3, 1, 2)


def test_every_metric_has_its_value_at_the_top_of_the_line_and_no_dimension() -> None:
    line = telemetry.embedded_metrics(summary_of(lag=timedelta(seconds=62)), "rolloutctl/shop", NOW)
    (published,) = line["_aws"]["CloudWatchMetrics"]
    assert line["_aws"]["Timestamp"] == NOW.timestamp() * 1_000
    assert (published["Namespace"], published["Dimensions"]) == ("rolloutctl/shop", [[]])
    assert {one["Name"]: (line[one["Name"]], one["Unit"]) for one in published["Metrics"]} == {
        "Ticks": (1, "Count"),
        "DurationMs": (1500, "Milliseconds"),
        "ApiCalls": (5, "Count"),
        "Throttled": (1, "Count"),
        "Errors": (0, "Count"),
        "Due": (0, "Count"),
        "Visited": (0, "Count"),
        "Late": (0, "Count"),
        "DataLagSeconds": (62, "Seconds"),
    }


@pytest.mark.parametrize(
    ("counts", "metric"),
    [
        ({"rollouts": {"rolling_back": 2}}, "RolloutsRollingBack"),
        ({"verdicts": {"inconclusive": 2}}, "VerdictsInconclusive"),
    ],
)
def test_phases_and_verdicts_are_metrics_of_their_own(counts: dict[str, Any], metric: str) -> None:
    assert telemetry.embedded_metrics({**summary_of(), **counts}, "rolloutctl", NOW)[metric] == 2
