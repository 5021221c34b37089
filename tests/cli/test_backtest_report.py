"""`backtest --report`: the outcome of a backtest as one page."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness, write_policy
from tests.support.backtests import BEGIN, PERIOD_S, SHOP, Change, rows_of, write_rows
from tests.support.pages import Page, outside_references, read_page

# An outage of five periods, which the starts before it meet.
OUTAGE = range(60, 65)


def outage(number: int, row: dict[str, float]) -> None:
    if number in OUTAGE:
        row["errors"] = round(row["requests"] * 0.15)


@pytest.fixture
def page_of(desk: CliHarness, tmp_path: Path) -> Callable[..., tuple[int, Page]]:
    """Return what writes the report of a backtest: its exit status, and its page."""

    def write(
        *options: str, change: Change = outage, policy: dict[str, Any] | None = None
    ) -> tuple[int, Page]:
        file, rows = tmp_path / "report.html", rows_of(120, change=change)
        ended = desk.run(
            "backtest", write_policy(tmp_path, {**SHOP, **(policy or {})}),
            "--csv", str(write_rows(tmp_path / "shop.csv", rows)), "--report", str(file),
            "--starts", "15m", *options,
        )  # fmt: skip
        return ended.status, read_page(file.read_text(encoding="utf-8"))

    return write


def numbers(page: Page) -> dict[str, int]:
    """Return the numbers of the tiles, by name."""
    names, values = page.texts("dt"), page.texts("dd")
    tiles = list(zip(names, values, strict=True))[-3:]
    return {name: int(value.split()[0]) for name, value in tiles}


def test_the_verdict_comes_first_and_then_the_criterion_and_its_step(
    page_of: Callable[..., tuple[int, Page]],
) -> None:
    """The outage breaks two bounds; one alone would have held with another value."""
    alone = {"criteria": {name: one for name, one in SHOP["criteria"].items() if name != "few"}}
    status, page = page_of("--max-false-rollbacks", "5%", policy=alone)
    assert status == Exit.CHECK_FAILED
    counts = numbers(page)
    runs, back = sum(counts.values()), counts["Rolled back"]
    assert 0 < back < runs
    assert page.texts("h1")[0].startswith(
        f"shop would have rolled back {back} of {runs} healthy starts ("
    )
    lead = page.texts("p", class_="lead")[0]
    assert "above the limit" in lead
    assert "more than 5% allowed" in lead
    assert page.texts("h2")[:2] == ["What rolled back or held", "Bounds that would have held"]
    assert "works" in page.texts("tbody")[0]
    assert "- works: min: 99%" in page.texts("pre")[0]


def test_the_outage_is_one_event_and_the_history_has_its_starts_and_rollbacks_marked(
    page_of: Callable[..., tuple[int, Page]],
) -> None:
    _, page = page_of()
    (when,) = [one for one in page.all("table") if "rolled back (UTC)" in one.text][:1]
    assert "works" in when.text
    rolled_back = datetime.fromisoformat(when.text.split("begun (UTC)")[1].split()[0] + "T00:00Z")
    began = datetime.fromtimestamp(BEGIN + OUTAGE.start * PERIOD_S, rolled_back.tzinfo)
    assert rolled_back.date() == began.date()
    criteria = page.all("details", class_="criterion")
    assert len(criteria) == len(SHOP["criteria"])
    assert "open" in criteria[0].attributes
    charts = page.all("svg", role="img")
    assert len(charts) == len(criteria)
    assert page.all("rect", class_="rolled_back_start")
    assert page.all("rect", class_="rollback")
    assert "starts that were rolled back" in page.texts("li")
    # A bin of so short a history is one window, which has no lowest and highest.
    assert "lowest to highest window" not in page.texts("li")


def test_healthy_days_need_no_bound_and_mark_nothing(
    page_of: Callable[..., tuple[int, Page]],
) -> None:
    status, page = page_of("--max-false-rollbacks", "5%", change=lambda *_: None)
    assert status == Exit.DONE
    assert page.texts("h1")[0].startswith("shop would have rolled back 0 of")
    assert "within the limit" in page.texts("p", class_="lead")[0]
    assert page.texts("h2")[0] == "Starts"
    assert page.all("rect", class_="rolled_back_start") == []


def test_an_added_fault_has_its_figures(page_of: Callable[..., tuple[int, Page]]) -> None:
    _, page = page_of("--inject", "errors=10%@100", change=lambda *_: None)
    assert page.texts("h1")[0].startswith("shop found errors=10%@100 in ")
    assert "always found" in page.texts("p", class_="lead")[0]
    assert page.texts("dt")[5:9] == [
        "Met the fault", "Missed it", "Until the rollback", "Bad requests",
    ]  # fmt: skip
    assert int(page.texts("dd")[6].split()[0]) == 0
    assert float(page.texts("dd")[7].split()[0]) > 0


def test_an_added_fault_is_drawn_into_one_start_from_when_to_when_with_its_size(
    page_of: Callable[..., tuple[int, Page]],
) -> None:
    _, page = page_of("--inject", "errors=10%@100", change=lambda *_: None)
    (marked, *_) = [one for one in page.texts("li") if "requests fail" in one]
    assert re.fullmatch(r"10% of requests fail, from \d\d:\d\d to \d\d:\d\d", marked)
    assert page.all("rect", class_="fault")
    in_one_start = r"works in the start of \d\d \w+ \d\d:\d\d, which was rolled back"
    assert any(re.fullmatch(in_one_start, title) for title in page.texts("figcaption"))
    hovered = [one.attributes.get("data-t", "") for one in page.all("div")]
    assert any(re.search(r", 100%: (9|1\d)(\.\d+)?%", text) for text in hovered)


def test_a_criterion_has_a_link_by_its_name(page_of: Callable[..., tuple[int, Page]]) -> None:
    _, page = page_of(change=lambda *_: None)
    assert page.all("div", id="criterion-works")
    assert page.all("a", href="#criterion-works")


def test_the_page_carries_the_policy_and_the_data_and_asks_nobody(
    page_of: Callable[..., tuple[int, Page]], tmp_path: Path
) -> None:
    """The same backtest gives the same page."""
    page_of()
    first = (tmp_path / "report.html").read_bytes()
    _, page = page_of()
    assert (tmp_path / "report.html").read_bytes() == first
    assert outside_references(page) == []
    policy, data = (one.text for one in page.all("pre")[-2:])
    assert "max_increase: 5%" in policy
    document = json.loads(data)
    assert document["schema"] == "backtest/1"
    assert document["rolled_back"] == numbers(page)["Rolled back"]


def test_a_hostile_unit_stays_text(page_of: Callable[..., tuple[int, Page]]) -> None:
    text = "<i>ms"
    metrics = {
        name: {**one, "unit": text} if name == "latency" else one
        for name, one in SHOP["metrics"].items()
    }
    _, page = page_of(policy={"metrics": metrics})
    assert outside_references(page) == []
    assert any(text in one for one in page.texts("td"))
    assert page.all("i") == []


def test_a_report_that_cannot_be_written_is_a_usage_error(desk: CliHarness, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "shop.csv", rows_of(90))
    ended = desk.run(
        "backtest", write_policy(tmp_path, SHOP),
        "--csv", str(file), "--report", str(tmp_path / "nowhere" / "r.html"),
    )  # fmt: skip
    assert (ended.status, "cannot be written" in ended.err) == (Exit.USAGE, True)
