"""What the page of a backtest shows of the rollbacks: a row for each event, and visible marks."""

from pathlib import Path

from controller.core.units import from_unix
from controller.tools.backtest.html import criterion_histories
from controller.tools.backtest.outcome import Outcome, Run, rollback_events
from controller.tools.backtest.play import BacktestSetup
from tests.support.backtests import BEGIN, PERIOD_S, rows_of, shop, subject_of

HOUR_S = 3_600
PERIOD = from_unix(PERIOD_S) - from_unix(0)


def rolled_back(start: int, end: int, *causes: str, weight: int = 100) -> Run:
    return Run(BEGIN + start, BEGIN + end, "rolled_back", weight, causes or ("works",))


def test_neighbouring_starts_that_meet_one_outage_are_one_event() -> None:
    runs = [rolled_back(number * PERIOD_S, 2 * HOUR_S + number * 60) for number in range(10)]
    runs += [rolled_back(0, 5 * HOUR_S), Run(BEGIN, BEGIN + 9 * HOUR_S, "promoted", 100)]
    first, second = rollback_events(Outcome(runs))
    assert (first.starts, second.starts) == (10, 1)
    assert (first.first, first.last) == (BEGIN + 2 * HOUR_S, BEGIN + 2 * HOUR_S + 540)
    assert (first.begun.begin, first.begun.end) == (BEGIN, BEGIN + 9 * PERIOD_S)


def test_another_cause_or_another_step_is_another_event() -> None:
    runs = [
        rolled_back(0, HOUR_S),
        rolled_back(0, HOUR_S, "works", "fast"),
        rolled_back(0, HOUR_S, weight=10),
    ]
    assert len(rollback_events(Outcome(runs))) == 3


def test_a_criterion_has_its_own_starts_and_its_bound_and_the_worst_first(tmp_path: Path) -> None:
    setup = BacktestSetup(subject_of(shop(), tmp_path, rows_of(120)), PERIOD)
    runs = [rolled_back(0, HOUR_S), rolled_back(PERIOD_S, HOUR_S), rolled_back(0, HOUR_S, "few")]
    works, few, *others = criterion_histories(setup, Outcome(runs))
    assert (works.name, works.rolled_back, few.name, few.rolled_back) == ("works", 2, "few", 1)
    assert [other.rolled_back for other in others] == [0, 0, 0]
    assert works.trace is not None
    (panel,) = works.trace.panels
    assert round(panel.bound or 0, 6) == 0.01
    assert sum(one.samples for one in panel.bins) > 100_000
    (marked,) = works.starts
    assert (marked.begin, marked.end >= BEGIN + 2 * PERIOD_S) == (BEGIN, True)


def test_minutes_of_failures_are_seen_in_a_bin_of_hours(tmp_path: Path) -> None:
    def spoil(number: int, row: dict[str, float]) -> None:
        if number == 700:
            row["errors"] = row["requests"]

    setup = BacktestSetup(subject_of(shop(), tmp_path, rows_of(2_016, change=spoil)), PERIOD)
    works = next(
        history for history in criterion_histories(setup, Outcome([])) if history.name == "works"
    )
    assert works.trace is not None
    assert max(one.high for one in works.trace.bins) == 1
    assert max(one.value for one in works.trace.bins) < 0.2
