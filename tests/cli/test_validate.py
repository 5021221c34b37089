"""validate, schema and plan: a policy file is checked and explained before a start."""

from datetime import timedelta
from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import Desk, MakeDesk
from tests.simulation.worlds import FUNCTION, MINUTE
from tests.support.stage import SHORT_POLICY

WRONG = "version: 1\nname: Wrong\ntarget: {}\nmetrics: {}\ncriteria: {}\nsteps: []\n"


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    return str(file)


def test_every_mistake_is_a_line_on_stderr_and_the_status_is_2(desk: Desk, wrong: str) -> None:
    ended = desk.run("validate", desk.policy, wrong)
    assert ended.status == Exit.USAGE
    assert ended.out.startswith(f"{desk.policy}: ok")
    assert len(ended.err.splitlines()) > 1
    assert all(line.startswith(f"{wrong}:") for line in ended.err.splitlines())


def test_the_verdict_on_each_file_is_there_as_json(desk: Desk, wrong: str) -> None:
    ended = desk.run("validate", desk.policy, wrong, "--json")
    assert ended.status == Exit.USAGE
    assert (ended.data["schema"], ended.data["ok"]) == ("validate/1", False)
    assert [file["ok"] for file in ended.data["files"]] == [True, False]


def test_a_mistake_of_a_whole_file_as_json_is_at_its_first_character(
    desk: Desk, tmp_path: Path
) -> None:
    file = str(tmp_path / "gone.yaml")
    (problem,) = desk.run("validate", file, "--json").data["files"][0]["problems"]
    assert problem.pop("message") == "cannot be read: No such file or directory"
    assert problem == {"file": file, "line": 1, "column": 1, "path": ""}


def test_a_wrong_policy_keeps_every_verb_from_touching_anything(desk: Desk, wrong: str) -> None:
    for verb in ("plan", "rehearse", "start", "run", "tick", "status", "rollback"):
        assert desk.run(verb, wrong).status == Exit.USAGE
    assert not desk.world.calls


def test_a_plan_is_there_as_json(desk: Desk) -> None:
    data = desk.run("plan", desk.policy, "--json").data
    assert (data["schema"], data["name"]) == ("plan/1", "orders")
    assert [step["weight"] for step in data["steps"]] == [10, 100]
    assert data["next"].startswith("`rolloutctl start` would set 10 %")


def test_a_plan_of_a_running_rollout_says_what_is_next_for_it(desk: Desk) -> None:
    desk.run("start", desk.policy)
    before = desk.world.calls.copy()
    data = desk.run("plan", desk.policy, "--json").data
    following = desk.state()["next"]
    assert data["next"] == f"orders#1 is progressing at 10 %: {following}"
    assert desk.world.calls == before


def test_a_plan_needs_no_store_and_makes_none(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("plan", desk.policy).status == Exit.DONE
    assert not (tmp_path / "rollouts.db").exists()
    (tmp_path / "rollouts.db").write_text("no database")
    ended = desk.run("plan", desk.policy)
    assert ended.status == Exit.DONE
    assert "whether a rollout is active is unknown: " in ended.out


def test_a_live_plan_says_why_a_start_would_be_refused(desk: Desk) -> None:
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "40"})
    desk.world.clock.advance(MINUTE)
    ended = desk.run("plan", desk.policy, "--live")
    assert ended.status == Exit.DONE
    assert "start would be refused: the canary has 40 % already" in ended.out
    assert "next: `rolloutctl start` would be refused" in ended.out


def test_a_live_plan_of_a_running_rollout_says_what_the_next_tick_does(desk: Desk) -> None:
    desk.run("start", desk.policy)
    desk.world.clock.advance(5 * MINUTE)
    ended = desk.run("plan", desk.policy, "--live")
    assert "the next tick would: set handler to 100 %" in ended.out
    assert desk.weight == 10


# --- gate power ---------------------------------------------------------------------------------


def test_a_gate_that_cannot_decide_is_a_warning_and_no_failure(desk: Desk) -> None:
    ended = desk.run("validate", desk.policy, "--requests-per-minute", "6")
    assert ended.status == Exit.DONE
    assert "warning: criterion works cannot pass in this step: it has 1 of 50 samples" in ended.out
    warnings = ended.out.count("warning: ")
    assert warnings > 1
    assert ended.out.startswith(f"{desk.policy}: valid, with {warnings} warnings: 10 % for 2m")


def test_gates_that_decide_in_time_leave_a_policy_ok(desk: Desk) -> None:
    ended = desk.run("validate", desk.policy, "--requests-per-minute", "60000")
    assert "warning" not in ended.out
    assert ended.out.startswith(f"{desk.policy}: ok: 10 % for 2m")


def test_no_rollout_is_faster_than_its_plan_says(desk: Desk) -> None:
    shortest = timedelta(seconds=desk.run("plan", desk.policy, "--json").data["shortest_s"])
    begin = desk.world.clock.now()
    assert desk.run("run", desk.policy, "--interval", "1m").status == Exit.DONE
    assert desk.world.clock.now() - begin >= shortest


def test_what_is_no_traffic_is_refused(desk: Desk) -> None:
    for rate in ("0", "-1", "nan", "inf", "many"):
        ended = desk.run("validate", desk.policy, "--requests-per-minute", rate)
        assert ended.status == Exit.USAGE
        assert "--requests-per-minute" in ended.err


def test_a_wrong_policy_does_not_hide_the_gate_power_of_a_valid_one(desk: Desk, wrong: str) -> None:
    ended = desk.run("validate", wrong, desk.policy, "--requests-per-minute", "600")
    assert ended.status == Exit.USAGE
    assert ended.out.count("gate power at") == 1


def test_a_live_plan_where_nothing_was_counted_says_so(desk: Desk) -> None:
    ended = desk.run("plan", desk.policy, "--live")
    assert ended.status == Exit.DONE
    assert ended.out.endswith(
        "  gate power: no metric of the policy counted a request in the last 24h; "
        "name the rate: rolloutctl validate --requests-per-minute N\n"
    )


def test_a_live_plan_without_measurements_says_so(desk_in: MakeDesk) -> None:
    outage = {"kind": "metrics_outage", "lasting": "1h", "how": "error"}
    desk = desk_in(events=[outage])
    ended = desk.run("plan", desk.policy, "--live")
    assert ended.status == Exit.DONE
    assert "  gate power: measurements cannot be read: " in ended.out


def test_a_warning_is_at_its_place_and_changes_no_status(desk: Desk) -> None:
    metrics = {**SHORT_POLICY["metrics"]}
    metrics["requests"] = {**metrics["requests"], "unit": "ms"}
    policy = desk.another_policy("doubtful", metrics=metrics)
    ended = desk.run("validate", policy)
    assert (ended.status, ended.err) == (Exit.DONE, "")
    assert ended.out.startswith(f"{policy}: valid, with 1 warning: ")
    assert f"warning: {policy}:1:" in ended.out
    assert "metrics.requests.unit: " in ended.out
    file = desk.run("validate", policy, "--json").data["files"][0]
    assert (file["ok"], file["problems"]) == (True, [])
    assert [one["path"] for one in file["warnings"]] == ["metrics.requests.unit"]
    annotated = desk.run("validate", policy, "--format", "github")
    assert "::warning file=" in annotated.out
    assert annotated.status == Exit.DONE
