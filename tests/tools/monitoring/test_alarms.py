"""The alarm of each kind of criterion: its metrics, its threshold, and missing data."""

from typing import Any

import pytest
from msgspec.structs import asdict

from controller.tools.monitoring.resources import CriterionAlarm
from controller.tools.monitoring.wanted_stack import desired_monitoring
from tests.support.cases import cases
from tests.tools.monitoring.watched import CRITERIA, FROZEN, METRICS, a_watched


def alarm(name: str) -> CriterionAlarm:
    """Return the alarm of one criterion, where a baseline of 200 ms was frozen."""
    (alarm_,) = desired_monitoring(a_watched(name), baselines={name: FROZEN}).alarms
    return alarm_


def alarm_inputs(alarm_: CriterionAlarm) -> list[tuple[str, str, int] | str]:
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


@cases("name, threshold, above, periods", {
    "a count is over its limit at once": ("auth-failures", 10, True, 1),
    "one slow window may be a cold start": ("p95-latency", 500, True, 2),
    "0.1 of a hundred may fail, without 0.0999...": ("SC-004", 0.1, True, 3),
    "a ratio is compared in percent": ("throttled", 1, True, 3),
    "a latency beside another, in percent": ("beside", 5, True, 3),
    "240 ms and 10% more": ("fixed", 264, True, 3),
    "what was frozen and 5% more": ("frozen", 210, True, 3),
    "a lower bound is breached below it": ("busy", 5, False, 1),
})  # fmt: skip
def test_an_alarm_breaches_on_the_other_side_of_the_bound(
    name: str, threshold: float, above: bool, periods: int
) -> None:
    alarm_ = alarm(name)
    assert (alarm_.threshold, alarm_.above, alarm_.periods) == (threshold, above, periods)


@cases("name, missing", {
    "no count is no rejected request": ("auth-failures", "notBreaching"),
    "no request is no failure": ("SC-004", "notBreaching"),
    "no latency is not the one from before": ("p95-latency", "missing"),
    "nothing is compared with nothing": ("beside", "missing"),
    "silence is not enough traffic": ("busy", "missing"),
})  # fmt: skip
def test_missing_data_means_what_it_means_for_that_criterion(name: str, missing: str) -> None:
    assert alarm(name).missing == missing


@cases("criterion, why", {
    "a whole step": ({"kind": "traffic", "metric": "requests"}, "it is about a whole step"),
    "two windows": (
        {"kind": "burn_rate", "total": "requests", "failures": ["broken"], "slo": "99.9%"},
        "it fails by two windows at once",
    ),
    "the weight": (
        {"kind": "share", "metric": "requests", "control": "throttles"},
        "what it expects follows the weight",
    ),
    "another alarm": ({"kind": "alarm", "alarm": "errors"}, "it reads the state of an alarm"),
})  # fmt: skip
def test_a_criterion_without_an_alarm_is_named_with_the_reason(
    criterion: dict[str, Any], why: str
) -> None:
    policy = a_watched("busy", criteria={"it": criterion}, metrics=METRICS)
    made = desired_monitoring(policy)
    (note,) = made.notes
    assert made.alarms == ()
    assert note.startswith(f"criterion it has no alarm: {why}")


def test_a_percentile_of_a_few_samples_changes_nothing() -> None:
    few = {
        name: alarm(name).ignores_few_samples
        for name in ("p95-latency", "frozen", "roomy", "SC-004")
    }
    assert few == {"p95-latency": True, "frozen": True, "roomy": False, "SC-004": False}


def test_every_alarm_is_one_that_cloudwatch_takes() -> None:
    """An alarm may look back a day, has ten metrics at most, and a text of 1,024 letters."""
    for alarm_ in desired_monitoring(a_watched(), baselines={"frozen": FROZEN}).alarms:
        periods = [line.query.period_s for line in alarm_.lines if line.query is not None]
        assert len(set(periods)) == 1
        assert periods[0] * alarm_.periods <= 86_400
        assert len(periods) <= 10
        assert len(alarm_.text) <= 900
        assert asdict(alarm_)["name"].startswith("rolloutctl-shop-")
