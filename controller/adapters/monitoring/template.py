"""The monitoring of a policy as a CloudFormation template."""

import io
import json
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from controller.adapters.monitoring.spelling import alarm_properties, body
from controller.core.monitoring import Monitoring

Template: TypeAlias = Mapping[str, Any]

NO_TEMPLATE: Final[Template] = MappingProxyType({})
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


def as_yaml(template: Template) -> str:
    """Return the template as text."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.indent(sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda *_: True
    text = io.StringIO()
    yaml.dump(template, text)
    return text.getvalue()


def parsed(text: str) -> Template:
    """Return the template in `text`; an empty one when it has tags, which rolloutctl never uses."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return dict(YAML(typ="safe").load(text))
    except YAMLError:
        return NO_TEMPLATE


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
