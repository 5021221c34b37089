"""Whose requests a metric counts: stated, known by its dimensions, or inferred from its use."""

from typing import Any, Final

import pytest

from tests.support.core import parse
from tests.support.policies import COUNT, changed, mistakes

OWN: Final = {
    "namespace": "AWS/Lambda",
    "name": "Errors",
    "statistic": "Sum",
    "dimensions": {"FunctionName": "handler"},
}
OWN_LATENCY: Final = {**OWN, "name": "Duration", "statistic": "p95"}
FLAG: Final = {"namespace": "rolloutctl", "name": "Failures", "statistic": "Sum"}
STABLE_FLAG: Final = {**FLAG, "dimensions": {"Flag": "handler", "Path": "stable"}}
STABLE_LATENCY: Final = {**STABLE_FLAG, "name": "Duration", "statistic": "p95"}


@pytest.mark.parametrize(
    ("changes", "metric", "counts"),
    [
        ({}, "requests", "canary"),
        ({}, "direct", "stable"),
        ({"criteria__fast__baseline": {"concurrent": "direct"}}, "direct", "stable"),
        ({"criteria__fast__baseline__frozen": "latency"}, "latency", "both"),
        ({"metrics__errors": {**OWN, "counts": "both"}}, "errors", "both"),
        (
            {
                "metrics__others": {**STABLE_FLAG, "counts": "stable"},
                "criteria__others": {**COUNT, "metric": "others", "max": 10},
            },
            "others",
            "stable",
        ),
        ({"metrics__direct": STABLE_LATENCY}, "direct", "stable"),
        ({"metrics__direct": OWN_LATENCY}, "direct", "stable"),
    ],
    ids=[
        "judged",
        "a frozen baseline",
        "a concurrent baseline",
        "judged against its own past",
        "stated",
        "of the stable path, and stated as such",
        "named by the flag",
        "all requests, before the start",
    ],
)
def test_a_metric_counts_what_is_stated_known_or_follows_from_its_use(
    changes: dict[str, Any], metric: str, counts: str
) -> None:
    data = changed(**changes)
    data["metrics"] = {
        name: one
        for name, one in data["metrics"].items()
        if name != "direct" or "latency" not in data["criteria"]["fast"]["baseline"].values()
    }
    data["steps"][1]["criteria"] = ["works"]
    assert parse(data).counts[metric] == counts


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"metrics__errors": OWN}, "metrics.errors", "at 10%"),
        ({"metrics__errors": {**OWN, "counts": "canary"}}, "metrics.errors.counts", "diluted"),
        ({"metrics__errors": {**OWN, "counts": "stable"}}, "metrics.errors.counts", "both paths"),
        (
            {"metrics__errors": {**STABLE_FLAG, "counts": "canary"}},
            "metrics.errors.counts",
            "only the stable path",
        ),
        ({"metrics__direct__counts": "canary"}, "metrics.direct.counts", "fast compares"),
        (
            {"metrics__direct": OWN_LATENCY, "criteria__fast__baseline": {"concurrent": "direct"}},
            "metrics.direct",
            "both paths",
        ),
    ],
    ids=[
        "of the target, as canary by default",
        "of the target, as canary",
        "of the target, as stable",
        "of the other path",
        "of the canary, as a baseline",
        "of the target, as a control",
    ],
)
def test_a_metric_that_is_known_to_count_something_else_is_a_mistake(
    changes: dict[str, Any], place: str, said: str
) -> None:
    found = dict(mistakes(changed(**changes, steps__1__criteria=["works"])))
    assert place in found
    assert said.lower() in found[place].lower()
