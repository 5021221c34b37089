"""After a success, on the three kinds of targets: what was released without a rollout."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from controller.core.policy import Policy
from controller.errors import Exit
from controller.policy_file.loader import load
from controller.tools.simulation.alb_weights import SimulatedAlbWeights
from controller.tools.simulation.fakes.lambda_ import code_digest
from controller.tools.simulation.lambda_alias import SimulatedLambdaAlias
from tests.cli.conftest import CliHarness, Ended, MakeDesk, write_policy
from tests.cli.test_alb_weights import SHOP, START
from tests.support.cases import cases
from tests.support.shipped import POLICIES
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import FUNCTION, MINUTE, POLICY

DAY = timedelta(days=1)
ENV, ALIAS, BALANCER = "checkout", "lambda-alias", "alb-weights"
REVISION: Mapping[str, tuple[str, ...]] = {BALANCER: ("--revision", "green-1")}


def shipped(name: str) -> Any:
    policy: Policy = load(POLICIES[name])
    policy = policy.resolved(policy.target.rehearsed())
    return policy.model_dump(mode="json", by_alias=True, exclude_unset=True)


def succeeded(desk_in: MakeDesk, name: str) -> CliHarness:
    """Return a desk whose rollout of a shipped policy, without its day at 100%, has succeeded."""
    policy = shipped(name)
    policy["steps"][-1]["bake"] = "2h"
    desk = desk_in(policy)
    ended = desk.run("run", desk.policy, "--interval", "15m", *REVISION.get(name, ()))
    assert (ended.status, desk.weight) == (Exit.DONE, 100), ended.err
    return desk


def tick_after(desk: CliHarness, time: timedelta) -> Ended:
    desk.world.clock.advance(time)
    return desk.run("tick", "--early")


def reads(desk: CliHarness) -> int:
    return desk.world.calls["cloudwatch", "GetMetricData"]


# --- The stable path ------------------------------------------------------------------------------


@cases("name, metric", {
    "a function": (ENV, "stable_requests"),
    "an alias": (ALIAS, "stable_requests"),
    "a load balancer": (BALANCER, "blue_requests"),
})  # fmt: skip
def test_status_and_report_show_since_when_the_stable_path_is_unused(
    desk_in: MakeDesk, name: str, metric: str
) -> None:
    desk = succeeded(desk_in, name)
    before = reads(desk)
    tick_after(desk, MINUTE)
    assert reads(desk) == before + 1
    for _ in range(3):
        tick_after(desk, timedelta(hours=7))
    assert reads(desk) == before + 1  # once a day
    tick_after(desk, timedelta(hours=4))
    assert reads(desk) == before + 2

    path = desk.state(name)["stable_path"]
    page = desk.run("status", name).out
    desk.run("report", name, "--html", f"{desk.policy}.html", "--offline")
    assert path["metrics"] == [metric]
    assert path["text"].startswith("unused since ")
    assert f"stable    {path['text']}" in page
    written = Path(f"{desk.policy}.html").read_text(encoding="utf-8")
    assert f"<p>Stable path: {path['text']}.</p>" in written
    assert desk.run("replay", name).status == Exit.DONE


# --- Released without a rollout -------------------------------------------------------------------


def deploy_code(desk: CliHarness) -> None:
    function = desk.world.function("checkout")
    desk.world.set_variables("checkout", function.variables)
    function.code_sha256 = code_digest("checkout-2")
    desk.world.clock.advance(MINUTE)


def point_alias(desk: CliHarness) -> None:
    alias = desk.world.simulated_target
    assert isinstance(alias, SimulatedLambdaAlias)
    alias.publish("5")
    alias.version, alias.weights, alias.revision = "5", {}, "of another tool"


def switch_group(desk: CliHarness) -> None:
    rule = desk.world.simulated_target
    assert isinstance(rule, SimulatedAlbWeights)
    group = shipped(BALANCER)["target"]["canary"].replace("shop-green", "shop-red")
    forward = {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1}]}
    rule.replace([{"Type": "forward", "Order": 1, "ForwardConfig": forward}])


@cases("name, release, status, change", {
    "other code": (ENV, deploy_code, Exit.DONE, "the function was changed without a rollout since"),
    "another version behind the alias":
        (ALIAS, point_alias, Exit.DRIFT, "no rollout has released version 5 since"),
    "another target group":
        (BALANCER, switch_group, Exit.DRIFT, "no rollout has released shop-red since"),
})  # fmt: skip
def test_the_watch_and_then_status_name_what_no_rollout_released(
    desk_in: MakeDesk, name: str, release: Callable[[CliHarness], None], status: Exit, change: str
) -> None:
    desk = succeeded(desk_in, name)
    tick_after(desk, MINUTE)
    release(desk)
    calls = desk.world.calls.copy()
    assert "changed" not in desk.run("status", name).out  # the store knows what a tick has seen
    assert desk.world.calls == calls

    ended = tick_after(desk, MINUTE)
    assert ended.status == status
    assert change in ended.err
    assert change in desk.run("status", name).out
    assert change in desk.state(name)["conditions"][0]["text"]
    assert tick_after(desk, MINUTE).status == Exit.DONE  # once
    assert desk.run("replay", name).status == Exit.DONE


# --- Before the next start ------------------------------------------------------------------------


def rolled_back(desk: CliHarness, *options: str) -> CliHarness:
    assert desk.run("start", desk.policy, *options).status == Exit.DONE
    assert desk.run("rollback", "orders").status == Exit.DONE
    desk.ticks(20)
    return desk


def warnings(ended: Ended) -> list[str]:
    """Return the warnings of a start, without the one of cold starts."""
    assert ended.status == Exit.DONE, ended.err
    return [one for one in ended.data["warnings"] if not one.startswith("cold starts")]


def test_a_start_says_what_code_was_released_since_the_last_rollout_ended(desk: CliHarness) -> None:
    rolled_back(desk)
    function = desk.world.function(FUNCTION)
    function.code_sha256, function.revision = code_digest("the fix"), "of a pipeline"

    (warning,) = warnings(desk.run("start", desk.policy, "--json"))

    assert warning.startswith("the function was changed without a rollout since orders#1 ended (")
    assert f"its code is {code_digest('the fix')[:12]}, and orders#1 rolled out" in warning


def test_a_start_on_another_function_compares_it_with_no_rollout(desk: CliHarness) -> None:
    rolled_back(desk)
    desk.world.add_function("payments", {"PERCENTAGE": "0", "ENABLED": "false"})
    target = {**POLICY["target"], "function": "payments"}

    moved = desk.another_policy("orders", target=target)

    assert warnings(desk.run("start", moved, "--json")) == []


def test_a_retry_says_that_the_settings_were_changed(desk: CliHarness) -> None:
    rolled_back(desk)
    assert warnings(desk.run("retry", "orders", "--reason", "by mistake", "--json")) == []
    desk.run("rollback", "orders")
    desk.ticks(20)
    desk.world.set_variables(FUNCTION, {"LOG_LEVEL": "debug"})
    desk.world.clock.advance(MINUTE)

    (warning,) = warnings(desk.run("retry", "orders", "--reason", "again", "--json"))

    assert "its settings were changed (it has another RevisionId)" in warning


def test_a_start_says_which_version_no_rollout_released(desk_in: MakeDesk) -> None:
    alias_of_handler = {"kind": "lambda-alias", "function": FUNCTION, "alias": "live"}
    desk = rolled_back(desk_in({**SHORT_POLICY, "target": alias_of_handler}))
    point_alias(desk)
    alias = desk.world.simulated_target
    assert isinstance(alias, SimulatedLambdaAlias)
    alias.publish("6")

    (warning,) = warnings(desk.run("start", desk.policy, "--json"))

    assert warning.startswith("the stable path is version 5, and orders#1 ended (")
    assert warning.endswith(") with version 1: no rollout has released version 5 since")


def test_a_start_says_which_target_group_no_rollout_released(desk_in: MakeDesk) -> None:
    desk = rolled_back(desk_in(SHOP), *START)
    target = SHOP["target"]
    red = target["stable"].replace("/blue/", "/red/")
    assert red != target["stable"]
    rule = desk.world.simulated_target
    assert isinstance(rule, SimulatedAlbWeights)
    rule.health[red] = ["healthy"]
    weights = {red: 100, target["canary"]: 0}
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    forward = {"TargetGroups": groups}
    rule.replace([{"Type": "forward", "Order": 1, "ForwardConfig": forward}])
    metrics = {name: SHOP["metrics"][name] for name in ("requests", "errors")}
    criteria = {"works": SHOP["criteria"]["works"]}
    policy = write_policy(
        Path(desk.policy).parent,
        {**SHOP, "target": {**target, "stable": red}, "metrics": metrics, "criteria": criteria},
    )

    (warning,) = warnings(desk.run("start", policy, "--revision", "green-2", "--json"))

    assert warning.startswith("the stable path is red, and orders#1 ended (")
    assert warning.endswith(") with blue: no rollout has released red since")
