"""Every picture of a rollout: those of docs/report, and the recording of the README.

`python -m tests.docs.screenshots` writes them all from rehearsals and backtests. Those of pages are
taken in a real browser at one size each; it needs Chromium, and takes three minutes.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from controller.adapters.stores.sqlite import SqliteStore
from controller.immutable import replace
from controller.operations.overview import load_overview
from controller.policy_file.loader import load
from controller.process import logging
from controller.render.html.status import status_html
from controller.tools.backtest.faults import parse_fault
from controller.tools.backtest.html import backtest_html
from controller.tools.backtest.page import Backtest
from controller.tools.backtest.play import BacktestSetup
from controller.tools.backtest.run import run_backtest, wider_bounds
from controller.tools.rehearse.rehearsal import RehearsalOutcome, rehearsal, rehearse
from controller.tools.report import RolloutHistory
from controller.tools.report.html import report_html
from controller.tools.report.verb import report_of
from tests.docs import rollback_picture
from tests.support.backtests import rows_of, shop, subject_of
from tests.support.browser import Browser, chromium, open_browser

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "report"
SCENARIOS: Final = ROOT / "controller" / "tools" / "simulation" / "scenarios"
PERIOD: Final = timedelta(minutes=5)
# Name of the picture, scenario, and how much of the page it shows.
REPORTS: Final = (
    ("succeeded", "healthy", 1_300),
    ("rolled-back", "error-burst", 1_900),
    ("paused", "console-up", 1_300),
)


def main() -> int:
    """Write the pictures. Returns 1 where no browser is installed."""
    program = chromium()
    if program is None:
        print("no Chromium is installed: apt-get install chromium", file=sys.stderr)  # noqa: T201
        return 1
    logging.disable()
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory()))
        browser = stack.enter_context(open_browser(program))
        store = stack.enter_context(SqliteStore(work / "all.db"))
        for name, scenario, height in REPORTS:
            file = work / f"{name}.html"
            played = later(scenario, work) if name == "paused" else scenario
            with rehearsed(played) as (outcome, page):
                file.write_text(page, encoding="utf-8")
                keep(store, name, outcome)
            picture(browser, file, name, height)
            if name == "rolled-back":
                picture(browser, file, "rolled-back-dark", height, dark=True)
                picture(browser, file, "rolled-back-narrow", 2_200, width=375)
        overview = load_overview(store, NOW)
        (work / "status.html").write_text(status_html(overview, NOW), encoding="utf-8")
        picture(browser, work / "status.html", "status", 900)
        text = backtest_html(a_backtest(work))
        (work / "backtest.html").write_text(text, encoding="utf-8")
        picture(browser, work / "backtest.html", "backtest", 1_700)
        text = backtest_html(a_fault(work))
        (work / "fault.html").write_text(text, encoding="utf-8")
        picture(browser, work / "fault.html", "fault", 1_400)
    rollback_picture.write()
    return 0


def a_fault(work: Path) -> Backtest:
    """Return a backtest of two days with failures that were added to the canary."""
    fault = parse_fault("errors=5%@100", shop())
    subject = subject_of(shop(), work, rows_of(576))
    setup, apart = BacktestSetup(subject, PERIOD, fault), timedelta(minutes=30)
    return Backtest(shop(), "shop.csv", setup, apart, run_backtest(setup, apart, lambda *_: None))


def a_backtest(work: Path) -> Backtest:
    """Return a backtest of a week with two outages and an evening of slow requests."""

    def spoil(number: int, row: dict[str, float]) -> None:
        if number in range(500, 504) or number in range(1_000, 1_003):
            row["errors"] = round(row["requests"] * 0.2)
        if number in range(1_500, 1_540):
            for name in ("latency", "latency.p50", "latency.p99"):
                row[name] *= 1.7

    subject = subject_of(shop(), work, rows_of(2_016, change=spoil))
    setup, apart, limit = BacktestSetup(subject, PERIOD), timedelta(minutes=15), 0.01
    outcome = run_backtest(setup, apart, lambda *_: None)
    wider = wider_bounds(setup, outcome, limit)
    return Backtest(shop(), "shop.csv", setup, apart, outcome, limit, wider)


# All rehearsals begin at one time. The paused one begins later, so that it is on the status page
# when the others are over.
PAUSED_START: Final = "2026-01-06T11:00:00Z"
NOW: Final = datetime.fromisoformat("2026-01-06T12:20:00+00:00")


def later(scenario: str, work: Path) -> str:
    """Return a shipped scenario as a file that begins at `PAUSED_START`."""
    file = work / f"{scenario}.yaml"
    file.write_text(f"start: {PAUSED_START}\n{(SCENARIOS / file.name).read_text()}")
    return str(file)


@contextmanager
def rehearsed(scenario: str) -> Iterator[tuple[RehearsalOutcome, str]]:
    """Yield a rehearsal of the shipped policy, and its report."""
    policy = load(ROOT / "policies" / "execution-api.yaml")
    with rehearsal(policy, scenario, 1) as stage:
        outcome = rehearse(
            stage.runner, stage.world, policy, every=timedelta(minutes=1), on_tick=lambda _: None
        )
        history = RolloutHistory(outcome.rollout, outcome.entries)
        yield outcome, report_html(report_of(history, outcome.ended, stage.runner.observer.metrics))


def keep(store: SqliteStore, name: str, outcome: RehearsalOutcome) -> None:
    """Add a rehearsed rollout to `store` under a name of its own."""
    rollout = outcome.rollout
    policy = rollout.policy.model_copy(update={"name": name})
    other = replace(rollout, id=f"{name}#1", policy=policy, digest=policy.digest())
    store.receive(other, outcome.entries, [f"{rollout.target}#{name}"])


def picture(
    browser: Browser, page: Path, name: str, height: int, *, width: int = 1_000, dark: bool = False
) -> None:
    """Write the picture `name` of the first `height` pixels of `page`."""
    browser.open(page, width=width, dark=dark)
    browser.screenshot(FOLDER / f"{name}.png", height=height)


if __name__ == "__main__":
    sys.exit(main())
