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

TEMPLATE: Final = Path(__file__).parents[2] / "deploy" / "rolloutctl.yaml"
NAME: Final = "shop"

_LIMIT_S: Final = 30.0
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
}


def template() -> dict[str, Any]:
    """Return the parsed template, with YAML tags in their `Fn::...` form."""
    parsed: dict[str, Any] = json.loads(_template_json())
    return parsed


@cache
def _template_json() -> str:
    from cfnlint.decode import cfn_yaml  # slow to import

    return json.dumps(cfn_yaml.load(str(TEMPLATE)))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of every resource of one type, by its name in the template."""
    items = template()["Resources"].items()
    return {name: one["Properties"] for name, one in items if one["Type"] == kind}


def filters(metric: str) -> list[dict[str, Any]]:
    """Return the filters that publish a metric."""
    all_filters = resources("AWS::Logs::MetricFilter").values()
    return [one for one in all_filters if one["MetricTransformations"][0]["MetricName"] == metric]


class Stack(Immutable):
    """A created stack of the template. ids: physical ids, by the logical names of the template."""

    account: Account
    ids: Mapping[str, str]

    @classmethod
    def create(cls, account: Account, **parameters: str) -> "Stack":
        """Create the stack, and wait until it is complete. Raises AssertionError when it fails."""
        client = account.client("cloudformation")
        values = {**_EXTERNAL_PARAMETERS, **parameters}
        client.create_stack(
            StackName=NAME,
            TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        status, deadline = "CREATE_IN_PROGRESS", time.monotonic() + _LIMIT_S
        while status == "CREATE_IN_PROGRESS" and time.monotonic() < deadline:
            time.sleep(0.05)
            (stack,) = client.describe_stacks(StackName=NAME)["Stacks"]
            status = stack["StackStatus"]
        assert status == "CREATE_COMPLETE", client.describe_stack_events(StackName=NAME)
        resources_of_stack = client.describe_stack_resources(StackName=NAME)["StackResources"]
        return cls(
            account,
            {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources_of_stack},
        )

    def role_document(self, role: str) -> dict[str, Any]:
        """Return the one policy document of a role."""
        iam, name = self.account.client("iam"), self.ids[role]
        (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
        document: dict[str, Any] = iam.get_role_policy(RoleName=name, PolicyName=policy)[
            "PolicyDocument"
        ]
        return document

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

        The role trusts only ECS, so its trust policy is changed to trust this account as well. The
        emulator gives no request a leading key, so `Null`, which asks for one, is taken away.
        """
        iam, sts = (self.account.client(service) for service in ("iam", "sts"))
        (role,) = [name for name, one in self.ids.items() if role_arn.endswith(f"/{one}")]
        document = self.role_document(role)
        for one in document["Statement"]:
            one.get("Condition", {}).pop("Null", None)
        (policy,) = iam.list_role_policies(RoleName=self.ids[role])["PolicyNames"]
        iam.put_role_policy(
            RoleName=self.ids[role], PolicyName=policy, PolicyDocument=json.dumps(document)
        )
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


class Task(Immutable):
    """A task definition: the command, the environment and the role of its container."""

    command: list[str]
    variables: Mapping[str, str]
    role: str
