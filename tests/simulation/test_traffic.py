from datetime import timedelta
from statistics import correlation, fmean

import pytest

from tests.simulation.worlds import HOUR, MINUTE, START, read, scenario, set_weight, world

SETTLED = 3 * MINUTE


@pytest.mark.parametrize("weight", [0, 10, 50, 100])
def test_the_weight_splits_the_requests(weight: int) -> None:
    made = world(scenario(function={"weight": weight}))
    made.clock.advance(HOUR)
    canary = sum(read(made, "Count", end=START + HOUR - SETTLED).values())
    stable = sum(read(made, "AWS/Lambda/Invocations", end=START + HOUR - SETTLED).values())
    assert canary + stable == pytest.approx(60 * 600, rel=0.05)
    assert canary / (canary + stable) == pytest.approx(weight / 100, abs=0.02)


def test_the_paths_are_drawn_apart() -> None:
    made = world(scenario(function={"weight": 50}))
    made.clock.advance(HOUR)
    canary = read(made, "Count", end=START + HOUR)
    stable = read(made, "AWS/Lambda/Invocations", end=START + HOUR)
    assert abs(correlation(list(canary.values()), list(stable.values()))) < 0.5
    assert canary != stable


def test_a_change_inside_a_minute_counts_from_its_second() -> None:
    made = world(scenario(traffic={"requests_per_minute": 60_000}))
    made.clock.advance(timedelta(seconds=42))
    set_weight(made, 100)  # in force at 45 s
    made.clock.advance(HOUR)
    minutes = read(made, "Count", start=START, end=START + 2 * MINUTE)
    assert minutes[START] == pytest.approx(15_000, rel=0.05)
    assert minutes[START + MINUTE] == pytest.approx(60_000, rel=0.05)


def test_without_traffic_there_is_no_datapoint_and_no_zero() -> None:
    made = world()
    made.clock.advance(HOUR)
    for name, statistic in (("Count", "Sum"), ("5XXError", "Sum"), ("Latency", "p95")):
        assert read(made, name, statistic) == {}


def test_errors_come_at_the_rate_of_their_path() -> None:
    made = world(
        scenario(
            function={"weight": 50},
            traffic={"requests_per_minute": 6_000},
            canary={"median_ms": 100, "client_errors": "2%", "server_errors": "1%"},
        )
    )
    made.clock.advance(HOUR)
    end = START + HOUR - SETTLED
    requests = sum(read(made, "Count", end=end).values())
    assert sum(read(made, "4XXError", end=end).values()) / requests == pytest.approx(0.02, rel=0.1)
    assert sum(read(made, "5XXError", end=end).values()) / requests == pytest.approx(0.01, rel=0.1)
    rate = read(made, "5XXError", "Average", 3_600, start=START - HOUR, end=START)
    assert list(rate.values()) == [pytest.approx(0.01, rel=0.1)]


def test_traffic_has_a_daily_rhythm() -> None:
    rhythm = {"requests_per_minute": 600, "daily_swing": "50%", "busiest_hour": 14}
    made = world(scenario(traffic=rhythm))
    yesterday = START.replace(hour=0) - timedelta(days=1)
    hours = read(
        made,
        "AWS/Lambda/Invocations",
        "Sum",
        3_600,
        start=yesterday,
        end=yesterday + timedelta(days=1),
    )
    by_hour = {moment.hour: requests / 60 for moment, requests in hours.items()}
    assert by_hour[14] == pytest.approx(900, rel=0.05)
    assert by_hour[2] == pytest.approx(300, rel=0.05)
    assert fmean(by_hour.values()) == pytest.approx(600, rel=0.05)


def test_a_cold_start_slows_some_requests_right_after_a_change_only() -> None:
    cold = {"share": "20%", "times": 5, "lasting": "60s"}
    made = world(scenario(canary={"median_ms": 100, "cold_start": cold}))
    made.clock.advance(timedelta(seconds=57))
    set_weight(made, 50)  # in force at the full minute
    made.clock.advance(HOUR)
    p95 = read(made, "Latency", "p95", start=START, end=START + 10 * MINUTE)
    first, *later = p95.values()
    assert first > 400
    assert max(later) < 250
