"""The graphs of a policy, and the bounds drawn in each of them."""

import re

import pytest

from controller.operations.monitoring.desired import desired_monitoring
from controller.operations.monitoring.resources import Widget
from tests.operations.monitoring.watched import CRITERIA, FROZEN, METRICS, a_watched


def graphs(*names: str) -> dict[str, Widget]:
    """Return the graphs of a policy with these criteria by their titles."""
    widgets = desired_monitoring(a_watched(*names), baselines={"frozen": FROZEN}).dashboard.widgets
    return {one.title: one for one in widgets}


def visible_labels(widget: Widget) -> list[str]:
    """Return the labels of the visible lines of a graph."""
    return [line.label for line in widget.lines if line.visible]


def bounds(widget: Widget) -> dict[str, float]:
    """Return the bounds of a graph by their labels."""
    return {one.label: one.value for one in widget.bounds}


def test_a_gateway_is_drawn_in_four_graphs_whatever_the_criteria() -> None:
    widgets = graphs("traffic")
    assert {title: visible_labels(one) for title, one in widgets.items()} == {
        "Requests": ["requests of shop"],
        "Error rates": ["4XX of shop", "5XX of shop"],
        "Latency": ["p50 of shop", "p95 of shop", "p99 of shop"],
        "Integration latency": ["p95 of shop"],
    }


@pytest.mark.parametrize(
    ("title", "drawn"),
    [
        (
            "Error rates",
            {
                "SC-004: at most 0.1%": 0.1,
                "auth-failures: at most 10": 10,
                "throttled: at most 1%": 1,
            },
        ),
        (
            "Latency",
            {
                "p95-latency: at most 500 ms": 500,
                "fixed: at most 10% above 240": 264,
                "frozen: at most 5% above 200": 210,
            },
        ),
        ("Integration latency", {"p95-integration: at most 450 ms": 450}),
        ("Other criteria", {"roomy: at most 900 MB": 900, "busy: at least 5": 5}),
        ("Requests", {}),
    ],
)
def test_a_bound_is_drawn_where_what_it_bounds_is(title: str, drawn: dict[str, float]) -> None:
    assert bounds(graphs()[title]) == drawn


def test_a_bound_that_moves_with_another_path_is_a_line() -> None:
    lines = {line.label: line for line in graphs("beside")["Latency"].lines}
    assert lines["beside: at most 5% above direct"].expression == f"1.05 * {lines['direct'].id}"


def test_an_expression_divides_what_the_criterion_divides() -> None:
    """The lines of a graph are shared, so those of an expression get new ids there."""
    errors = graphs("auth-failures", "SC-004")["Error rates"]
    names = {line.id: line.query.name for line in errors.lines if line.query is not None}
    (rate,) = (line for line in errors.lines if line.label == "rejected + broken of requests")
    spelt = re.sub(r"\bm\d+\b", lambda one: names[one[0]], rate.expression)
    assert spelt == "100 * (4XXError + 5XXError) / Count"


def test_every_metric_of_a_policy_is_drawn_somewhere() -> None:
    drawn = {
        (line.query.namespace, line.query.name)
        for widget in graphs().values()
        for line in widget.lines
        if line.query is not None
    }
    assert {(one["namespace"], one["name"]) for one in METRICS.values()} <= drawn
    assert len(CRITERIA) > 10
