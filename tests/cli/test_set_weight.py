"""set-weight: an operator sets a weight, without an active rollout and over one."""

import shlex
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed, client_error
from controller.tools.simulation.fakes.lambda_ import code_digest
from tests.cli.conftest import CliHarness
from tests.support.cases import cases
from tests.support.stage import METRICS, READ, WRITE, ActBefore, FailingCall
from tests.tools.simulation.worlds import FUNCTION, MINUTE


def made(desk: CliHarness) -> CliHarness:
    """Return the desk with a store that has no rollout."""
    assert desk.run("store", "init").status == Exit.DONE
    return desk


def started(desk: CliHarness) -> CliHarness:
    """Return the desk with a rollout whose 10% are in force."""
    assert desk.run("start", desk.policy).status == Exit.DONE
    desk.world.clock.advance(MINUTE)
    desk.run("tick", "--early")
    return desk


def pair(desk: CliHarness) -> tuple[str, str]:
    variables = desk.world.function(FUNCTION).variables
    return variables["PERCENTAGE"], variables["ENABLED"]


# --- without an active rollout ------------------------------------------------------------------


def test_a_weight_that_is_live_already_is_not_written_again(desk: CliHarness) -> None:
    made(desk)
    desk.run("set-weight", desk.policy, "40")
    ended = desk.run("set-weight", desk.policy, "40", "--json")
    assert (ended.status, desk.world.calls[WRITE]) == (Exit.DONE, 1)
    assert (ended.data["schema"], ended.data["written"], ended.data["applied"]) == (
        "set-weight/1", False, True,
    )  # fmt: skip
    output = desk.run("set-weight", desk.policy, "40").out
    assert output.startswith("handler: 40% is applied already, nothing was written: PERCENTAGE=40")
    dry = desk.run("set-weight", desk.policy, "40", "--dry-run").out
    assert dry.startswith(output)
    assert dry.endswith("\nwould: nothing\n")


def test_zero_is_refused_with_the_rollback_command_that_sets_it(desk: CliHarness) -> None:
    started(desk)
    writes = desk.world.calls[WRITE]
    options = ("--reason", "paged at 3", "--by", "ada", "--json")
    ended = desk.run("set-weight", desk.policy, "0", *options)
    assert (ended.status, ended.data["schema"], desk.weight) == (Exit.USAGE, "error/1", 10)
    assert desk.world.calls[WRITE] == writes
    message, _, command = ended.err.rstrip("\n").partition("; run: ")
    assert message == "rolloutctl: set-weight does not set 0%; nothing was written"
    assert shlex.split(command) == ["rolloutctl", "rollback", desk.policy, *options]
    assert desk.run(*shlex.split(command)[1:]).status == Exit.DONE
    assert (desk.weight, desk.state()["sentence"]) == (0, "paged at 3")


@pytest.mark.parametrize("option", [("--store", "sqlite:////tmp/a b.db"), ("--dry-run",)])
def test_the_rollback_command_keeps_the_options(desk: CliHarness, option: tuple[str, ...]) -> None:
    ended = desk.run("set-weight", "orders", "0", *option)
    assert ended.err.endswith(f"; run: rolloutctl rollback orders {shlex.join(option)}\n")


def test_pairs_that_contradict_each_other_are_put_right(desk: CliHarness) -> None:
    made(desk)
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "50", "ENABLED": "true"})
    desk.world.clock.advance(MINUTE)
    assert desk.run("set-weight", desk.policy, "50").status == Exit.DONE
    assert pair(desk) == ("50", "false")


def test_with_a_broken_store_no_weight_is_raised(desk: CliHarness, tmp_path: Path) -> None:
    (tmp_path / "rollouts.db").write_text("no database")
    ended = desk.run("set-weight", desk.policy, "40")
    assert (ended.status, desk.world.calls[WRITE]) == (Exit.INTERNAL, 0)


def test_without_any_store_it_works_and_says_what_it_cannot_know(
    desk: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLLOUTCTL_STORE")
    monkeypatch.setattr("controller.process.settings.in_container", lambda _: False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    dry = desk.run("set-weight", desk.policy, "40", "--dry-run")
    assert (dry.status, dry.out, desk.weight) == (Exit.DONE, "would: set handler to 40%\n", 0)
    ended = desk.run("set-weight", desk.policy, "40")
    assert (ended.status, desk.weight) == (Exit.DONE, 40)
    assert "without a store it is unknown whether a rollout is active" in ended.err
    assert not (tmp_path / "state").exists()


def test_a_store_that_was_named_and_is_not_there_is_a_mistake(desk: CliHarness) -> None:
    ended = desk.run("set-weight", desk.policy, "40")
    assert (ended.status, desk.world.calls[WRITE]) == (Exit.USAGE, 0)
    assert "there is no store at" in ended.err


# --- concurrent changes -------------------------------------------------------------------------


def external_write(desk: CliHarness, weight: int) -> ActBefore:
    """Return an interceptor that sets `weight` from outside just before the first write."""
    pair = {"PERCENTAGE": str(weight), "ENABLED": "false"}

    def act() -> None:
        desk.world.set_variables(FUNCTION, pair)
        desk.world.clock.advance(MINUTE)

    return ActBefore(WRITE, act)


def test_a_raise_gives_way_to_drift(desk: CliHarness) -> None:
    made(desk)
    desk.world.interceptors.append(external_write(desk, 20))
    ended = desk.run("set-weight", desk.policy, "40")
    assert (ended.status, desk.weight, desk.world.calls[WRITE]) == (Exit.INTERNAL, 20, 1)
    assert "handler was not set to 40%" in ended.err


def test_a_lower_weight_insists_while_more_is_live(desk: CliHarness) -> None:
    made(desk)
    desk.run("set-weight", desk.policy, "90")
    desk.world.interceptors.append(external_write(desk, 80))
    assert (desk.run("set-weight", desk.policy, "40").status, desk.weight) == (Exit.DONE, 40)


def test_a_lower_weight_never_raises_what_was_lowered_meanwhile(desk: CliHarness) -> None:
    made(desk)
    desk.run("set-weight", desk.policy, "90")
    desk.world.interceptors.append(external_write(desk, 5))
    ended = desk.run("set-weight", desk.policy, "40")
    assert (ended.status, desk.weight) == (Exit.INTERNAL, 5)
    assert "the weight was changed outside rolloutctl meanwhile" in ended.err


def test_a_lower_weight_is_tried_no_longer_than_its_limit(desk: CliHarness) -> None:
    made(desk)
    desk.run("set-weight", desk.policy, "90")
    busy = "The operation cannot be performed at this time."

    def layer(
        service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == WRITE:
            raise client_error(operation, "ResourceConflictException", busy, status=409)
        return proceed()

    desk.world.interceptors.append(layer)
    begin = desk.world.clock.now()
    ended = desk.run("set-weight", desk.policy, "40")
    took = desk.world.clock.now() - begin
    assert (ended.status, desk.weight) == (Exit.INTERNAL, 90)
    assert timedelta(minutes=5) <= took < timedelta(minutes=6)


@cases("call, action", {
    "a read": (READ, "lambda:GetFunctionConfiguration"),
    "a write": (WRITE, "lambda:UpdateFunctionConfiguration"),
})  # fmt: skip
def test_a_call_that_fails_leaves_the_weight_and_names_its_action(
    desk: CliHarness, call: tuple[str, str], action: str
) -> None:
    made(desk)
    desk.world.interceptors.append(FailingCall(call))
    ended = desk.run("set-weight", desk.policy, "40")
    assert (ended.status, desk.weight) == (Exit.INTERNAL, 0)
    assert action in ended.err


@cases("force, message", {
    "alone": ([], "40% was written; whether it is applied is unknown: "),
    "by force": (["--force"], "orders#1 is paused, 40% was written; whether"),
})  # fmt: skip
def test_a_write_that_cannot_be_read_back_is_reported_as_written(
    desk: CliHarness, force: list[str], message: str
) -> None:
    if force:
        started(desk)
    else:
        made(desk)
    broken = FailingCall(READ)
    breaks = partial(desk.world.interceptors.insert, 0, broken)
    desk.world.interceptors.append(ActBefore(WRITE, breaks))
    ended = desk.run("set-weight", desk.policy, "40", *force)
    desk.world.interceptors.remove(broken)
    assert ended.status == Exit.INTERNAL
    assert f"rolloutctl: {message}" in ended.err
    assert pair(desk) == ("40", "false")


# --- over an active rollout ---------------------------------------------------------------------


def test_an_active_rollout_is_left_alone_and_named(desk: CliHarness) -> None:
    started(desk)
    writes = desk.world.calls[WRITE]
    ended = desk.run("set-weight", desk.policy, "40")
    assert (ended.status, desk.weight, desk.world.calls[WRITE]) == (Exit.USAGE, 10, writes)
    assert ended.err.splitlines()[-1] == (
        f"rolloutctl: 40% was not set: orders#1 owns {desk.world.function(FUNCTION).arn}, is "
        "progressing and expects 10%; to pause it: rolloutctl pause orders#1; to roll back: "
        "rolloutctl rollback orders#1; to pause it and set the weight: --force (recorded in the "
        "history)"
    )
    assert desk.state()["phase"] == "progressing"


def test_it_is_the_target_that_counts_and_not_the_name_of_the_policy(desk: CliHarness) -> None:
    started(desk)
    other_policy = desk.another_policy("payments")
    ended = desk.run("set-weight", other_policy, "40")
    assert (ended.status, desk.weight) == (Exit.USAGE, 10)
    assert "orders#1 owns " in ended.err


@pytest.mark.parametrize("weight", ["5", "40", "100"])
def test_what_was_set_over_a_rollout_is_no_surprise_to_the_next_ticks(
    desk: CliHarness, weight: str
) -> None:
    started(desk)
    desk.run("set-weight", desk.policy, weight, "--force")
    for _ in range(3):
        desk.world.clock.advance(MINUTE)
        assert desk.run("tick", "--early").status == Exit.DONE
    assert (desk.weight, desk.state()["phase"]) == (int(weight), "paused")
    assert desk.run("replay", "orders").status == Exit.DONE


def test_the_rollout_goes_on_from_what_was_set(desk: CliHarness) -> None:
    started(desk)
    desk.run("set-weight", desk.policy, "40", "--force")
    desk.world.clock.advance(MINUTE)
    assert desk.run("resume", "orders").status == Exit.USAGE
    assert desk.run("resume", "orders", "--keep").status == Exit.DONE
    desk.ticks(14)
    assert (desk.state()["phase"], desk.weight) == ("succeeded", 100)
    assert desk.run("replay", "orders").status == Exit.DONE


def test_a_dry_run_with_force_pauses_nothing(desk: CliHarness) -> None:
    started(desk)
    ended = desk.run("set-weight", desk.policy, "40", "--force", "--dry-run")
    assert (ended.status, desk.weight, desk.state()["phase"]) == (Exit.DONE, 10, "progressing")
    assert ended.out.splitlines() == [
        "would: record paused of orders#1: set from 10% to 40% by an operator",
        "would: notify (info): orders#1 is paused: set from 10% to 40% by an operator",
        "would: set handler to 40%",
    ]


def test_the_pause_is_saved_before_the_write(desk: CliHarness) -> None:
    started(desk)
    phases = []
    desk.world.interceptors.append(ActBefore(WRITE, lambda: phases.append(desk.state()["phase"])))
    desk.run("set-weight", desk.policy, "40", "--force")
    assert phases == ["paused"]


def test_a_write_over_a_rollout_that_is_refused_leaves_it_paused_and_says_so(
    desk: CliHarness,
) -> None:
    started(desk)
    desk.world.interceptors.append(FailingCall(WRITE))
    ended = desk.run("set-weight", desk.policy, "40", "--force")
    assert (ended.status, desk.weight, desk.state()["phase"]) == (Exit.INTERNAL, 10, "paused")
    assert "handler: 40% is NOT set; the target shows PERCENTAGE=10, ENABLED=false\n" in ended.out
    desk.world.interceptors.pop()
    desk.world.clock.advance(MINUTE)
    assert desk.run("tick", "--early").status == Exit.DONE
    assert desk.run("resume", "orders").status == Exit.DONE


def test_a_raise_over_a_rollout_gives_way_to_a_rollback_meanwhile(desk: CliHarness) -> None:
    """A weight that is lowered between the decision and the write stays down."""
    started(desk)
    desk.world.interceptors.append(ActBefore(WRITE, lambda: rolled_back(desk)))
    ended = desk.run("set-weight", desk.policy, "40", "--force")
    assert (ended.status, desk.weight) == (Exit.DRIFT, 0)
    assert desk.state()["phase"] == "rolled_back"


def rolled_back(desk: CliHarness) -> None:
    desk.run("rollback", "orders")
    desk.world.clock.advance(MINUTE)


def test_a_lower_weight_over_a_rollout_is_insisted_on(desk: CliHarness) -> None:
    started(desk)
    desk.world.interceptors.append(external_write(desk, 8))
    ended = desk.run("set-weight", desk.policy, "5", "--force")
    assert (ended.status, desk.weight) == (Exit.DONE, 5)


def test_a_raise_that_was_decided_and_not_written_is_overtaken(desk: CliHarness) -> None:
    started(desk)
    layer = FailingCall(WRITE)
    desk.world.interceptors.append(layer)
    desk.ticks(5)
    assert (desk.state()["weight"], desk.weight) == (100, 10)
    desk.world.interceptors.remove(layer)
    assert desk.run("set-weight", desk.policy, "40", "--force").status == Exit.DONE
    for _ in range(3):
        desk.world.clock.advance(MINUTE)
        assert desk.run("tick", "--early").status == Exit.DONE
    assert (desk.weight, desk.state()["phase"]) == (40, "paused")
    assert desk.run("replay", "orders").status == Exit.DONE


def test_no_weight_is_set_over_a_criterion_that_fails(desk_in: Any) -> None:
    sick = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]
    desk = started(desk_in(events=sick))
    desk.world.clock.advance(3 * MINUTE)
    ended = desk.run("set-weight", desk.policy, "40", "--force")
    assert (ended.status, desk.weight) == (Exit.USAGE, 10)
    assert "a criterion fails, and the next tick rolls back: criterion works fails" in ended.err


def test_measurements_that_cannot_be_read_do_not_stop_a_person(desk: CliHarness) -> None:
    started(desk)
    desk.world.interceptors.append(FailingCall(METRICS))
    assert (desk.run("set-weight", desk.policy, "40", "--force").status, desk.weight) == (
        Exit.DONE, 40,
    )  # fmt: skip


# --- after a rollout ----------------------------------------------------------------------------


def test_what_a_rollback_guards_is_not_set_before_the_guard_is_over(desk: CliHarness) -> None:
    started(desk)
    desk.run("rollback", "orders")
    desk.world.clock.advance(MINUTE)
    ended = desk.run("set-weight", desk.policy, "10", "--force")
    assert (ended.status, desk.weight) == (Exit.USAGE, 0)
    assert "orders#1 was rolled back from it and keeps 0% until 2026-01-05 09:16" in ended.err
    desk.world.clock.advance(20 * MINUTE)
    again = desk.run("set-weight", desk.policy, "10", "--reason", "it was the network")
    assert (again.status, desk.weight) == (Exit.DONE, 10)


def test_another_weight_after_a_rollback_is_set_and_will_be_reported_as_drift(
    desk: CliHarness,
) -> None:
    started(desk)
    desk.run("rollback", "orders")
    desk.world.clock.advance(MINUTE)
    ended = desk.run("set-weight", desk.policy, "3", "--reason", "a try", "--json")
    assert (ended.status, desk.weight) == (Exit.DONE, 3)
    drift, _ = ended.data["notes"]
    assert drift.startswith("orders#1 has ended and is still watched")
    desk.world.clock.advance(MINUTE)
    assert desk.run("tick", "--early").status == Exit.DRIFT


def after_a_rollback(desk: CliHarness) -> CliHarness:
    """Return the desk an hour after its revision was rolled back."""
    started(desk)
    rolled_back(desk)
    desk.run("tick", "--early")
    desk.world.clock.advance(60 * MINUTE)
    return desk


@cases("options", {
    "without a reason": (),
    "with a blank one": ("--reason", " "),
    "by force": ("--force",),
    "as a dry run": ("--dry-run",),
})  # fmt: skip
def test_a_revision_that_was_rolled_back_gets_no_weight_without_a_reason(
    desk: CliHarness, options: tuple[str, ...]
) -> None:
    writes = after_a_rollback(desk).world.calls[WRITE]
    entries = desk.entries()
    ended = desk.run("set-weight", desk.policy, "40", *options)
    assert (ended.status, desk.weight, desk.world.calls[WRITE]) == (Exit.USAGE, 0, writes)
    assert "--reason" in ended.err
    assert "orders#1" in ended.err
    assert desk.entries() == entries


def test_the_reason_is_recorded_in_the_history_of_the_rollback(desk: CliHarness) -> None:
    after_a_rollback(desk)
    reason = ("--reason", "it was the network", "--by", "ada")
    assert desk.run("set-weight", desk.policy, "40", *reason).status == Exit.DONE
    newest = desk.entries()[-1]
    assert (newest["kind"], newest["by"]) == ("weight_set", "ada")
    assert "it was the network" in newest["sentence"]
    assert (desk.weight, desk.state()["phase"]) == (40, "rolled_back")
    assert desk.run("replay", "orders").status == Exit.DONE


def test_a_lower_weight_after_a_rollback_needs_no_reason(desk: CliHarness) -> None:
    after_a_rollback(desk)
    desk.run("set-weight", desk.policy, "40", "--reason", "it was the network")
    assert (desk.run("set-weight", desk.policy, "5").status, desk.weight) == (Exit.DONE, 5)


def test_other_code_after_a_rollback_needs_no_reason(desk: CliHarness) -> None:
    after_a_rollback(desk).world.function(FUNCTION).code_sha256 = code_digest("other")
    assert (desk.run("set-weight", desk.policy, "40").status, desk.weight) == (Exit.DONE, 40)


def test_code_that_comes_back_after_its_rollback_needs_a_reason(desk: CliHarness) -> None:
    function = after_a_rollback(desk).world.function(FUNCTION)
    code, function.code_sha256 = function.code_sha256, code_digest("other")
    assert desk.run("start", desk.policy).status == Exit.DONE
    rolled_back(desk)
    desk.run("tick", "--early")
    desk.world.clock.advance(60 * MINUTE)
    function.code_sha256 = code_digest("third")
    assert desk.run("set-weight", desk.policy, "40").status == Exit.DONE
    desk.run("rollback", desk.policy)
    function.code_sha256 = code
    desk.world.clock.advance(60 * MINUTE)
    assert desk.run("set-weight", desk.policy, "40").status == Exit.USAGE


@pytest.mark.parametrize("weight", ["101", "-1", "ten", "2.5", "", "1e2"])
def test_a_weight_that_is_no_whole_percent_is_named_and_nothing_is_written(
    desk: CliHarness, weight: str
) -> None:
    ended = desk.run("set-weight", desk.policy, "--", weight)
    assert (ended.status, desk.weight) == (Exit.USAGE, 0)
    assert f"weight: expected a whole percent from 1 to 100, not {weight!r}" in ended.err


def test_a_weight_may_have_its_sign(desk: CliHarness) -> None:
    made(desk)
    assert desk.run("set-weight", desk.policy, "20%").status == Exit.DONE
    assert desk.weight == 20
