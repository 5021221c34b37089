"""The monitoring of a policy as a CloudFormation template, from what the APIs are given too."""

import io
import json
import re
from typing import Any, Final

from controller.adapters.monitoring.spelling import alarm_properties, body, tags
from controller.core.monitoring import Monitoring

_REGION: Final = "${AWS::Region}"
_TOPIC: Final = "Topic"


def template(monitoring: Monitoring) -> str:
    """Return the template, as YAML. The stack's region is the region of the graphs."""
    from ruamel.yaml import YAML

    document = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Dashboard and alarms of {monitoring.policy}, by rolloutctl.",
        "Resources": _resources(monitoring),
    }
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.indent(sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda *_: True
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def _resources(monitoring: Monitoring) -> dict[str, Any]:
    tagged = tags(monitoring.policy)
    actions = [{"Ref": _TOPIC}] if monitoring.emails else []
    found = _topic(monitoring) if monitoring.emails else {}
    for alarm in monitoring.alarms:
        properties = {**alarm_properties(alarm, actions), "Tags": tagged}
        criterion = alarm.name.removeprefix(f"{monitoring.name}-")
        found[_free(f"Alarm{_word(criterion)}", found)] = {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": properties,
        }
    found["Dashboard"] = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": monitoring.dashboard.name,
            "DashboardBody": _body(monitoring),
            "Tags": tagged,
        },
    }
    return found


def _topic(monitoring: Monitoring) -> dict[str, Any]:
    properties = {"TopicName": monitoring.name, "Tags": tags(monitoring.policy)}
    subscriptions = {
        f"Subscription{number}": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {"TopicArn": {"Ref": _TOPIC}, "Protocol": "email", "Endpoint": email},
        }
        for number, email in enumerate(monitoring.emails, 1)
    }
    return {_TOPIC: {"Type": "AWS::SNS::Topic", "Properties": properties}, **subscriptions}


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
