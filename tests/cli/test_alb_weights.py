"""The verbs at a target `alb-weights`, in a simulated account."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from controller.tools.simulation.alb_weights import SimulatedAlbWeights
from tests.adapters.contracts.alb_benches import RULE, simulated
from tests.cli.conftest import CliHarness, MakeDesk, write_policy
from tests.support.stage import SHORT_POLICY

TARGET = simulated(RULE).target
START = ("--revision", "green-1")
BARE = ("--rule", TARGET.rule, "--stable", TARGET.stable, "--canary", TARGET.canary)


def metric(name: str, path: str, **more: str) -> Mapping[str, Any]:
    dimensions = {
        "LoadBalancer": TARGET.values["load_balancer"],
        "TargetGroup": TARGET.values[path],
    }
    return {
        "namespace": "AWS/ApplicationELB",
        "name": name,
        "statistic": "Sum",
        "dimensions": dimensions,
        **more,
    }


SHOP: Mapping[str, Any] = {
    **SHORT_POLICY,
    "target": TARGET.model_dump(),
    "metrics": {
        "requests": metric("RequestCount", "canary"),
        "errors": metric("HTTPCode_Target_5XX_Count", "canary", missing="zero"),
        "blue": metric("RequestCount", "stable"),
    },
    "criteria": {
        "works": {**SHORT_POLICY["criteria"]["works"], "failures": ["errors"]},
        "share": {"kind": "share", "metric": "requests", "control": "blue"},
    },
}


@pytest.fixture
def shop(desk_in: MakeDesk) -> CliHarness:
    return desk_in(SHOP)


def twin(desk: CliHarness) -> SimulatedAlbWeights:
    found = desk.world.simulated_target
    assert isinstance(found, SimulatedAlbWeights)
    return found


def test_a_canary_without_a_healthy_target_gets_no_request(shop: CliHarness) -> None:
    twin(shop).health[TARGET.canary] = ["unhealthy"]
    plan = shop.run("plan", shop.policy, "--live")
    started = shop.run("start", shop.policy, *START)
    assert started.status == Exit.USAGE
    assert shop.weight == 0
    for ended in (plan, started):
        assert "green has no healthy target (unhealthy)" in ended.out + ended.err


def test_a_canary_that_loses_its_targets_gets_no_more_requests_and_can_be_rolled_back(
    shop: CliHarness,
) -> None:
    assert shop.run("start", shop.policy, *START).status == Exit.DONE
    twin(shop).health[TARGET.canary] = []
    shop.ticks(10)
    assert shop.weight == 10
    assert "green has no healthy target" in shop.run("status", "orders").out
    assert shop.run("rollback", "orders").status == Exit.DONE
    assert shop.weight == 0


def test_a_rollback_by_names_refuses_a_group_that_the_rule_does_not_have(shop: CliHarness) -> None:
    assert shop.run("start", shop.policy, *START).status == Exit.DONE
    mistyped = shop.run("rollback", *BARE[:-1], TARGET.canary.replace("green", "grey"))
    assert (mistyped.status, shop.weight) == (Exit.USAGE, 10)
    assert "grey is not in listener-rule/app/shop" in mistyped.err
    assert "which has blue and green" in mistyped.err
    assert shop.run("rollback", *BARE).status == Exit.DONE
    assert shop.weight == 0


# --- what the metrics of a load balancer show before a start --------------------------------------

SLOW = {"kind": "threshold", "judge": "threshold", "window": "1m", "failure_limit": 1}


def with_bound(bound: float) -> dict[str, Any]:
    """Return the shop with a bound of the response time, which the policy measures nowhere else."""
    latency = {**metric("TargetResponseTime", "canary"), "statistic": "p95", "unit": "s"}
    return {
        **SHOP,
        "metrics": {**SHOP["metrics"], "latency": latency},
        "criteria": {**SHOP["criteria"], "fast": {**SLOW, "metric": "latency", "max": bound}},
    }


@pytest.mark.parametrize(("bound", "warned"), [(0.5, False), (500, True)])
def test_milliseconds_for_seconds_are_a_warning_by_what_the_stable_group_measures(
    desk_in: MakeDesk, bound: float, warned: bool
) -> None:
    policy = with_bound(bound)
    stable = {**metric("TargetResponseTime", "stable"), "statistic": "p95"}
    desk = desk_in({**policy, "metrics": {**policy["metrics"], "stable_latency": stable}})
    write_policy(Path(desk.policy).parent, policy)
    live = desk.run("plan", desk.policy, "--live", "--json").data["live"]
    assert live["refusals"] == []
    far = [one for one in live["warnings"] if "max 500 s is far from the p95" in one]
    assert far == (live["warnings"] if warned else [])


def test_a_group_without_a_5xx_fails_nothing_and_a_misspelt_5xx_refuses_the_start(
    shop: CliHarness,
) -> None:
    live = shop.run("plan", shop.policy, "--live", "--json").data["live"]
    assert (live["refusals"], live["warnings"]) == ([], [])
    misspelt = metric("HTTPCode_Target_5xx_Count", "canary", missing="zero")
    write_policy(
        Path(shop.policy).parent, {**SHOP, "metrics": {**SHOP["metrics"], "errors": misspelt}}
    )
    refused = shop.run("start", shop.policy, *START)
    assert refused.status == Exit.USAGE
    assert "there is HTTPCode_Target_5XX_Count: correct the policy" in refused.err


def test_the_balancers_own_5xx_by_target_group_is_a_mistake_of_the_file(shop: CliHarness) -> None:
    own = metric("HTTPCode_ELB_5XX_Count", "canary", missing="zero")
    policy = {**SHOP, "metrics": {**SHOP["metrics"], "errors": own}}
    ended = shop.run("validate", write_policy(Path(shop.policy).parent, policy))
    assert ended.status == Exit.USAGE
    assert "metrics.errors.dimensions: AWS publishes no HTTPCode_ELB_5XX_Count" in ended.err
