"""The ARNs of the resources that policies, a store and an operator name."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from controller.adapters.aws.session import partition_of, region_here
from controller.adapters.stores.dynamodb import items
from controller.core.policy import Policy
from controller.core.policy.aws_location import AwsLocation
from controller.core.policy.notify import Recipient
from controller.immutable import Immutable
from controller.ports.monitoring import resource_name
from controller.process.settings import DynamoDbLocation, S3Page, StoreLocation


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
    return {
        **_declared_arns(policies, where),
        "key": sorted(set(keys.functions)),
        "secret_key": sorted(set(keys.secrets)),
        "page": [f"arn:{where.partition}:s3:::{page.bucket}/{page.key}"] if page else [],
        "table": [where.arn("dynamodb", f"table/{table}")] if table else [],
        "stack": [where.arn("cloudformation", f"stack/{name}/*") for name in stacks],
        "own_alarms": [where.arn("cloudwatch", f"alarm:{name}-*") for name in stacks],
        "dashboard": [where.global_arn("cloudwatch", f"dashboard/{name}") for name in stacks],
        "alarm_topic": [where.arn("sns", name) for name in stacks],
    }


def leading_keys(policies: Iterable[Policy], where: AwsLocation) -> list[str]:
    """Return the partition keys of these policies in a table, as patterns for IAM.

    These are the keys of their rollouts, of their histories and of the locks of their targets. No
    name of a policy has a `#`, `*` or `?`, so no pattern matches the keys of a longer name.
    """
    patterns: list[str] = []
    for policy in sorted(policies, key=lambda one: one.name):
        patterns += [items.name_key(policy.name)["S"], items.history_key(f"{policy.name}#*")["S"]]
        locks = policy.target.locks(_target_arn(policy, where))
        patterns += [items.lock_key(lock)["pk"]["S"] for lock in locks]
    return list(dict.fromkeys(patterns))


def _target_arn(policy: Policy, where: AwsLocation) -> str:
    return next(iter(policy.target.arns(where).get("target", ())), policy.target.name)


def _declared_arns(policies: Sequence[Policy], where: AwsLocation) -> dict[str, Sequence[str]]:
    """Return the ARNs that the targets, channels and hooks of policies say, and their secrets."""
    targets = [policy.target for policy in policies]
    recipients: list[Recipient] = [
        *(channel for policy in policies for channel in policy.notify or ()),
        *(hook for policy in policies if policy.hooks for _, hook in policy.hooks.all()),
    ]
    named = [one.arns(where) for one in targets]
    named += [one.arns(where) for one in recipients]
    named += [
        criterion.arns(where, policy.target.log_group)
        for policy in policies
        for criterion in policy.criteria.values()
    ]
    named += [_log_arns(policy, where) for policy in policies]
    references = [one.secret_reference for one in recipients]
    # Secrets Manager appends six characters to the name of a secret in its ARN.
    secrets = [
        where.full_arn(one.secret, "secretsmanager", "secret:{}-??????")
        for one in references
        if one is not None and one.secret
    ]
    return _merged([*named, {"secret": secrets}])


def _log_arns(policy: Policy, where: AwsLocation) -> Mapping[str, Sequence[str]]:
    """Return the log groups of the drain after a rollback, and of the application."""
    verify, own = policy.verify_rollback, policy.target.log_group
    if verify is None:
        searched = []
    else:
        searched, own = [policy.log_group_of(verify)], verify.log_group or own
    return {
        "logs": [where.arn("logs", f"log-group:{group}:*") for group in searched],
        "function_logs": [where.arn("logs", f"log-group:{own}:*")] if own else [],
    }


def _merged(many: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, Sequence[str]]:
    """Return the ARNs of all mappings by name, each once."""
    merged = defaultdict[str, set[str]](set)
    for arns in many:
        for name, values in arns.items():
            merged[name].update(values)
    return {name: sorted(values) for name, values in merged.items()}
