"""The monitoring of a policy as a CloudFormation template."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from controller.core.observation import MetricQuery
from controller.operations.monitoring.resources import (
    Alarm,
    Bound,
    Dashboard,
    Line,
    Moment,
    Monitoring,
    Widget,
)
from controller.ports.monitoring import NO_TEMPLATE, Template

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


def _metric(query: MetricQuery) -> dict[str, Any]:
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


# --- The template ---------------------------------------------------------------------------------

_REGION: Final = "${AWS::Region}"
_TOPIC: Final = "Topic"
# What a graph shows of a rollout, inside the body of a dashboard: JSON inside JSON.
_STEPS: Final = re.compile(r'(, )?\\"vertical\\": \[[^\]]*\]')


def document(monitoring: Monitoring, deployed: Template = NO_TEMPLATE) -> Template:
    """Return the template. The stack's region is the region of the graphs.

    deployed: the template that the stack has. Its e-mail addresses stay when `monitoring` names
    none, and so do its alarms whose baseline is not known here.
    """
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Dashboard and alarms of {monitoring.policy}, by rolloutctl.",
        "Resources": _resources(monitoring, deployed),
    }


def properties(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the properties of a resource, which may have none."""
    found: Mapping[str, Any] = resource.get("Properties", {})
    return found


def differing(template: Template, deployed: Template) -> tuple[str, ...]:
    """Return the logical ids of the resources that differ.

    The steps of a rollout in the graphs do not count: they go on after each deployment.
    """
    ours, theirs = _without_steps(template), _without_steps(deployed)
    return tuple(name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))


def _without_steps(template: Template) -> dict[str, str]:
    """Return each resource as text, without what its graphs show of a rollout."""
    return {
        name: _STEPS.sub("", json.dumps(one, sort_keys=True, default=str))
        for name, one in template.get("Resources", {}).items()
    }


def _resources(monitoring: Monitoring, deployed: Template) -> dict[str, Any]:
    there = deployed.get("Resources", {})
    found = _topic(monitoring.name, monitoring.emails or _emails(there))
    actions = [{"Ref": _TOPIC}] if found else []
    for name, one in there.items():
        if properties(one).get("AlarmName") in monitoring.unknown:
            found[name] = {**one, "Properties": {**properties(one), "AlarmActions": actions}}
    for alarm in monitoring.alarms:
        criterion = alarm.name.removeprefix(f"{monitoring.name}-")
        found[_free(f"Alarm{_word(criterion)}", found)] = {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": alarm_properties(alarm, actions),
        }
    found["Dashboard"] = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": monitoring.dashboard.name,
            "DashboardBody": _body(monitoring),
        },
    }
    return found


def _emails(resources: Mapping[str, Any]) -> tuple[str, ...]:
    found = map(properties, resources.values())
    return tuple(one["Endpoint"] for one in found if one.get("Protocol") == "email")


def _topic(name: str, emails: Collection[str]) -> dict[str, Any]:
    """Return the topic with its subscriptions; nothing where there is no address."""
    if not emails:
        return {}
    subscriptions = {
        f"Subscription{number}": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {"TopicArn": {"Ref": _TOPIC}, "Protocol": "email", "Endpoint": email},
        }
        for number, email in enumerate(emails, 1)
    }
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}
    return {_TOPIC: topic, **subscriptions}


def _body(monitoring: Monitoring) -> dict[str, str]:
    """Return the body, in which CloudFormation fills in the region and leaves all else alone."""
    drawn = json.dumps(body(monitoring.dashboard, "\0"), ensure_ascii=False)
    return {"Fn::Sub": drawn.replace("${", "${!").replace(json.dumps("\0"), f'"{_REGION}"')}


def _word(name: str) -> str:
    """Return `name` as resources of a template are called: auth-failures is AuthFailures."""
    return "".join(one[0].upper() + one[1:] for one in re.findall("[A-Za-z0-9]+", name))


def _free(identity: str, taken: dict[str, Any]) -> str:
    """Return a name of a resource that no other has: `a-b` and `a.b` are spelt alike there."""
    while identity in taken:
        identity += "X"
    return identity
