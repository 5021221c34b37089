"""start and tick: their output, effects and exit statuses."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller import cli
from controller.engine.time_limits import LEASE_DURATION
from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.cases import cases
from tests.support.stage import METRICS, SHORT_POLICY, WRITE, ActBefore, FailingCall
from tests.tools.simulation.worlds import FUNCTION, MINUTE

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]
MEDDLING = [{"kind": "person", "at": {"step": 1, "after": "30s"}, "weight": 75}]
SILENT = [{"kind": "traffic", "times": 0}]
DENIED = [{"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}]


# --- start --------------------------------------------------------------------------------------


def test_start_again_says_that_nothing_changed(desk: CliHarness) -> None:
    first = desk.run("start", desk.policy, "--json").data
    again = desk.run("start", desk.policy)
    assert (first["schema"], first["new"], first["id"]) == ("start/1", True, "orders#1")
    assert again.status == Exit.DONE
    assert again.out.startswith("orders#1 is progressing already; nothing changed\n")
    assert desk.world.calls[WRITE] == 1


def test_start_prints_warnings_with_the_result(desk: CliHarness) -> None:
    desk.world.function(FUNCTION).aliases.append({"Name": "live", "FunctionVersion": "7"})
    ended = desk.run("start", desk.policy, "--json")
    assert ended.data["phase"] == "progressing"
    warning, cold = ended.data["warnings"]
    assert "replaces all warm environments of handler, on both paths" in cold
    assert warning.startswith("reach: handler has aliases (live)")


# --- tick ---------------------------------------------------------------------------------------


def test_ticks_walk_a_rollout_to_its_end_without_its_policy_file(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    Path(desk.policy).unlink()
    observed = []
    while (ended := desk.ticks(1, "--json")).data["rollouts"][0]["phase"] != "succeeded":
        assert ended.status == Exit.DONE
        observed.append(ended.data["rollouts"][0]["weight"])
    assert (sorted(set(observed)), desk.weight) == ([10, 100], 100)


def test_a_rollout_that_is_not_due_is_left_alone_and_status_says_until_when(
    desk: CliHarness,
) -> None:
    desk.run("start", desk.policy)
    while desk.ticks(1, "--json").data["rollouts"][0]["phase"] != "succeeded":
        pass
    desk.ticks(1)
    left = desk.run("tick", "--json")
    assert (left.status, left.data["rollouts"], left.data["later"]) == (Exit.DONE, [], 1)
    text = "1 active rollout is not due yet; to visit now: rolloutctl tick --early\n"
    assert desk.run("tick").out == text
    assert "; not due before 2026-" in desk.run("status", "orders").out
    assert desk.run("tick", "orders").out.startswith("orders#1  succeeded")
    assert desk.run("tick", "--early").out.startswith("orders#1  succeeded")


def test_a_tick_without_rollouts_is_fine(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    desk.run("rollback", "orders")
    desk.world.clock.advance(timedelta(days=1))
    assert desk.run("tick")[:2] == (Exit.DONE, "no active rollout\n")


def test_ticks_may_name_a_rollout_by_id_name_or_policy_file(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    for name in ("orders#1", "orders", desk.policy):
        assert desk.ticks(1, name).out.startswith("orders#1  progressing")


@pytest.mark.parametrize("verb", ["start", "run", "plan"])
def test_a_version_is_refused_where_the_target_has_none(desk: CliHarness, verb: str) -> None:
    ended = desk.run(verb, desk.policy, "--version", "7")
    assert ended.status == Exit.USAGE
    assert ended.err == "rolloutctl: --version: a lambda-env target has no versions\n"
    assert not desk.world.calls


def test_a_revision_is_one_word_that_histories_can_show(desk: CliHarness) -> None:
    ended = desk.run("start", desk.policy, "--revision", "v1\nforged")
    assert ended.status == Exit.USAGE
    assert "must be one printable line" in ended.err
    assert desk.weight == 0


def test_a_message_lists_the_newest_names_of_a_store(desk: CliHarness) -> None:
    for number in range(12):
        desk.world.add_function(f"f{number}", {})
        target = {**SHORT_POLICY["target"], "function": f"f{number}"}
        desk.run("start", desk.another_policy(f"name{number}", target=target))
        desk.world.clock.advance(MINUTE)
    names = ", ".join(f"name{number}" for number in range(11, 1, -1))
    assert f"which has {names} and 2 more; if" in desk.run("status", "checkout").err


@pytest.mark.parametrize("option", ["", "--scheduled", "--dry-run"])
def test_a_tick_without_its_store_is_an_error_on_a_schedule_too(
    desk: CliHarness, tmp_path: Path, option: str
) -> None:
    ended = desk.run("tick", *filter(None, [option]))
    assert ended.status == Exit.USAGE
    assert "there is no store at " in ended.err
    assert not (tmp_path / "rollouts.db").exists()


def drift(desk: CliHarness) -> None:
    desk.run("start", desk.policy)


def a_rival(desk: CliHarness) -> None:
    """A concurrent tick saves first, while the tested one sleeps past the end of its lease."""
    desk.run("start", desk.policy)

    def tick_first() -> None:
        desk.world.clock.advance(LEASE_DURATION)
        cli.main(["tick"])

    desk.world.interceptors.append(ActBefore(METRICS, tick_first))


def a_damaged_rollout(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    damage(desk, "orders#1")


def damage(desk: CliHarness, rollout_id: str) -> None:
    desk.sql("UPDATE rollouts SET state = 'no JSON' WHERE id = ?", rollout_id)


def a_full_disk(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    take_no_writes(desk)


def take_no_writes(desk: CliHarness) -> None:
    """Let the store refuse every save."""
    desk.sql(
        "CREATE TRIGGER full BEFORE UPDATE ON rollouts "
        "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )


@cases("events, prepare, status, scheduled", {
    "all is well": ([], drift, Exit.DONE, Exit.DONE),
    "drift": (MEDDLING, drift, Exit.DRIFT, Exit.DRIFT),
    "another run saved first": ([], a_rival, Exit.BUSY, Exit.DONE),
    "nothing can be saved": ([], a_full_disk, Exit.INTERNAL, Exit.INTERNAL),
    "a rollout cannot be read": ([], a_damaged_rollout, Exit.INTERNAL, Exit.INTERNAL),
})  # fmt: skip
def test_a_tick_ends_with(
    desk_in: MakeDesk,
    events: list[Any],
    prepare: Callable[[CliHarness], None],
    status: Exit,
    scheduled: Exit,
) -> None:
    for options, expected in (([], status), (["--scheduled"], scheduled)):
        desk = desk_in(events=events)
        for file in Path(desk.policy).parent.glob("rollouts.db*"):
            file.unlink()
        prepare(desk)
        assert desk.ticks(1, *options).status == expected


def test_a_rollout_that_cannot_be_read_hides_no_alarm_and_no_other_rollout(
    desk_in: MakeDesk,
) -> None:
    desk = desk_in(events=[*SICK, *DENIED])
    desk.run("start", desk.policy)
    desk.start_payments()
    damage(desk, "payments#1")
    ended = desk.ticks(4, "--json")
    assert ended.status == Exit.UNCONFIRMED
    orders, payments = ended.data["rollouts"]
    assert (orders["id"], orders["alerts"]) == ("orders#1", ["rollback_unconfirmed"])
    assert (payments["id"], payments["phase"], payments["saved"]) == ("payments#1", None, False)
    assert "the state of payments#1 is damaged" in payments["problem"]
    lines = desk.ticks(1).out.splitlines()
    assert "orders#1  rolling_back" in lines[0]
    assert lines[1].startswith(
        "payments#1  skipped by this tick: the state of payments#1 is damaged"
    )


@cases("how, status", {
    "may not read CloudWatch": ("denied", Exit.INTERNAL),
    "may not read a metric": ("forbidden", Exit.INTERNAL),
    "is throttled": ("throttle", Exit.DONE),
    "gets no answer": ("error", Exit.DONE),
})  # fmt: skip
def test_a_tick_ends_with_1_only_where_waiting_does_not_help_when_it(
    desk: CliHarness, how: str, status: Exit
) -> None:
    desk.run("start", desk.policy)
    desk.world.interceptors.append(FailingCall(METRICS, how))
    ended = desk.ticks(5, "--json")
    (rollout,) = ended.data["rollouts"]
    assert (ended.status, rollout["saved"], rollout["phase"]) == (status, True, "progressing")
    if how == "denied":
        assert "(cloudwatch:GetMetricData): AccessDenied" in rollout["problem"]
        assert "grant the action" in desk.run("status", "orders").out
    assert bool(rollout["problem"]) == bool(status)


# --- the log event of a tick --------------------------------------------------------------------


def test_a_tick_says_in_one_line_that_it_came_to_its_end(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    desk.world.clock.advance(timedelta(minutes=10))
    (line,) = [event for event in desk.run("tick").events if event["event"] == "tick_ended"]
    assert (line["status"], line["rollouts"], line["errors"]) == (0, {"progressing": 1}, 0)
    assert line["data_lag_s"] is not None
    assert "_aws" not in line
    assert not line["dry_run"]


def test_a_tick_that_cannot_read_its_store_does_not_say_so(desk: CliHarness) -> None:
    ended = desk.run("tick", "--store", "sqlite:////nowhere/rollouts.db")
    assert ended.status == Exit.USAGE
    assert not [event for event in ended.events if event["event"] == "tick_ended"]


def test_where_a_namespace_is_named_that_line_is_metrics_too(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUTCTL_METRICS", "rolloutctl/shop")
    desk.run("start", desk.policy)
    (line,) = [event for event in desk.run("tick").events if event["event"] == "tick_ended"]
    assert line["RolloutsProgressing"] == 1


def test_a_wrong_namespace_is_a_warning_and_ticks_go_on(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUTCTL_METRICS", "AWS/Lambda")
    assert desk.run("start", desk.policy).status == Exit.DONE
    ended = desk.run("tick")
    assert (ended.status, ended.out[:8]) == (Exit.DONE, "orders#1")
    (warning,) = [event for event in ended.events if event["event"] == "setting_ignored"]
    assert "ROLLOUTCTL_METRICS" in warning["problem"]
    assert "RolloutsProgressing" not in ended.err


def test_the_log_and_the_history_of_a_run_have_its_name(desk: CliHarness) -> None:
    started = desk.run("start", desk.policy)
    (run,) = {line["run"] for line in started.events}
    entries = desk.entries()
    assert {entry["run"] for entry in entries} == {run}
    assert {line["run"] for line in desk.run("tick").events} != {run}


# --- tick --policy ------------------------------------------------------------------------------


@pytest.fixture
def two(desk: CliHarness) -> CliHarness:
    """A desk with a rollout of `orders` and one of `orders-2`, on functions of their own."""
    desk.world.add_function("second", {"PERCENTAGE": "0", "ENABLED": "false"})
    other_policy = desk.another_policy(
        "orders-2", target={**SHORT_POLICY["target"], "function": "second"}
    )
    for policy in (desk.policy, other_policy):
        assert desk.run("start", policy).status == Exit.DONE
    desk.world.clock.advance(MINUTE)
    return desk


def visited(desk: CliHarness, *words: str) -> list[str]:
    """Return the ids that a tick visited; it must end with 0."""
    ended = desk.run("tick", "--json", *words)
    assert ended.status == Exit.DONE, ended.err
    return sorted(one["id"] for one in ended.data["rollouts"])


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ((), ["orders#1", "orders-2#1"]),
        (("--policy", "orders"), ["orders#1"]),
        (("--policy", "orders-2"), ["orders-2#1"]),
        (("--policy", "orders", "--policy", "orders-2"), ["orders#1", "orders-2#1"]),
        (("--policy", "orders,orders-2"), ["orders#1", "orders-2#1"]),
        (("--policy", "orders", "--policy", "nobody"), ["orders#1"]),
        (("--policy", "nobody"), []),
        (("--policy", "order"), []),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_a_tick_of_some_policies_visits_their_rollouts_and_no_other(
    two: CliHarness, words: tuple[str, ...], ids: list[str]
) -> None:
    assert visited(two, *words) == ids


def test_a_policy_may_be_named_by_its_file(two: CliHarness) -> None:
    assert visited(two, "--policy", str(two.policy)) == ["orders#1"]


def test_a_policy_without_a_rollout_is_no_error_on_a_schedule_either(two: CliHarness) -> None:
    ended = two.run("tick", "--scheduled", "--policy", "nobody")
    assert (ended.status, ended.out) == (Exit.DONE, "no active rollout\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--policy", "orders#1"), "--policy is the name of a policy, not 'orders#1'"),
        (("--policy", "Orders"), "--policy is the name of a policy, not 'Orders'"),
        (("--policy", ""), "--policy names no policy"),
        (("--policy", ","), "--policy names no policy"),
        (("orders", "--policy", "orders"), "leave ROLLOUT out"),
    ],
)
def test_what_names_no_policy_is_refused_before_anything_is_visited(
    two: CliHarness, words: tuple[str, ...], message: str
) -> None:
    calls = dict(two.world.calls)
    ended = two.run("tick", "--scheduled", *words)
    assert ended.status == Exit.USAGE
    assert message in ended.err
    assert two.world.calls == calls


def dry_start(desk: CliHarness) -> tuple[str, ...]:
    return "start", desk.policy


def dry_tick(desk: CliHarness) -> tuple[str, ...]:
    """Return the tick that would raise the weight."""
    desk.run("start", desk.policy)
    for _ in range(30):
        desk.world.clock.advance(MINUTE)
        if "set handler to" in desk.run("tick", "--early", "--dry-run").out:
            return ("tick", "--early")
        desk.run("tick", "--early")
    raise AssertionError("no tick raises the weight")


def dry_rollback(desk: CliHarness) -> tuple[str, ...]:
    desk.run("start", desk.policy)
    return "rollback", "orders"


@pytest.mark.parametrize("command", [dry_start, dry_tick, dry_rollback])
def test_a_dry_run_logs_no_write_that_it_left_out(
    desk: CliHarness, command: Callable[[CliHarness], tuple[str, ...]]
) -> None:
    arguments, weight = command(desk), desk.weight
    writes = {"rollout_started", "rollout_saved", "weight_shifted", "weight_lowered"}
    dry = desk.run(*arguments, "--dry-run")
    assert ("would: " in dry.out, desk.weight) == (True, weight)
    assert not writes & {event["event"] for event in dry.events}
    assert writes & {event["event"] for event in desk.run(*arguments).events}


# --- a check that fails, and is passed ------------------------------------------------------------


@pytest.mark.parametrize("verb", ["start", "run"])
def test_a_start_despite_a_failed_check_is_in_the_history(desk: CliHarness, verb: str) -> None:
    errors = {**SHORT_POLICY["metrics"]["server_errors"], "name": "5xxError", "missing": "zero"}
    metrics = {**SHORT_POLICY["metrics"], "server_errors": errors}
    policy = desk.another_policy("orders", metrics=metrics)
    options = ["--timeout", "1m"] if verb == "run" else []
    refused = desk.run(verb, policy, *options)
    assert refused.status == Exit.USAGE
    assert "--despite 'metric server_errors' --reason TEXT" in refused.err
    without = desk.run(verb, policy, *options, "--despite", "metric server_errors")
    assert (without.status, "--despite needs --reason" in without.err) == (Exit.USAGE, True)
    passed = ("--despite", "metric server_errors", "--reason", "it will be there")
    assert desk.run(verb, policy, *options, *passed).status in (Exit.DONE, Exit.UNDECIDED)
    assert (
        "despite a failed check (metric server_errors): it will be there"
        in desk.run("history", "orders").out
    )
