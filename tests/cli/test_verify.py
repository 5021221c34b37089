"""verify: the live target and its traffic compared with the rollout, a line for each check."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.core.units import clock_text, time_range_text
from controller.errors import Exit
from controller.flag import CANARY, EVENT, STABLE
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed, client_error
from tests.cli.conftest import CliHarness, Ended, MakeDesk
from tests.support.cases import cases
from tests.support.stage import METRICS, READ, SECRET, SHORT_POLICY, WRITE, FailingCall
from tests.tools.simulation.worlds import FUNCTION, MINUTE, POLICY, START

GROUP = "/aws/lambda/handler"
LOGS = ("logs", "FilterLogEvents")
SECOND = timedelta(seconds=1)
BESIDE: dict[str, Any] = {
    **SHORT_POLICY,
    "metrics": {
        name: POLICY["metrics"][name]
        for name in ("requests", "client_errors", "server_errors", "direct_requests")
    },
    "criteria": {
        "works": SHORT_POLICY["criteria"]["works"],
        "arrives": {
            "kind": "traffic", "judge": "threshold", "metric": "requests",
            "control": "direct_requests", "window": "1m",
        },
    },
    "steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}],
}  # fmt: skip


@pytest.fixture
def baking(desk_in: MakeDesk) -> CliHarness:
    """A desk whose rollout has baked at 10% for half an hour, with the flag's log events."""
    desk = desk_in(BESIDE)
    assert desk.run("start", desk.policy).status == Exit.DONE
    logs(desk, canary_every=10)
    later(desk, 1, 29)
    return desk


def logs(desk: CliHarness, canary_every: int, percentage: int = 10, begin: int = 2) -> None:
    """Let the flag log 100 requests, one every ten seconds from minute `begin` on."""
    for number in range(100):
        event = {
            "event": EVENT,
            "percentage": percentage,
            "Path": STABLE if number % canary_every else CANARY,
        }
        moment = desk.world.clock.now() + begin * MINUTE + 10 * number * SECOND
        desk.world.add_log_event(GROUP, moment, json.dumps(event))


def later(desk: CliHarness, *minutes: int) -> None:
    """Tick after each of these minutes."""
    for pause in minutes:
        desk.world.clock.advance(pause * MINUTE)
        desk.run("tick", "--early")


def checks(ended: Ended) -> dict[str, str]:
    """Return the text of each line by its check."""
    return {
        one["what"]: f"{one['level']}: {one['seen']}; {one['remedy']}"
        for one in ended.data["checks"]
    }


def verify(desk: CliHarness, *options: str, given: str = "") -> Ended:
    return desk.run("verify", given or desk.policy, "--json", *options)


def levels(ended: Ended) -> set[str]:
    return {one["level"] for one in ended.data["checks"]}


# --- no problem ---------------------------------------------------------------------------------


def test_a_line_for_each_thing_that_was_looked_at(baking: CliHarness) -> None:
    ended = baking.run("verify", baking.policy)
    minutes = time_range_text(*((START + one * MINUTE).timestamp() for one in (1, 28)))
    assert (ended.status, ended.err) == (Exit.DONE, "")
    assert ended.out.splitlines() == [
        "ok    rollout          orders#1 is progressing and expects 10%",
        "ok    weight           10% is live (PERCENTAGE=10, ENABLED=false), as orders#1 expects",
        "ok    boolean          ENABLED=false, as it should be below 100% (true only at 100%)",
        "ok    update           the last update of the target is applied",
        "ok    reach            nothing between callers and the target delays a change",
        f"ok    share (metrics)  1,654 of 16,247 requests (10.18%) took the canary from {minutes}; "
        "1,500 to 1,752 expected at 10% (99.9% confidence)",
        f"ok    share (events)   10 of 100 requests (10%) took the canary from {minutes}; "
        "2 to 21 expected at 10% (99.9% confidence)",
        "ok    application      the application read 10% at 100 requests",
        "8 ok, 0 warn, 0 fail",
    ]


def test_it_writes_nothing(baking: CliHarness) -> None:
    writes = baking.world.calls[WRITE]
    baking.run("verify", baking.policy)
    assert baking.world.calls[WRITE] == writes


def test_a_rollout_is_named_as_well_as_its_policy(baking: CliHarness) -> None:
    assert verify(baking, given="orders").data["checks"] == verify(baking).data["checks"]


def test_without_a_rollout_nothing_says_which_weight_there_should_be(desk_in: MakeDesk) -> None:
    desk = desk_in(BESIDE)
    desk.run("store", "init")
    desk.run("set-weight", desk.policy, "40")
    desk.world.clock.advance(60 * MINUTE)
    lines = checks(verify(desk))
    assert lines["rollout"].startswith("ok: no rollout of this target")
    assert lines["weight"].startswith("ok: 40% is live")
    assert lines["share (metrics)"].startswith("ok: ")


def test_a_weight_that_may_have_changed_meanwhile_is_said(desk_in: MakeDesk) -> None:
    desk = desk_in(BESIDE)
    desk.run("store", "init")
    desk.world.clock.advance(25 * MINUTE)
    desk.run("set-weight", desk.policy, "40")
    desk.world.clock.advance(10 * MINUTE)
    ended = verify(desk)
    assert ended.status == Exit.CHECK_FAILED
    assert "use fewer --minutes" in checks(ended)["share (metrics)"]
    assert verify(desk, "--minutes", "6").status == Exit.DONE


# --- failed checks ------------------------------------------------------------------------------


def test_another_weight_than_the_rollouts_fails(baking: CliHarness) -> None:
    baking.world.set_variables(FUNCTION, {"PERCENTAGE": "60"})
    baking.world.clock.advance(MINUTE)
    ended = verify(baking)
    assert ended.status == Exit.CHECK_FAILED
    assert checks(ended)["weight"].startswith(
        "fail: 60% is live (PERCENTAGE=60, ENABLED=false), but orders#1 expects 10%; check who"
    )


def test_what_was_set_over_a_rollout_is_shown_and_does_not_fail(baking: CliHarness) -> None:
    baking.run("set-weight", baking.policy, "40", "--force", "--reason", "a demo")
    later(baking, 8)
    lines = checks(verify(baking))
    assert lines["weight"] == (
        "warn: 40% is live (PERCENTAGE=40, ENABLED=false), but orders#1 is paused because "
        "of it (set from 10% to 40% by an operator: a demo); to lower it to 10% "
        "and go on: rolloutctl resume orders#1 --restore; to go on at 40%: rolloutctl resume "
        "orders#1 --keep; to roll back: rolloutctl rollback orders#1"
    )
    assert lines["share (metrics)"].startswith("ok: ")


def test_variables_that_contradict_each_other_fail(baking: CliHarness) -> None:
    baking.world.set_variables(FUNCTION, {"ENABLED": "true"})
    baking.world.clock.advance(MINUTE)
    ended = verify(baking)
    assert ended.status == Exit.CHECK_FAILED
    assert checks(ended)["boolean"].startswith("fail: the settings contradict each other")
    assert "share (metrics)" not in checks(ended)


def test_callers_of_an_alias_are_seen(baking: CliHarness) -> None:
    baking.world.function(FUNCTION).aliases.append({"Name": "live", "FunctionVersion": "1"})
    lines = checks(verify(baking))
    assert lines["reach"].startswith("warn: handler has aliases (live)")
    baking.world.function(FUNCTION).snap_start = "PublishedVersions"
    ended = verify(baking)
    assert ended.status == Exit.CHECK_FAILED
    assert "the weight has no effect on these callers" in json.dumps(ended.data)


def test_a_flag_that_does_not_follow_its_weight_fails(baking: CliHarness) -> None:
    logs(baking, canary_every=2, begin=-20)
    ended = verify(baking)
    assert ended.status == Exit.CHECK_FAILED
    events = checks(ended)["share (events)"]
    assert events.startswith("fail: 60 of 200 requests (30%) took the canary")
    assert "look for callers that use a published version or an alias" in events
    assert "--minutes" not in events  # the rollout knows since when


def test_an_application_that_reads_another_weight_fails(baking: CliHarness) -> None:
    logs(baking, canary_every=10, percentage=50, begin=-20)
    ended = verify(baking)
    assert ended.status == Exit.CHECK_FAILED
    assert checks(ended)["application"].startswith(
        "fail: the application read 50% at 100 requests of 200, last at "
        f"{clock_text(START + 26 * MINUTE)}; 10%"
    )


# --- after a rollback ---------------------------------------------------------------------------


def test_after_a_rollback_the_leak_check_and_the_silence_of_the_canary_are_verified(
    baking: CliHarness,
) -> None:
    baking.run("rollback", "orders")
    early = verify(baking)
    assert (early.status, levels(early)) == (Exit.DONE, {"ok", "warn"})
    assert checks(early)["leak check"].startswith("warn: no result yet; ticks watch until")
    assert checks(early)["share (metrics)"].startswith(
        "warn: too early: the weight is compared from"
    )
    logs(baking, canary_every=1_000, percentage=0, begin=4)
    later(baking, 10, 4, 11)
    ended = verify(baking)
    lines = checks(ended)
    assert lines["weight"].startswith("ok: 0% is live")
    assert lines["leak check"].startswith(
        "ok: passed, no request reaches the canary: metric requests counted no request"
    )
    assert "0 of " in lines["share (metrics)"]
    assert lines["share (events)"].startswith("fail: 1 of 100 requests (1%) took the canary")
    assert ended.status == Exit.CHECK_FAILED


def test_a_weight_that_came_back_after_a_rollback_fails_while_it_is_watched(
    baking: CliHarness,
) -> None:
    baking.run("rollback", "orders")
    baking.world.clock.advance(MINUTE)
    baking.world.set_variables(FUNCTION, {"PERCENTAGE": "30"})
    baking.world.clock.advance(MINUTE)
    assert "fail: 30% is live" in checks(verify(baking))["weight"]
    baking.world.clock.advance(60 * MINUTE)
    assert "is no longer watched" in checks(verify(baking))["weight"]


# --- unreadable parts ---------------------------------------------------------------------------


@cases("layer, line, action", {
    "the function": (FailingCall(READ, "denied"), "weight", "lambda:GetFunctionConfiguration"),
    "its aliases":
        (FailingCall(("lambda", "ListAliases"), "denied"), "reach", "lambda:ListAliases"),
    "metrics": (FailingCall(METRICS, "denied"), "share (metrics)", "cloudwatch:GetMetricData"),
    "the log": (FailingCall(LOGS, "denied"), "share (events)", "logs:FilterLogEvents"),
})  # fmt: skip
def test_what_is_denied_costs_its_own_line_and_names_the_action(
    baking: CliHarness, layer: FailingCall, line: str, action: str
) -> None:
    baking.world.interceptors.append(layer)
    ended = verify(baking)
    assert ended.status == Exit.INTERNAL
    assert checks(ended)[line].startswith("unread: ")
    assert action in checks(ended)[line]
    assert "grant the action to this role" in checks(ended)[line]
    passed = {what for what, text in checks(ended).items() if text.startswith("ok: ")}
    assert len(passed) >= 1


def test_an_environment_that_cannot_be_decrypted_fails(desk_in: MakeDesk) -> None:
    desk = desk_in(BESIDE, events=[{"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}])
    desk.run("start", desk.policy)
    desk.world.clock.advance(5 * MINUTE)
    ended = verify(desk)
    assert ended.status == Exit.CHECK_FAILED
    assert "give this role kms:Decrypt" in checks(ended)["weight"]


def test_no_traffic_is_said_and_proves_nothing(desk_in: MakeDesk) -> None:
    desk = desk_in(BESIDE, traffic={"requests_per_minute": 0})
    desk.run("start", desk.policy)
    desk.world.clock.advance(30 * MINUTE)
    ended = verify(desk)
    assert ended.status == Exit.DONE
    assert checks(ended)["share (metrics)"].startswith("warn: no traffic: requests and direct_")
    assert checks(ended)["share (events)"].startswith(f"warn: there is no log group {GROUP}")
    assert "no gate and no rollback" not in checks(ended)["share (events)"]


def no_log_group(service: str, operation: str, _request: Any, proceed: Proceed) -> AwsResponse:
    """Let no log group exist: an interceptor of the world."""
    if (service, operation) == LOGS:
        raise client_error(operation, "ResourceNotFoundException", "no group", status=400)
    return proceed()


@cases("changes, is_spare", {
    "nothing else searches it": ({}, True),
    "a rollback is confirmed by its events":
        ({"verify_rollback": {"absent": "canary", "present": "stable"}}, False),
})  # fmt: skip
def test_a_missing_log_group_is_spare_where_metrics_confirm_the_share(
    desk_in: MakeDesk, changes: dict[str, Any], is_spare: bool
) -> None:
    desk = desk_in({**BESIDE, **changes})
    desk.run("start", desk.policy)
    desk.world.clock.advance(30 * MINUTE)
    desk.world.interceptors.append(no_log_group)
    lines = checks(verify(desk))
    assert lines["share (metrics)"].startswith("ok: ")
    assert lines["share (events)"].startswith("warn: there is no log group")
    assert ("no gate and no rollback" in lines["share (events)"]) is is_spare


def test_a_store_that_is_not_there_or_broken_costs_the_comparison(
    desk_in: MakeDesk, tmp_path: Path
) -> None:
    desk = desk_in(BESIDE)
    desk.world.clock.advance(30 * MINUTE)
    assert checks(verify(desk))["rollout"].startswith("warn: there is no store at")
    (tmp_path / "rollouts.db").write_text("no database")
    ended = verify(desk)
    assert (ended.status, checks(ended)["rollout"][:7]) == (Exit.INTERNAL, "unread:")


def test_a_target_of_another_policys_rollout_is_reported(baking: CliHarness) -> None:
    other_policy = baking.another_policy("payments")
    lines = checks(verify(baking, given=other_policy))
    assert lines["rollout"].startswith("warn: orders#1 is progressing and expects 10%; it owns")


def test_another_version_of_the_policy_is_reported(baking: CliHarness) -> None:
    path = Path(baking.policy)
    path.write_text(json.dumps({**BESIDE, "warmup": "1m"}))
    assert "with another version of this policy" in checks(verify(baking))["rollout"]


def test_nothing_of_the_environment_is_shown(baking: CliHarness) -> None:
    ended = baking.run("verify", baking.policy)
    assert SECRET not in ended.out + ended.err
