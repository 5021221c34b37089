"""What `plan`, `status`, `history` and `report` say of bad requests, served and to expect."""

from pathlib import Path

import pytest

from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.pages import read_page
from tests.support.stage import SHORT_POLICY

BUDGET = {
    "steps": [
        {"weight": 10, "bake": "5m"},
        {"weight": 50, "bake": "5m", "max_bad_requests": 10},
        {"weight": 100, "bake": "5m"},
    ],
    "max_bad_requests": 1_000_000,
}


@pytest.fixture
def waiting(desk_in: MakeDesk) -> CliHarness:
    """A desk whose rollout waits for less traffic."""
    desk = desk_in({**SHORT_POLICY, **BUDGET})
    desk.run("start", desk.policy)
    desk.ticks(10)
    return desk


def test_status_says_what_it_waits_for_and_what_was_served(waiting: CliHarness) -> None:
    data = waiting.state()
    assert data["reason"] == "over_exposure_budget"
    (step,) = data["exposure"]["steps"]
    assert (step["step"], step["max_bad_requests"]) == (0, 1_000_000)
    assert data["exposure"]["requests"] == step["requests"] > 0
    expected = data["exposure"]["expected"]
    assert (expected["step"], expected["weight"], expected["max_bad_requests"]) == (1, 50, 10)
    assert expected["bad_requests"] == pytest.approx(
        expected["requests_per_minute"] * 0.5 * expected["minutes"], rel=0.01
    )
    page = waiting.run("status", "orders").out
    assert "exposure" in page
    assert "max_bad_requests is 10" in page


def test_history_and_plan_have_the_same_figures(waiting: CliHarness) -> None:
    exposure = waiting.state()["exposure"]
    history = waiting.run("history", "orders", "--json").data
    plan = waiting.run("plan", waiting.policy, "--json").data
    assert history["exposure"] == plan["exposure"] == exposure
    assert [one["max_bad_requests"] for one in plan["steps"]] == [1_000_000, 10, 1_000_000]
    assert any(one["reason"] == "over_exposure_budget" for one in history["entries"])
    assert "bad requests served" in waiting.run("history", "orders").out


def test_the_report_has_them_by_step(waiting: CliHarness, tmp_path: Path) -> None:
    file = tmp_path / "limited.html"
    exposure = waiting.state()["exposure"]
    made = waiting.run("report", "orders", "--offline", "--html", str(file), "--json")
    assert made.data["exposure"] == exposure
    page = read_page(file.read_text(encoding="utf-8"))
    assert any("expected at most 10" in text for text in page.texts("td"))
    assert any("An outage at 50" in text for text in page.texts("dt"))


def test_a_policy_without_a_budget_has_no_exposure_in_its_status(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    assert desk.state()["exposure"] is None
    assert "exposure" not in desk.run("status").out


def test_an_operator_promotes_over_it(waiting: CliHarness) -> None:
    promoted = waiting.run("promote", "orders", "--reason", "a quiet hour", "--json").data
    assert (promoted["weight"], waiting.weight) == (50, 50)
    entries = waiting.entries()
    (sentence,) = [entry["sentence"] for entry in entries if entry["kind"] == "advanced"]
    assert "a quiet hour" in sentence
    assert "max_bad_requests is 10" in sentence
    assert waiting.run("replay", "orders", "--json").data["same"]


def test_the_power_of_a_gate_says_what_an_outage_would_cost(desk: CliHarness) -> None:
    policy = desk.another_policy("limited", **BUDGET)
    asked = "plan", policy, "--requests-per-minute", "600"
    power = desk.run(*asked, "--json").data["power"]
    steps = [one["expected"] for one in power["steps"]]
    assert [step["bad_requests"] for step in steps] == [60 * 4, 300 * 4, 600 * 4]
    out = " ".join(desk.run(*asked).out.split())
    assert "max_bad_requests is 10; the advance to it waits" in out
