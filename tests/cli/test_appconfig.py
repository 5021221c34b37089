"""The verbs at a target `appconfig`, in a simulated account."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.errors import Exit
from controller.tools.simulation.appconfig import OTHER_PROFILE, SimulatedAppConfig
from tests.adapters.contracts.appconfig_benches import a_target
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.stage import SHORT_POLICY

TARGET = a_target(function="checkout")
START = ("--revision", "new-1")
BARE = (
    *("--environment", TARGET.environment, "--profile", TARGET.profile),
    *("--flag", "checkout", "--strategy", TARGET.strategy),
)


def metric(name: str, path: str) -> Mapping[str, Any]:
    dimensions = {"Flag": "checkout", "Path": path}
    return {"namespace": "rolloutctl", "name": name, "statistic": "Sum", "dimensions": dimensions}


SHOP: Mapping[str, Any] = {
    **SHORT_POLICY,
    "target": TARGET.model_dump(mode="json", exclude_none=True),
    "metrics": {
        "requests": metric("Requests", "canary"),
        "errors": metric("Failures", "canary"),
        "stable": metric("Requests", "stable"),
    },
    "criteria": {
        "works": {**SHORT_POLICY["criteria"]["works"], "failures": ["errors"]},
        "arrives": {"kind": "traffic", "metric": "requests", "control": "stable"},
    },
}


@pytest.fixture
def shop(desk_in: MakeDesk) -> CliHarness:
    return desk_in(SHOP)


def twin(desk: CliHarness) -> SimulatedAppConfig:
    found = desk.world.simulated_target
    assert isinstance(found, SimulatedAppConfig)
    return found


def started(desk: CliHarness) -> None:
    assert desk.run("start", desk.policy, *START).status == Exit.DONE
    assert twin(desk).weight == 10


def test_a_strategy_that_grows_refuses_a_start_and_says_why(shop: CliHarness) -> None:
    twin(shop).strategies[TARGET.strategy] = (20, 10)
    plan = shop.run("plan", shop.policy, "--live")
    refused = shop.run("start", shop.policy, *START)
    assert refused.status == Exit.USAGE
    for ended in (plan, refused):
        assert "grows for 20 min and bakes for 10 min" in " ".join((ended.out + ended.err).split())
    assert twin(shop).weight == 0


def test_a_profile_that_cannot_hold_the_flag_refuses_a_start_and_is_named(shop: CliHarness) -> None:
    twin(shop).kind = "AWS.Freeform"
    plan = shop.run("plan", shop.policy, "--live")
    verify = shop.run("verify", shop.policy)
    refused = shop.run("start", shop.policy, *START)
    assert (verify.status, refused.status) == (Exit.CHECK_FAILED, Exit.USAGE)
    for ended in (plan, verify, refused):
        shown = " ".join((ended.out + ended.err).split())
        assert "profile ghi9012 is of type AWS.Freeform, so no function reads flag" in shown
    assert twin(shop).weight == 0


def test_functions_have_a_weight_when_their_cache_is_over(shop: CliHarness) -> None:
    started(shop)
    assert shop.weight == 0
    shop.world.clock.advance(TARGET.kept_for)
    assert shop.weight == 10


@pytest.mark.parametrize("live", [(), ("--live",)])
def test_a_plan_says_how_often_functions_read_and_what_that_costs(
    shop: CliHarness, live: tuple[str, ...]
) -> None:
    shown = " ".join(shop.run("plan", shop.policy, *live).out.split())
    assert shown.count("every 45s, 0.022 a second, $0.00038 a day, and $0.0008 at each") == 1


def test_a_weight_that_a_person_deploys_pauses_and_stays(shop: CliHarness) -> None:
    started(shop)
    shop.ticks(2)
    twin(shop).set_weight(30)
    assert shop.ticks(1).status == Exit.DRIFT
    assert shop.state()["phase"] == "paused"
    assert twin(shop).weight == 30


def test_a_weight_that_a_person_deploys_slowly_pauses_before_it_is_complete(
    shop: CliHarness,
) -> None:
    started(shop)
    shop.ticks(2)
    twin(shop).set_weight(30, grows=timedelta(minutes=20))
    shop.ticks(1)
    assert shop.state()["phase"] == "paused"
    assert shop.run("rollback", "orders").status == Exit.DONE
    assert twin(shop).weight == 0
    assert [one.state for one in twin(shop).deployments[-2:]] == ["ROLLED_BACK", "COMPLETE"]


def test_a_deployment_of_another_team_delays_a_raise_and_the_rollout_goes_on(
    shop: CliHarness,
) -> None:
    twin(shop).deploy(1, profile=OTHER_PROFILE, bakes=timedelta(minutes=3))
    shop.run("start", shop.policy, *START)
    assert twin(shop).weight == 0
    shop.ticks(4)
    assert twin(shop).weight == 10
    assert shop.state()["phase"] == "progressing"


def test_a_rollback_by_names_needs_no_store(shop: CliHarness) -> None:
    started(shop)
    mistyped = shop.run("rollback", *BARE[:-3], "basket", *BARE[-2:])
    assert (mistyped.status, twin(shop).weight) == (Exit.USAGE, 10)
    assert "basket.percentage is not set" in mistyped.err
    assert shop.run("rollback", *BARE).status == Exit.DONE
    assert twin(shop).weight == 0


def test_the_leak_check_waits_for_the_cache(shop: CliHarness) -> None:
    started(shop)
    shop.ticks(3)
    assert shop.run("rollback", "orders").status == Exit.DONE
    shop.ticks(14)
    found = shop.state()["leak_check"]
    assert found["label"] == "confirmed"
    lowered = twin(shop).deployments[-1].started
    judged = datetime.fromisoformat(found["start"])
    assert judged >= lowered + timedelta(minutes=2) + TARGET.kept_for


def test_without_a_warmup_the_cache_is_not_judged(desk_in: MakeDesk) -> None:
    policy = {name: value for name, value in SHOP.items() if name != "warmup"}
    assert "45s of warm-up" in desk_in(policy).run("plan", desk_in(policy).policy).out
