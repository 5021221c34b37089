"""A role of the emulator: it may do what one IAM policy says, and acts by session keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

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


def _as_the_emulator_asks(grant: Grant) -> Grant:
    """Return `grant` in the emulator's words, where they are not those of AWS.

    It takes one call for another one, a log group without the end that AWS's rules ask for, and
    does not know which stack a call is about.
    """
    action, on = grant
    if action.startswith("cloudformation:"):
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
        case "cloudformation", _:
            on = f"arn:aws:cloudformation:us-east-1:{account}:stack/rolloutctl-execution-api/*"
            tagged = {("cloudformation:TagResource", on)} if "Tags" in request else set()
            return {(f"cloudformation:{operation}", on), *tagged}
        case "sns", "ListSubscriptionsByTopic":
            return {(f"sns:{operation}", str(request["TopicArn"]))}
        case "sts", "GetCallerIdentity":
            return set()  # STS answers whoever has credentials
        case _:
            return {(f"{service}:{operation}", "*")}


def _table(request: Mapping[str, Any], account: str) -> str:
    index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
    return f"arn:aws:dynamodb:us-east-1:{account}:table/{request['TableName']}{index}"
