"""Alarms and dashboards as CloudFormation spells them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from controller.core.monitoring import Alarm, Bound, Dashboard, Line, Moment, Widget
from controller.core.observation import Query

_STATISTICS: Final = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")
_NET: Final = "A safety net beside rolloutctl, which judges by its policy."
# Two days hold the 26 hours of a usual rollout, and the day before it.
_SHOWN: Final = "-P2D"
_WIDTH, _HEIGHT, _TEXT_HEIGHT = 12, 7, 3  # of 24 columns


def alarm_properties(alarm: Alarm, actions: Sequence[Any]) -> dict[str, Any]:
    """Return the properties of the alarm. actions: references to what it tells."""
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": f"{alarm.text} {_NET}",
        "AlarmActions": list(actions),
        **_measured(alarm),
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": alarm.periods,
        "Threshold": alarm.threshold,
        "ComparisonOperator": "GreaterThanThreshold" if alarm.above else "LessThanThreshold",
        "TreatMissingData": alarm.missing,
    }


def _measured(alarm: Alarm) -> dict[str, Any]:
    """Return what the alarm looks at: one statistic, or an expression over some."""
    only = alarm.lines[0].query if len(alarm.lines) == 1 else None
    if only is None:
        return {"Metrics": [_metric_query(line) for line in alarm.lines]}
    plain = only.statistic in _STATISTICS
    few = {"EvaluateLowSampleCountPercentile": "ignore"} if alarm.few_ignored else {}
    return {
        **_metric(only),
        "Statistic" if plain else "ExtendedStatistic": only.statistic,
        "Period": only.period_s,
        **few,
    }


def _metric_query(line: Line) -> dict[str, Any]:
    shown = {"Id": line.id, "Label": line.label, "ReturnData": line.shown}
    if line.query is None:
        return {**shown, "Expression": line.expression}
    stat = {
        "Metric": _metric(line.query),
        "Period": line.query.period_s,
        "Stat": line.query.statistic,
    }
    return {**shown, "MetricStat": stat}


def _metric(query: Query) -> dict[str, Any]:
    return {
        "Namespace": query.namespace,
        "MetricName": query.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions],
    }


# --- dashboards ---------------------------------------------------------------------------------


def body(dashboard: Dashboard, region: str) -> dict[str, Any]:
    """Return the body of the dashboard. Its graphs keep the periods that they were given."""
    text = {"markdown": dashboard.text}
    widgets = [{"type": "text", **_place(0, 0, 2 * _WIDTH, _TEXT_HEIGHT), "properties": text}]
    for number, widget in enumerate(dashboard.widgets):
        row, column = divmod(number, 2)
        place = _place(column * _WIDTH, _TEXT_HEIGHT + row * _HEIGHT, _WIDTH, _HEIGHT)
        drawn = _graph(widget, dashboard.moments, region)
        widgets.append({"type": "metric", **place, "properties": drawn})
    return {"start": _SHOWN, "periodOverride": "inherit", "widgets": widgets}


def _place(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"x": x, "y": y, "width": width, "height": height}


def _graph(widget: Widget, moments: Sequence[Moment], region: str) -> dict[str, Any]:
    axes = {"left": widget.left, "right": widget.right}
    horizontal = [_horizontal(bound) for bound in widget.bounds]
    vertical = [{"value": _stamp(one), "label": one.label} for one in moments]
    drawn = {"horizontal": horizontal, "vertical": vertical}
    return {
        "title": widget.title,
        "region": region,
        "view": "timeSeries",
        "stacked": False,
        "metrics": [_row(line) for line in widget.lines],
        "yAxis": {
            side: {"min": 0, "label": label, "showUnits": False}
            for side, label in axes.items()
            if label
        },
        "annotations": {kind: some for kind, some in drawn.items() if some},
    }


def _row(line: Line) -> list[Any]:
    """Return a series as a dashboard lists it: the metric word by word, and then how it looks."""
    side = {"yAxis": "right"} if line.right else {}
    look: Mapping[str, Any] = {"id": line.id, "label": line.label, "visible": line.shown, **side}
    if line.query is None:
        return [{**look, "expression": line.expression}]
    query = line.query
    words = [word for pair in query.dimensions for word in pair]
    measured = {"stat": query.statistic, "period": query.period_s}
    return [query.namespace, query.name, *words, {**look, **measured}]


def _horizontal(bound: Bound) -> dict[str, Any]:
    side = {"yAxis": "right"} if bound.right else {}
    return {"value": bound.value, "label": bound.label, **side}


def _stamp(moment: Moment) -> str:
    return f"{moment.at:%Y-%m-%dT%H:%M:%SZ}"
