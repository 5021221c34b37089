"""deploy/github in an account: a job starts a rollout, another one waits, a third rolls it back."""

import re
from pathlib import Path
from shutil import copy

import pytest

from tests.action import COMMIT, play
from tests.e2e.account import POLICY, Account

pytestmark = pytest.mark.ministack

ROLLOUT = f"policies/{POLICY.name}"


def test_a_rollout_is_started_waited_for_and_rolled_back_by_jobs(
    environment: dict[str, str], shop: Account, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "policies").mkdir(parents=True)
    copy(POLICY, checkout / ROLLOUT)
    begun = play(checkout, environment, command="start", rollout=ROLLOUT)
    at_10 = shop.pair()
    limit = {"for": "1s", "every": "1s"}
    waited = play(checkout, environment, command="wait", rollout=ROLLOUT, junit="reports", **limit)
    back = play(checkout, environment, command="rollback", rollout=ROLLOUT, reason="a job says so")

    assert (begun.status, at_10) == (0, ("10", "false")), begun.log
    assert "### execution-api\\#1: progressing at 10 %" in begun.summary
    assert f"revision {COMMIT}, updated " in begun.summary
    assert (waited.status, waited.outputs) == (3, "status=3\n")
    assert "time is up; execution-api#1 is progressing" in waited.log
    report = (checkout / "reports" / "rollout.xml").read_text(encoding="utf-8")
    assert re.search(
        r'<testsuites name="execution-api" tests="\d+" failures="0" errors="0"', report
    )
    assert (back.status, shop.pair()) == (0, ("0", "false"))
    assert "a job says so" in back.summary
