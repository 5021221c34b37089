"""The model of alarms in tests/deploy, and the alarms of the stack, against AWS's tables."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from tests.aws_facts.published import facts
from tests.deploy.stack import resources
from tests.deploy.switch import state

MISSING: Final = facts("cloudwatch")["missing_data"]
POINTS: Final = {"0": 0.0, "X": 1.0, "-": None}
TREATMENTS: Final = ("missing", "ignore", "breaching", "notBreaching")
STATES: Final = ("OK", "ALARM", "INSUFFICIENT_DATA")


def points(data: str) -> list[float | None]:
    """Return the datapoints of a row."""
    return [POINTS[one] for one in data.split()]


def alarm(to_alarm: int, treatment: str) -> dict[str, Any]:
    """Return an alarm that breaches at 1."""
    return {
        "EvaluationPeriods": MISSING["evaluation_periods"], "DatapointsToAlarm": to_alarm,
        "TreatMissingData": treatment, "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }  # fmt: skip


def rows() -> Iterator[Any]:
    """Yield each cell of the tables."""
    for table in MISSING["tables"]:
        for row in table["rows"]:
            for treatment in TREATMENTS:
                to_alarm = table["datapoints_to_alarm"]
                name = f"{to_alarm} of 3, {row['data']}, {treatment}"
                yield pytest.param(alarm(to_alarm, treatment), row, id=name)


@pytest.mark.parametrize(("definition", "row"), list(rows()))
def test_the_model_has_the_state_of_the_table(
    definition: Mapping[str, Any], row: Mapping[str, Any]
) -> None:
    published = row[definition["TreatMissingData"]]
    for before in STATES:
        expected = before if published == "keep" else published
        assert state(definition, points(row["data"]), before) == expected


@pytest.mark.parametrize("row", MISSING["premature"], ids=lambda row: row["data"])
def test_a_breach_that_is_too_new_is_no_alarm_yet(row: Mapping[str, Any]) -> None:
    assert state(alarm(3, "missing"), points(row["data"])) != "ALARM"


def test_older_datapoints_than_the_range_are_not_read() -> None:
    assert MISSING["range"] == 5
    switch = alarm(3, "breaching")
    for older in POINTS.values():
        assert state(switch, [older, older, *points("- - - - -")]) == "ALARM"
        assert state(switch, [older, older, *points("0 - - - -")]) == "OK"


def test_the_switch_of_the_stack_is_an_alarm_of_the_table() -> None:
    """A tick is the only datapoint that it can have: so `0 - - - -` and `- - - - -` decide."""
    switch = resources("AWS::CloudWatch::Alarm")["DeadMansSwitch"]
    assert switch["EvaluationPeriods"] == MISSING["evaluation_periods"]
    (table,) = [
        one
        for one in MISSING["tables"]
        if one["datapoints_to_alarm"] == switch["DatapointsToAlarm"]
    ]
    published = {row["data"]: row[switch["TreatMissingData"]] for row in table["rows"]}
    ticked = {"0": 1.0, "-": None}
    for data, expected in {"0 - - - -": "OK", "- - - - -": "ALARM"}.items():
        found = state(switch, [ticked[one] for one in data.split()])
        assert found == published[data] == expected
