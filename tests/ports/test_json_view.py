"""The JSON of findings: times as ISO 8601, numbers as they were measured."""

from typing import Any

import pytest

from controller.ports.json_view import finding_view, json_number
from tests.support.core import sentence_of
from tests.support.findings import a_finding

NOON_S = 1_795_521_600  # 2026-11-24T12:00:00+00:00
NOON = "2026-11-24T12:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        pytest.param(1_200.0, "", "1200", id="a count is an integer"),
        pytest.param(12_345_678, "", "12345678", id="a large count is exact"),
        pytest.param(0.0, "", "0", id="nothing"),
        pytest.param(0.9995433789954338, "", "0.999543", id="a share has six digits"),
        pytest.param(0.00001234567, "", "1.23457e-05", id="a small share has six digits"),
        pytest.param(412.53719, "ms", "412.5", id="milliseconds have one decimal"),
        pytest.param(412.04, "ms", "412", id="milliseconds without a decimal"),
        pytest.param(1_234_567.891, "", "1234567.9", id="a large number has one decimal"),
        pytest.param(-0.0312345678, "", "-0.0312346", id="a decrease"),
        pytest.param(1.23456789e200, "", "1.23457e+200", id="a likelihood ratio"),
    ],
)
def test_a_number_has_the_digits_that_were_measured(value: float, unit: str, shown: str) -> None:
    assert str(json_number(value, unit)) == shown


def test_a_finding_says_when_in_iso_8601() -> None:
    view = finding_view(a_finding(start=NOON_S - 60, end=NOON_S))
    assert (view.start, view.end) == ("2026-11-24T11:59:00+00:00", NOON)


def test_a_finding_on_no_time_has_none() -> None:
    view = finding_view(a_finding(start=0, end=0))
    assert (view.start, view.end) == (None, None)


def test_the_facts_of_a_finding_say_when_in_iso_8601() -> None:
    facts: Any = {"last_end": NOON_S, "since": 0, "requests": 1_200.0, "subject": "latency"}
    assert finding_view(a_finding(facts=facts)).facts == {
        "last_end": NOON, "since": None, "requests": 1_200, "subject": "latency",
    }  # fmt: skip


def test_the_facts_of_another_package_keep_their_meaning() -> None:
    facts: Any = {"text": "it is fine", "since": 7}
    assert finding_view(a_finding(facts=facts)).facts == facts


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1e30, id="a number that is no time"),
        pytest.param(["a", "b"], id="a list"),
        pytest.param(None, id="nothing"),
        pytest.param(True, id="a truth"),
    ],
)
def test_a_fact_that_another_version_wrote_is_shown_as_it_is(value: Any) -> None:
    for name in ("since", "requests"):
        assert finding_view(a_finding(facts={name: value})).facts == {name: value}


def test_an_increase_of_a_latency_keeps_its_digits_whatever_the_unit_of_the_metric() -> None:
    finding = a_finding(measured=0.0204321987, bound=0.05, facts={"unit": "ms", "metric": "p95"})
    view = finding_view(finding)
    assert (view.measured, view.bound) == (0.0204322, 0.05)


def test_a_latency_that_breaches_its_limit_narrowly_differs_from_it() -> None:
    view = finding_view(a_finding(measured=500.04, bound=500.0, facts={"unit": "ms"}))
    assert (view.measured, view.bound) == (500.04, 500)


def test_a_finding_says_whether_it_gates_and_what_it_means() -> None:
    finding = a_finding(gates=False)
    view = finding_view(finding)
    assert (view.gates, view.sentence) == (False, sentence_of(finding))
