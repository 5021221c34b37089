"""A role of the emulator with one IAM policy, whose session keys this process uses."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import pytest

from controller.immutable import Immutable
from tests.e2e.account import Account

Document: TypeAlias = Mapping[str, Any]
# An action, and the ARN of its resource.
Grant: TypeAlias = tuple[str, str]


def make_role(iam: Any, name: str, trusted: Mapping[str, str]) -> str:
    """Create the role `name`, which `trusted` may assume, and return its ARN."""
    trust = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
    return str(made["Role"]["Arn"])


class Role(Immutable):
    """One role in `account`; the environment of this process gets its session keys."""

    account: Account
    monkeypatch: pytest.MonkeyPatch

    def may(self, document: Document) -> None:
        """Create the role with `document`, and act as it from now on."""
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
    """Yield the grants of `document`."""
    for statement in document["Statement"]:
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                yield action, resource


def of(granted: Sequence[Grant]) -> Document:
    """Return a document with which the emulator allows exactly `granted`."""
    statements = [
        {"Effect": "Allow", "Action": [action], "Resource": [on]}
        for action, on in map(_as_emulator_grant, granted)
    ]
    return {"Version": "2012-10-17", "Statement": statements}


EMULATOR_ACTIONS: Final = {
    "lambda:ListProvisionedConcurrencyConfigs": "lambda:GetFunction",
    "lambda:GetProvisionedConcurrencyConfig": "lambda:GetFunction",
    "lambda:GetAlias": "lambda:ListAliases",
    "lambda:UpdateAlias": "lambda:ListAliases",
}


def _as_emulator_grant(grant: Grant) -> Grant:
    """Return `grant` as the emulator evaluates it, where that differs from AWS.

    It maps some calls to other actions (reading and writing an alias to the same one), wants log
    groups without the suffix that AWS requires, and does not know the stack of a call.
    """
    action, on = grant
    if action.startswith("cloudformation:"):
        return action, "*"
    if action in EMULATOR_ACTIONS:
        return EMULATOR_ACTIONS[action], on
    return action, on.removesuffix(":*") if action.startswith("logs:") else on


# --- needed grants ------------------------------------------------------------------------------


def needed_grants(
    service: str, operation: str, request: Mapping[str, Any], account: str
) -> set[Grant]:
    """Return the grants that one call needs; a transaction needs those of its parts."""
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            return {
                (f"dynamodb:{kind}Item", _table(one, account))
                for part in request["TransactItems"]
                for kind, one in part.items()
            }
        case "dynamodb", _:
            return {(f"dynamodb:{operation}", _table(request, account))}
        case "lambda", _ if "FunctionName" in request:
            name = f"function:{request['FunctionName']}"
            return {(f"lambda:{operation}", f"arn:aws:lambda:us-east-1:{account}:{name}")}
        case "logs", _:
            name = f"log-group:{request['logGroupName']}:*"
            return {(f"logs:{operation}", f"arn:aws:logs:us-east-1:{account}:{name}")}
        case "cloudformation", _:
            on = f"arn:aws:cloudformation:us-east-1:{account}:stack/rolloutctl-execution-api/*"
            tagged = {("cloudformation:TagResource", on)} if "Tags" in request else set()
            return {(f"cloudformation:{operation}", on), *tagged}
        case "sns", "ListSubscriptionsByTopic":
            return {(f"sns:{operation}", str(request["TopicArn"]))}
        case "sts", "GetCallerIdentity":
            return set()  # STS answers every caller with credentials
        case _:
            return {(f"{service}:{operation}", "*")}


def _table(request: Mapping[str, Any], account: str) -> str:
    index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
    table = request.get("TableName") or next(iter(request["RequestItems"]))
    return f"arn:aws:dynamodb:us-east-1:{account}:table/{table}{index}"
