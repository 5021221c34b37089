"""The graphs of a policy: requests, error rates, latency and integration latency, with its bounds.

Where the policy measures an API Gateway, everything is drawn that the gateway publishes under the
same dimensions, whether a criterion asks for it or not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.core.judge.queries import query
from controller.core.measured import FrozenValue
from controller.core.monitoring.alarms import COUNTS, baseline_of, limit_of, period_of
from controller.core.monitoring.lines import failure_lines, percent_of, ratio_lines
from controller.core.monitoring.panel import Panel
from controller.core.monitoring.parts import Widget
from controller.core.observation import Query
from controller.core.policy import (
    ConcurrentBaseline,
    Criterion,
    LatencyIncrease,
    Metric,
    Policy,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.units import format_percent, number_text

PERIOD_S: Final = 300

_GATEWAY: Final = "AWS/ApiGateway"
_INTEGRATION: Final = "IntegrationLatency"
_PERCENTILES: Final = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class _Gateway:
    """An API: what its metrics are called depends on its kind."""

    name: str
    dimensions: tuple[tuple[str, str], ...]

    @property
    def errors(self) -> Mapping[str, str]:
        """The metrics of both kinds of errors; only an HTTP API is known by its id."""
        http = any(key == "ApiId" for key, _ in self.dimensions)
        return {"4XX": "4xx", "5XX": "5xx"} if http else {"4XX": "4XXError", "5XX": "5XXError"}

    def query(self, name: str, statistic: str) -> Query:
        return Query(_GATEWAY, name, statistic, PERIOD_S, self.dimensions)


@dataclass(frozen=True, slots=True)
class _Page:
    requests: Panel = field(default_factory=lambda: Panel("Requests", "in 5 minutes"))
    errors: Panel = field(default_factory=lambda: Panel("Error rates", "%", "count"))
    latency: Panel = field(default_factory=lambda: Panel("Latency", "ms"))
    integration: Panel = field(default_factory=lambda: Panel("Integration latency", "ms"))
    others: Panel = field(default_factory=lambda: Panel("Other criteria", ""))

    def widgets(self) -> tuple[Widget, ...]:
        panels = (self.requests, self.errors, self.latency, self.integration, self.others)
        return tuple(panel.widget() for panel in panels if panel)


def widgets(policy: Policy, baselines: Mapping[str, FrozenValue]) -> tuple[Widget, ...]:
    """Return the graphs of `policy`; one in which there would be nothing to see is left out.

    baselines: what its newest rollout has frozen.
    """
    page = _Page()
    for gateway in _gateways(policy):
        _draw_gateway(page, gateway)
    for name, criterion in policy.criteria.items():
        _draw(page, policy, name, criterion, baselines)
    return page.widgets()


def _gateways(policy: Policy) -> Iterator[_Gateway]:
    found = (one for one in policy.metrics.values() if one.namespace == _GATEWAY)
    dimensions = dict.fromkeys(tuple(sorted(one.dimensions.items())) for one in found)
    for one in dimensions:
        name = " ".join(value for key, value in one if key.startswith("Api")) or "gateway"
        yield _Gateway(name, one)


def _draw_gateway(page: _Page, gateway: _Gateway) -> None:
    page.requests.series(gateway.query("Count", "Sum"), f"requests of {gateway.name}")
    total = page.errors.series(gateway.query("Count", "Sum"), "requests", shown=False)
    for kind, name in gateway.errors.items():
        part = page.errors.series(gateway.query(name, "Sum"), kind, shown=False)
        page.errors.formula(f"100 * {part} / {total}", f"{kind} of {gateway.name}")
    for statistic in _PERCENTILES:
        label = f"{statistic} of {gateway.name}"
        page.latency.series(gateway.query("Latency", statistic), label)
    page.integration.series(gateway.query(_INTEGRATION, "p95"), f"p95 of {gateway.name}")


def _draw(
    page: _Page,
    policy: Policy,
    name: str,
    criterion: Criterion,
    baselines: Mapping[str, FrozenValue],
) -> None:
    match criterion:
        case SuccessRate():
            _draw_count(page, policy, criterion.total)
            if criterion.control is not None:
                _draw_count(page, policy, criterion.control.total)
            lines = failure_lines(policy, criterion, PERIOD_S)
            page.errors.formula_of(lines, f"{lines[-1].label} of {criterion.total}")
            limit = 1 - criterion.min
            page.errors.bound(percent_of(limit), f"{name}: at most {format_percent(limit)}")
        case LatencyIncrease():
            _draw_increase(page, policy, name, criterion, baselines)
        case Threshold():
            _draw_threshold(page, policy, name, criterion)
        case Traffic():
            _draw_count(page, policy, criterion.metric)
            if criterion.control is not None:
                _draw_count(page, policy, criterion.control)
        case _:
            pass


def _draw_count(page: _Page, policy: Policy, name: str) -> None:
    metric = policy.metrics[name]
    page.requests.series(query(metric, metric.statistic, PERIOD_S), name)


def _draw_increase(
    page: _Page,
    policy: Policy,
    name: str,
    criterion: LatencyIncrease,
    baselines: Mapping[str, FrozenValue],
) -> None:
    """Draw the latency and its bound: a value, or a line that moves with the control."""
    metric = policy.metrics[criterion.metric]
    panel = page.integration if metric.name == _INTEGRATION else page.latency
    panel.series(query(metric, metric.statistic, PERIOD_S), criterion.metric)
    limit = f"{name}: at most {format_percent(criterion.max_increase)} above"
    if isinstance(criterion.baseline, ConcurrentBaseline):
        control = criterion.baseline.concurrent
        against = policy.metrics[control]
        identity = panel.series(query(against, against.statistic, PERIOD_S), control)
        factor = round(1 + criterion.max_increase, 6)
        panel.formula(f"{factor:g} * {identity}", f"{limit} {control}", bound=True)
    elif (value := baseline_of(name, criterion, baselines)) is not None:
        panel.bound(limit_of(criterion, value), f"{limit} {number_text(value)}")


def _draw_threshold(page: _Page, policy: Policy, name: str, criterion: Threshold) -> None:
    word = "at least" if criterion.max is None else "at most"
    if criterion.per is not None:
        lines = ratio_lines(policy, criterion, criterion.per, PERIOD_S)
        page.errors.formula_of(lines, lines[-1].label)
        bound = percent_of(criterion.bound)
        page.errors.bound(bound, f"{name}: {word} {format_percent(criterion.bound)}")
        return
    metric = policy.metrics[criterion.metric]
    panel, right = _place(page, policy, metric)
    period_s = period_of(criterion) if metric.statistic in COUNTS else PERIOD_S
    panel.series(query(metric, metric.statistic, period_s), criterion.metric, right=right)
    unit = f" {metric.unit}" if metric.unit else ""
    label = f"{name}: {word} {number_text(criterion.bound)}{unit}"
    panel.bound(criterion.bound, label, right=right)


def _place(page: _Page, policy: Policy, metric: Metric) -> tuple[Panel, bool]:
    """Return the graph that a threshold belongs to, and whether to the axis at the right."""
    if metric.name == _INTEGRATION:
        return page.integration, False
    if metric.percentile is not None or metric.name == "Latency":
        return page.latency, False
    if metric.statistic in COUNTS and _is_error(policy, metric):
        return page.errors, True
    return page.others, False


def _is_error(policy: Policy, metric: Metric) -> bool:
    """Tell whether a metric counts failures, by what the policy or AWS says of it."""
    failures = {
        name
        for one in policy.criteria.values()
        if isinstance(one, SuccessRate)
        for name in one.failures
    }
    named = any(policy.metrics[name] == metric for name in failures)
    return named or metric.name.lower().startswith(("4xx", "5xx"))
