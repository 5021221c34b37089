"""Criteria that count requests, or read no metric: what is valid, and what is a mistake."""

from typing import Any

import pytest

from controller.core.policy import BurnRate, LogEvents
from controller.core.units import format_duration
from tests.support.core import parse
from tests.support.policies import PLAIN, changed

SHARE = {"kind": "share", "metric": "requests", "control": "others"}
OTHERS = {"namespace": "Shop", "name": "Others", "statistic": "Sum"}
BURN = {"kind": "burn_rate", "total": "requests", "failures": ["errors"], "slo": "99.9%"}
ALARM = {"kind": "alarm", "alarm": "auth-failures"}
ABSENT = {"kind": "log_events", "absent": "fallback", "control": "check"}
ATTESTATION = {"kind": "attestation", "statement": "Support has seen nothing."}
ARN = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:auth failures: too many"


@pytest.mark.parametrize(
    "criterion",
    [
        BURN,
        {**BURN, "windows": [{"factor": 2, "long": "1d", "short": "2h"}], "window": "1h"},
        ALARM,
        {**ALARM, "alarm": ARN},
        {**ALARM, "gates": False},
        {**ALARM, "gates": True},
        ABSENT,
        {**ABSENT, "max": 3, "window": "1h", "log_group": "/aws/lambda/other"},
        {"kind": "log_events", "present": "gateway", "min": 2, "control": "check"},
        ATTESTATION,
    ],
)
def test_what_makes_sense_is_no_mistake(criterion: dict[str, Any]) -> None:
    policy = parse(changed(criteria__c=criterion))
    assert policy == parse(changed(criteria__c=policy.criteria["c"].model_dump(
        mode="json", exclude_none=True
    )))  # fmt: skip


@pytest.mark.parametrize(
    "more", [{}, {"tolerance": "0%", "confidence": "99.9%", "window": "5m", "min_samples": 1}]
)
def test_a_share_is_of_two_paths(more: dict[str, Any]) -> None:
    policy = parse(changed(criteria__c={**SHARE, **more}, metrics__others=OTHERS))
    assert policy.counts["others"] == "stable"


def test_a_criterion_gates_unless_it_says_otherwise() -> None:
    """One meaning, one digest."""
    explicit = parse(changed(criteria__works__gates=True))
    assert explicit.digest() == parse(PLAIN).digest()
    assert parse(changed(criteria__works__gates=False)).digest() != explicit.digest()


def test_the_windows_of_a_burn_rate_are_those_of_the_workbook() -> None:
    burn = parse(changed(criteria__c=BURN)).criteria["c"]
    assert isinstance(burn, BurnRate)
    assert [pair.text for pair in burn.windows] == [
        "14.4x over both 1h and 5m",
        "6x over both 6h and 30m",
    ]
    assert format_duration(burn.longest_window) == "6h"


def test_an_event_has_a_bound_and_a_group() -> None:
    kinds = {name: parse(changed(criteria__c=one)).criteria["c"] for name, one in {
        "absent": ABSENT,
        "some": {**ABSENT, "max": 3, "log_group": "elsewhere"},
        "present": {"kind": "log_events", "present": "gateway", "control": "check"},
        "often": {"kind": "log_events", "present": "gateway", "min": 5, "control": "check"},
    }.items()}  # fmt: skip
    log_events = {name: kind for name, kind in kinds.items() if isinstance(kind, LogEvents)}
    assert {name: event.bound for name, event in log_events.items()} == {
        "absent": 0, "some": 3, "present": 1, "often": 5,
    }  # fmt: skip
    function = "arn:aws:lambda:eu-central-1:123456789012:function:f"
    policy = parse(changed(target__function=function))
    assert policy.log_group_of(log_events["absent"]) == "/aws/lambda/f"
    assert policy.log_group_of(log_events["some"]) == "elsewhere"
