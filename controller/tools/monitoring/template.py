"""The monitoring of a policy as a CloudFormation template."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from controller.core.observation import MetricQuery
from controller.ports.monitoring import NO_TEMPLATE, Template
from controller.tools.monitoring.resources import (
    BoundLine,
    CriterionAlarm,
    Dashboard,
    Line,
    Moment,
    Monitoring,
    Widget,
)

_STATISTICS: Final = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")

_ALARM_NOTE: Final = (
    "It pages when rolloutctl does not run; rolloutctl itself judges by its policy."
)

# Two days show the 26 hours of a typical rollout, and the day before it.
_DASHBOARD_START: Final = "-P2D"
_WIDTH, _HEIGHT, _TEXT_HEIGHT = 12, 7, 3  # of 24 columns
# An alarm of a single window ends after so many without a breach: a count that goes above its bound
# and below it by turns is one problem, and pages once.
_CALM_PERIODS: Final = 3

_REGION: Final = "${AWS::Region}"

_TOPIC: Final = "Topic"

# The moments of a rollout in the body of a dashboard, which is JSON inside JSON.
_MOMENTS: Final = re.compile(r'(, )?\\"vertical\\": \[[^\]]*\]')


def template_of(monitoring: Monitoring, deployed: Template = NO_TEMPLATE) -> Template:
    """Return the CloudFormation template; graphs show the region of the stack.

    deployed: the template of the deployed stack. Its e-mail addresses are kept when `monitoring`
    has none, and so are its alarms whose baseline is not known here.
    """
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Dashboard and alarms of {monitoring.policy}, by rolloutctl.",
        "Resources": _resources(monitoring, deployed),
    }


def _resources(monitoring: Monitoring, deployed: Template) -> dict[str, Any]:
    deployed_resources = deployed.get("Resources", {})
    old = map(properties, deployed_resources.values())
    old_emails = [one["Endpoint"] for one in old if one.get("Protocol") == "email"]
    resources = _topic(monitoring.name, monitoring.emails or old_emails)
    actions = [{"Ref": _TOPIC}] if resources else []
    for name, resource in deployed_resources.items():
        if properties(resource).get("AlarmName") in monitoring.alarms_without_baseline:
            resources[name] = {
                **resource,
                "Properties": {**properties(resource), "AlarmActions": actions},
            }
    for alarm in monitoring.alarms:
        # A logical id has only letters and digits: `a-b` and `a.b` would have the same one.
        words = re.findall("[A-Za-z0-9]+", alarm.name.removeprefix(f"{monitoring.name}-"))
        identity = f"Alarm{''.join(word[0].upper() + word[1:] for word in words)}"
        while identity in resources:
            identity += "X"
        resources[identity] = {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": alarm_properties(alarm, actions),
        }
    body = json.dumps(dashboard_body(monitoring.dashboard, "\0"), ensure_ascii=False)
    resources["Dashboard"] = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": monitoring.dashboard.name,
            # CloudFormation substitutes the region in it, and nothing else.
            "DashboardBody": {
                "Fn::Sub": body.replace("${", "${!").replace(json.dumps("\0"), f'"{_REGION}"')
            },
        },
    }
    return resources


def _topic(name: str, emails: Collection[str]) -> dict[str, Any]:
    """Return the topic and its subscriptions; nothing without an address."""
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


def properties(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the properties of a resource; empty when it has none."""
    values: Mapping[str, Any] = resource.get("Properties", {})
    return values


# --- Differences from a deployed template ---------------------------------------------------------


def differing_resources(template: Template, deployed: Template) -> tuple[str, ...]:
    """Return the logical ids of the resources that differ.

    The moments of a rollout in the graphs are ignored: they change after each deployment.
    """
    generated, current = _without_moments(template), _without_moments(deployed)
    return tuple(
        name for name in {**generated, **current} if generated.get(name) != current.get(name)
    )


def _without_moments(template: Template) -> dict[str, str]:
    """Return each resource as JSON text, without the moments of a rollout."""
    return {
        name: _MOMENTS.sub("", json.dumps(one, sort_keys=True, default=str))
        for name, one in template.get("Resources", {}).items()
    }


# --- Alarms ---------------------------------------------------------------------------------------


def alarm_properties(alarm: CriterionAlarm, actions: Sequence[Any]) -> dict[str, Any]:
    """Return the properties of the alarm. actions: references to the topics that it notifies."""
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": f"{alarm.text} {_ALARM_NOTE}",
        "AlarmActions": list(actions),
        **_metric_properties(alarm),
        "EvaluationPeriods": _CALM_PERIODS if alarm.periods == 1 else alarm.periods,
        "DatapointsToAlarm": alarm.periods,
        "Threshold": alarm.threshold,
        "ComparisonOperator": "GreaterThanThreshold" if alarm.above else "LessThanThreshold",
        "TreatMissingData": alarm.missing,
    }


def _metric_properties(alarm: CriterionAlarm) -> dict[str, Any]:
    """Return the metric of an alarm: one statistic, or an expression over several."""
    single_query = alarm.lines[0].query if len(alarm.lines) == 1 else None
    if single_query is None:
        return {"Metrics": [_metric_query(line) for line in alarm.lines]}
    standard = single_query.statistic in _STATISTICS
    ignored = alarm.ignores_few_samples
    low_samples = {"EvaluateLowSampleCountPercentile": "ignore"} if ignored else {}
    return {
        **_metric(single_query),
        "Statistic" if standard else "ExtendedStatistic": single_query.statistic,
        "Period": single_query.period_s,
        **low_samples,
    }


def _metric_query(line: Line) -> dict[str, Any]:
    entry = {"Id": line.id, "Label": line.label, "ReturnData": line.visible}
    if line.query is None:
        return {**entry, "Expression": line.expression}
    stat = {
        "Metric": _metric(line.query),
        "Period": line.query.period_s,
        "Stat": line.query.statistic,
    }
    return {**entry, "MetricStat": stat}


def _metric(query: MetricQuery) -> dict[str, Any]:
    return {
        "Namespace": query.namespace,
        "MetricName": query.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions],
    }


# --- Dashboard ------------------------------------------------------------------------------------


def dashboard_body(dashboard: Dashboard, region: str) -> dict[str, Any]:
    """Return the body of the dashboard; its graphs keep their own periods."""
    text = {"markdown": dashboard.text}
    widgets = [{"type": "text", **_position(0, 0, 2 * _WIDTH, _TEXT_HEIGHT), "properties": text}]
    for number, widget in enumerate(dashboard.widgets):
        row, column = divmod(number, 2)
        position = _position(column * _WIDTH, _TEXT_HEIGHT + row * _HEIGHT, _WIDTH, _HEIGHT)
        graph = _graph(widget, dashboard.moments, region)
        widgets.append({"type": "metric", **position, "properties": graph})
    return {"start": _DASHBOARD_START, "periodOverride": "inherit", "widgets": widgets}


def _position(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"x": x, "y": y, "width": width, "height": height}


def _graph(widget: Widget, moments: Sequence[Moment], region: str) -> dict[str, Any]:
    axes = {"left": widget.left, "right": widget.right}
    horizontal = [{"value": one.value, "label": one.label, **_side(one)} for one in widget.bounds]
    vertical = [
        {"value": f"{moment.at:%Y-%m-%dT%H:%M:%SZ}", "label": moment.label} for moment in moments
    ]
    annotations = {"horizontal": horizontal, "vertical": vertical}
    return {
        "title": widget.title,
        "region": region,
        "view": "timeSeries",
        "stacked": False,
        "metrics": [_metric_row(line) for line in widget.lines],
        "yAxis": {
            side: {"min": 0, "label": label, "showUnits": False}
            for side, label in axes.items()
            if label
        },
        "annotations": {kind: values for kind, values in annotations.items() if values},
    }


def _metric_row(line: Line) -> list[Any]:
    """Return a series in the array syntax of dashboards: the metric, then its options."""
    options: Mapping[str, Any] = {
        "id": line.id,
        "label": line.label,
        "visible": line.visible,
        **_side(line),
    }
    if line.query is None:
        return [{**options, "expression": line.expression}]
    query = line.query
    words = [word for pair in query.dimensions for word in pair]
    statistic = {"stat": query.statistic, "period": query.period_s}
    return [query.namespace, query.name, *words, {**options, **statistic}]


def _side(line: Line | BoundLine) -> dict[str, str]:
    return {"yAxis": "right"} if line.right else {}
