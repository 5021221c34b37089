"""The verb `plan`: the answer, what gates find, and what to change."""

from datetime import timedelta
from pathlib import Path

from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.tools.simulation.worlds import FUNCTION, MINUTE


def test_a_plan_is_there_as_json(desk: CliHarness) -> None:
    data = desk.run("plan", desk.policy, "--json").data
    assert (data["schema"], data["name"]) == ("plan/1", "orders")
    assert [step["weight"] for step in data["steps"]] == [10, 100]
    assert data["next"].startswith("`rolloutctl start` would set 10%")


def test_a_plan_of_a_running_rollout_says_what_is_next_for_it(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    before = desk.world.calls.copy()
    data = desk.run("plan", desk.policy, "--json").data
    following = desk.state()["next"]
    assert data["next"] == f"orders#1 is progressing at 10%: {following}"
    assert desk.world.calls == before


def test_a_plan_needs_no_store_and_makes_none(desk: CliHarness, tmp_path: Path) -> None:
    assert desk.run("plan", desk.policy).status == Exit.DONE
    assert not (tmp_path / "rollouts.db").exists()
    (tmp_path / "rollouts.db").write_text("no database")
    ended = desk.run("plan", desk.policy)
    assert ended.status == Exit.DONE
    assert "whether a rollout is active is unknown: " in ended.out


def test_a_live_plan_says_why_a_start_would_be_refused(desk: CliHarness) -> None:
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "40"})
    desk.world.clock.advance(MINUTE)
    ended = desk.run("plan", desk.policy, "--live")
    assert ended.status == Exit.DONE
    _, answer, reason, *_ = ended.out.splitlines()
    assert answer == "  start     `rolloutctl start` would be refused"
    assert reason.strip().startswith("the canary has 40% already")


def test_a_live_plan_of_a_running_rollout_says_what_the_next_tick_does(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    desk.world.clock.advance(5 * MINUTE)
    ended = desk.run("plan", desk.policy, "--live")
    _, answer, *_ = ended.out.splitlines()
    assert answer.startswith("  next      a visit now would ")
    assert "set handler to 100%" in answer
    assert desk.weight == 10


def test_a_live_plan_of_a_rollout_that_has_succeeded_ends_with_0_as_a_start_does(
    desk: CliHarness,
) -> None:
    desk.run("start", desk.policy)
    desk.ticks(12)
    assert desk.state()["phase"] == "succeeded"

    ended = desk.run("plan", desk.policy, "--live", "--exit-code")
    assert (ended.status, "would be refused" in ended.out) == (Exit.DONE, False)
    assert "`rolloutctl start` changes nothing: orders#1 is succeeded with this" in ended.out
    data = desk.run("plan", desk.policy, "--live", "--json").data
    assert (data["live"]["rollout"]["phase"], data["live"]["would"]) == ("succeeded", [])
    assert desk.run("start", desk.policy).status == Exit.DONE

    another = desk.another_policy("orders", shift_timeout="7m")
    for verb in (["plan", another, "--live", "--exit-code"], ["start", another]):
        assert desk.run(*verb).status == Exit.USAGE


def test_a_gate_that_cannot_decide_is_something_to_change_and_no_failure(desk: CliHarness) -> None:
    ended = desk.run("plan", desk.policy, "--requests-per-minute", "6")
    assert ended.status == Exit.DONE
    changes = [line for line in ended.out.splitlines() if line.startswith("  advice: ")]
    first = "10%: criterion works cannot pass in this step: it has 1 of 50 samples"
    assert changes[0].startswith(f"  advice: {first}")
    assert len(changes) > 1


def test_gates_that_decide_in_time_need_no_change(desk: CliHarness) -> None:
    ended = desk.run("plan", desk.policy, "--requests-per-minute", "60000")
    assert "\n  advice: none; " in ended.out
    assert not desk.world.calls


def test_a_rate_that_is_given_goes_before_the_one_that_was_measured(desk: CliHarness) -> None:
    asked = "plan", desk.policy, "--live", "--requests-per-minute", "600", "--json"
    power = desk.run(*asked).data["power"]
    assert (power["requests_per_minute"], power["source"]) == (600, "given")


def test_no_rollout_is_faster_than_its_plan_says(desk: CliHarness) -> None:
    shortest = timedelta(seconds=desk.run("plan", desk.policy, "--json").data["shortest_s"])
    begin = desk.world.clock.now()
    assert desk.run("run", desk.policy, "--interval", "1m").status == Exit.DONE
    assert desk.world.clock.now() - begin >= shortest


def test_what_is_no_traffic_is_refused(desk: CliHarness) -> None:
    for rate in ("0", "-1", "nan", "inf", "many"):
        ended = desk.run("plan", desk.policy, "--requests-per-minute", rate)
        assert ended.status == Exit.USAGE
        assert "--requests-per-minute" in ended.err


def test_a_live_plan_where_nothing_was_counted_says_so(desk: CliHarness) -> None:
    ended = desk.run("plan", desk.policy, "--live")
    assert ended.status == Exit.DONE
    assert (
        "\n  what the gates find is not known: no metric of the policy counted a request in the "
        "last 24h; name the rate: --requests-per-minute N\n"
    ) in ended.out


def test_a_live_plan_without_measurements_says_so(desk_in: MakeDesk) -> None:
    outage = {"kind": "metrics_outage", "lasting": "1h", "how": "error"}
    desk = desk_in(events=[outage])
    ended = desk.run("plan", desk.policy, "--live")
    assert ended.status == Exit.DONE
    assert "  what the gates find is not known: measurements cannot be read: " in ended.out
