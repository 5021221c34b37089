"""Criteria that no metric tells: an alarm, the events of a log, the word of a person."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from controller.core.policy.base import Count, Window
from controller.core.policy.judged import Rule
from controller.core.policy.verify import LOG_GROUP, EventPattern, group_of
from controller.core.units import shown

_ARN = re.compile(r"arn:[a-z-]+:cloudwatch:[a-z0-9-]+:[0-9]{12}:alarm:(?P<name>.+)")
_LONGEST_NAME = 255


def _alarm(written: str) -> str:
    """Return what was written when it is a name, or the ARN of an alarm."""
    found = _ARN.fullmatch(written)
    name = written if found is None else found["name"]
    if (found is None and written.startswith("arn:")) or not written.isprintable():
        raise ValueError(f"expected the name or ARN of an alarm, not {shown(written)}")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"the name of an alarm has at most {_LONGEST_NAME} characters")
    return written


AlarmId: TypeAlias = Annotated[str, Field(min_length=1, max_length=1_600), AfterValidator(_alarm)]


def alarm_name(alarm: str) -> str:
    """Return the name of the alarm of this name or ARN."""
    found = _ARN.fullmatch(alarm)
    return alarm if found is None else found["name"]


class Alarm(Rule):
    """A CloudWatch alarm is OK."""

    kind: Literal["alarm"] = Field(description="Kind of the criterion.")
    alarm: AlarmId = Field(
        description="Name or ARN of a metric alarm or a composite alarm, in the region and account "
        "of the target."
    )


class LogEvents(Rule):
    """An event is absent from the log of the function, or present in it, while logs arrive."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["absent"]}, {"required": ["present"]}]}
    )

    kind: Literal["log_events"] = Field(description="Kind of the criterion.")
    log_group: Annotated[str, Field(pattern=LOG_GROUP)] | None = Field(
        default=None,
        description="CloudWatch log group; /aws/lambda/ and the function's name if left out.",
    )
    absent: EventPattern | None = Field(
        default=None, description="Filter pattern of an event that must not be logged."
    )
    max: Annotated[int, Field(ge=0, le=1_000, strict=True)] | None = Field(
        default=None, description="How often `absent` may be logged in a step; 0 when left out."
    )
    present: EventPattern | None = Field(
        default=None, description="Filter pattern of an event that must be logged."
    )
    min: Annotated[Count, Field(le=1_000)] | None = Field(
        default=None, description="How often `present` has to be logged in a step; 1 if left out."
    )
    control: EventPattern = Field(
        description="Filter pattern of an event that is logged whatever happens, like one of every "
        "request: the positive control, without which silence proves nothing."
    )
    over: Window = Field(
        default=timedelta(minutes=15),
        description="The newest stretch in which `control` has to be logged.",
    )

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        if (self.absent is None) == (self.present is None):
            raise ValueError("needs either `absent` or `present`")
        if self.absent is None and self.max is not None:
            raise ValueError("`max` is for `absent`")
        if self.present is None and self.min is not None:
            raise ValueError("`min` is for `present`")
        if self.control == self.event:
            raise ValueError("`control` must be another event: it proves that logs arrive")
        return self

    @property
    def event(self) -> str:
        """The pattern of the event that is counted."""
        return self.absent or self.present or ""

    @property
    def bound(self) -> int:
        """The most that may be logged of `absent`, or the least that has to be of `present`."""
        return (self.max or 0) if self.present is None else (self.min or 1)

    def group_of(self, function: str) -> str:
        """Return the log group, of a policy whose target is the function of this name or ARN."""
        return self.log_group or group_of(function)


class Attestation(Rule):
    """A person has signed what no measurement shows."""

    kind: Literal["attestation"] = Field(description="Kind of the criterion.")
    statement: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="What the person signs, in one sentence."
    )
