"""Desired monitoring of a policy: dashboard and alarms, from the policy and its newest rollout.

The graphs show requests, error rates, latencies, and the bounds of criteria. For an API Gateway,
all metrics that it publishes under the same dimensions are drawn, also those that no criterion
uses.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final

from controller.core.history import Entry
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.series import query
from controller.core.observation import MetricQuery
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import (
    Comparison,
    Computed,
    Increase,
    Level,
    NotCompared,
    Ratio,
)
from controller.core.units import format_duration, format_percent, number_text
from controller.immutable import replace
from controller.ports import api_gateway
from controller.ports.monitoring import resource_name
from controller.ports.store import Store
from controller.tools.monitoring.resources import (
    COMPUTED,
    BoundLine,
    CriterionAlarm,
    Dashboard,
    Line,
    Moment,
    Monitoring,
    Widget,
    alarm_of,
    limit_of,
    percent_of,
    period_of,
    ratio_lines,
    unknown_source,
)

PERIOD_S: Final = 300
# A graph has no room for more vertical lines: only the newest are drawn.
_MAX_MOMENTS: Final = 20
_END_LABELS: Final = {"rolled_back": "0%: rolled back", "succeeded": "100%: succeeded"}


def monitoring_of(policy: Policy, store: Store, emails: Iterable[str] = ()) -> Monitoring:
    """Return the monitoring of `policy` with the moments and baselines of its newest rollout.

    Raises StoreError.
    """
    ids = store.of_name(policy.name)
    if not ids:
        return desired_monitoring(policy, emails)
    newest = store.load(ids[-1])
    return desired_monitoring(policy, emails, newest.evidence.baselines, store.history(newest.id))


def desired_monitoring(
    policy: Policy,
    emails: Iterable[str] = (),
    baselines: Mapping[str, BaselineMeasurement] = MappingProxyType({}),
    history: Iterable[Entry] = (),
) -> Monitoring:
    """Return the monitoring of `policy`.

    baselines, history: of its newest rollout; empty: it has none.
    """
    unknown = [name for name in policy.frozen_baselines if name not in baselines]
    stored = {name: baseline.value for name, baseline in baselines.items()}
    made = {name: alarm_of(policy, name, stored.get(name)) for name in policy.criteria}
    return Monitoring(
        policy=policy.name,
        name=resource_name(policy.name),
        dashboard=Dashboard(
            resource_name(policy.name),
            _dashboard_text(policy),
            widgets(policy, baselines),
            moments(history),
        ),
        alarms=tuple(one for one in made.values() if isinstance(one, CriterionAlarm)),
        emails=tuple(dict.fromkeys(emails)),
        notes=(
            *(
                f"criterion {name} gets an alarm and a line in the graph once a rollout has frozen "
                "its baseline: deploy again after the start"
                for name in unknown
            ),
            *(
                f"criterion {name} has no alarm: {one.why}"
                for name, one in made.items()
                if isinstance(one, NotCompared) and name not in unknown
            ),
        ),
        alarms_without_baseline=tuple(resource_name(policy.name, name) for name in unknown),
    )


def _dashboard_text(policy: Policy) -> str:
    """Return the text at the top of the dashboard, in Markdown."""
    summary = f" {policy.summary}" if policy.summary else ""
    target = policy.target
    missing = "; ".join(f"{name}: {why}" for name, why in undrawn(policy).items())
    left_out = f"Not in these graphs: {missing}.\n\n" if missing else ""
    return (
        f"**{policy.name}**:{summary} The weight is `{next(iter(target.settings(0)))}` of "
        f"`{target.name}`: "
        f"{policy.steps_text()}.\n\n"
        f"{left_out}Made by `rolloutctl monitoring deploy`, which overwrites what is edited here."
    )


# --- Moments of a rollout -------------------------------------------------------------------------


def moments(history: Iterable[Entry]) -> tuple[Moment, ...]:
    """Return when each weight was applied, and how the rollout ended, oldest first."""
    found = list[Moment]()
    for entry in history:
        label = _END_LABELS.get(entry.kind, "")
        if entry.kind == "applied":
            label = f"{entry.body['weight_to']}%"
        elif entry.kind == "started" and entry.body.get("cause", {}).get("adopted") is not None:
            label = f"{entry.body['weight_to']}%: adopted"
        if label:
            found.append(Moment(entry.at, label))
    return tuple(found[-_MAX_MOMENTS:])


# --- Panels ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class DashboardPanel:
    """A widget under construction; the ids of lines are unique within it."""

    title: str
    left: str
    right: str = ""
    _lines: dict[MetricQuery | str, Line] = field(default_factory=dict)
    _bounds: dict[BoundLine, None] = field(default_factory=dict)

    def series(
        self, query: MetricQuery, label: str, *, shown: bool = True, right: bool = False
    ) -> str:
        """Add a metric and return its id; `shown` is False for an input of an expression."""
        line = self._lines.get(query)
        if line is None:
            line = Line(f"m{len(self._lines) + 1}", label, query, visible=shown, right=right)
        elif shown and not line.visible:
            line = replace(line, label=label, visible=True, right=right)
        self._lines[query] = line
        return line.id

    def formula(self, expression: str, label: str, *, bound: bool = False) -> None:
        """Add an expression over lines that were added."""
        if expression not in self._lines:
            identity = f"e{len(self._lines) + 1}"
            self._lines[expression] = Line(identity, label, expression=expression, bound=bound)

    def formula_of(self, lines: tuple[Line, ...], label: str) -> None:
        """Add the last of `lines`, an expression over the lines before it."""
        *parts, last = lines
        ids = {
            part.id: self.series(part.query, part.label, shown=False)
            for part in parts
            if part.query is not None
        }
        # All at once: m1 may become m2, and m2 m1.
        renamed = re.sub(r"\bm\d+\b", lambda match: ids[match[0]], last.expression)
        self.formula(renamed, label)

    def bound(self, value: float, label: str, *, right: bool = False) -> None:
        """Add a horizontal line at `value`."""
        self._bounds[BoundLine(value, label, right)] = None

    def __bool__(self) -> bool:
        """Tell whether any line is shown."""
        return any(line.visible for line in self._lines.values())

    def widget(self) -> Widget:
        """Return the finished widget."""
        lines = tuple(self._lines.values())
        right = self.right if any(line.right for line in lines) else ""
        return Widget(self.title, lines, tuple(self._bounds), self.left, right)


def undrawn(policy: Policy) -> dict[str, str]:
    """Return why criteria are in no graph, by id."""
    why: dict[str, str] = {}
    for name, criterion in policy.criteria.items():
        compared = criterion.compares()
        if elsewhere := unknown_source(policy, name):
            why[name] = elsewhere
        elif isinstance(compared, NotCompared):
            why[name] = compared.why
        elif isinstance(compared[0].measured, Computed):
            why[name] = COMPUTED
    return why


def widgets(policy: Policy, baselines: Mapping[str, BaselineMeasurement]) -> tuple[Widget, ...]:
    """Return the graphs of `policy`, without empty ones.

    baselines: the frozen baselines of its newest rollout, by criterion.
    """
    graphs = _Graphs(policy)
    graphs.draw_gateways()
    for name, comparison in policy.comparisons():
        if unknown_source(policy, name):
            continue
        for metric in policy.criteria[name].requests_in(comparison):
            graphs.draw_metric(graphs.requests, metric)
        match comparison.measured:
            case Level(counts=""):
                graphs.draw_level(name, comparison)
            case Ratio() as ratio:
                graphs.draw_ratio(name, comparison, ratio)
            case Increase() as increase:
                stored = baselines[name].value if name in baselines else None
                graphs.draw_increase(name, comparison, increase, stored)
            case _:
                pass  # its requests are drawn, or CloudWatch does not know its value
    panels = (graphs.requests, graphs.errors, graphs.latency, graphs.integration, graphs.others)
    return tuple(panel.widget() for panel in panels if panel)


class _Graphs:
    """The panels of a policy, while they are drawn."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.requests = DashboardPanel("Requests", "in 5 minutes")
        self.errors = DashboardPanel("Error rates", "%", "count")
        self.latency = DashboardPanel("Latency", "ms")
        self.integration = DashboardPanel("Integration latency", "ms")
        self.others = DashboardPanel("Other criteria", "")

    def draw_metric(self, panel: DashboardPanel, name: str) -> str:
        """Draw a metric of the policy, and return its id."""
        metric = self._policy.metrics[name]
        return panel.series(query(metric, metric.statistic, PERIOD_S), name)

    def draw_ratio(self, name: str, one: Comparison, ratio: Ratio) -> None:
        """Draw a share of failures, or another ratio, and its bound."""
        panel = self.errors if self._policy.criteria[name].shows_failures else self.others
        lines = ratio_lines(self._policy, ratio, PERIOD_S)
        of = f" of {ratio.whole[0]}" if ratio.judges_failures else ""
        panel.formula_of(lines, f"{lines[-1].label}{of}")
        if one.follows_weight:
            return
        word = "at most" if one.is_maximum or ratio.judges_failures else "at least"
        over = f" over {format_duration(one.window)}" if one.window and one.and_window else ""
        label = f"{name}: {word} {format_percent(one.share_bound)}{over}"
        panel.bound(percent_of(one.share_bound), label)

    def draw_increase(
        self, name: str, one: Comparison, increase: Increase, stored: float | None
    ) -> None:
        """Draw a latency and its bound: a value, or a line from a metric of the same time."""
        metric = self._policy.metrics[increase.metric]
        is_integration = metric.name == api_gateway.INTEGRATION_LATENCY
        panel = self.integration if is_integration else self.latency
        self.draw_metric(panel, increase.metric)
        label = f"{name}: at most {format_percent(one.bound)} above"
        if control := increase.control:
            identity, factor = self.draw_metric(panel, control), round(1 + one.bound, 6)
            panel.formula(f"{factor:g} * {identity}", f"{label} {control}", bound=True)
        elif (limit := limit_of(one, stored)) is not None:
            panel.bound(limit, f"{label} {number_text(increase.fixed or stored or 0.0)}")

    def draw_level(self, name: str, one: Comparison) -> None:
        """Draw the value of one metric, and its bound; a count of failures on the right axis."""
        metric, panel, right = self._policy.metrics[one.metric or ""], self.others, False
        if metric.name == api_gateway.INTEGRATION_LATENCY:
            panel = self.integration
        elif metric.percentile is not None or metric.name == api_gateway.LATENCY:
            panel = self.latency
        elif metric.is_count and self._is_error(metric):
            panel, right = self.errors, True
        period_s = period_of(one.window) if metric.is_count and one.window else PERIOD_S
        panel.series(query(metric, metric.statistic, period_s), one.metric or "", right=right)
        unit = f" {metric.unit}" if metric.unit else ""
        word = "at most" if one.is_maximum else "at least"
        panel.bound(one.bound, f"{name}: {word} {number_text(one.bound)}{unit}", right=right)

    def _is_error(self, metric: Metric) -> bool:
        """Tell whether a metric counts failures, by its use in the policy or its AWS name."""
        ratios = [one.measured for _, one in self._policy.comparisons()]
        failures = {
            name
            for ratio in ratios
            if isinstance(ratio, Ratio) and ratio.counts == "failures"
            for name in ratio.parts
        }
        is_failure = any(self._policy.metrics[name] == metric for name in failures)
        return is_failure or metric.name.lower().startswith(("4xx", "5xx"))

    def draw_gateways(self) -> None:
        """Draw requests, rates of each kind of error, and latencies of each API Gateway."""
        metrics = self._policy.metrics.values()
        gateways = dict.fromkeys(
            tuple(sorted(one.dimensions.items()))
            for one in metrics
            if one.namespace == api_gateway.NAMESPACE
        )
        for dimensions in gateways:
            name = " ".join(value for key, value in dimensions if key.startswith("Api"))
            name = name or "gateway"
            of_gateway = partial(
                MetricQuery, api_gateway.NAMESPACE, period_s=PERIOD_S, dimensions=dimensions
            )
            requests = of_gateway(api_gateway.REQUESTS, "Sum")
            self.requests.series(requests, f"requests of {name}")
            total = self.errors.series(requests, "requests", shown=False)
            errors = api_gateway.error_metrics(dict(dimensions))
            for kind, metric in zip(("4XX", "5XX"), errors, strict=True):
                part = self.errors.series(of_gateway(metric, "Sum"), kind, shown=False)
                self.errors.formula(f"100 * {part} / {total}", f"{kind} of {name}")
            for statistic in api_gateway.PERCENTILES:
                latency = of_gateway(api_gateway.LATENCY, statistic)
                self.latency.series(latency, f"{statistic} of {name}")
            integration = of_gateway(api_gateway.INTEGRATION_LATENCY, "p95")
            self.integration.series(integration, f"p95 of {name}")
