"""The graphs of a policy, and the bounds drawn in each of them."""

import re
from typing import Any

import pytest

from controller.testing import installed
from controller.tools.monitoring.resources import Dashboard, Widget
from controller.tools.monitoring.wanted_stack import desired_monitoring
from tests.tools.monitoring.watched import CRITERIA, FROZEN, METRICS, a_watched, custom_metric


def graphs(*names: str) -> dict[str, Widget]:
    """Return the graphs of a policy with these criteria by their titles."""
    widgets = desired_monitoring(a_watched(*names), baselines={"frozen": FROZEN}).dashboard.widgets
    return {widget.title: widget for widget in widgets}


def visible_labels(widget: Widget) -> list[str]:
    """Return the labels of the visible lines of a graph."""
    return [line.label for line in widget.lines if line.visible]


def bounds(widget: Widget) -> dict[str, float]:
    """Return the bounds of a graph by their labels."""
    return {bound.label: bound.value for bound in widget.bounds}


def test_a_gateway_is_drawn_in_four_graphs_whatever_the_criteria() -> None:
    widgets = graphs("traffic")
    assert {title: visible_labels(widget) for title, widget in widgets.items()} == {
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


def drawn_alone(criterion: dict[str, Any], **metrics: dict[str, Any]) -> Dashboard:
    """Return the dashboard of a policy with this criterion, called `it`, and more metrics."""
    policy = a_watched("busy", criteria={"it": criterion}, metrics={**METRICS, **metrics})
    return desired_monitoring(policy).dashboard


def test_a_burn_rate_has_the_bound_of_each_pair_of_windows() -> None:
    failures = {"total": "requests", "failures": ["rejected", "broken"]}
    burn = {"kind": "burn_rate", **failures, "slo": "99.9%"}
    (errors,) = [widget for widget in drawn_alone(burn).widgets if widget.title == "Error rates"]
    assert "rejected + broken of requests" in visible_labels(errors)
    assert bounds(errors) == {"it: at most 1.44% over 1h": 1.44, "it: at most 0.6% over 6h": 0.6}


def test_a_share_is_a_line_without_a_bound_which_follows_the_weight() -> None:
    share = {"kind": "share", "metric": "requests", "control": "throttles"}
    (others,) = [
        widget for widget in drawn_alone(share).widgets if widget.title == "Other criteria"
    ]
    assert others.bounds == ()
    assert others.lines[-1].expression == "100 * m1 / (m1 + m2)"


def test_a_share_of_what_is_no_failure_is_not_among_the_error_rates() -> None:
    retried = {"kind": "retried", "retries": "throttles", "total": "requests", "max": "5%"}
    with installed("rolloutctl.criteria", {"retried": "tests.support.retried:Retried"}):
        drawn = drawn_alone(retried).widgets
    assert {widget.title for widget in drawn if bounds(widget)} == {"Other criteria"}


def test_the_requests_that_a_share_is_of_are_drawn_for_every_kind() -> None:
    calls = custom_metric("Calls", "Sum", "canary")
    shares = (
        {"kind": "threshold", "metric": "throttles", "per": "calls", "max": "5%"},
        {"kind": "retried", "retries": "throttles", "total": "calls", "max": "5%"},
    )
    with installed("rolloutctl.criteria", {"retried": "tests.support.retried:Retried"}):
        for share in shares:
            drawn = {one.title: one for one in drawn_alone(share, calls=calls).widgets}
            assert "calls" in visible_labels(drawn["Requests"])


def test_what_is_in_no_graph_is_named_in_the_text() -> None:
    signed = drawn_alone({"kind": "attestation", "statement": "It was tried."})
    assert "Not in these graphs: it: an operator signs it off." in signed.text


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
    assert {(metric["namespace"], metric["name"]) for metric in METRICS.values()} <= drawn
    assert len(CRITERIA) > 10
