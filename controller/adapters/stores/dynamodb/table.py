"""The table of a `DynamoDbStore`: keys, indexes, creation, and a CloudFormation template.

IAM: dynamodb:CreateTable, dynamodb:DescribeTable, dynamodb:DescribeContinuousBackups and
dynamodb:UpdateContinuousBackups; runs on an existing table need none of them.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, StrangeAnswerError, code_of, error_text
from controller.adapters.cloudformation import as_yaml
from controller.adapters.iam import TABLE, Job, Permission
from controller.core.units import duration_text
from controller.errors import StoreError
from controller.ports.clock import Clock

IAM: Final = tuple(
    Permission(action, TABLE, {Job.STORE_INIT})
    for action in (
        "dynamodb:CreateTable",
        "dynamodb:DescribeTable",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:UpdateContinuousBackups",
    )
)

ACTIVE_LIMIT: Final = timedelta(minutes=5)  # creation takes seconds
BACKUP_LIMIT: Final = timedelta(minutes=2)  # AWS refuses backups for seconds after the creation
POLL_INTERVAL: Final = timedelta(seconds=2)


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def _index(
    name: str, partition: str, attributes: Sequence[str], sort: str = "created"
) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": _keys(partition, sort),
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(attributes)},
    }


_VISIT_ATTRIBUTES: Final = ("closed", "due", "phase", "watch_until")

# In the spelling that CreateTable and CloudFormation share, so both make the same table. `active`
# projects `updated`, the order in which a tick visits rollouts, so each save costs one more write
# unit. It has a single partition, so IAM cannot bind access to a policy; it projects no target, so
# who may list the ids sees no ARN of another team. `active_of_name` has the partitions of the
# table, so IAM can, and projects of what an idle tick changes when the rollout is due alone.
TABLE_DEFINITION: Final[Mapping[str, Any]] = {
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"}
        for name in ("pk", "sk", "active", "target", "created")
    ],
    "KeySchema": _keys("pk", "sk"),
    "GlobalSecondaryIndexes": [
        _index("active", "active", [*_VISIT_ATTRIBUTES, "updated"]),
        _index("by_target", "target", ["exposed_from", "exposed_to"]),
    ],
    "LocalSecondaryIndexes": [
        _index("active_of_name", "pk", ["created", *_VISIT_ATTRIBUTES], sort="active"),
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "DeletionProtectionEnabled": True,
}
_BACKUPS: Final = {"PointInTimeRecoveryEnabled": True}


def create_table(client: Any, table: str, clock: Clock) -> bool:
    """Create the table of a store unless it exists; return whether it was created.

    On return it is active, and point-in-time recovery is on. Raises StoreError when a table of that
    name has other keys or indexes, and when AWS refuses a call or takes too long.
    """
    created = _describe(client, table) is None and _create(client, table)
    _wait_until_active(client, table, clock)
    _switch_backups_on(client, table, clock)
    return created


def template(table: str) -> str:
    """Return a CloudFormation template, as YAML, of the same table that `create_table` makes."""
    resource = {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "TableName": table,
            **TABLE_DEFINITION,
            "PointInTimeRecoverySpecification": _BACKUPS,
        },
    }
    return as_yaml(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "Rollouts and their history, kept by rolloutctl.",
            "Resources": {"Rollouts": resource},
            "Outputs": {"Table": {"Value": {"Ref": "Rollouts"}}},
        }
    )


# --- creation -----------------------------------------------------------------------------------


def _create(client: Any, table: str) -> bool:
    """Return whether this call created the table; False when another run was first."""
    try:
        client.create_table(TableName=table, **TABLE_DEFINITION)
    except AWS_ERRORS as error:
        if code_of(error) == "ResourceInUseException":
            return False
        raise _store_error(f"make table {table} (dynamodb:CreateTable)", error) from error
    return True


def _describe(client: Any, table: str) -> Mapping[str, Any] | None:
    """Return the description of the table; None when there is none."""
    try:
        answer = client.describe_table(TableName=table)
        if "Table" not in answer:
            raise StrangeAnswerError
    except AWS_ERRORS as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise _store_error(f"look at table {table} (dynamodb:DescribeTable)", error) from error
    description: Mapping[str, Any] = answer["Table"]
    return description


def _wait_until_active(client: Any, table: str, clock: Clock) -> None:
    def problem() -> str:
        description = _describe(client, table)
        if description is None:
            return "it is not there yet"
        _check_shape(table, description)
        status = str(description.get("TableStatus", "not described"))
        return "" if status in ("ACTIVE", "UPDATING") else f"it is {status}"

    _wait(problem, f"table {table} is not active", ACTIVE_LIMIT, clock)


def _check_shape(table: str, description: Mapping[str, Any]) -> None:
    """Raise StoreError when the key or an index of the store differs; more indexes are allowed."""
    try:
        expected, actual = _key_and_indexes(TABLE_DEFINITION), _key_and_indexes(description)
    except KeyError:  # the description lacks a part that every table has
        strange = StrangeAnswerError("the description is not that of a table")
        raise _store_error(f"look at table {table} (dynamodb:DescribeTable)", strange) from None
    differing = [
        f"{part} should be {shape}, and is {actual.get(part, 'missing')}"
        for part, shape in expected.items()
        if actual.get(part) != shape
    ]
    if differing:
        raise StoreError(
            f"table {table} is there, but it is not the table of a store: {'; '.join(differing)}; "
            "nothing was changed: name another table",
            table=table,
        )


def _key_and_indexes(shape: Mapping[str, Any]) -> dict[str, str]:
    """Return the key and each index by name, as a text that is equal for equal shapes."""
    types = {one["AttributeName"]: one["AttributeType"] for one in shape["AttributeDefinitions"]}
    indexes = [
        *(shape.get("GlobalSecondaryIndexes") or ()),
        *(shape.get("LocalSecondaryIndexes") or ()),
    ]
    return {
        "the key": _index_text(shape, types),
        **{f"index {index['IndexName']}": _index_text(index, types) for index in indexes},
    }


def _index_text(shape: Mapping[str, Any], types: Mapping[str, str]) -> str:
    # By type of key, so that HASH comes before RANGE.
    schema = sorted(shape["KeySchema"], key=itemgetter("KeyType"))
    names = [one["AttributeName"] for one in schema]
    projection = shape.get("Projection", {})
    projected = projection.get("NonKeyAttributes") or [projection.get("ProjectionType", "")]
    keys = ", ".join(f"{name} {types[name]}" for name in names)
    return f"({keys}) {', '.join(sorted(projected))}".rstrip()


# --- backups ------------------------------------------------------------------------------------


def _switch_backups_on(client: Any, table: str, clock: Clock) -> None:
    """Switch point-in-time recovery on; AWS refuses that for some seconds after the creation."""

    def problem() -> str:
        doing = f"switch the backups of table {table} on (dynamodb:UpdateContinuousBackups)"
        try:
            if not _are_backups_on(client, table):
                client.update_continuous_backups(
                    TableName=table, PointInTimeRecoverySpecification=_BACKUPS
                )
        except AWS_ERRORS as error:
            if code_of(error) == "ContinuousBackupsUnavailableException":
                return "AWS has not enabled backups for it yet"
            raise _store_error(doing, error) from error
        return ""

    _wait(problem, f"table {table} is there, but without backups", BACKUP_LIMIT, clock)


def _are_backups_on(client: Any, table: str) -> bool:
    """Return whether backups are on; a call would reset a retention that an operator chose."""
    answer = client.describe_continuous_backups(TableName=table)
    if "ContinuousBackupsDescription" not in answer:
        raise StrangeAnswerError
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")


def _wait(problem: Callable[[], str], what: str, within: timedelta, clock: Clock) -> None:
    """Poll `problem` until it returns an empty text. Raises StoreError when `within` is over."""
    deadline = clock.now() + within
    while reason := problem():
        if clock.now() >= deadline:
            raise StoreError(f"{what} after {duration_text(within)}: {reason}; run again")
        clock.sleep(POLL_INTERVAL)


def _store_error(doing: str, error: Exception) -> StoreError:
    return StoreError(error_text(f"cannot {doing}", error), code=code_of(error))
