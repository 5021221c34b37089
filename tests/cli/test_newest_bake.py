"""Whole rollouts whose newest minutes are above a bound, or contradict each other."""

from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from controller.tools.simulation.fakes import cloudwatch
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.stage import SHORT_POLICY

RATE: dict[str, Any] = {**SHORT_POLICY["criteria"]["works"], "judge": "sequential"}
for _literal in ("window", "failure_limit"):
    del RATE[_literal]

SCENARIO = """
name: burst
summary: The canary fails for a while.
traffic: {requests_per_minute: 3000}
stable: {median_ms: 150, sigma: 0.3, client_errors: 0%, server_errors: 0%}
canary: {median_ms: 144, sigma: 0.3, client_errors: 0%, server_errors: 0.02%}
"""
BURST = """
events:
  - kind: errors
    at: {step: 1, after: AFTER}
    lasting: LASTING
    path: canary
    server_errors: SHARE
"""


def store_of(desk: CliHarness) -> str:
    """Return the store of the rehearsal."""
    return f"sqlite:///{Path(desk.policy).with_name('rehearsed.db')}"


def rehearsed(desk: CliHarness, burst: tuple[str, str, str]) -> tuple[int, list[str]]:
    """Return the exit status of a rehearsal, and its time and weights at each change.

    burst: when it begins, how long it lasts and what share fails.
    """
    after, lasting, share = burst
    events = BURST.replace("AFTER", after).replace("LASTING", lasting).replace("SHARE", share)
    scenario = Path(desk.policy).with_name("burst.yaml")
    scenario.write_text(SCENARIO + events, encoding="utf-8")
    ended = desk.run(
        "rehearse", desk.policy, "--scenario", str(scenario), "--store", store_of(desk)
    )
    lines = [line.split() for line in ended.out.splitlines() if "→" in line]
    return ended.status, [f"{line[1]} {line[2]}→{line[4]}" for line in lines if line[3] == "→"]


def test_a_bake_of_three_minutes_is_not_passed_by_a_canary_that_fails_eight_percent(
    desk_in: MakeDesk,
) -> None:
    """At most 1% is allowed; the gate has seen 7.9%, and the next step judges it again."""
    steps = [
        {"weight": 10, "bake": "3m"},
        {"weight": 50, "bake": "3m"},
        {"weight": 100, "bake": "1h"},
    ]
    desk = desk_in({**SHORT_POLICY, "criteria": {"works": RATE}, "steps": steps})
    status, climbed = rehearsed(desk, ("0m", "5h", "8%"))
    assert status in (Exit.UNDECIDED, Exit.ROLLED_BACK)
    assert not any("10→50%" in one for one in climbed)


def test_a_burst_holds_a_step_until_it_is_older_than_one_bake(desk_in: MakeDesk) -> None:
    steps = [{"weight": 10, "bake": "30m"}, {"weight": 100, "bake": "30m"}]
    rate = {**RATE, "min": "99.9%"}
    criteria = {"works": rate}
    desk = desk_in({**SHORT_POLICY, "criteria": criteria, "steps": steps, "max_hold": "2h"})
    status, climbed = rehearsed(desk, ("22m", "3m", "4%"))
    assert (status, [one.split()[1] for one in climbed]) == (Exit.DONE, ["0→10%", "10→100%"])
    assert climbed[1] > "09:54", "the burst ended at 09:25, and the bake is half an hour"
    assert desk.run("replay", "orders", "--store", store_of(desk)).status == Exit.DONE


def test_a_source_that_answers_an_average_for_a_count_rolls_no_healthy_canary_back(
    desk_in: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cloudwatch._statistic

    def averaging(name: str, parts: Any, scale: float) -> float | None:
        return real("Average" if name.startswith("TC(") else name, parts, scale)

    monkeypatch.setattr(cloudwatch, "_statistic", averaging)
    latency = {
        "namespace": "AWS/ApiGateway", "name": "Latency", "statistic": "p95", "unit": "ms",
        "dimensions": SHORT_POLICY["metrics"]["requests"]["dimensions"],
    }  # fmt: skip
    desk = desk_in({
        **SHORT_POLICY,
        "metrics": {**SHORT_POLICY["metrics"], "latency": latency},
        "criteria": {
            **SHORT_POLICY["criteria"],
            "quick": {"kind": "threshold", "metric": "latency", "max": 2_000},
        },
    })  # fmt: skip
    ended = desk.run("rehearse", desk.policy, "--scenario", "healthy")
    assert ended.status == Exit.UNDECIDED
    assert "One of the two is wrong" in " ".join(ended.out.split())
