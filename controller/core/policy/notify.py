"""Channels that a policy sends notices to. It names where a secret is kept, never the secret."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)

from controller.core.policy.base import Model
from controller.core.policy.kinds import Kinds
from controller.core.units import DurationRange

TOPIC_PATTERN = r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$"
BUS_PATTERN = r"^(arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[A-Za-z0-9_./-]{1,256}$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"
SECRET_PATTERN = (
    r"^(arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@!-]{1,512}$"
)
HOST_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"

# The host of Slack's webhooks. A policy has to list any other host in `hosts`.
SLACK_HOSTS: tuple[str, ...] = ("hooks.slack.com",)
# Default of `summary_every`: how often a bake at 100 % is summed up.
SUMMARY_EVERY = timedelta(hours=1)

_INLINE_SECRET_MESSAGE = (
    "a webhook URL, or any other secret, never stands in a policy: keep it in Secrets Manager and "
    "write {secret: NAME}, or in an environment variable and write {environment: NAME}"
)


def _reject_inline_secret(value: object) -> object:
    """Refuse a secret that is written into the policy, without repeating it in the message."""
    texts = value.values() if isinstance(value, dict) else (value,)
    if any(isinstance(one, str) and "://" in one for one in texts) or isinstance(value, str):
        raise ValueError(_INLINE_SECRET_MESSAGE)
    return value


class SecretReference(Model):
    """Where a secret is kept: in one of two places, by its name there."""

    secret: Annotated[str, Field(pattern=SECRET_PATTERN)] | None = Field(
        default=None, description="Name or ARN of a secret in AWS Secrets Manager, kept as text."
    )
    environment: Annotated[str, Field(pattern=VARIABLE_PATTERN)] | None = Field(
        default=None, description="Environment variable of the process that ticks."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.secret is None) == (self.environment is None):
            raise ValueError("names one place: either `secret` or `environment`")
        return self

    @property
    def display_name(self) -> str:
        """Where the secret is kept, for people; never its value."""
        if self.secret is not None:
            return f"the secret {self.secret}"
        return f"the environment variable {self.environment}"


SecretField: TypeAlias = Annotated[SecretReference, BeforeValidator(_reject_inline_secret)]
Host: TypeAlias = Annotated[str, Field(pattern=HOST_PATTERN)]
MinSeverity: TypeAlias = Literal["info", "warning", "critical"]


class Channel(Model):
    """Base of every channel."""

    kind: str

    least: MinSeverity | None = Field(
        default=None, description="Least severity that is sent there; info when left out."
    )

    def takes(self, severity: str) -> bool:
        """Tell whether a message of `severity` is sent to the channel."""
        order = ("info", "warning", "critical")
        return order.index(severity) >= order.index(self.least or "info")

    @property
    def display_name(self) -> str:
        """The channel in a few words."""
        return self.kind


class MissingChannel(Channel):
    """A stored channel whose kind has no usable model here: nothing is delivered to it."""

    model_config = ConfigDict(extra="allow")

    _problem: str = PrivateAttr(default="")

    @property
    def problem(self) -> str:
        """Why there is no model."""
        return self._problem


class SnsChannel(Channel):
    """An SNS topic: e-mail, SMS, queues, pagers."""

    kind: Literal["sns"] = Field(description="What sort of channel it is.")
    topic: Annotated[str, Field(pattern=TOPIC_PATTERN)] = Field(
        description="ARN of the topic, in the region of the rollout."
    )

    @property
    def display_name(self) -> str:
        """The channel in a few words."""
        return f"sns {self.topic.rpartition(':')[2]}"


class SlackChannel(Channel):
    """An incoming webhook of Slack, or of what takes the same messages."""

    kind: Literal["slack"] = Field(description="What sort of channel it is.")
    webhook: SecretField = Field(
        description="Where the URL of the webhook is kept; it never stands in a policy."
    )
    hosts: Annotated[tuple[Host, ...], Field(max_length=10)] | None = Field(
        default=None, description="Hosts that the URL may name; hooks.slack.com when left out."
    )

    @property
    def display_name(self) -> str:
        """The channel in a few words."""
        return f"slack by {self.webhook.display_name}"


class EventBridgeChannel(Channel):
    """An EventBridge event bus: rules may start anything."""

    kind: Literal["eventbridge"] = Field(description="What sort of channel it is.")
    bus: Annotated[str, Field(pattern=BUS_PATTERN)] = Field(
        default="default", description="Name or ARN of the bus."
    )

    @property
    def display_name(self) -> str:
        """The channel in a few words."""
        return f"eventbridge {self.bus.rpartition('/')[2]}"


CHANNELS: Final = Kinds(
    "channel",
    "rolloutctl.notifiers",
    {
        "sns": "controller.core.policy.notify:SnsChannel",
        "slack": "controller.core.policy.notify:SlackChannel",
        "eventbridge": "controller.core.policy.notify:EventBridgeChannel",
    },
    Channel,
    MissingChannel,
)


def _not_empty(channels: tuple[Any, ...]) -> tuple[Any, ...]:
    if not channels:
        raise ValueError("needs at least one channel; leave the key out where there is none")
    return channels


Channels: TypeAlias = Annotated[
    tuple[Annotated[Channel, CHANNELS], ...],
    Field(max_length=10, json_schema_extra={"minItems": 1}),
    AfterValidator(_not_empty),
]
SummaryEvery: TypeAlias = Annotated[timedelta, DurationRange("0s", "1d")]
