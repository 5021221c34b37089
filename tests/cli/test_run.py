"""run: starts a rollout if needed, and ticks it to its end."""

from typing import Any

from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.cli.test_start_and_tick import DENIED, MEDDLING, SICK, SILENT, a_full_disk
from tests.support.cases import cases
from tests.support.stage import WRITE
from tests.tools.simulation.worlds import FUNCTION, MINUTE


@cases("events, status, phase, weight", {
    "healthy: 0": ([], Exit.DONE, "succeeded", 100),
    "sick: 4": (SICK, Exit.ROLLED_BACK, "rolled_back", 0),
    "silent: 3": (SILENT, Exit.UNDECIDED, "paused", 10),
    "drift: 6": (MEDDLING, Exit.DRIFT, "paused", 75),
    "denied: 5": ([*SICK, *DENIED], Exit.UNCONFIRMED, "rolling_back", 10),
})  # fmt: skip
def test_run_takes_a_policy_to_its_end(
    desk_in: MakeDesk, events: list[Any], status: Exit, phase: str, weight: int
) -> None:
    desk = desk_in(events=events)
    ended = desk.run("run", desk.policy, "--json", "--timeout", "1h")
    assert (ended.status, ended.data["phase"], desk.weight) == (status, phase, weight)
    assert ended.data["schema"] == "run/1"


def test_run_says_that_nothing_confirms_a_rollback_that_it_ticks_no_more(
    desk_in: MakeDesk,
) -> None:
    desk = desk_in(events=[*SICK, *DENIED])
    said = desk.run("run", desk.policy, "--timeout", "1h").err
    assert "until another tick runs, nothing checks that 0% is applied" in said


def test_run_ends_with_1_when_nothing_can_be_saved(desk: CliHarness) -> None:
    a_full_disk(desk)
    ended = desk.run("run", desk.policy, "--timeout", "3m", "--verbose")
    assert ended.status == Exit.INTERNAL
    event_names = [event["event"] for event in ended.events]
    assert (event_names.count("lease_failed"), event_names.count("tick_completed")) == (3, 3)


def test_run_in_a_pipe_logs_its_ticks_only_when_asked_for(desk: CliHarness) -> None:
    """A log file of CI has the lines of the rollout, and no JSON between them."""
    ended = desk.run("run", desk.policy, "--timeout", "2m")
    assert (ended.events, len(ended.out.splitlines())) == ([], 3)
    logged = desk.run("run", desk.policy, "--timeout", "2m", "--verbose").events
    assert "tick_completed" in [event["event"] for event in logged]


def test_run_outlives_a_store_that_does_not_answer_for_a_while(desk: CliHarness) -> None:
    a_full_disk(desk)

    def mended() -> None:
        desk.sql("DROP TRIGGER full")

    desk.world.clock.at(desk.world.clock.now() + 2 * MINUTE + MINUTE / 2, mended)
    ended = desk.run("run", desk.policy, "--json")
    assert (ended.status, ended.data["phase"]) == (Exit.DONE, "succeeded")
    assert [event["event"] for event in ended.events].count("lease_failed") == 2


def test_a_dry_run_shows_the_first_move_and_ends_there(desk: CliHarness) -> None:
    begin = desk.world.clock.now()
    ended = desk.run("run", desk.policy, "--dry-run")
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert "would: set handler to 10%" in ended.out
    assert desk.world.clock.now() == begin
    desk.run("start", desk.policy)
    desk.world.clock.advance(5 * MINUTE)
    assert "would: record advanced" in desk.run("run", desk.policy, "--dry-run").out
    assert desk.weight == 10


@cases("options, minutes", {
    "it is no tick before the limit": (["--timeout", "90s", "--interval", "1m"], 1.5),
    "it is less than the time of a tick": (["--timeout", "3m", "--interval", "1h"], 3),
})  # fmt: skip
def test_run_watches_until_its_limit_and_ticks_then(
    desk: CliHarness, options: list[str], minutes: float
) -> None:
    desk.run("start", desk.policy)
    begin = desk.world.clock.now()
    ended = desk.run("run", desk.policy, "--json", *options)
    assert ended.status == Exit.UNDECIDED
    assert (desk.world.clock.now() - begin).total_seconds() == 60 * minutes
    last = [event for event in ended.events if event["event"] == "tick_completed"][-1]
    assert last["rollout"] == "orders#1"
    assert ended.data["updated"] == desk.world.clock.now().isoformat()


def test_run_adopts_the_weight_that_is_live(desk: CliHarness) -> None:
    by_hand = {"Variables": {"PERCENTAGE": "100", "ENABLED": "true"}}
    desk.world.client("lambda").update_function_configuration(
        FunctionName=FUNCTION, Environment=by_hand
    )
    desk.world.clock.advance(MINUTE)
    refused = desk.run("run", desk.policy)
    assert (refused.status, desk.weight) == (Exit.USAGE, 100)
    ended = desk.run("run", desk.policy, "--adopt", "--json")
    assert (ended.status, ended.data["phase"], desk.weight) == (Exit.DONE, "succeeded", 100)
    assert desk.world.calls[WRITE] == 1  # by hand


def test_run_writes_into_the_history_who_ran_it(desk: CliHarness) -> None:
    desk.run("run", desk.policy, "--by", "the release train")
    entries = desk.entries()
    assert {entry["by"] for entry in entries} == {"the release train"}


def test_run_prints_the_warnings_of_its_start(desk: CliHarness) -> None:
    desk.world.function(FUNCTION).aliases.append({"Name": "live", "FunctionVersion": "7"})
    lines = desk.run("run", desk.policy, "--timeout", "1m").out.splitlines()
    assert lines[0].startswith("warning: reach: handler has aliases (live)")
    desk.run("rollback", "orders")
    other_policy = desk.another_policy("again")
    warnings = desk.run("run", other_policy, "--timeout", "1m", "--json").data["warnings"]
    assert warnings[0] == lines[0].removeprefix("warning: ")


def test_run_goes_on_with_the_active_rollout_whatever_its_revision(desk: CliHarness) -> None:
    desk.run("start", desk.policy, "--revision", "v1")
    ended = desk.run("run", desk.policy, "--json")
    assert (ended.status, ended.data["id"], ended.data["revision"]) == (0, "orders#1", "v1")


def test_run_refuses_another_revision_that_is_named(desk: CliHarness) -> None:
    desk.run("start", desk.policy, "--revision", "v1")
    ended = desk.run("run", desk.policy, "--revision", "v2")
    assert ended.status == Exit.USAGE
    assert "orders#1 is progressing with revision v1" in ended.err
