"""Channels that a policy sends notices to. It names where a secret is kept, never the secret."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)

from controller.core.policy.field_types import AwsLocation, Form, Model, at_least_one
from controller.core.policy.kind_registry import MissingKind, Registry
from controller.core.units import DurationRange

VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"
SECRET_PATTERN = (
    r"^(arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@!-]{1,512}$"
)
PARAMETER_PATTERN = r"^(arn:[a-z-]+:ssm:[a-z0-9-]+:[0-9]{12}:parameter/)?[A-Za-z0-9/_.-]{1,1011}$"
HOST_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"

# Default of `summary_every`: how often a bake at 100% is summed up.
SUMMARY_EVERY = timedelta(hours=1)

_INLINE_SECRET_MESSAGE = (
    "a webhook URL, or any other secret, never stands in a policy: keep it in Secrets Manager and "
    "write {secret: NAME}, in Parameter Store and write {parameter: NAME}, or in an environment "
    "variable and write {environment: NAME}"
)


def _reject_inline_secret(value: object) -> object:
    """Refuse a secret that is written into the policy, without repeating it in the message."""
    texts = value.values() if isinstance(value, dict) else (value,)
    if any(isinstance(text, str) and "://" in text for text in texts) or isinstance(value, str):
        raise ValueError(_INLINE_SECRET_MESSAGE)
    return value


class SecretReference(Model):
    """Where a secret is kept: in one of three places, by its name there."""

    example: ClassVar[str] = "{secret: slack-webhook}"

    secret: (
        Annotated[str, Field(pattern=SECRET_PATTERN), Form("the name or ARN of a secret")] | None
    ) = Field(
        default=None, description="Name or ARN of a secret in AWS Secrets Manager, kept as text."
    )
    parameter: (
        Annotated[
            str, Field(pattern=PARAMETER_PATTERN), Form("the name or ARN of a parameter, like /a/b")
        ]
        | None
    ) = Field(
        default=None,
        examples=["/rollouts/slack-webhook"],
        description="Name or ARN of a SecureString in the Parameter Store of AWS Systems Manager.",
    )
    environment: (
        Annotated[
            str,
            Field(pattern=VARIABLE_PATTERN),
            Form("an environment variable (a letter or _, then letters, digits, _)"),
        ]
        | None
    ) = Field(
        default=None,
        examples=["SLACK_WEBHOOK"],
        description="Environment variable of the process that ticks.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if [self.secret, self.parameter, self.environment].count(None) != 2:
            raise ValueError("names one place: either `secret`, `parameter` or `environment`")
        return self

    def parameter_arn(self, where: AwsLocation) -> str:
        """Return the ARN of the parameter, whose name has its slash once; empty without one."""
        if self.parameter is None:
            return ""
        return where.full_arn(self.parameter.removeprefix("/"), "ssm", "parameter/{}")

    @property
    def display_name(self) -> str:
        """Where the secret is kept, for people; never its value."""
        if self.secret is not None:
            return f"the secret {self.secret}"
        if self.parameter is not None:
            return f"the parameter {self.parameter}"
        return f"the environment variable {self.environment}"


SecretField: TypeAlias = Annotated[SecretReference, BeforeValidator(_reject_inline_secret)]
Host: TypeAlias = Annotated[
    str,
    Field(pattern=HOST_PATTERN),
    Form("the name of a host in small letters, without a scheme, a port or a path"),
]
MinSeverity: TypeAlias = Literal["info", "warning", "critical"]


class Recipient(Model):
    """Base of what a policy sends something to: its channels and its hooks."""

    kind: str

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return the ARNs for the names in braces in the permissions of its adapter."""
        return {}

    @property
    def secret_reference(self) -> SecretReference | None:
        """The secret that is read to send something; None without one."""
        return None

    @property
    def destination(self) -> str:
        """Where it sends to, like `slack:C0123456789`, unless its ARNs or its secret say that."""
        return ""

    @property
    def display_name(self) -> str:
        """The recipient in a few words."""
        return self.kind


class Channel(Recipient):
    """Base of every channel. Each kind also delivers: `DeliveringChannel` in ports/notify.py."""

    min_severity: MinSeverity | None = Field(
        default=None, description="Lowest severity that is sent there; info when left out."
    )

    def takes(self, severity: str) -> bool:
        """Tell whether a message of `severity` is sent to the channel."""
        order = ("info", "warning", "critical")
        return order.index(severity) >= order.index(self.min_severity or "info")


class MissingChannel(Channel, MissingKind):
    """A stored channel whose kind has no usable model here: nothing is delivered to it."""


CHANNELS: Final = Registry(
    "channel",
    "rolloutctl.notifiers",
    {
        "sns": "controller.adapters.notifiers.sns:SnsChannel",
        "slack": "controller.adapters.notifiers.slack:SlackChannel",
        "slack-bot": "controller.adapters.notifiers.slack:SlackBotChannel",
        "eventbridge": "controller.adapters.notifiers.eventbridge:EventBridgeChannel",
        "pagerduty": "controller.adapters.notifiers.pagerduty:PagerDutyChannel",
    },
    Channel,
    MissingChannel,
    methods=("deliver",),
)


Channels: TypeAlias = Annotated[
    tuple[Annotated[Channel, CHANNELS], ...],
    Field(max_length=10, json_schema_extra={"minItems": 1}),
    at_least_one("channel"),
]
SummaryEvery: TypeAlias = Annotated[timedelta, DurationRange("0s", "1d")]
