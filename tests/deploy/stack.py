"""The template of deploy/, as a stack of the emulator and as plain data."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from cfnlint.decode import cfn_yaml

from tests.e2e.account import Account

TEMPLATE: Final = Path(__file__).parents[2] / "deploy" / "rolloutctl.yaml"
NAME: Final = "shop"

_LIMIT_S: Final = 30.0
_TRUSTING: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
_ELSEWHERE: Final = {
    "Image": f"registry.example.com/rolloutctl@sha256:{'0' * 64}",
    "Subnets": "subnet-1,subnet-2",
    "SecurityGroups": "sg-1",
    "StartTask": "yes",
}


def template() -> dict[str, Any]:
    """Return the template; what YAML spells as a tag is `Fn::...` here."""
    found: dict[str, Any] = cfn_yaml.load(str(TEMPLATE))
    return found


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of every resource of one type, by its name in the template."""
    found = template()["Resources"].items()
    return {name: one["Properties"] for name, one in found if one["Type"] == kind}


def filters(metric: str) -> list[dict[str, Any]]:
    """Return the filters that publish a metric."""
    found = resources("AWS::Logs::MetricFilter").values()
    return [one for one in found if one["MetricTransformations"][0]["MetricName"] == metric]


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack of the template that was created. ids: by the name that a resource has there."""

    account: Account
    ids: Mapping[str, str]

    @classmethod
    def create(cls, account: Account, **parameters: str) -> "Stack":
        """Create it with these parameters, and wait until it is there. Raises AssertionError."""
        client = account.client("cloudformation")
        given = {**_ELSEWHERE, **parameters}
        client.create_stack(
            StackName=NAME,
            TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        status, deadline = "CREATE_IN_PROGRESS", time.monotonic() + _LIMIT_S
        while status == "CREATE_IN_PROGRESS" and time.monotonic() < deadline:
            time.sleep(0.05)
            (stack,) = client.describe_stacks(StackName=NAME)["Stacks"]
            status = stack["StackStatus"]
        assert status == "CREATE_COMPLETE", client.describe_stack_events(StackName=NAME)
        made = client.describe_stack_resources(StackName=NAME)["StackResources"]
        return cls(account, {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in made})

    def role_document(self, role: str) -> dict[str, Any]:
        """Return the one policy document of a role."""
        iam, name = self.account.client("iam"), self.ids[role]
        (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
        found: dict[str, Any] = iam.get_role_policy(RoleName=name, PolicyName=policy)[
            "PolicyDocument"
        ]
        return found

    def scheduled_task(self) -> str:
        """Return the ARN of the task definition that the schedule runs."""
        found = self.account.client("scheduler").get_schedule(Name=self.ids["Schedule"])
        return str(found["Target"]["EcsParameters"]["TaskDefinitionArn"])

    def task(self, arn: str) -> "Task":
        """Return what a container of a task definition is started with."""
        found = self.account.client("ecs").describe_task_definition(taskDefinition=arn)
        definition = found["taskDefinition"]
        (container,) = definition["containerDefinitions"]
        variables = {one["name"]: one["value"] for one in container["environment"]}
        return Task(container["command"], variables, definition["taskRoleArn"])

    def keys(self, role_arn: str) -> dict[str, str]:
        """Return the variables with which a process acts as a role, as ECS gives them to a task.

        The role trusts ECS alone, so it is made to trust this account, too.
        """
        iam, sts = (self.account.client(service) for service in ("iam", "sts"))
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


@dataclass(frozen=True, slots=True)
class Task:
    """What ECS starts a container with: its command, its variables, and its role."""

    command: list[str]
    variables: Mapping[str, str]
    role: str
