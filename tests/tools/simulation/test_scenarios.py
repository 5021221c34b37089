"""Shipped scenarios: a healthy service, a reset by a stack, and a day that can be read."""

from datetime import datetime, timedelta

import pytest

from controller.tools.simulation.scenario.scenario import load_scenario, scenario_names
from controller.tools.simulation.world import World
from tests.tools.simulation.worlds import FUNCTION, HOUR, MINUTE, START, read, set_weight, world

DAY = timedelta(days=1)


def walked(name: str, *weights: int) -> World:
    """Return the world of a scenario after an hour at each of `weights`."""
    account = world(load_scenario(name))
    for weight in weights:
        set_weight(account, weight)
        account.clock.advance(HOUR)
    return account


def p95(of: World, name: str, start: datetime, length: timedelta = HOUR) -> float:
    values = read(of, name, "p95", 300, start=start, end=start + length)
    return sum(values.values()) / len(values)


def errors(of: World, start: datetime, length: timedelta) -> float:
    def total(name: str) -> float:
        return sum(read(of, name, start=start, end=start + length).values())

    return (total("4XXError") + total("5XXError")) / total("Count")


def direct(of: World) -> float:
    """The frozen baseline: the stable path on the day before the start."""
    return p95(of, "AWS/Lambda/Duration", START - DAY, DAY)


@pytest.mark.parametrize("seed", range(5))
def test_healthy_stays_well_within_the_literal_limits_at_every_step(seed: int) -> None:
    account = world(load_scenario("healthy"), seed=seed)
    for weight in (10, 50, 100):
        begin = account.clock.now() + 3 * MINUTE
        set_weight(account, weight)
        account.clock.advance(HOUR)
        assert p95(account, "Latency", begin, 50 * MINUTE) < direct(account)
        assert p95(account, "Latency", begin, 50 * MINUTE) < 400
        assert errors(account, begin, 50 * MINUTE) < 0.0005


def test_cdk_reset_takes_the_second_step_back_to_the_template_after_twenty_minutes() -> None:
    account = walked("cdk-reset", 10)
    template = {**account.function(FUNCTION).variables, "PERCENTAGE": "0", "ENABLED": "false"}
    set_weight(account, 50)
    account.clock.advance(20 * MINUTE - timedelta(seconds=1))
    assert account.weight_now() == 50
    account.clock.advance(MINUTE)
    assert (account.weight_now(), account.function(FUNCTION).variables) == (0, template)


@pytest.mark.parametrize("name", scenario_names())
def test_a_day_of_every_minute_can_be_read(name: str) -> None:
    account = world(load_scenario(name))
    series = read(account, "AWS/Lambda/Duration", "p95", start=START - DAY, end=START)
    assert len(series) > (1_400 if name != "quiet" else 200)
