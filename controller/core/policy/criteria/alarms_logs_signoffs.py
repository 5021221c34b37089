"""Criteria on what is no metric: alarms, log events, and what an operator signs off."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from controller.core.policy.comparison import NotCompared
from controller.core.policy.field_types import AwsLocation, Count, WindowLength, one_of_problem
from controller.core.policy.judge_settings import Criterion
from controller.core.policy.verify_rollback import EventPattern, LogGroup
from controller.core.units import quote_value

_ARN = re.compile(r"arn:[a-z-]+:cloudwatch:[a-z0-9-]+:[0-9]{12}:alarm:(?P<name>.+)")
_MAX_ALARM_NAME_LENGTH = 255


def _alarm_id(written: str) -> str:
    """Return `written` when it is the name or ARN of an alarm; raise ValueError otherwise."""
    match = _ARN.fullmatch(written)
    name = written if match is None else match["name"]
    if (match is None and written.startswith("arn:")) or not written.isprintable():
        raise ValueError(f"expected the name or ARN of an alarm, not {quote_value(written)}")
    if len(name) > _MAX_ALARM_NAME_LENGTH:
        raise ValueError(f"the name of an alarm has at most {_MAX_ALARM_NAME_LENGTH} characters")
    return written


AlarmId: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=1_600), AfterValidator(_alarm_id)
]


def alarm_name(alarm: str) -> str:
    """Return the name of an alarm that is given by its name or ARN."""
    match = _ARN.fullmatch(alarm)
    return alarm if match is None else match["name"]


class Alarm(Criterion):
    """A CloudWatch alarm is OK."""

    example: ClassVar[str] = "{kind: alarm, alarm: checkout-errors}"
    judged_by: ClassVar[str] = "controller.core.judge.criteria.alarms_logs_signoffs:AlarmJudge"

    kind: Literal["alarm"] = Field(description="Kind of the criterion.")
    alarm: AlarmId = Field(
        description="Name or ARN of a metric alarm or a composite alarm, in the region and account "
        "of the target."
    )

    def compares(self) -> NotCompared:
        """Return why it has no values over time."""
        return NotCompared("it reads the state of an alarm, which has no values")

    def arns(self, where: AwsLocation, log_group: str) -> Mapping[str, Sequence[str]]:
        """Return every alarm: CloudWatch describes alarms by no narrower resource."""
        return {"alarms": ["*"]}


class LogEvents(Criterion):
    """An event is absent from the log of the function, or present in it, while logs arrive."""

    example: ClassVar[str] = "{kind: log_events, absent: fallback, control: request}"
    judged_by: ClassVar[str] = "controller.core.judge.criteria.alarms_logs_signoffs:LogEventsJudge"
    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["absent"]}, {"required": ["present"]}]}
    )

    kind: Literal["log_events"] = Field(description="Kind of the criterion.")
    log_group: LogGroup | None = Field(
        default=None,
        examples=["/aws/lambda/checkout"],
        description="CloudWatch log group. /aws/lambda/ and the function's name if left out.",
    )
    absent: EventPattern | None = Field(
        default=None, description="Filter pattern of an event that must not be logged."
    )
    max: Annotated[int, Field(ge=0, le=1_000, strict=True)] | None = Field(
        default=None,
        examples=[0],
        description="How often `absent` may be logged in a step. 0 when left out.",
    )
    present: EventPattern | None = Field(
        default=None,
        examples=["request"],
        description="Filter pattern of an event that must be logged.",
    )
    min: Annotated[Count, Field(le=1_000)] | None = Field(
        default=None,
        examples=[1],
        description="How often `present` has to be logged in a step. 1 if left out.",
    )
    control: EventPattern = Field(
        description="Filter pattern of an event that is always logged, like one of every request: "
        "the positive control."
    )
    window: WindowLength = Field(
        default=timedelta(minutes=15),
        description="The newest window in which `control` has to be logged.",
    )

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        if (self.absent is None) == (self.present is None):
            raise ValueError(one_of_problem("absent", "present", given=self.absent is not None))
        if self.absent is None and self.max is not None:
            raise ValueError("`max` is for `absent`")
        if self.present is None and self.min is not None:
            raise ValueError("`min` is for `present`")
        if self.control == self.event:
            raise ValueError("`control` must be another event: it shows that logs arrive")
        return self

    def compares(self) -> NotCompared:
        """Return why it has no values over time."""
        return NotCompared("it searches a log for events, which no metric counts")

    def arns(self, where: AwsLocation, log_group: str) -> Mapping[str, Sequence[str]]:
        groups = [where.arn("logs", f"log-group:{self.log_group or log_group}:*")]
        return {"gate_logs": groups, "logs": groups}

    @property
    def event(self) -> str:
        """The pattern of the event that is counted."""
        return self.absent or self.present or ""

    @property
    def bound(self) -> int:
        """The most `absent` events that pass, or the fewest `present` events."""
        return (self.max or 0) if self.present is None else (self.min or 1)


class Attestation(Criterion):
    """An operator has signed off a statement that no metric measures."""

    example: ClassVar[str] = "{kind: attestation, statement: The new path was tried.}"
    judged_by: ClassVar[str] = (
        "controller.core.judge.criteria.alarms_logs_signoffs:AttestationJudge"
    )

    kind: Literal["attestation"] = Field(description="Kind of the criterion.")
    statement: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="What the operator signs, in one sentence."
    )

    def compares(self) -> NotCompared:
        """Return why it has no values over time."""
        return NotCompared("an operator signs it off")
