"""The alarm of each kind of criterion: its metrics, its threshold, and missing data."""

from typing import Any

import pytest
from msgspec.structs import asdict

from controller.operations.monitoring.desired import desired_monitoring
from controller.operations.monitoring.resources import Alarm
from tests.operations.monitoring.watched import CRITERIA, FROZEN, a_watched


def alarm(name: str) -> Alarm:
    """Return the alarm of one criterion, where a baseline of 200 ms was frozen."""
    (alarm_,) = desired_monitoring(a_watched(name), baselines={name: FROZEN}).alarms
    return alarm_


def alarm_inputs(alarm_: Alarm) -> list[tuple[str, str, int] | str]:
    """Return the statistics that an alarm reads, and its expression."""
    return [
        line.expression
        if line.query is None
        else (line.query.name, line.query.statistic, line.query.period_s)
        for line in alarm_.lines
    ]


@pytest.mark.parametrize(
    ("name", "looks_at"),
    [
        ("auth-failures", [("4XXError", "Sum", 300)]),
        ("p95-latency", [("Latency", "p95", 300)]),
        ("busy", [("Count", "Sum", 600)]),
        ("roomy", [("Memory", "Maximum", 300)]),
        ("fixed", [("Latency", "p95", 300)]),
        ("frozen", [("Latency", "p95", 300)]),
        (
            "SC-004",
            [
                ("Count", "Sum", 300), ("4XXError", "Sum", 300), ("5XXError", "Sum", 300),
                "100 * (m2 + m3) / m1",
            ],
        ),
        ("throttled", [("Count", "Sum", 300), ("Throttles", "Sum", 300), "100 * FILL(m2, 0) / m1"]),
        (
            "beside",
            [
                ("Latency", "p95", 300), ("Duration", "p95", 300),
                ("Latency", "SampleCount", 300), ("Duration", "SampleCount", 300),
                "IF(m3 >= 200 AND m4 >= 200, 100 * (m1 / m2 - 1), 0)",
            ],
        ),
    ],
)  # fmt: skip
def test_an_alarm_compares_what_its_criterion_is_about(name: str, looks_at: list[Any]) -> None:
    assert alarm_inputs(alarm(name)) == looks_at


@pytest.mark.parametrize("name", sorted(set(CRITERIA) - {"traffic"}))
def test_only_the_last_line_of_an_alarm_is_compared(name: str) -> None:
    *parts, last = alarm(name).lines
    assert last.visible
    assert not any(part.visible for part in parts)


@pytest.mark.parametrize(
    ("name", "threshold", "above", "periods"),
    [
        pytest.param("auth-failures", 10, True, 1, id="a count is over its limit at once"),
        pytest.param("p95-latency", 500, True, 2, id="one slow window may be a cold start"),
        pytest.param("SC-004", 0.1, True, 3, id="0.1 of a hundred may fail, without 0.0999..."),
        pytest.param("throttled", 1, True, 3, id="a ratio is compared in percent"),
        pytest.param("beside", 5, True, 3, id="a latency beside another, in percent"),
        pytest.param("fixed", 264, True, 3, id="240 ms and 10 % more"),
        pytest.param("frozen", 210, True, 3, id="what was frozen and 5 % more"),
        pytest.param("busy", 5, False, 1, id="a lower bound is breached below it"),
    ],
)
def test_an_alarm_breaches_on_the_other_side_of_the_bound(
    name: str, threshold: float, above: bool, periods: int
) -> None:
    alarm_ = alarm(name)
    assert (alarm_.threshold, alarm_.above, alarm_.periods) == (threshold, above, periods)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        pytest.param("auth-failures", "notBreaching", id="no count is no rejected request"),
        pytest.param("SC-004", "notBreaching", id="no request is no failure"),
        pytest.param("p95-latency", "missing", id="no latency is not the one from before"),
        pytest.param("beside", "missing", id="nothing is compared with nothing"),
        pytest.param("busy", "missing", id="silence is not enough traffic"),
    ],
)
def test_missing_data_means_what_it_means_for_that_criterion(name: str, missing: str) -> None:
    assert alarm(name).missing == missing


def test_a_percentile_of_a_few_samples_changes_nothing() -> None:
    few = {
        name: alarm(name).ignores_few_samples
        for name in ("p95-latency", "frozen", "roomy", "SC-004")
    }
    assert few == {"p95-latency": True, "frozen": True, "roomy": False, "SC-004": False}


def test_an_alarm_says_what_it_is_about_in_one_sentence() -> None:
    assert alarm("beside").text == (
        "beside of shop: latency is more than 5% above direct of the same time, from 200 samples "
        "of both on, in 3 windows of 5m in a row."
    )


def test_a_baseline_that_is_not_frozen_yet_is_no_alarm_and_a_note() -> None:
    monitoring = desired_monitoring(a_watched("frozen", "fixed"))
    assert [one.name for one in monitoring.alarms] == ["rolloutctl-shop-fixed"]
    assert len(monitoring.notes) == 1
    assert monitoring.notes[0].startswith(
        "criterion frozen gets an alarm and a line in the graph once"
    )
    assert desired_monitoring(a_watched("frozen"), baselines={"frozen": FROZEN}).notes == ()


def test_every_alarm_is_one_that_cloudwatch_takes() -> None:
    """An alarm may look back a day, has ten metrics at most, and a text of 1 024 letters."""
    for alarm_ in desired_monitoring(a_watched(), baselines={"frozen": FROZEN}).alarms:
        periods = [line.query.period_s for line in alarm_.lines if line.query is not None]
        assert len(set(periods)) == 1
        assert periods[0] * alarm_.periods <= 86_400
        assert len(periods) <= 10
        assert len(alarm_.text) <= 900
        assert asdict(alarm_)["name"].startswith("rolloutctl-shop-")
