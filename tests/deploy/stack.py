"""The template of deploy/, as a stack on the emulator and as plain data."""

import json
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from controller.immutable import Immutable
from tests.e2e.account import Account
from tests.e2e.role import EMULATOR_ACTIONS
from tests.support.emulator import WAITER_CONFIG

_ROOT: Final = Path(__file__).parents[2]
TEMPLATE: Final = _ROOT / "deploy" / "rolloutctl.yaml"
README: Final = (_ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
# The page with what was measured, for contributors.
DEPLOYMENT: Final = (_ROOT / "docs/contributors/deployment.md").read_text(encoding="utf-8")
NAME: Final = "shop"

_NO_VALUE: Final = {"Ref": "AWS::NoValue"}
# The emulator first ends the processes of functions of the same name, of earlier tests as well.
_LIMIT_S: Final = 60.0
_TRUSTING: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
_EXTERNAL_PARAMETERS: Final = {
    "Image": f"123456789012.dkr.ecr.us-east-1.amazonaws.com/rolloutctl@sha256:{'0' * 64}",
    "RepositoryArn": "arn:aws:ecr:us-east-1:123456789012:repository/rolloutctl",
    "Subnets": "subnet-1,subnet-2",
    "SecurityGroups": "sg-1",
    "StartTask": "yes",
    "Home": "scheduled-task",
}


def template() -> dict[str, Any]:
    """Return the parsed template, with YAML tags in their `Fn::...` form."""
    parsed: dict[str, Any] = json.loads(_template_json())
    return parsed


@cache
def _template_json() -> str:
    from cfnlint.decode import cfn_yaml  # slow to import

    return json.dumps(cfn_yaml.load(str(TEMPLATE)))


def template_of(home: str, **parameters: str) -> dict[str, Any]:
    """Return the template with what these parameters decide; other conditions stay as they are."""
    whole = template()
    given = {"Home": home, "MapChildren": "0", **parameters}
    conditions = whole["Conditions"]
    truths = {name: _truth(one, conditions, given) for name, one in conditions.items()}
    whole["Resources"] = {
        name: one
        for name, one in whole["Resources"].items()
        if truths.get(one.get("Condition")) is not False
    }
    resolved: dict[str, Any] = _resolved(whole, truths)
    return resolved


def _truth(one: Any, conditions: Mapping[str, Any], given: Mapping[str, str]) -> bool | None:
    """Return whether a condition holds; None: that depends on a parameter that is not given."""
    ((kind, parts),) = one.items()
    if kind == "Condition":
        return _truth(conditions[parts], conditions, given)
    if kind == "Fn::Equals":
        name = parts[0].get("Ref")
        return bool(given[name] == parts[1]) if name in given else None
    truths = [_truth(part, conditions, given) for part in parts]
    if kind == "Fn::Not":
        return None if truths[0] is None else not truths[0]
    decisive = bool(kind == "Fn::Or")
    if decisive in truths:
        return decisive
    return None if None in truths else not decisive


def _resolved(node: Any, truths: Mapping[str, bool | None]) -> Any:
    if isinstance(node, list):
        items = [_resolved(one, truths) for one in node]
        return [one for one in items if one != _NO_VALUE]
    if not isinstance(node, dict):
        return node
    if [*node] == ["Fn::If"]:
        condition, yes, no = node["Fn::If"]
        truth = truths[condition]
        if truth is not None:
            return _resolved(yes if truth else no, truths)
        return node
    resolved = {name: _resolved(one, truths) for name, one in node.items()}
    return {name: one for name, one in resolved.items() if one != _NO_VALUE}


def resources(kind: str, home: str = "scheduled-task", **parameters: str) -> dict[str, Any]:
    """Return the properties of every resource of one type in a home, by its name."""
    items = template_of(home, **parameters)["Resources"].items()
    return {name: one["Properties"] for name, one in items if one["Type"] == kind}


def filters(metric: str, home: str = "scheduled-task", **parameters: str) -> list[dict[str, Any]]:
    """Return the filters that publish a metric in a home."""
    all_filters = resources("AWS::Logs::MetricFilter", home, **parameters).values()
    return [one for one in all_filters if one["MetricTransformations"][0]["MetricName"] == metric]


class Stack(Immutable):
    """A created stack of the template. ids: physical ids, by the logical names of the template."""

    account: Account
    ids: Mapping[str, str]

    @classmethod
    def create(cls, account: Account, **parameters: str) -> "Stack":
        """Create the stack, and wait until it is complete. Raises AssertionError when it fails."""
        values = {**_EXTERNAL_PARAMETERS, **parameters}
        client = _cloudformation(account)
        client.create_stack(**_request(values))
        return cls(account, _ids_once(client, "CREATE_COMPLETE"))

    def update(self, **parameters: str) -> "Stack":
        """Update the stack with these parameters; return it once that is complete."""
        client = _cloudformation(self.account)
        client.update_stack(**_request({**_EXTERNAL_PARAMETERS, **parameters}))
        return Stack(self.account, _ids_once(client, "UPDATE_COMPLETE"))

    def delete(self) -> None:
        """Delete the stack, and wait until it is gone."""
        client = _cloudformation(self.account)
        client.delete_stack(StackName=NAME)
        client.get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig=WAITER_CONFIG)

    def role_document(self, role: str) -> dict[str, Any]:
        """Return what the policies of a role say together, in the order of their statements."""
        documents = self.documents(role).values()
        statements = [one for document in documents for one in document["Statement"]]
        return {
            "Version": "2012-10-17",
            "Statement": sorted(statements, key=lambda one: one["Sid"]),
        }

    def documents(self, role: str) -> dict[str, dict[str, Any]]:
        """Return the policies of a role, by their names, without the one of its logs."""
        iam, name = self.account.client("iam"), self.ids[role]
        names = iam.list_role_policies(RoleName=name)["PolicyNames"]
        return {
            one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"]
            for one in names
            if one != "write-logs"
        }

    def grant_as_emulator(self, role: str) -> None:
        """Let a role do on the emulator what its policies allow at AWS.

        The emulator gives no request a leading key, so `Null`, which asks for one, is taken away;
        and it asks for other actions where AWS has one for each call of an alias.
        """
        iam = self.account.client("iam")
        for policy, document in self.documents(role).items():
            for one in document["Statement"]:
                one.get("Condition", {}).pop("Null", None)
                one["Action"] += [EMULATOR_ACTIONS.get(action, action) for action in one["Action"]]
            iam.put_role_policy(
                RoleName=self.ids[role], PolicyName=policy, PolicyDocument=json.dumps(document)
            )

    def hold_schedule(self) -> dict[str, Any]:
        """Switch the schedule off, which the emulator runs, and return its target."""
        client = self.account.client("scheduler")
        schedule = client.get_schedule(Name=self.ids["Schedule"])
        kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        client.update_schedule(State="DISABLED", **{name: schedule[name] for name in kept})
        target: dict[str, Any] = schedule["Target"]
        return target

    def scheduled_task(self) -> str:
        """Return the ARN of the task definition that the schedule runs."""
        schedule = self.account.client("scheduler").get_schedule(Name=self.ids["Schedule"])
        return str(schedule["Target"]["EcsParameters"]["TaskDefinitionArn"])

    def task(self, arn: str) -> "Task":
        """Return the command, variables and role of a task definition."""
        answer = self.account.client("ecs").describe_task_definition(taskDefinition=arn)
        definition = answer["taskDefinition"]
        (container,) = definition["containerDefinitions"]
        variables = {one["name"]: one["value"] for one in container["environment"]}
        return Task(container["command"], variables, definition["taskRoleArn"])

    def keys(self, role_arn: str) -> dict[str, str]:
        """Return the session keys of a role as environment variables.

        The role trusts only ECS, so its trust policy is changed to trust this account as well.
        """
        iam, sts = (self.account.client(service) for service in ("iam", "sts"))
        (role,) = [name for name, one in self.ids.items() if role_arn.endswith(f"/{one}")]
        self.grant_as_emulator(role)
        trust = iam.get_role(RoleName=self.ids[role])["Role"]["AssumeRolePolicyDocument"]
        if trust != _TRUSTING:  # else these keys were taken before
            with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
                sts.assume_role(RoleArn=role_arn, RoleSessionName="person")
        iam.update_assume_role_policy(
            RoleName=role_arn.rpartition("/")[2], PolicyDocument=json.dumps(_TRUSTING)
        )
        keys = sts.assume_role(RoleArn=role_arn, RoleSessionName="task")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }


def _cloudformation(account: Account) -> Any:
    return account.emulator.client("cloudformation", account.number, patience_s=_LIMIT_S)


def _request(values: Mapping[str, str]) -> dict[str, Any]:
    return {
        "StackName": NAME,
        "TemplateBody": TEMPLATE.read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
        ],
        "Capabilities": ["CAPABILITY_IAM"],
    }


def _ids_once(client: Any, wanted: str) -> Mapping[str, str]:
    """Wait until the stack has this status, and return its physical ids by their logical names."""
    status, deadline = "IN_PROGRESS", time.monotonic() + _LIMIT_S
    while status.endswith("IN_PROGRESS") and time.monotonic() < deadline:
        time.sleep(0.05)
        (stack,) = client.describe_stacks(StackName=NAME)["Stacks"]
        status = stack["StackStatus"]
    assert status == wanted, client.describe_stack_events(StackName=NAME)
    found = client.describe_stack_resources(StackName=NAME)["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}


class Task(Immutable):
    """A task definition: the command, the environment and the role of its container."""

    command: list[str]
    variables: Mapping[str, str]
    role: str
