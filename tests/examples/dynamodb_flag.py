"""A target of another package: the weight is an attribute of an item in a DynamoDB table.

The application reads the item at each request. An update counts its version up, so a raise is
written only if the item still has the version of its decision.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from botocore.exceptions import ClientError
from pydantic import Field

from controller.adapters.aws.clients import AWS_ERRORS, error_text, is_transient
from controller.adapters.iam import TRAFFIC_JOBS, Job, Permission
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.policy.field_types import AwsLocation, Form
from controller.core.policy.targets import TargetSpec
from controller.errors import (
    PolicyError,
    TargetError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)
from controller.ports.account import Account
from controller.ports.target import InspectableTarget, Obstacle

if TYPE_CHECKING:
    from controller.testing import TargetChange, World

IAM: Final = (
    Permission("dynamodb:GetItem", "{flag_table}", TRAFFIC_JOBS | {Job.DOCTOR}),
    Permission("dynamodb:UpdateItem", "{flag_table}", TRAFFIC_JOBS),
    Permission("dynamodb:DescribeTable", "{flag_table}", TRAFFIC_JOBS | {Job.DOCTOR}),
)

_PAUSE: Final = timedelta(seconds=1)


class DynamoDbFlag(TargetSpec):
    """A weight in an item of a DynamoDB table."""

    opened_by: ClassVar[str] = f"{__name__}:FlagItem"
    simulated_by: ClassVar[str] = f"{__name__}:SimulatedFlagItem"
    rollback_options: ClassVar[tuple[str, ...]] = ("table", "flag")

    kind: Literal["dynamodb-flag"] = Field(description="What holds the weight.")
    table: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_.-]{3,255}$"),
        Form("the name of a table"),
    ] = Field(description="Name of the table, whose partition key is called `flag`.")
    flag: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="Partition key of the item."
    )

    @property
    def name(self) -> str:
        """The item: table and key."""
        return f"{self.table}/{self.flag}"

    def settings(self, weight: int) -> dict[str, str]:
        """Return the attribute that holds `weight`."""
        return {"weight": str(weight)}

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return the ARN of the table; `target` is what a reading calls its identity."""
        table = where.arn("dynamodb", f"table/{self.table}")
        return {"target": [f"{table}/{self.flag}"], "flag_table": [table]}


class FlagItem(InspectableTarget):
    """The adapter: reads and writes the item."""

    def __init__(self, target: DynamoDbFlag, account: Account) -> None:
        self._target, self._clock = target, account.clock
        self._client = account.lowering_client("dynamodb")
        self._request = {"TableName": target.table, "Key": {"flag": {"S": target.flag}}}

    def read(self) -> TargetReading:
        """Return the weight of the item; a missing item has weight 0. Raises TargetError."""
        try:
            table = self._client.describe_table(TableName=self._target.table)["Table"]
            answer = self._client.get_item(**self._request, ConsistentRead=True)
        except AWS_ERRORS as error:
            raise TargetError(
                error_text(f"{self._target.name} could not be read", error)
            ) from error
        item = answer.get("Item", {})
        weight = int(item.get("weight", {}).get("N", 0))
        return TargetReading(
            identity=f"{table['TableArn']}/{self._target.flag}",
            weight=weight,
            token=item.get("version", {}).get("N", "0"),
            update=UpdateStatus.SUCCESSFUL,  # the item is read at each request
            variables=f"weight={weight}",
        )

    def shift_to(self, weight: int, token: str) -> None:
        """Write `weight` once, if the item still has the version `token`."""
        try:
            self._write(weight, only=token)
        except AWS_ERRORS as error:
            text = error_text(f"{weight}% was not written to {self._target.name}", error)
            if _is_conflict(error):
                raise WriteConflictError(f"{text}: it was changed since the decision") from error
            kind = WriteUncertainError if is_transient(error) else WriteRefusedError
            raise kind(text) from error

    def lower_to_zero(
        self,
        within: timedelta,
        *,
        outdated_token: str = "",
        check: Callable[[TargetReading], object] | None = None,
    ) -> None:
        """Write 0% over any other weight, again and again until it is accepted."""
        deadline = self._clock.now() + within
        while True:
            try:
                self._lower_once(outdated_token, check)
                return
            except WriteRefusedError:
                raise
            except TargetError:
                if self._clock.now() >= deadline:
                    raise
            self._clock.sleep(_PAUSE)

    def obstacles(self) -> Sequence[Obstacle]:
        """Return none: the application reads this item, and no version or alias of it."""
        return ()

    def _lower_once(self, void: str, check: Callable[[TargetReading], object] | None) -> None:
        reading = self.read()
        if check is not None:
            check(reading)
        if reading.weight == 0 and reading.token != void:
            return
        try:
            self._write(0)
        except AWS_ERRORS as error:
            kind = TargetError if is_transient(error) else WriteRefusedError
            text = error_text(f"0% was not written to {self._target.name}", error)
            raise kind(text) from error

    def _write(self, weight: int, only: str | None = None) -> None:
        """Write `weight` and count the version up; only: the version that the item must have."""
        request: dict[str, Any] = {
            **self._request,
            "UpdateExpression": "SET weight = :weight ADD version :one",
            "ExpressionAttributeValues": {":weight": {"N": str(weight)}, ":one": {"N": "1"}},
        }
        if only == "0":
            request["ConditionExpression"] = "attribute_not_exists(version)"
        elif only is not None:
            request["ConditionExpression"] = "version = :seen"
            request["ExpressionAttributeValues"][":seen"] = {"N": only}
        self._client.update_item(**request)


def _is_conflict(error: Exception) -> bool:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return code == "ConditionalCheckFailedException"


class SimulatedFlagItem:
    """`SimulatedTarget`: the item in a simulated account, for rehearsals."""

    def __init__(self, target: DynamoDbFlag, world: "World") -> None:
        self._target, self._world = target, world
        self._weight = self._version = 0

    @property
    def operations(self) -> Mapping[tuple[str, str], Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The calls that the adapter makes."""
        return {
            ("dynamodb", "DescribeTable"): self._describe_table,
            ("dynamodb", "GetItem"): self._get_item,
            ("dynamodb", "UpdateItem"): self._update_item,
        }

    @property
    def busy(self) -> bool:
        """No: an update of an item takes no time."""
        return False

    def begin(self, weight: int, *, adopted: bool) -> None:
        """Take the first weight."""
        self._set(100 if adopted else weight)

    def perform(self, change: "TargetChange") -> None:
        """Let a person set the weight."""
        if change.kind != "person" or change.weight is None:
            raise PolicyError(f"the event {change.kind} does not fit a {self._target.kind} target")
        self._set(change.weight)

    def _set(self, weight: int) -> None:
        self._weight, self._version = weight, self._version + 1
        self._world.note_weight(weight)

    def _describe_table(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request["TableName"]
        return {"Table": {"TableArn": f"arn:aws:dynamodb:us-east-1:123456789012:table/{name}"}}

    def _get_item(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        return {"Item": {"weight": {"N": str(self._weight)}, "version": {"N": str(self._version)}}}

    def _update_item(self, request: Mapping[str, Any]) -> dict[str, Any]:
        values = request["ExpressionAttributeValues"]
        if "ConditionExpression" in request and values[":seen"]["N"] != str(self._version):
            from controller.testing import client_error

            code = "ConditionalCheckFailedException"
            raise client_error("UpdateItem", code, "The conditional request failed")
        self._set(int(values[":weight"]["N"]))
        return {}
