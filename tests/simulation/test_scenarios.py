"""The shipped scenarios behave as their summaries say, step by step."""

from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from controller.simulation.scenario.scenario import load_scenario, scenario_names
from controller.simulation.world import World
from tests.simulation.worlds import FUNCTION, HOUR, MINUTE, START, read, set_weight, world

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


def test_a_cold_start_in_healthy_is_over_before_the_usual_warm_up_is() -> None:
    account = walked("healthy", 10)
    by_minute = list(read(account, "Latency", "p95", start=START, end=START + 10 * MINUTE).values())
    assert max(by_minute[2:]) < 1.1 * direct(account)


def test_error_burst_fails_a_twentieth_of_the_second_step_for_half_an_hour() -> None:
    account = walked("error-burst", 10, 50, 100)
    second = START + HOUR
    assert errors(account, START, HOUR) < 0.0005
    assert errors(account, second + 2 * MINUTE, 18 * MINUTE) < 0.0005
    assert errors(account, second + 21 * MINUTE, 28 * MINUTE) == pytest.approx(0.05, rel=0.1)
    assert errors(account, second + 52 * MINUTE, HOUR) < 0.0005


def test_latency_creep_ends_the_second_step_far_above_the_limit() -> None:
    account = walked("latency-creep", 10, 50)
    second = START + HOUR
    assert p95(account, "Latency", START + 5 * MINUTE, 50 * MINUTE) < direct(account)
    assert p95(account, "Latency", second + 5 * MINUTE, 10 * MINUTE) < 1.1 * direct(account)
    assert p95(account, "Latency", second + 5 * MINUTE, 50 * MINUTE) > 1.1 * direct(account)
    assert p95(account, "Latency", second + 50 * MINUTE, 5 * MINUTE) > 1.25 * direct(account)


def test_silent_has_a_past_to_compare_with_and_no_present() -> None:
    account = walked("silent", 10)
    assert direct(account) > 0
    assert read(account, "Count", start=START, end=START + HOUR) == {}
    assert read(account, "AWS/Lambda/Invocations", start=START, end=START + HOUR) == {}


def test_quiet_has_about_one_request_in_five_minutes() -> None:
    account = walked("quiet", *[100] * 20)
    requests = read(account, "Count", start=START, end=START + 20 * HOUR)
    assert sum(requests.values()) == pytest.approx(240, abs=60)
    assert errors(account, START, 20 * HOUR) == 0


def test_meddling_human_moves_the_first_step_up_after_a_quarter_of_an_hour() -> None:
    account = world(load_scenario("meddling-human"))
    set_weight(account, 10)
    account.clock.advance(15 * MINUTE - timedelta(seconds=1))
    assert account.weight_now() == 10
    account.clock.advance(MINUTE)
    assert account.weight_now() == 75


def test_console_up_moves_the_first_step_to_100_after_a_quarter_of_an_hour() -> None:
    account = world(load_scenario("console-up"))
    set_weight(account, 10)
    account.clock.advance(15 * MINUTE - timedelta(seconds=1))
    assert account.weight_now() == 10
    account.clock.advance(MINUTE)
    assert account.weight_now() == 100


def test_contradiction_sets_the_boolean_and_leaves_the_percentage() -> None:
    account = world(load_scenario("contradiction"))
    set_weight(account, 10)
    account.clock.advance(16 * MINUTE)
    assert account.function(FUNCTION).variables["ENABLED"] == "true"
    assert account.function(FUNCTION).variables["PERCENTAGE"] == "10"
    assert account.weight_now() == 10


def test_cdk_reset_takes_the_second_step_back_to_the_template_after_twenty_minutes() -> None:
    account = walked("cdk-reset", 10)
    template = {**account.function(FUNCTION).variables, "PERCENTAGE": "0", "ENABLED": "false"}
    set_weight(account, 50)
    account.clock.advance(20 * MINUTE - timedelta(seconds=1))
    assert account.weight_now() == 50
    account.clock.advance(MINUTE)
    assert (account.weight_now(), account.function(FUNCTION).variables) == (0, template)


def test_alias_reset_leaves_the_variables_and_takes_the_requests() -> None:
    account = walked("alias-reset", 10, 50)
    assert account.function(FUNCTION).variables["PERCENTAGE"] == "50"
    assert account.weight_now() == 0
    requests = read(account, "Count", start=START, end=START + 2 * HOUR)
    assert max(requests) < START + 2 * MINUTE
    (alias,) = account.client("lambda").list_aliases(FunctionName=FUNCTION)["Aliases"]
    assert (alias["Name"], alias["FunctionVersion"]) == ("live", "1")


def test_second_owner_comes_once_after_a_quarter_of_an_hour_of_the_first_step() -> None:
    account = world(load_scenario("second-owner"))
    set_weight(account, 10)
    account.clock.advance(15 * MINUTE - timedelta(seconds=1))
    assert account.take_starts() == 0
    account.clock.advance(MINUTE)
    assert (account.take_starts(), account.take_starts()) == (1, 0)


def test_metrics_outage_lasts_forty_minutes_of_the_second_step() -> None:
    account = walked("metrics-outage", 10)
    set_weight(account, 50)
    answered = []
    for _ in range(60):
        try:
            read(account, "Count")
            answered.append("data")
        except ClientError as error:
            answered.append(error.response["Error"]["Code"])
        account.clock.advance(MINUTE)
    assert answered == ["data"] * 20 + ["InternalFailure"] * 40
    assert read(account, "Count")


def test_slow_lambda_holds_each_update_for_four_minutes() -> None:
    account = world(load_scenario("slow-lambda"))
    account.set_variables(FUNCTION, {"PERCENTAGE": "10"})
    account.clock.advance(4 * MINUTE - timedelta(seconds=1))
    assert account.weight_now() == 0
    account.clock.advance(timedelta(seconds=1))
    assert account.weight_now() == 10


@pytest.mark.parametrize("name", scenario_names())
def test_a_day_of_every_minute_can_be_read(name: str) -> None:
    account = world(load_scenario(name))
    series = read(account, "AWS/Lambda/Duration", "p95", start=START - DAY, end=START)
    assert len(series) > (1_400 if name != "quiet" else 200)
