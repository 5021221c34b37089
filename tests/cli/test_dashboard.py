"""What a button runs is what the verb runs: the same account, author and record."""

import os

import pytest

from controller.core.events import Verb
from controller.errors import Exit, StateConflictError
from controller.process import settings
from controller.tools.dashboard.verb import act_runner, actor_of
from controller.tools.simulation.world import CALLER
from tests.cli.conftest import VERIFIED, CliHarness


def test_a_button_is_recorded_as_the_dashboard_says(desk: CliHarness) -> None:
    assert desk.run("start", desk.policy).status == Exit.DONE
    desk.ticks(1)
    of_process = settings.read(os.environ)
    run_act, version = act_runner(of_process), desk.sql("SELECT version FROM rollouts")[0][0]
    visit = run_act("orders#1", Verb.PAUSE, "the database is moved", version)
    assert visit.saved
    newest = desk.entries()[-1]
    assert (newest["by"], newest["caller"]) == ("tester", CALLER["Arn"])
    assert actor_of(of_process) == f"tester {VERIFIED}"
    assert newest["body"]["cause"]["reason"] == "the database is moved"

    with pytest.raises(StateConflictError, match=f"version {version}, now"):
        run_act("orders#1", Verb.ROLLBACK, "an old tab", version)
    assert (desk.state()["phase"], desk.weight) == ("paused", 10)
    visit = run_act("orders#1", Verb.ROLLBACK, "customers called", visit.rollout.version)
    assert (desk.state()["phase"], desk.weight) == ("rolled_back", 0)
