"""Policies as other people write them: a wrong one is refused or warned about, a right one is not.

What only the account shows is in `tests/operations/live_checks/test_strangers.py`.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.policy_file.loader import UNANSWERED, warnings
from controller.policy_file.mistake import PolicyMistake
from controller.testing import installed
from tests.support.parsed import PolicyProblems, parse
from tests.support.policies import changed
from tests.tables.strangers import RIGHT, WRONG, document, row_id

# Valid in every respect but one that no check of these is about: the sequential judge takes no
# `min`, no average, and no criterion that only reports.
_FOR_THE_THRESHOLD_JUDGE = {
    "share-of-2xx-at-least",
    "average-response-time",
    "reported-beside-what-gates",
    "version-judged-at-100-for-the-report",
}
# What the file does not show: a number that AWS probably counts alike, a name that only looks like
# an id, and a baseline that is a little too low.
_NOT_FOUND = {
    "samples-of-5xx",
    "api-by-its-id",
    "integration-latency-against-the-whole-latency",
}


_FAILURES = "HTTPCode_Target_5XX_Count"


def found(row: Mapping[str, Any]) -> list[PolicyMistake]:
    """Return the mistakes of the policy of `row`; of a valid one, what `validate` warns about."""
    try:
        found = list(warnings(parse(document(row))))
        # Right in all else: the failures of a target group are not all there are.
        return [one for one in found if one.message != UNANSWERED.format(_FAILURES)]
    except PolicyProblems as error:
        return list(error.problems)


@pytest.mark.parametrize("row", [one for one in WRONG if one["found"] == "file"], ids=row_id)
def test_a_wrong_policy_is_refused_or_warned_about_at_its_place(row: Mapping[str, Any]) -> None:
    if row["id"] in _NOT_FOUND:
        pytest.xfail("not seen in the file alone")
    policy, (section, *rest) = document(row), row["place"].split(".")
    # A ratio has its mistake at one of its metrics, or at the criterion that sets them against each
    # other: the line is at the one and names the other.
    names = {rest[0] if rest else section}
    if rest and section == "criteria":
        written = str(policy["criteria"].get(rest[0], {}))
        names |= {one for one in policy["metrics"] if f"'{one}'" in written}
    if section == "steps":
        names = {"steps"}
    assert any(
        names & {*map(str, one.place), *one.message.replace(",", "").split()} for one in found(row)
    )


@pytest.mark.parametrize("row", RIGHT, ids=row_id)
def test_a_right_policy_is_neither_refused_nor_warned_about(row: Mapping[str, Any]) -> None:
    if row["id"] in _FOR_THE_THRESHOLD_JUDGE:
        assert all("judge" in one.message for one in found(row))
    else:
        assert found(row) == []


def test_a_bake_under_five_minutes_is_warned_about() -> None:
    row = next(one for one in RIGHT if one["base"] == "alb")
    short = {**row, "change": {**row["change"], "steps.0.bake": "4m", "steps.1.bake": "5m"}}
    assert [one.place for one in found(short)] == [("steps", 0, "bake")]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        pytest.param(
            {"metrics.old_failures": None,
             "criteria.success": {"kind": "burn_rate", "total": "requests",
                                  "failures": ["failures"], "slo": "90%"}},
            ("criteria", "success", "slo"), id="a burn rate that nothing reaches",
        ),
        pytest.param(
            {"criteria.success.failures": None, "criteria.success.successes": ["failures"]},
            ("criteria", "success", "successes", 0), id="failures that pass as successes",
        ),
        pytest.param(
            {"steps.0.criteria": ["traffic"]}, ("steps", 0, "criteria"),
            id="a step that only sees that requests arrive",
        ),
        pytest.param(
            {"criteria.slow": {"kind": "threshold", "judge": "threshold", "metric": "failures",
                               "per": "requests", "max": "100%"}},
            ("criteria", "slow", "max"), id="a share of at most all",
        ),
    ],
)  # fmt: skip
def test_what_can_never_fail_is_warned_about(
    change: Mapping[str, Any], place: tuple[str | int, ...]
) -> None:
    base = {"id": "", "base": "rest", "change": {}}
    policy = parse(document({**base, "change": {}}))
    assert list(warnings(policy)) == []
    assert place in [one.place for one in found({**base, "change": change})]


@pytest.mark.parametrize(
    ("most", "places"),
    [
        ("5%", [("steps", 0, "criteria")]),
        ("100%", [("criteria", "retries", "max"), ("steps", 0, "criteria")]),
    ],
)
def test_a_kind_of_another_package_is_warned_about_alike(
    most: str, places: list[tuple[str | int, ...]]
) -> None:
    criterion = {"kind": "retried", "retries": "retries", "total": "requests", "max": most}
    retries = {"namespace": "Shop", "name": "Retries", "statistic": "Sum"}
    row = {"id": "", "base": "rest", "change": {"metrics.retries": retries,
        "criteria.retries": criterion, "steps.0.criteria": ["retries"]}}  # fmt: skip
    with installed("rolloutctl.criteria", {"retried": "tests.support.retried:Retried"}):
        assert [one.place for one in found(row)] == places


def test_failures_of_a_target_group_are_warned_about() -> None:
    policy = parse(document({"base": "alb", "change": {}}))
    assert [warning.place for warning in warnings(policy)] == [
        ("criteria", "success", "failures", 0)
    ]


@pytest.mark.parametrize("name", ["ConcurrentExecutions", "Throttles"])
@pytest.mark.parametrize("field", ["metric", "total"])
def test_what_counts_no_requests_or_failures_alone_is_warned_about(field: str, name: str) -> None:
    """Whatever the field is called: its type says that it counts requests."""
    level = {"namespace": "AWS/Lambda", "name": name, "statistic": "Sum"}
    criterion = {
        "metric": {"kind": "traffic", "metric": "level"},
        "total": {"kind": "burn_rate", "total": "level", "failures": ["errors"], "slo": "99%"},
    }[field]
    policy = parse(changed(criteria__c=criterion, metrics__level={**level, "counts": "both"}))
    assert ("criteria", "c", field) in [warning.place for warning in warnings(policy)]
