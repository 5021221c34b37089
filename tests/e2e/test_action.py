"""deploy/github in an account: a job starts a rollout, another one waits, a third rolls it back."""

import re
from pathlib import Path
from shutil import copy

import pytest

from tests.e2e.account import POLICY, Account
from tests.support.action import COMMIT, RunnerSetup, run_action
from tests.support.github_api import github, job
from tests.support.wheels import connected, copy_action_with_wheels, index, silent_index

pytestmark = pytest.mark.ministack

ROLLOUT = f"policies/{POLICY.name}"


def test_a_rollout_is_started_waited_for_and_rolled_back_by_jobs(
    environment: dict[str, str], shop: Account, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "policies").mkdir(parents=True)
    copy(POLICY, checkout / ROLLOUT)
    begun = run_action(checkout, environment, command="start", rollout=ROLLOUT)
    at_10 = shop.pair()
    limit = {"timeout": "1s", "interval": "1s"}
    waited = run_action(
        checkout, environment, command="wait", rollout=ROLLOUT, junit="reports", **limit
    )
    back = run_action(
        checkout, environment, command="rollback", rollout=ROLLOUT, reason="a job says so"
    )

    assert (begun.status, at_10) == (0, ("10", "false")), begun.log
    assert "### execution-api\\#<!-- -->1: progressing at 10%" in begun.summary
    assert f"revision {COMMIT}, updated " in begun.summary
    assert (waited.status, waited.outputs) == (3, "status=3\n")
    assert "for execution-api#1 to pause or end; it is progressing at " in waited.log
    report = (checkout / "reports" / "rollout.xml").read_text(encoding="utf-8")
    assert re.search(
        r'<testsuites name="execution-api" tests="\d+" failures="0" errors="0"', report
    )
    assert (back.status, shop.pair()) == (0, ("0", "false"))
    assert "a job says so" in back.summary


@pytest.mark.deep  # of its own parts, tests/deploy/test_action_comment.py has each
def test_the_start_and_the_rollback_are_one_comment_on_the_pull_request_of_the_commit(
    environment: dict[str, str], shop: Account, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "policies").mkdir(parents=True)
    copy(POLICY, checkout / ROLLOUT)
    asked = {"rollout": ROLLOUT, "comment": "true"}
    with github() as api:
        api.pulls[COMMIT] = [7]
        variables = {**environment, **job(api, tmp_path, {})}
        run_action(checkout, variables, command="start", **asked)
        (begun,) = api.bodies(7)
        run_action(checkout, variables, command="rollback", reason="@team says so", **asked)
        (ended,) = api.bodies(7)

    assert "### execution-api\\#<!-- -->1: progressing at 10%" in begun
    assert re.search(r"time to a rollback at \d+ requests a minute", begun)
    assert "### execution-api\\#<!-- -->1: rolled\\_back at 0%" in ended
    assert "@<!-- -->team says so" in ended
    assert re.search(r"\n\d{4}-\d\d-\d\d \d\d:\d\d +0%  rolled_back ", ended)


@pytest.mark.deep  # pip installs for seconds
def test_a_job_rolls_back_while_the_package_index_does_not_answer(
    environment: dict[str, str], shop: Account, tmp_path: Path
) -> None:
    """The job that started the rollout has filled the cache; the rollback needs nothing else."""
    checkout, cache, wheels = (tmp_path / name for name in ("checkout", "cache", "wheels"))
    (checkout / "policies").mkdir(parents=True)
    copy(POLICY, checkout / ROLLOUT)
    action = copy_action_with_wheels(wheels, tmp_path / "action")
    around, asked = RunnerSetup(action, cache), {"rollout": ROLLOUT}
    with index(wheels) as reachable:
        variables = {**environment, **reachable.environment}
        begun = run_action(checkout, variables, None, around, command="start", **asked)
    at_10 = shop.pair()
    (tmp_path / "runner").rename(tmp_path / "runner of another job")
    with silent_index() as (silent, listening):
        variables = {**environment, **silent.environment}
        back = run_action(checkout, variables, None, around, command="rollback", **asked)
        assert not connected(listening)

    assert (begun.status, at_10) == (0, ("10", "false")), begun.log
    assert (back.status, shop.pair()) == (0, ("0", "false")), back.log
