"""Pages in a real browser: narrow, dark and printed, without an error, a request or a barrier."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from controller.operations.overview import Overview
from controller.render.html.status import status_html
from controller.tools.backtest.faults import Fault, parse_fault
from controller.tools.backtest.html import backtest_html
from controller.tools.backtest.page import Backtest
from controller.tools.backtest.play import BacktestSetup
from controller.tools.backtest.run import run_backtest
from controller.tools.rehearse.rehearsal import rehearsal, rehearse
from controller.tools.report import RolloutHistory
from controller.tools.report.html import report_html
from controller.tools.report.verb import report_of
from tests.cli.test_report import LADDER
from tests.support.backtests import rows_of, shop, subject_of
from tests.support.browser import Browser, axe_core, chromium, open_browser
from tests.support.core import Policy
from tests.support.stage import SHORT_POLICY

PROGRAM: Final = chromium()
AXE: Final = axe_core()
REHEARSED: Final = ("healthy", "error-burst", "console-up")
CHARTS: Final = (*REHEARSED, "backtest", "fault")
PAGES: Final = (*CHARTS, "status")

# The texts beside a chart that leave the screen or lie over another one.
CUT_OR_COVERED: Final = """[...document.querySelectorAll('.plot > span')].filter(one => {
  const box = one.getBoundingClientRect(), others = [...one.parentNode.querySelectorAll('span')];
  const covers = other => { const at = other.getBoundingClientRect();
    return at.width && other !== one && box.left < at.right && at.left < box.right
      && box.top < at.bottom && at.top < box.bottom };
  return box.width && (box.left < 0 || box.right > innerWidth || others.some(covers));
}).map(one => one.closest('figure').textContent.slice(0, 40) + ': ' + one.textContent)"""

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One tab for all pages."""
    with open_browser(PROGRAM or "") as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report of each scenario, the status page of all, and a backtest."""
    folder = tmp_path_factory.mktemp("pages")
    policy, rollouts = Policy.model_validate({**SHORT_POLICY, **LADDER, "name": "ladder"}), []
    for name in REHEARSED:
        with rehearsal(policy, name, 1) as stage:
            outcome = rehearse(
                stage.runner, stage.world, policy,
                every=timedelta(minutes=1), on_tick=lambda _: None,
            )  # fmt: skip
            history = RolloutHistory(outcome.rollout, outcome.entries)
            page = report_html(report_of(history, outcome.ended, stage.runner.observer.metrics))
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
        rollouts.append(outcome.rollout)
    now = max(rollout.updated for rollout in rollouts)
    text = status_html(Overview(tuple(rollouts), ()), now)
    (folder / "status.html").write_text(text, encoding="utf-8")
    fault = parse_fault("errors=5%@100", shop())
    for name, shown in (("backtest", a_backtest(folder)), ("fault", a_backtest(folder, fault))):
        (folder / f"{name}.html").write_text(backtest_html(shown), encoding="utf-8")
    return folder


def a_backtest(folder: Path, fault: Fault | None = None) -> Backtest:
    """Return a backtest of days with an outage, which is above its limit."""

    def outage(number: int, row: dict[str, float]) -> None:
        if number in range(60, 65):
            row["errors"] = round(row["requests"] * 0.15)

    subject = subject_of(shop(), folder, rows_of(120, change=outage))
    setup, apart = BacktestSetup(subject, timedelta(minutes=5), fault), timedelta(minutes=15)
    outcome = run_backtest(setup, apart, lambda *_: None)
    return Backtest(shop(), "shop.csv", setup, apart, outcome, 0.0)


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_page_asks_for_nothing_reports_nothing_and_never_scrolls_sideways(
    browser: Browser, pages: Path, name: str
) -> None:
    browser.open(pages / f"{name}.html", width=375)
    browser.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert browser.value("document.documentElement.scrollWidth") <= 375
    asked = [request for request in browser.requests if not request.startswith(("file:", "data:"))]
    assert (asked, browser.problems) == ([], [])


@pytest.mark.parametrize("name", CHARTS)
def test_every_line_of_a_chart_is_drawn(browser: Browser, pages: Path, name: str) -> None:
    browser.open(pages / f"{name}.html")
    browser.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    lengths = browser.value(
        "[...document.querySelectorAll('.plot path[d]')].map(one => one.getTotalLength())"
    )
    assert len(lengths) > 5
    assert min(lengths) > 0


@pytest.mark.skipif(AXE is None, reason="no axe-core: npm install axe-core, or AXE_CORE=FILE")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_barrier(browser: Browser, pages: Path, name: str, dark: bool) -> None:
    assert AXE is not None
    browser.open(pages / f"{name}.html", dark=dark)
    browser.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    browser.value(f"{AXE.read_text(encoding='utf-8')};0")
    found = browser.value(
        "axe.run().then(all => all.violations.map(one => one.id + ': ' + one.nodes[0].target))"
    )
    assert found == []


@pytest.mark.parametrize("name", CHARTS)
def test_the_pointer_on_a_chart_shows_the_time_and_the_values(
    browser: Browser, pages: Path, name: str
) -> None:
    browser.open(pages / f"{name}.html")
    browser.point_at(".zones div")
    shown = browser.value(
        "getComputedStyle(document.querySelector('.zones div:hover'), '::after').content"
    )
    assert re.match(r"attr\(data-t\)|\"\d\d \w{3} \d\d:\d\d, \d+.%: ", shown)
    assert browser.value("document.querySelector('.zones div:hover').dataset.t") in shown


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("width", [375, 700, 1_280])
def test_no_text_beside_a_chart_is_cut_or_covers_another(
    browser: Browser, pages: Path, name: str, width: int
) -> None:
    browser.open(pages / f"{name}.html", width=width)
    browser.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert browser.value(CUT_OR_COVERED) == []


@pytest.mark.parametrize("name", CHARTS)
def test_a_link_to_a_criterion_opens_it(browser: Browser, pages: Path, name: str) -> None:
    browser.open(f"{(pages / f'{name}.html').resolve().as_uri()}#criterion-works")
    assert browser.value("document.querySelector('#criterion-works').clientHeight") > 100


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_printed_whole_with_its_charts(
    browser: Browser, pages: Path, name: str, tmp_path: Path
) -> None:
    """Nothing is wider than the paper, and what is closed on a screen is open on it."""
    browser.open(pages / f"{name}.html", dark=True)
    browser.print_layout()
    assert browser.value("document.documentElement.scrollWidth") <= 720
    hidden = "[...document.querySelectorAll('.plot, details > :last-child')].filter("
    hidden += "one => !one.closest('figure details, .raw') && !one.checkVisibility())"
    assert browser.value(f"{hidden}.map(one => one.textContent.slice(0, 80))") == []
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
