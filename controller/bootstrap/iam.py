"""The least IAM policy of a role: what the adapters declare, narrowed to what is named."""

import pkgutil
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

from controller import adapters
from controller.adapters.aws.clients import Clients
from controller.adapters.iam.caller import caller_arn
from controller.adapters.iam.permission import ANY, TABLE_JOBS, Job, Permission
from controller.adapters.targets.lambda_function import identity
from controller.bootstrap.arns import NO_KEYS, AwsLocation, KeyArns, leading_keys, resource_arns
from controller.core.policy import Policy
from controller.errors import UsageError
from controller.process.settings import StoreLocation

__all__ = [
    "AwsLocation",
    "Job",
    "KeyArns",
    "caller_location",
    "declared_permissions",
    "function_keys",
    "iam_policy",
    "template_parameters",
]

_VERSION: Final = "2012-10-17"  # of IAM's policy language; there is no newer one
_KEY: Final = "dynamodb:LeadingKeys"
_NAME: Final = re.compile(r"\{(\w+)\}")


def caller_location(remedy: str = "give --account, not --live") -> AwsLocation:
    """Return where the credentials of this process act.

    remedy: what to do when AWS is silent, which is a UsageError.
    """
    clients = Clients()
    region = clients.get("sts").meta.region_name
    who = caller_arn(clients)
    if not who:
        raise UsageError(f"AWS does not say whose credentials these are: {remedy}")
    return AwsLocation.of(who.split(":")[4], region)


def function_keys(policies: Iterable[Policy]) -> list[str]:
    """Return the ARNs of the customer keys on the environments of these functions.

    Raises UsageError, TargetError when Lambda does not answer.
    """
    client = Clients().get("lambda")
    found = [identity(client, policy.target.function).key for policy in policies]
    return [key for key in dict.fromkeys(found) if key]


def declared_permissions() -> Iterator[tuple[str, Sequence[Permission]]]:
    """Yield every adapter that asks AWS for something, by its module, with its permissions."""
    for module in pkgutil.walk_packages(adapters.__path__, f"{adapters.__name__}."):
        if permissions := getattr(import_module(module.name), "IAM", ()):
            yield module.name, permissions


def iam_policy(
    policies: Iterable[Policy],
    store: StoreLocation | None,
    jobs: Collection[Job],
    where: AwsLocation,
    keys: KeyArns = NO_KEYS,
    *,
    bound: bool = True,
) -> dict[str, Any]:
    """Return the IAM policy of a role that does `jobs` for `policies`, and nothing else.

    bound: it reads and writes the items of these policies alone; without a policy, and for jobs on
    a whole table, there is nothing to bind it to.

    Raises UsageError when there is nothing to allow.
    """
    policies = list(policies)
    bound = bound and bool(policies)
    known = resource_arns(policies, store, where, keys)
    found: dict[_StatementScope, set[str]] = {}
    for _, permissions in declared_permissions():
        for one in permissions:
            if _is_needed(one, jobs, bound=bound) and _arns(one.resource, known):
                found.setdefault(_scope_of(one, jobs, bound=bound), set()).add(one.action)
    if not found:
        raise UsageError(
            f"a role for {' and '.join(jobs)} with rollouts in a file asks nothing of AWS; for a "
            "table, name it: --store dynamodb://TABLE"
        )
    own = leading_keys(policies, where)
    statements = [
        _statement(sorted(actions), _arns(on.resource, known), on, where, own)
        for on, actions in found.items()
    ]
    return {"Version": _VERSION, "Statement": sorted(statements, key=lambda one: one["Sid"])}


class _StatementScope(NamedTuple):
    """What a statement is about: the actions of one are allowed under the same conditions."""

    resource: str
    via: str
    keyed: bool


def _scope_of(one: Permission, jobs: Collection[Job], *, bound: bool) -> _StatementScope:
    """Return where a permission belongs; what a job does to a whole table is not bound to keys."""
    whole = set(jobs) & set(one.jobs) & TABLE_JOBS
    return _StatementScope(one.resource, one.via, bound and one.keyed and not whole)


def _is_needed(one: Permission, jobs: Collection[Job], *, bound: bool) -> bool:
    return bool(set(jobs) & set(one.jobs)) and one.bound in (None, bound)


def template_parameters(
    policies: Sequence[Policy], where: AwsLocation, keys: KeyArns = NO_KEYS, *, bound: bool = False
) -> dict[str, Sequence[str]]:
    """Return what `document` allows a tick and a start to be asked of, as deploy/ calls it.

    Each is a parameter of the template, also the empty ones: an update would keep what it had.
    bound: the names of the policies, and the keys of their items, are among them.
    """
    known = resource_arns(policies, None, where, keys)
    used = {
        name[1]
        for _, permissions in declared_permissions()
        for one in permissions
        if {Job.TICK, Job.START} & set(one.jobs) and (name := _NAME.search(one.resource))
    }
    arns = {_parameter(name): known[name] for name in sorted(used - {"table"})}
    names = sorted({policy.name for policy in policies}) if bound else []
    own = leading_keys(policies, where) if bound else []
    return {**arns, "PolicyNames": names, "TableKeys": own}


def _parameter(name: str) -> str:
    return "".join(word.capitalize() for word in re.split("[_-]", name)) + "Arns"


def _arns(resource: str, arns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what `resource` stands for: an ARN for each one that is named."""
    name = _NAME.search(resource)
    return [resource] if name is None else [resource.replace(name[0], arn) for arn in arns[name[1]]]


def _statement(
    actions: Sequence[str],
    arns: Sequence[str],
    scope: _StatementScope,
    where: AwsLocation,
    leading: Sequence[str],
) -> dict[str, Any]:
    words = re.findall(
        r"[a-z]+", actions[0].partition(":")[0] if scope.resource == ANY else scope.resource
    )
    words += ["own"] if scope.keyed else []
    statement: dict[str, Any] = {
        "Sid": "".join(map(str.title, words)),
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(arns),
    }
    if scope.via:  # the name of the service ends differently in each partition
        statement["Condition"] = {"StringLike": {"kms:ViaService": f"{scope.via}.{where.region}.*"}}
    if scope.keyed:
        statement["Condition"] = {"ForAllValues:StringLike": {_KEY: list(leading)}}
    return statement
