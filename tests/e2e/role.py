"""A role of the emulator: it may do what one IAM policy says, and acts by session keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pytest

from tests.e2e.account import Account

Document: TypeAlias = Mapping[str, Any]
# An action, and the ARN that it is asked of.
Grant: TypeAlias = tuple[str, str]


def make_role(iam: Any, name: str, trusted: Mapping[str, str]) -> str:
    """Make the role `name`, which `trusted` may assume, and return its ARN."""
    trust = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
    return str(made["Role"]["Arn"])


@dataclass(frozen=True, slots=True)
class Role:
    """One role in `account`, and the environment of this process, in which it acts."""

    account: Account
    monkeypatch: pytest.MonkeyPatch

    def may(self, document: Document) -> None:
        """From now on this process acts as the role, which may do what `document` says."""
        iam, sts = (self.account.client(service) for service in ("iam", "sts"))
        arn = make_role(iam, "rolloutctl", {"AWS": "*"})
        iam.put_role_policy(
            RoleName="rolloutctl", PolicyName="least", PolicyDocument=json.dumps(document)
        )
        keys = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        self.monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
        self.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        self.monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])


# --- documents ----------------------------------------------------------------------------------


def grants(document: Document) -> Iterator[Grant]:
    """Yield what `document` allows."""
    for statement in document["Statement"]:
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                yield action, resource


def of(granted: Sequence[Grant]) -> Document:
    """Return the document with which the emulator allows what is `granted`, and nothing else."""
    statements = [
        {"Effect": "Allow", "Action": [action], "Resource": [on]}
        for action, on in map(_as_the_emulator_asks, granted)
    ]
    return {"Version": "2012-10-17", "Statement": statements}


_WITHOUT_A_RESOURCE: Final = (
    "cloudwatch:DeleteAlarms",
    "cloudwatch:DeleteDashboards",
    "cloudwatch:GetDashboard",
    "cloudwatch:ListTagsForResource",
    "cloudwatch:PutDashboard",
    "sns:ListTagsForResource",
)


def _as_the_emulator_asks(grant: Grant) -> Grant:
    """Return `grant` in the emulator's words, where they are not those of AWS.

    It takes one call for another one, a log group without the end that AWS's rules ask for, and
    knows the resource of few calls that are about alarms, dashboards and tags.
    """
    action, on = grant
    if action in _WITHOUT_A_RESOURCE:
        return action, "*"
    if action == "lambda:ListProvisionedConcurrencyConfigs":
        return "lambda:GetFunction", on
    return action, on.removesuffix(":*") if action.startswith("logs:") else on


# --- what is asked ------------------------------------------------------------------------------


def asked(service: str, operation: str, request: Mapping[str, Any], account: str) -> set[Grant]:
    """Return what IAM looks up for one call; a transaction is what it is made of."""
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            return {
                (f"dynamodb:{kind}Item", _table(one, account))
                for part in request["TransactItems"]
                for kind, one in part.items()
            }
        case "dynamodb", _:
            return {(f"dynamodb:{operation}", _table(request, account))}
        case "lambda", _:
            name = f"function:{request['FunctionName']}"
            return {(f"lambda:{operation}", f"arn:aws:lambda:us-east-1:{account}:{name}")}
        case "logs", _:
            name = f"log-group:{request['logGroupName']}:*"
            return {(f"logs:{operation}", f"arn:aws:logs:us-east-1:{account}:{name}")}
        case "cloudwatch" | "sns", _ if _watches(operation):
            on = _watching(service, request, account)
            tagged = {(f"{service}:TagResource", on)} if "Tags" in request else set()
            return {(f"{service}:{operation}", on), *tagged}
        case "sts", "GetCallerIdentity":
            return set()  # STS answers whoever has credentials
        case _:
            return {(f"{service}:{operation}", "*")}


def _watches(operation: str) -> bool:
    """Tell whether a call is about one alarm, dashboard or topic."""
    return operation not in ("DescribeAlarms", "GetMetricData", "ListMetrics")


def _watching(service: str, request: Mapping[str, Any], account: str) -> str:
    """Return the ARN of what a call is about; of an alarm, that of all alarms of its policy."""
    arn = next((str(one) for key, one in request.items() if key.lower().endswith("arn")), "")
    alarms = [request.get("AlarmName", ""), *request.get("AlarmNames", ())]
    dashboards = [request.get("DashboardName", ""), *request.get("DashboardNames", ())]
    if alarm := next(filter(None, alarms), arn.partition(":alarm:")[2]):
        name = alarm.replace(alarm.removeprefix("rolloutctl-execution-api-"), "*")
        return f"arn:aws:cloudwatch:us-east-1:{account}:alarm:{name}"
    if dashboard := next(filter(None, dashboards), ""):
        return f"arn:aws:cloudwatch::{account}:dashboard/{dashboard}"
    return arn or f"arn:aws:{service}:us-east-1:{account}:{request['Name']}"


def _table(request: Mapping[str, Any], account: str) -> str:
    index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
    return f"arn:aws:dynamodb:us-east-1:{account}:table/{request['TableName']}{index}"
