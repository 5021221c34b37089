"""The least-privilege IAM policy of a role, from the permissions that adapters declare.

A permission is in `adapters/iam.py`, and each adapter has its own in a constant `IAM`.
"""

import pkgutil
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import controller
from controller import adapters
from controller.adapters.aws.session import partition_of, region_here
from controller.adapters.iam import ACCOUNT_JOBS as ACCOUNT_JOBS
from controller.adapters.iam import ANY, Permission, caller_arn
from controller.adapters.iam import TABLE_JOBS as TABLE_JOBS
from controller.adapters.iam import Job as Job
from controller.adapters.stores.dynamodb import items
from controller.bootstrap.account import real_account
from controller.core.policy import Policy
from controller.core.policy.field_types import AwsLocation
from controller.core.policy.notify import Recipient
from controller.core.policy.sources import SourceSpec
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.ports.monitoring import resource_name
from controller.ports.target import drafted_kinds
from controller.process.settings import DynamoDbLocation, S3Page, StoreLocation

_PROMETHEUS: Final = f"{adapters.__name__}.metrics.prometheus"
# CloudFormation takes 51,200 bytes of a template: these have no parameters there.
_WITHOUT_PARAMETERS: Final = (
    *(_PROMETHEUS, f"{adapters.__name__}.targets.appconfig", f"{adapters.__name__}.ssm"),
)


def aws_location(account: str | None, region: str | None) -> AwsLocation:
    """Return the location of an account and a region, by default the configured region.

    Raises UsageError when no partition has such a region.
    """
    known = {"account": account} if account else {}
    if region := region or region_here():
        known |= {"region": region, "partition": partition_of(region)}
    return AwsLocation(**known)


class KeyArns(Immutable):
    """ARNs of customer managed keys: of the functions' environments, and of policies' secrets."""

    functions: Collection[str] = ()
    secrets: Collection[str] = ()


NO_KEYS: Final = KeyArns()


def resource_arns(
    policies: Iterable[Policy],
    store: StoreLocation | None,
    where: AwsLocation,
    keys: KeyArns,
    page: S3Page | None = None,
) -> dict[str, Sequence[str]]:
    """Return the ARNs for each name in braces that a `Permission.resource` may have.

    page: the status page; None where it is no object in S3.
    """
    policies = list(policies)
    stacks = sorted({resource_name(policy.name) for policy in policies})
    table = store.table if isinstance(store, DynamoDbLocation) else None
    declared = _declared_arns(policies, where)
    return {
        **declared,
        "key": sorted(set(keys.functions)),
        "secret_key": sorted(set(keys.secrets)),
        "parameter_key": sorted(set(keys.secrets)) if declared["parameter"] else [],
        "page": [f"arn:{where.partition}:s3:::{page.bucket}/{page.key}"] if page else [],
        "table": [where.arn("dynamodb", f"table/{table}")] if table else [],
        "stack": [where.arn("cloudformation", f"stack/{name}/*") for name in stacks],
        "own_alarms": [where.arn("cloudwatch", f"alarm:{name}-*") for name in stacks],
        "dashboard": [where.global_arn("cloudwatch", f"dashboard/{name}") for name in stacks],
        "alarm_topic": [where.arn("sns", name) for name in stacks],
    }


# The partition keys of all rollouts, of their histories, of requests for their rollbacks and of the
# locks, as patterns for IAM. What the owner of the table sets has other ones.
ALL_KEYS: Final = (
    items.name_key("*")["S"], items.history_key("*")["S"],
    items.request_key("*")["pk"]["S"], items.lock_key("*")["pk"]["S"],
)  # fmt: skip


def leading_keys(policies: Iterable[Policy], where: AwsLocation) -> list[str]:
    """Return the partition keys of these policies in a table, as patterns for IAM.

    These are the keys of their rollouts, of their histories, of requests for their rollbacks and of
    the locks of their targets. No name of a policy has a `#`, `*` or `?`, so no pattern matches the
    keys of a longer name.
    """
    patterns: list[str] = []
    for policy in sorted(policies, key=lambda one: one.name):
        patterns += [items.name_key(policy.name)["S"], items.history_key(f"{policy.name}#*")["S"]]
        patterns += _keys_of_ids(items.request_key, [policy])
        target = next(iter(policy.target.arns(where).get("target", ())), policy.target.name)
        locks = policy.target.locks(target)
        patterns += [items.lock_key(lock)["pk"]["S"] for lock in locks]
    return list(dict.fromkeys(patterns))


def _keys_of_ids(
    key: Callable[[str], Mapping[str, Mapping[str, str]]], policies: Iterable[Policy]
) -> list[str]:
    """Return the partition keys that `key` makes of the ids of these policies, as patterns.

    Without a policy, those of all.
    """
    ids = [f"{name}#*" for name in sorted({policy.name for policy in policies})]
    return [key(one)["pk"]["S"] for one in ids or ["*"]]


def _declared_arns(policies: Sequence[Policy], where: AwsLocation) -> dict[str, Sequence[str]]:
    """Return the ARNs that the targets, channels and hooks of policies say, and their secrets."""
    targets = [policy.target for policy in policies]
    recipients: list[Recipient] = [
        *(channel for policy in policies for channel in policy.notify or ()),
        *(hook for policy in policies if policy.hooks for _, hook in policy.hooks.all()),
    ]
    named = [target.arns(where) for target in targets]
    named += [recipient.arns(where) for recipient in recipients]
    named += [
        criterion.arns(where, policy.target.log_group)
        for policy in policies
        for criterion in policy.criteria.values()
    ]
    named += [_log_arns(policy, where) for policy in policies]
    sources = _sources_of(policies)
    named += [source.arns(where) for source in sources]
    of_sources = [source.secret_reference for source in sources]
    references = [*(recipient.secret_reference for recipient in recipients), *of_sources]
    for prefix, given in (("", references), ("source_", of_sources)):
        known = [one for one in given if one is not None]
        # Secrets Manager appends six characters to the name of a secret in its ARN.
        secrets = [
            where.full_arn(one.secret, "secretsmanager", "secret:{}-??????")
            for one in known
            if one.secret
        ]
        parameters = [arn for one in known if (arn := one.parameter_arn(where))]
        named.append({f"{prefix}secret": secrets, f"{prefix}parameter": parameters})
    merged = defaultdict[str, set[str]](set)
    for arns in named:
        for name, values in arns.items():
            merged[name].update(values)
    return {name: sorted(values) for name, values in merged.items()}


def _sources_of(policies: Iterable[Policy]) -> list[SourceSpec]:
    sources = [metric.source for policy in policies for metric in policy.metrics.values()]
    return [source for source in dict.fromkeys(sources) if source is not None]


def _log_arns(policy: Policy, where: AwsLocation) -> Mapping[str, Sequence[str]]:
    """Return the log groups of the leak check after a rollback, and of the application."""
    verify, own = policy.verify_rollback, policy.target.log_group
    if verify is None:
        searched = []
    else:
        searched, own = [policy.log_group_of(verify)], verify.log_group or own
    return {
        "logs": [where.arn("logs", f"log-group:{group}:*") for group in searched],
        "function_logs": [where.arn("logs", f"log-group:{own}:*")] if own else [],
    }


# --- The policy document --------------------------------------------------------------------------

_VERSION: Final = "2012-10-17"  # of IAM's policy language; there is no newer one
_KEY: Final = "dynamodb:LeadingKeys"
_NAME: Final = re.compile(r"\{(\w+)\}")


def caller_location() -> AwsLocation:
    """Return the account and region of the credentials of this process.

    Raises UsageError when STS does not name the caller.
    """
    account = real_account()
    region = account.client("sts").meta.region_name
    arn = caller_arn(account.clients)
    if not arn:
        problem = "AWS does not say whose credentials these are"
        raise UsageError(f"{problem}: give --account, not --live")
    return aws_location(arn.split(":")[4], region)


def function_keys(policies: Iterable[Policy]) -> list[str]:
    """Return the ARNs of the customer managed keys of the environments of these functions.

    Raises UsageError, TargetError when Lambda does not answer.
    """
    account = real_account()
    keys = [account.open(policy.target).encryption_key() for policy in policies]
    return [key for key in dict.fromkeys(keys) if key]


def declared_permissions(
    policies: Iterable[Policy] = (),
) -> Iterator[tuple[str, Sequence[Permission]]]:
    """Yield each module that calls AWS, with its permissions.

    These are the adapters of rolloutctl, and the modules of the kinds and of the adapters that
    `policies` name and another package has. A source of metrics is named by a policy, too.
    """
    policies = list(policies)
    own = [
        package.name
        for package in pkgutil.walk_packages(adapters.__path__, f"{adapters.__name__}.")
        if not package.name.startswith(_PROMETHEUS)
    ]
    kinds = [
        kind
        for policy in policies
        for kind in (policy.target, *policy.criteria.values(), *(policy.notify or ()))
    ]
    models = [type(kind).__module__ for kind in kinds]
    opened = [policy.target.opened_by.partition(":")[0] for policy in policies]
    opened += [source.opened_by.partition(":")[0] for source in _sources_of(policies)]
    for module in dict.fromkeys((*own, *models, *filter(None, opened))):
        if permissions := getattr(import_module(module), "IAM", ()):
            yield module, permissions


def packages_of(policies: Iterable[Policy]) -> list[str]:
    """Return whose rights have no parameter in the template: packages, and kinds of our own."""
    policies = list(policies)
    arns = _declared_arns(policies, AwsLocation())
    modules = [
        module
        for module, permissions in declared_permissions(policies)
        if _is_outside(module) and any(_arns(one.resource, arns) for one in permissions)
    ]
    ours = {module.rpartition(".")[2]: module for module in _WITHOUT_PARAMETERS}
    kinds = {
        kind for kind, prefix in ours.items() if any(one.startswith(prefix) for one in modules)
    }
    packages = {module.partition(".")[0] for module in modules} - {controller.__name__}
    return sorted(packages | kinds)


def _is_outside(module: str) -> bool:
    """Tell whether the template has no parameter for what a module needs."""
    is_ours = module.partition(".")[0] == controller.__name__
    return not is_ours or module.startswith(_WITHOUT_PARAMETERS)


def iam_policy(
    policies: Iterable[Policy],
    store: StoreLocation | None,
    jobs: Collection[Job],
    where: AwsLocation,
    keys: KeyArns = NO_KEYS,
    *,
    bound: bool = True,
    page: S3Page | None = None,
    packages_only: bool = False,
) -> dict[str, Any]:
    """Return the IAM policy of a role that does `jobs` for `policies`, and nothing else.

    page: the status page that it writes; None where that is no object in S3.
    bound: it may read and write only the items of these policies, else those of all rollouts;
        ignored without a policy, and for jobs on a whole table.
    packages_only: it has only what the template has no parameters for.

    Raises UsageError when there is nothing to allow.
    """
    policies = list(policies)
    also = {Job.FIX: Job.START, Job.LOWER: Job.READ}
    jobs = {*jobs, *(also[job] for job in jobs if job in also)}
    bound = bound and bool(policies)
    arns = resource_arns(policies, store, where, keys, page)
    if not policies and Job.INIT in jobs:
        for model in drafted_kinds().values():  # no target is named yet
            arns |= model.arns_of_any(where)
    actions_of: dict[_StatementScope, set[str]] = {}
    for module, permissions in declared_permissions(policies):
        if packages_only and not _is_outside(module):
            continue
        for permission in permissions:
            needed = jobs & set(permission.jobs) and permission.bound in (None, bound)
            if needed and _arns(permission.resource, arns):
                actions_of.setdefault(_scope_of(permission, jobs, bound=bound), set()).add(
                    permission.action
                )
    if not actions_of:
        raise UsageError(_why_nothing(jobs, packages_only=packages_only))
    keys_of = {
        _OWN: leading_keys(policies, where),
        _ALL: [*ALL_KEYS],
        items.OWNER: [items.RECIPIENTS, items.RULES],
        items.FORMAT: [items.FORMAT],
        items.FIX: _keys_of_ids(items.fix_key, policies if bound else ()),
        items.LOWER: _keys_of_ids(items.request_key, policies if bound else ()),
    }
    statements = [
        _statement(
            sorted(actions), _arns(scope.resource, arns), scope, where, keys_of.get(scope.keys, [])
        )
        for scope, actions in actions_of.items()
    ]
    return {
        "Version": _VERSION,
        "Statement": sorted(statements, key=lambda statement: statement["Sid"]),
    }


def _why_nothing(jobs: Collection[Job], *, packages_only: bool) -> str:
    if packages_only:
        return (
            "no kind of these policies comes from another package that declares permissions: leave "
            "out --packages"
        )
    return (
        f"a role for {' and '.join(jobs)} with rollouts in a file asks nothing of AWS; for a "
        "table, name it: --store dynamodb://TABLE"
    )


_OWN: Final = "OWN"
_ALL: Final = "ALL"


class _StatementScope(NamedTuple):
    """The key of a statement: its actions share the resource and the conditions.

    keys: which partitions of the table it is bound to; empty: to none.
    """

    resource: str
    via: str
    keys: str
    tag: str


def _scope_of(permission: Permission, jobs: Collection[Job], *, bound: bool) -> _StatementScope:
    """Return the statement of a permission; jobs on a whole table are bound to no policies.

    What is about one partition is bound to that, whatever the role is bound to.
    """
    keys = permission.partition
    if permission.keyed:
        table_jobs = set(jobs) & set(permission.jobs) & TABLE_JOBS
        keys = _OWN if bound and not table_jobs else _ALL
    return _StatementScope(permission.resource, permission.via, keys, permission.tag)


def template_parameters(
    policies: Sequence[Policy],
    where: AwsLocation,
    keys: KeyArns = NO_KEYS,
    *,
    bound: bool = False,
    page: S3Page | None = None,
) -> dict[str, Sequence[str]]:
    """Return the parameters of the template in deploy/: the ARNs of ticks and starts.

    Empty parameters are included, because an update of the stack would keep the old values.
    bound: to the names of the policies, and to the keys of their items; else to those of all.
    """
    arns_by_name = resource_arns(policies, None, where, keys, page)
    used = {
        name[1]
        for module, permissions in declared_permissions()
        if not _is_outside(module)
        for permission in permissions
        if {Job.TICK, Job.START} & set(permission.jobs)
        and (name := _NAME.search(permission.resource))
    }
    arns = {
        f"{''.join(map(str.capitalize, re.split('[_-]', name)))}Arns": arns_by_name.get(name, ())
        for name in sorted(used - {"table"})
    }
    names = sorted({policy.name for policy in policies}) if bound else []
    item_keys = leading_keys(policies, where) if bound else ALL_KEYS
    of_fixes = _keys_of_ids(items.fix_key, policies if bound else ())
    return {**arns, "PolicyNames": names, "TableKeys": item_keys, "FixKeys": of_fixes}


def _arns(resource: str, arns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the ARNs of `resource`, one for each ARN of the name that it has in braces."""
    name = _NAME.search(resource)
    if name is None:
        return [resource]
    return [resource.replace(name[0], arn) for arn in arns.get(name[1], ())]


def _statement(
    actions: Sequence[str],
    arns: Sequence[str],
    scope: _StatementScope,
    where: AwsLocation,
    leading: list[str],
) -> dict[str, Any]:
    words = re.findall(
        r"[a-z]+", actions[0].partition(":")[0] if scope.resource == ANY else scope.resource
    )
    words += [scope.keys] if scope.keys else []
    words = ["tagged"] if scope.tag else words
    statement: dict[str, Any] = {
        "Sid": "".join(map(str.title, words)),
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(arns),
    }
    if scope.via:  # the domain of the service differs by partition
        statement["Condition"] = {"StringLike": {"kms:ViaService": f"{scope.via}.{where.region}.*"}}
    if scope.tag:
        statement["Condition"] = {"Null": {f"aws:ResourceTag/{scope.tag}": "false"}}
    if scope.keys:
        statement["Condition"] = {
            "ForAllValues:StringLike": {_KEY: leading},
            "Null": {_KEY: "false"},  # a request without a key would satisfy the other one
        }
    return statement
