"""The verbs at a target `alb-weights`, in a simulated account."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.errors import Exit
from controller.simulation.alb_weights import SimulatedAlbWeights
from tests.adapters.contracts.alb_benches import RULE, simulated
from tests.cli.conftest import Desk, MakeDesk
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
def shop(desk_in: MakeDesk) -> Desk:
    return desk_in(SHOP)


def twin(desk: Desk) -> SimulatedAlbWeights:
    found = desk.world.simulated_target
    assert isinstance(found, SimulatedAlbWeights)
    return found


def test_a_canary_without_a_healthy_target_gets_no_request(shop: Desk) -> None:
    twin(shop).health[TARGET.canary] = ["unhealthy"]
    plan = shop.run("plan", shop.policy, "--live")
    started = shop.run("start", shop.policy, *START)
    assert started.status == Exit.USAGE
    assert shop.weight == 0
    for ended in (plan, started):
        assert "green has no healthy target (unhealthy)" in ended.out + ended.err


def test_a_canary_that_loses_its_targets_gets_no_more_requests_and_can_be_rolled_back(
    shop: Desk,
) -> None:
    assert shop.run("start", shop.policy, *START).status == Exit.DONE
    twin(shop).health[TARGET.canary] = []
    shop.ticks(10)
    assert shop.weight == 10
    assert "green has no healthy target" in shop.run("status", "orders").out
    assert shop.run("rollback", "orders").status == Exit.DONE
    assert shop.weight == 0


def test_a_rollback_by_names_refuses_a_group_that_the_rule_does_not_have(shop: Desk) -> None:
    assert shop.run("start", shop.policy, *START).status == Exit.DONE
    mistyped = shop.run("rollback", *BARE[:-1], TARGET.canary.replace("green", "grey"))
    assert (mistyped.status, shop.weight) == (Exit.USAGE, 10)
    assert "grey is not in listener-rule/app/shop" in mistyped.err
    assert "which has blue and green" in mistyped.err
    assert shop.run("rollback", *BARE).status == Exit.DONE
    assert shop.weight == 0
