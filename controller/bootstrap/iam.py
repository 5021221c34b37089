"""The least IAM policy of a role: what the adapters declare, narrowed to what is named."""

import pkgutil
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from controller import adapters
from controller.adapters.aws import Clients, partition_of, region_here
from controller.adapters.caller import caller
from controller.adapters.lambda_function import identity
from controller.adapters.log_events import default_group
from controller.adapters.permission import ANY, Job, Permission
from controller.core.monitoring import name_of
from controller.core.policy import (
    Alarm,
    EventBridgeChannel,
    HttpsHook,
    LambdaHook,
    LogEvents,
    Policy,
    SlackChannel,
    SnsChannel,
)
from controller.errors import UsageError
from controller.settings import DynamoDbPlace, Place

__all__ = ["Job", "Where", "declared", "document", "here", "keys_of", "parameters"]

_VERSION: Final = "2012-10-17"  # of IAM's policy language; there is no newer one
_NAME: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Where:
    """Where a role acts. What is not known is left to CloudFormation's `Fn::Sub`."""

    account: str = "${AWS::AccountId}"
    region: str = "${AWS::Region}"
    partition: str = "${AWS::Partition}"

    @classmethod
    def of(cls, account: str | None, region: str | None) -> "Where":
        """Return what is known from an account and a region; the AWS variables may name that.

        Raises UsageError when no partition has such a region.
        """
        known = {"account": account} if account else {}
        if region := region or region_here():
            known |= {"region": region, "partition": partition_of(region)}
        return cls(**known)

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a `resource` there."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """Return the ARN of a `resource` that is the same in every region."""
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"


def here(instead: str = "give --account, not --live") -> Where:
    """Return where the credentials of this process act.

    instead: what to do when AWS is silent, which is a UsageError.
    """
    clients = Clients()
    region = clients.get("sts").meta.region_name
    who = caller(clients)
    if not who:
        raise UsageError(f"AWS does not say whose credentials these are: {instead}")
    return Where.of(who.split(":")[4], region)


def keys_of(policies: Iterable[Policy]) -> list[str]:
    """Return the ARNs of the customer keys on the environments of these functions.

    Raises UsageError, TargetError when Lambda does not answer.
    """
    client = Clients().get("lambda")
    found = [identity(client, policy.target.function).key for policy in policies]
    return [key for key in dict.fromkeys(found) if key]


def declared() -> Iterator[tuple[str, Sequence[Permission]]]:
    """Yield every adapter that asks AWS for something, by its module, with its permissions."""
    for module in pkgutil.walk_packages(adapters.__path__, f"{adapters.__name__}."):
        if permissions := getattr(import_module(module.name), "IAM", ()):
            yield module.name, permissions


def document(
    policies: Iterable[Policy],
    store: Place | None,
    jobs: Collection[Job],
    where: Where,
    keys: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the IAM policy of a role that does `jobs` for `policies`, and nothing else.

    keys: ARNs of customer keys on the functions' environments.
    Raises UsageError when there is nothing to allow.
    """
    named = {**_named(policies, store, where), "key": sorted(set(keys))}
    found: dict[tuple[str, str], set[str]] = {}
    for _, permissions in declared():
        for one in permissions:
            if set(jobs) & set(one.jobs) and _arns(one.on, named):
                found.setdefault((one.on, one.via), set()).add(one.action)
    if not found:
        raise UsageError(
            f"a role for {' and '.join(jobs)} with rollouts in a file asks nothing of AWS; for a "
            "table, name it: --store dynamodb://TABLE"
        )
    statements = [
        _statement(sorted(actions), _arns(on, named), on, via, where)
        for (on, via), actions in found.items()
    ]
    return {"Version": _VERSION, "Statement": sorted(statements, key=lambda one: one["Sid"])}


def parameters(
    policies: Sequence[Policy], where: Where, keys: Iterable[str] = ()
) -> dict[str, Sequence[str]]:
    """Return what `document` allows a tick and a start to be asked of, as deploy/ calls it.

    Each is a parameter of the template, also the empty ones: an update would keep what it had.
    """
    named = {**_named(policies, None, where), "key": sorted(set(keys))}
    used = {
        name[1]
        for _, permissions in declared()
        for one in permissions
        if {Job.TICK, Job.START} & set(one.jobs) and (name := _NAME.search(one.on))
    }
    return {_parameter(name): named[name] for name in sorted(used - {"table"})}


def _parameter(name: str) -> str:
    return "".join(word.capitalize() for word in re.split("[_-]", name)) + "Arns"


def _named(
    policies: Iterable[Policy], store: Place | None, where: Where
) -> dict[str, Sequence[str]]:
    """Return the ARNs behind each name that a permission may have in braces."""
    policies = list(policies)
    gates = {group for policy in policies for group in _gate_groups(policy)}
    verified = {
        verify.group_of(policy.target.function)
        for policy in policies
        if (verify := policy.verify_rollback) is not None
    }
    own = {
        (policy.verify_rollback and policy.verify_rollback.log_group)
        or default_group(policy.target.function)
        for policy in policies
    }
    alarms = any(isinstance(one, Alarm) for policy in policies for one in policy.criteria.values())
    functions = (policy.target.function for policy in policies)
    arns = (
        one if one.startswith("arn:") else where.arn("lambda", f"function:{one}")
        for one in functions
    )
    watched = sorted({name_of(policy.name) for policy in policies})
    table = store.table if isinstance(store, DynamoDbPlace) else None
    return {
        "alarms": [ANY] if alarms else [],
        "function": sorted(set(arns)),
        "gate_logs": [where.arn("logs", f"log-group:{group}:*") for group in sorted(gates)],
        "logs": [where.arn("logs", f"log-group:{group}:*") for group in sorted(gates | verified)],
        "function_logs": [where.arn("logs", f"log-group:{group}:*") for group in sorted(own)],
        **_outside(policies, where),
        "table": [where.arn("dynamodb", f"table/{table}")] if table else [],
        "own_alarms": [where.arn("cloudwatch", f"alarm:{name}-*") for name in watched],
        "dashboard": [where.global_arn("cloudwatch", f"dashboard/{name}") for name in watched],
        "alarm_topic": [where.arn("sns", name) for name in watched],
    }


def _outside(policies: Sequence[Policy], where: Where) -> dict[str, Sequence[str]]:
    """Return the ARNs of what policies tell and call, and of the secrets that this takes."""
    channels = [channel for policy in policies for channel in policy.notify or ()]
    hooks = [hook for policy in policies if policy.hooks for _, hook in policy.hooks.all()]
    keepers = [one.webhook for one in channels if isinstance(one, SlackChannel)]
    keepers += [one.secret for one in hooks if isinstance(one, HttpsHook)]
    named = {
        "topic": (one.topic for one in channels if isinstance(one, SnsChannel)),
        "bus": (
            _full(one.bus, where, "events", "event-bus/{}")
            for one in channels
            if isinstance(one, EventBridgeChannel)
        ),
        "hook": (
            _full(one.function, where, "lambda", "function:{}")
            for one in hooks
            if isinstance(one, LambdaHook)
        ),
        # Secrets Manager adds six characters to the name of a secret.
        "secret": (
            _full(one.secret, where, "secretsmanager", "secret:{}-??????")
            for one in keepers
            if one.secret
        ),
    }
    return {name: sorted(set(arns)) for name, arns in named.items()}


def _full(name: str, where: Where, service: str, resource: str) -> str:
    return name if name.startswith("arn:") else where.arn(service, resource.format(name))


def _gate_groups(policy: Policy) -> Iterator[str]:
    """Yield the log group of each criterion of `policy` that counts events."""
    for one in policy.criteria.values():
        if isinstance(one, LogEvents):
            yield one.group_of(policy.target.function)


def _arns(on: str, named: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what `on` stands for: an ARN for each one that is named."""
    name = _NAME.search(on)
    return [on] if name is None else [on.replace(name[0], arn) for arn in named[name[1]]]


def _statement(
    actions: Sequence[str], arns: Sequence[str], on: str, via: str, where: Where
) -> dict[str, Any]:
    words = re.findall(r"[a-z]+", actions[0].partition(":")[0] if on == ANY else on)
    statement: dict[str, Any] = {
        "Sid": "".join(map(str.title, words)),
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(arns),
    }
    if via:  # the name of the service ends differently in each partition
        statement["Condition"] = {"StringLike": {"kms:ViaService": f"{via}.{where.region}.*"}}
    return statement
