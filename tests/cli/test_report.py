"""report, `rehearse --report`, `status --html` and the page of a tick."""

import gzip
import json
from base64 import b64decode
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from controller import cli
from controller.adapters.stores.sqlite import SqliteStore
from controller.errors import Exit, MetricsError, StoreError
from controller.tools.simulation.fakes.cloudwatch import FakeCloudWatch
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.pages import Page, outside_references, read_page
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import MINUTE

# An outage from the second step on; errors fail within minutes.
LADDER: dict[str, Any] = {
    "criteria": {"works": {**SHORT_POLICY["criteria"]["works"], "window": "5m"}},
    "steps": [
        {"weight": 10, "bake": "20m"},
        {"weight": 50, "bake": "1h"},
        {"weight": 100, "bake": "20m"},
    ],
}


def rehearsed(desk: CliHarness, folder: Path, scenario: str, policy: str = "") -> Page:
    """Rehearse the ladder and return the page of its report."""
    file = folder / "report.html"
    desk.run(
        "rehearse", policy or desk.another_policy("ladder", **LADDER),
        "--scenario", scenario, "--report", str(file),
    )  # fmt: skip
    return read_page(file.read_text(encoding="utf-8"))


def test_a_rollback_leads_with_its_reason_and_what_was_seen(
    desk: CliHarness, tmp_path: Path
) -> None:
    arrived = {"kind": "traffic", "metric": "requests"}
    criteria = {"arrived": arrived, **LADDER["criteria"]}
    policy = desk.another_policy("ladder", **{**LADDER, "criteria": criteria})
    page = rehearsed(desk, tmp_path, "error-burst", policy)
    (head,) = page.texts("h1")
    assert "ladder was rolled back from 50% to 0%" in head
    (notice, *_) = page.texts("p", class_="simulated")
    assert "This is a rehearsal in a simulated account, in the scenario error-burst." in notice
    assert page.texts("h2")[0] == "Why it was rolled back: works"
    _, bad, share = page.texts("td", class_="number")[:3]
    assert int(bad) > 100
    assert float(share.removesuffix("%")) > 1
    (link,) = [one for one in page.all("a") if "logs-insights" in one.attributes["href"]]
    assert "region=us-east-1" in link.attributes["href"]
    assert "*2faws*2flambda*2f" in link.attributes["href"]
    criteria_shown = page.all("details", class_="criterion")
    assert [one.text.split()[1:3] for one in criteria_shown] == [
        ["FAIL", "works"],
        ["pass", "arrived"],
    ]
    assert ["open" in one.attributes for one in criteria_shown] == [True, False]


def test_a_success_has_every_step_and_a_chart_that_a_reader_can_hear(
    desk: CliHarness, tmp_path: Path
) -> None:
    page = rehearsed(desk, tmp_path, "healthy")
    assert "succeeded at 100%" in page.texts("h1")[0]
    steps = [text.split(" passed")[0] for text in page.texts("li", class_="passed")]
    assert steps == ["10% ✓", "50% ✓", "100% ✓"]
    overview, chart = page.all("svg", role="img")
    assert overview.attributes["aria-labelledby"].startswith("overview-chart")
    names = chart.attributes["aria-labelledby"].split()
    (title,), (description,) = (
        [element.text for element in page.elements if element.attributes.get("id") == name]
        for name in names
    )
    assert title == "works over time"
    assert "Limit: 1%." in description
    (table,) = page.texts("table", class_="data")
    assert table.count(" to ") == 0
    bins = [one for one in page.all("th", scope="row") if "tbody" in one.inside]
    assert len(bins) > 20


def test_a_page_runs_nothing_and_asks_nobody(desk: CliHarness, tmp_path: Path) -> None:
    page = rehearsed(desk, tmp_path, "error-burst")
    assert outside_references(page) == []
    (policy,) = [
        one.attributes["content"]
        for one in page.all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy


def test_a_page_carries_the_whole_history_with_its_hashes(desk: CliHarness, tmp_path: Path) -> None:
    page = rehearsed(desk, tmp_path, "healthy")
    (link,) = [one for one in page.all("a") if "download" in one.attributes]
    document = json.loads(gzip.decompress(b64decode(link.attributes["href"].partition(",")[2])))
    assert (document["schema"], document["chain_valid"]) == ("history/1", True)
    assert document["entries"][-1]["kind"] == "succeeded"
    assert document["entries"][-1]["hash"][:16] in " ".join(page.texts("code"))


@pytest.mark.deep
def test_26_hours_at_a_tick_a_minute_are_360_kb_and_a_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, file = f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "r.html"
    policy = "policies/execution-api.yaml"
    assert cli.main(["rehearse", policy, "--store", store, "--report", str(file)]) == Exit.DONE
    assert file.stat().st_size <= 360_000
    begin = process_time()
    cli.main(["report", "execution-api", "--store", store, "--offline", "--html", str(file)])
    assert process_time() - begin <= 1


# --- report ---------------------------------------------------------------------------------------


@pytest.fixture
def running(desk: CliHarness) -> CliHarness:
    """A desk whose rollout has baked for a while at 10%."""
    desk.run("start", desk.policy)
    desk.ticks(3)
    return desk


def test_a_rollout_in_its_first_hour_is_drawn_up_to_its_last_tick(
    desk: CliHarness, tmp_path: Path
) -> None:
    """Its minutes are stored once an hour, and are read from CloudWatch until then."""
    desk.run("start", desk.another_policy("ladder", **LADDER))
    desk.ticks(15)
    file = tmp_path / "r.html"
    assert desk.run("report", "ladder", "--html", str(file), "--json").data["missing"] == []
    page = read_page(file.read_text(encoding="utf-8"))
    paths = [one.attributes["d"] for one in page.all("path", class_="weight-area")]
    assert "M0,400V360H1999V400z" in paths, "10% of a height of 400"
    hovered = [one.attributes.get("data-t", "") for one in page.all("div")]
    assert any(", 10%: 0%" in text for text in hovered), "the pointer shows weight and value"
    assert all("open" in one.attributes for one in page.all("details", class_="criterion"))
    links = {one.attributes["href"] for one in page.all("a") if one.attributes["href"][0] == "#"}
    names = {f"#{one.attributes['id']}" for one in page.elements if "id" in one.attributes}
    assert "#criterion-works" in links <= names

    said = desk.run("report", "ladder", "--offline", "--html", str(file))
    lacks = "are not stored yet, and CloudWatch was not asked"
    text = file.read_text(encoding="utf-8")
    assert lacks in said.err
    assert lacks in text
    assert not read_page(text).all("svg", role="img")


def test_the_page_is_a_file_of_the_rollouts_name_and_the_same_each_time(
    running: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = running.run("report", "orders", "--json").data
    first = Path("orders-1.html").read_bytes()
    assert (data["file"], data["bytes"], data["missing"]) == ("orders-1.html", len(first), [])
    running.run("report", "orders")
    assert Path("orders-1.html").read_bytes() == first


def test_an_operators_text_stays_text(running: CliHarness, tmp_path: Path) -> None:
    text = "<script>alert(1)</script><img src=x onerror=y>\"'&amp;"
    running.run("pause", "orders", "--reason", text, "--by", text)
    running.run("report", "orders", "--html", str(tmp_path / "r.html"))
    page = read_page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert outside_references(page) == []
    assert text in page.texts("td")
    assert any(text in one for one in page.texts("p"))


def test_a_history_that_was_changed_is_said_on_the_page_and_by_the_exit_status(
    running: CliHarness, tmp_path: Path
) -> None:
    running.sql("UPDATE history SET entry = json_set(entry, '$.body.by', 'somebody') WHERE seq = 2")
    ended = running.run("report", "orders", "--html", str(tmp_path / "r.html"))
    page = read_page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert ended.status == Exit.INTERNAL
    assert any("hash chain is broken: entry 2" in text for text in page.texts("p"))


SLOW: dict[str, Any] = {
    "metrics": {
        **SHORT_POLICY["metrics"],
        "latency": {
            "namespace": "AWS/ApiGateway", "name": "Latency", "statistic": "p95", "unit": "<i>ms",
            "dimensions": SHORT_POLICY["metrics"]["requests"]["dimensions"],
        },
        "direct": {
            "namespace": "AWS/Lambda", "name": "Duration", "statistic": "p95", "unit": "<i>ms",
            "dimensions": {"FunctionName": "backend"},
        },
    },
    "criteria": {
        **SHORT_POLICY["criteria"],
        "quick": {"kind": "threshold", "metric": "latency", "max": 500, "min_samples": 50},
        "no-slower": {
            "kind": "latency_increase", "metric": "latency", "max_increase": "50%",
            "baseline": {"frozen": "direct", "window": "1h"}, "min_samples": 50,
        },
    },
}  # fmt: skip


def test_latencies_that_cannot_be_read_are_said_and_the_rest_is_shown(
    desk_in: MakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_in({**SHORT_POLICY, **SLOW})
    desk.run("start", desk.policy)
    desk.world.clock.advance(5 * MINUTE)
    desk.run("tick", "--early")
    file = tmp_path / "r.html"
    assert desk.run("report", "orders", "--json", "--html", str(file)).data["missing"] == []
    page = read_page(file.read_text(encoding="utf-8"))
    assert "latency, p95 of each minute" in page.texts("figcaption")
    assert any("<i>ms" in text for text in page.texts("td"))
    assert page.all("i") == []

    def refuse(*_: Any, **__: Any) -> Any:
        raise MetricsError("metrics could not be read: AccessDenied")

    monkeypatch.setattr(FakeCloudWatch, "get_metric_data", refuse)
    ended = desk.run("report", "orders", "--html", str(file))
    page = read_page(file.read_text(encoding="utf-8"))
    assert (ended.status, "AccessDenied" in ended.err) == (Exit.DONE, True)
    assert any("AccessDenied" in text for text in page.texts("p"))
    assert page.all("svg", role="img")


def test_a_page_that_cannot_be_written_is_a_usage_error(
    running: CliHarness, tmp_path: Path
) -> None:
    ended = running.run("report", "orders", "--html", str(tmp_path / "nowhere" / "r.html"))
    assert (ended.status, "cannot be written" in ended.err) == (Exit.USAGE, True)
    assert running.run("report", "orders", "--html", "s3://Bucket").status == Exit.USAGE


# --- the status page ------------------------------------------------------------------------------


def test_the_status_page_begins_with_what_needs_an_operator(
    running: CliHarness, tmp_path: Path
) -> None:
    file = tmp_path / "status.html"
    running.run("status", "--html", str(file))
    page = read_page(file.read_text(encoding="utf-8"))
    assert page.texts("h1") == ["Nothing needs an operator; 1 in progress, 0 over"]
    running.run("pause", "orders", "--reason", "looks odd")
    running.run("status", "--html", str(file))
    page = read_page(file.read_text(encoding="utf-8"))
    assert page.texts("h1") == ["1 rollout needs an operator; 0 in progress, 0 over"]
    assert page.texts("h2")[0] == "Needs an operator"
    assert any("looks odd" in text for text in page.texts("p"))
    assert outside_references(page) == []


def test_the_status_page_links_the_reports_that_are_beside_it(
    running: CliHarness, tmp_path: Path
) -> None:
    file = tmp_path / "status.html"

    def links(*options: str) -> list[str]:
        running.run("status", "--html", str(file), *options)
        page = read_page(file.read_text(encoding="utf-8"))
        return [link.attributes["href"] for link in page.all("a") if link.text == "orders#1"]

    assert links("--reports", ".") == [], "it would lead nowhere"
    running.run("report", "orders", "--html", str(tmp_path / "orders-1.html"))
    assert links("--reports", ".") == ["./orders-1.html"]
    assert links("--reports", "https://pages/r/") == ["https://pages/r/orders-1.html"]
    assert links() == []
    assert running.run("status", "--reports", ".").status == Exit.USAGE
    unsafe = running.run("status", "--html", str(file), "--reports", "javascript:alert(1)")
    assert unsafe.status == Exit.USAGE


def test_a_tick_writes_the_status_page_where_a_setting_says_so(
    running: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "status.html"
    running.run("tick", "--early")
    assert not file.exists()
    monkeypatch.setenv("ROLLOUTCTL_STATUS_PAGE", str(file))
    running.run("tick", "--early", "--dry-run")
    assert not file.exists()
    running.run("tick", "--early")
    assert "orders#1" in file.read_text()


@pytest.mark.parametrize("place", ["/nowhere/status.html", "s3://", "s3://no-such-client/x.html"])
def test_a_status_page_that_cannot_be_written_stops_no_tick(
    running: CliHarness, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("ROLLOUTCTL_STATUS_PAGE", place)
    ended = running.run("tick", "--early", "--json")
    assert (ended.status, len(ended.data["rollouts"])) == (Exit.DONE, 1)
    assert [event["event"] for event in ended.events][-2:] == ["tick_ended", "status_page_failed"]


def test_a_role_that_may_list_no_finished_rollout_shows_the_active_ones_and_says_so(
    running: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any) -> Any:
        raise StoreError("the table could not be read (dynamodb:Scan): AccessDenied")

    monkeypatch.setattr(SqliteStore, "all", denied)
    monkeypatch.setenv("ROLLOUTCTL_STATUS_PAGE", str(tmp_path / "status.html"))
    assert running.run("tick", "--early").status == Exit.DONE
    page = read_page((tmp_path / "status.html").read_text(encoding="utf-8"))
    assert page.texts("h1") == ["Nothing needs an operator; 1 in progress, 0 over"]
    assert any("dynamodb:Scan" in text for text in page.texts("p"))
