"""Two policies in one table, and their roles, as `iam_evaluator` evaluates IAM."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from boto3.session import Session
from botocore.exceptions import ClientError

from controller.process import settings
from controller.tools import iam
from controller.tools.iam import Job, aws_location
from tests.support.core import Policy
from tests.support.iam_evaluator import Document, access_requests, allows

REGION: Final = "us-east-1"  # of the simulated Lambda
ACCOUNT: Final = "123456789012"
TABLE: Final = "rollouts"
URL: Final = f"dynamodb://{TABLE}"


def iam_document(job: Job, *policies: Policy, bound: bool = True) -> Document:
    """Return the document that `rolloutctl iam` prints for a role."""
    where = aws_location(ACCOUNT, REGION)
    return iam.iam_policy(policies, settings.parse_store_url(URL), [job], where, bound=bound)


def is_allowed(document: Document, operation: str, request: Mapping[str, Any]) -> bool:
    """Tell whether a role with this document may make a request to DynamoDB."""
    needed = access_requests(operation, request, region=REGION, account=ACCOUNT)
    return allows(document, needed)


@dataclass(slots=True)
class RoleGuard:
    """Guards a DynamoDB client: denies requests that the current role may not make.

    made, denied: the requests of roles, in order: the job, the operation, and the parameters.
    """

    client: Any
    made: list[tuple[Job, str, Mapping[str, Any]]] = field(default_factory=list)
    denied: list[tuple[Job, str, Mapping[str, Any]]] = field(default_factory=list)
    _role: tuple[Job, Document] | None = None

    @classmethod
    def new(cls) -> "RoleGuard":
        """Return a guard of a new client, which allows everything until a role acts."""
        guard = cls(Session("test", "test", region_name=REGION).client("dynamodb"))
        events = guard.client.meta.events
        events.register("before-parameter-build.dynamodb", guard._check)
        return guard

    @contextmanager
    def acting_as(self, job: Job, document: Document) -> Iterator[None]:
        """Act as a role that has only this document."""
        self._role = job, document
        try:
            yield
        finally:
            self._role = None

    def _check(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        if self._role is None:
            return
        job, document = self._role
        made = (job, model.name, dict(params))
        self.made.append(made)
        if not is_allowed(document, model.name, params):
            self.denied.append(made)
            raise ClientError(
                {
                    "Error": {"Code": "AccessDeniedException", "Message": "not authorized"},
                    "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "1"},
                },
                model.name,
            )

    def items(self, *beginnings: str) -> list[Mapping[str, Any]]:
        """Return all items whose partition key begins with one of `beginnings`."""
        pages = self.client.get_paginator("scan").paginate(TableName=TABLE)
        items = [item for page in pages for item in page["Items"]]
        matching = [one for one in items if one["pk"]["S"].startswith(beginnings)]
        return sorted(matching, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
