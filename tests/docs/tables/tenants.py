"""The table of tenants: access of each printed role to another policy, for the security model."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from controller.tools.iam import Job
from tests.support.core import Policy
from tests.support.stage import short_policy
from tests.support.tenants import ACCOUNT, REGION, TABLE, iam_document, is_allowed

_OWN: Final = short_policy(name="shop")
_FUNCTION: Final = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:second"
_KEYS: Final = {
    "its state": "ROLLOUT#shop-2",
    "its history": "HISTORY#shop-2#1",
    "its lock": f"LOCK#{_FUNCTION}#PERCENTAGE",
    "the list of recipients": "RECIPIENTS",
    "the rules": "RULES",
}
_READS: Final = ("GetItem", "Query")
_WRITES: Final = ("PutItem", "UpdateItem", "DeleteItem")
_UNBOUND: Final = (
    Job.STORE_INIT, Job.OWNER, Job.STORE_CHECK, Job.STORE_UPGRADE, Job.COPY_FROM, Job.COPY_TO,
)  # fmt: skip


def foreign() -> list[list[str]]:
    """Return the access of each role of `shop` to the items of `shop-2`, by an IAM evaluator."""
    head = ["printed for `shop`", *(f"reads {key}" for key in _KEYS)]
    head += [f"writes {key}" for key in _KEYS]
    head += ["lists ids of active rollouts", "lists all ids"]
    jobs = [job for job in Job if job is not Job.INIT]
    rows = [(f"`{job}`", job, True) for job in jobs]
    rows += [(f"`{job}`, `--unbound`", job, False) for job in jobs if job not in _UNBOUND]
    return [head, *([name, *_row(_OWN, job, bound=bound)] for name, job, bound in rows)]


def _row(policy: Policy, job: Job, *, bound: bool) -> list[str]:
    document = iam_document(job, policy, bound=bound)

    def access(requests: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        return "yes" if any(is_allowed(document, *request) for request in requests) else "no"

    return [
        *(access([_request(read, pk) for read in _READS]) for pk in _KEYS.values()),
        *(access([_request(write, pk) for write in _WRITES]) for pk in _KEYS.values()),
        access([_listing("active", "active", "active")]),
        access(
            [("Scan", {"TableName": TABLE, **index}) for index in ({"IndexName": "by_target"}, {})]
        ),
    ]


def _request(operation: str, pk: str) -> tuple[str, Mapping[str, Any]]:
    key = {"pk": {"S": pk}, "sk": {"S": "0000000001"}}
    match operation:
        case "Query":
            return _listing("", "pk", pk)
        case "PutItem":
            return operation, {"TableName": TABLE, "Item": key}
        case _:
            return operation, {"TableName": TABLE, "Key": key}


def _listing(index: str, key: str, value: str) -> tuple[str, Mapping[str, Any]]:
    index_parameters = {"IndexName": index} if index else {}
    return "Query", {
        "TableName": TABLE,
        **index_parameters,
        "KeyConditionExpression": "#key = :value",
        "ExpressionAttributeNames": {"#key": key},
        "ExpressionAttributeValues": {":value": {"S": value}},
    }
