"""A criterion of a kind that rolloutctl does not know by name is in what each verb prints."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from controller.errors import Exit
from controller.testing import installed
from tests.cli.conftest import CliHarness, MakeDesk, write_policy
from tests.support.backtests import SHOP, rows_of, write_rows
from tests.support.stage import SHORT_POLICY

RETRIES: Final = {"namespace": "Shop", "name": "Retries", "statistic": "Sum", "missing": "zero"}
CRITERION: Final = {
    "kind": "retried", "retries": "retries", "total": "requests", "max": "5%", "window": "1m",
    "min_samples": 50, "failure_limit": 1,
}  # fmt: skip
POLICY: Final[dict[str, Any]] = {
    **SHORT_POLICY,
    "metrics": {**SHORT_POLICY["metrics"], "retries": RETRIES},
    "criteria": {**SHORT_POLICY["criteria"], "again": CRITERION},
}
# A scenario says what a metric measures that rolloutctl does not know, and so moves it.
MEASURES: Final = {"retries": {"path": "canary", "measure": "redirects"}}
MANY: Final = {"kind": "errors", "redirects": "30%", "at": {"step": 1}}


@pytest.fixture(autouse=True)
def package() -> Iterator[None]:
    with installed("rolloutctl.criteria", {"retried": "tests.support.retried:Retried"}):
        yield


@pytest.fixture
def desk(desk_in: MakeDesk) -> CliHarness:
    """A desk whose canary has retries: as many as the share of requests that are redirected."""
    return desk_in(POLICY, metrics=MEASURES)


def test_validate_takes_it(desk: CliHarness) -> None:
    ended = desk.run("validate", desk.policy)
    assert ended.status == Exit.DONE, ended.out


def test_explain_has_its_fields(desk: CliHarness) -> None:
    assert "retried" in desk.run("explain", "criteria").out
    assert "retries, total, max" in desk.run("explain", "criteria.retried").out
    assert "Largest share of retries that passes." in desk.run("explain", "retried.max").out


def test_the_schema_has_it(desk: CliHarness) -> None:
    printed = desk.run("schema", "policy").out
    assert "Largest share of retries that passes." in printed


def test_iam_lets_a_tick_read_it(desk: CliHarness) -> None:
    ended = desk.run("iam", desk.policy, "--account", "123456789012", "--region", "eu-central-1")
    assert any("cloudwatch:GetMetricData" in one["Action"] for one in ended.data["Statement"])


def test_plan_says_that_it_has_no_estimate(desk: CliHarness) -> None:
    ended = desk.run("plan", desk.policy, "--requests-per-minute", "600")
    assert "again: " in ended.out


def test_a_rollout_shows_and_records_it(desk: CliHarness) -> None:
    assert desk.run("start", desk.policy).status == Exit.DONE
    desk.ticks(6)
    assert "again" in desk.run("metrics", desk.policy).out
    assert "again" in desk.run("status", "orders").out
    assert any("again" in json.dumps(entry) for entry in desk.entries())
    page = Path(desk.policy).with_name("report.html")
    assert desk.run("report", "orders", "--html", str(page)).status == Exit.DONE
    assert 'id="criterion-again"' in page.read_text()
    assert desk.run("replay", "orders").status == Exit.DONE


@pytest.mark.parametrize(
    ("events", "end"), [([], "succeeded"), ([MANY], "rolled_back")], ids=["healthy", "many"]
)
def test_a_rehearsal_moves_its_metric(
    desk: CliHarness, tmp_path: Path, events: list[Any], end: str
) -> None:
    played = {
        "name": "retries", "summary": "The canary has retries.", "metrics": MEASURES,
        "traffic": {"requests_per_minute": 600}, "stable": {"median_ms": 100},
        "canary": {"median_ms": 100}, "events": events,
    }  # fmt: skip
    file = tmp_path / "scenario.yaml"
    file.write_text(json.dumps(played))
    ended = desk.run("rehearse", desk.policy, "--scenario", str(file), "--json")
    assert ended.data["status"] == end
    assert end == "succeeded" or "criterion again fails" in ended.data["sentence"]


def test_a_backtest_plays_it_and_a_fault_reaches_it(desk: CliHarness, tmp_path: Path) -> None:
    def change(_: int, row: dict[str, float]) -> None:
        row["retries"] = round(row["requests"] * 0.001)

    policy = {
        **SHOP, "metrics": {**SHOP["metrics"], "retries": RETRIES},
        "criteria": {**SHOP["criteria"], "again": {**CRITERION, "window": "5m"}},
    }  # fmt: skip
    csv = write_rows(tmp_path / "shop.csv", rows_of(90, change=change))
    command = ("backtest", write_policy(tmp_path, policy), "--csv", str(csv), "--json")
    healthy = desk.run(*command).data
    assert (healthy["promoted"], healthy["causes"]) == (healthy["runs"], {})
    faulty = desk.run(*command, "--inject", "retries=20%@10").data
    assert faulty["causes"] == {"again": faulty["runs"]}
    shown = desk.run(*command[:-1], "--inject", "retries=20%@10").out
    assert "affected requests (medians)" in shown
    assert "bad" not in shown
