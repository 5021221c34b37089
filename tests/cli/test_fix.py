"""A start as a fix at the command line: its plan, and that every page of it says what it is."""

from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import HOUR

NAMED = "started as a fix: quiet does not gate until it has been green once"
FIX = ("--fix", "--reason", "the release of noon fails")
POLICY: Any = {
    **SHORT_POLICY,
    "criteria": {
        **SHORT_POLICY["criteria"],
        "quiet": {"kind": "alarm", "alarm": "shop-errors"},
    },
    "steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}],
}


@pytest.fixture
def red(desk_in: MakeDesk) -> CliHarness:
    """A desk whose alarm is in ALARM."""
    desk = desk_in(POLICY, events=[{"kind": "alarm", "at": {"after": "0s"}}])
    desk.world.clock.advance(HOUR)
    return desk


def test_a_plan_of_a_fix_says_what_is_still_judged(red: CliHarness) -> None:
    refused = red.run("plan", red.policy, "--live", "--exit-code")
    assert (refused.status, "shop-errors is in ALARM" in refused.out) == (Exit.USAGE, True)
    planned = red.run("plan", red.policy, "--live", "--fix", "--exit-code")
    assert planned.status == Exit.DONE
    assert "`rolloutctl start --revision" not in planned.out
    assert "start --fix --reason TEXT` sets 10%" in planned.out
    assert NAMED in planned.out
    assert "100% is still judged by works" in planned.out
    data = red.run("plan", red.policy, "--live", "--fix", "--json").data
    assert data["live"]["fix"] == {"red": ["quiet"], "gates": [["works"], ["works"]]}
    offline = red.run("plan", red.policy, "--fix")
    assert (offline.status, "--fix is about the live account" in offline.err) == (Exit.USAGE, True)


def test_a_fix_needs_a_reason(red: CliHarness) -> None:
    refused = red.run("start", red.policy, "--fix")
    assert refused.status == Exit.USAGE
    assert "--fix needs --reason TEXT, which is recorded in the history" in refused.err


def test_every_page_of_a_fix_says_that_it_is_one(red: CliHarness, tmp_path: Path) -> None:
    started = red.run("start", red.policy, *FIX, "--json").data
    assert started["fix"] == {"text": NAMED, "not_green": ["quiet"], "green": []}
    assert NAMED in started["warnings"]
    red.ticks(3)
    page, report, junit = (tmp_path / name for name in ("status.html", "report.html", "junit.xml"))
    red.run("status", "--html", str(page))
    red.run("report", "orders", "--html", str(report))
    shown = {
        "status": red.run("status", "orders").out,
        "overview": red.run("status").out,
        "markdown": red.run("status", "orders", "--markdown").out,
        "history": red.run("history", "orders").out,
        "tick": red.run("tick").out,
        "junit": red.run("status", "orders", "--junit", str(junit)).out and junit.read_text(),
        "page": page.read_text(),
        "report": report.read_text(),
    }
    assert [name for name, text in shown.items() if NAMED not in " ".join(text.split())] == []
    red.run("rollback", "orders", "--reason", "it is no fix")
    assert NAMED in red.run("status", "orders").out


@pytest.mark.parametrize("verb", ["run", "retry"])
def test_other_starts_are_fixes_as_well(red: CliHarness, verb: str) -> None:
    red.run("start", red.policy, *FIX)
    if verb == "retry":
        red.run("rollback", "orders")
        red.world.clock.advance(HOUR)
        refused = red.run("retry", "orders", "--reason", "once more")
        assert (refused.status, "is in ALARM" in refused.err) == (Exit.USAGE, True)
        assert red.run("retry", "orders", *FIX).status == Exit.DONE
        assert NAMED in red.run("history", "orders#2").out
    else:
        ran = red.run("run", red.policy, *FIX, "--timeout", "2m", "--json")
        assert (ran.status, ran.data["fix"]["not_green"]) == (Exit.UNDECIDED, ["quiet"])
