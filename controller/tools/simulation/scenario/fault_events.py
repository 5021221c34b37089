"""The fault events of a scenario file: what happens, when, and for how long."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from controller.core.policy.field_types import Model
from controller.core.units import DurationRange, PercentUpTo, quote_value
from controller.tools.simulation.scenario.metric_roles import TrafficPath


def _true_or_false(value: object) -> object:
    if value is not None and type(value) is not bool:  # 1 equals True, and `yes` is text
        raise ValueError(f"expected true or false, not {quote_value(value)}")
    return value


Duration: TypeAlias = Annotated[timedelta, DurationRange("0s", "30d")]
Weight: TypeAlias = Annotated[int, Field(ge=0, le=100, strict=True)]
YamlFlag: TypeAlias = Annotated[bool, BeforeValidator(_true_or_false)]


Share: TypeAlias = Annotated[float, PercentUpTo("100%")]


class FaultShares(Model):
    """The shares of requests that end in another way than a success."""

    redirects: Share | None = Field(default=None, description="Share answered 3xx, like 2%.")
    client_errors: Share | None = Field(default=None, description="Share answered 4xx, like 2%.")
    server_errors: Share | None = Field(default=None, description="Share answered 5xx, like 2%.")
    died: Share | None = Field(
        default=None, description="Share whose target is gone: it refuses the connection."
    )
    hung: Share | None = Field(
        default=None, description="Share whose target does not answer before the idle timeout."
    )
    raised: Share | None = Field(
        default=None, description="Share whose Lambda function raises an exception."
    )
    throttled: Share | None = Field(
        default=None, description="Share that Lambda rejects: no concurrency is left."
    )
    aborted: Share | None = Field(
        default=None, description="Share whose client closes the connection before the answer."
    )


class EventTime(Model):
    """A moment of the rehearsal."""

    step: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None,
        description="Counted from when the weight of this step came into force, 1 for the first; a "
        "policy with fewer steps: its last. Left out: from the start of the rehearsal.",
    )
    after: Duration = Field(default=timedelta(), description="How long after that.")


class FaultEvent(Model):
    """An event of a scenario."""

    at: EventTime = Field(default=EventTime(), description="When it begins.")


class LastingFault(FaultEvent):
    """An event that lasts for a while."""

    lasting: Duration | None = Field(
        default=None, description="How long it lasts; to the end when left out."
    )


class Errors(FaultShares, LastingFault):
    """Requests of a path end in another way; a share that is left out stays as it is."""

    kind: Literal["errors"] = Field(description="What happens.")
    path: TrafficPath = Field(default=TrafficPath.CANARY, description="canary, stable or both.")


class Latency(LastingFault):
    """A path becomes slower or faster, at once or little by little."""

    kind: Literal["latency"] = Field(description="What happens.")
    path: TrafficPath = Field(default=TrafficPath.CANARY, description="canary, stable or both.")
    times: Annotated[float, Field(gt=0, le=1_000)] = Field(
        description="What the latency is multiplied by, like 1.3."
    )
    ramp: Duration = Field(
        default=timedelta(), description="How long it creeps until it is all there; 0s: at once."
    )


class TrafficChange(LastingFault):
    """The number of requests changes, on both paths."""

    kind: Literal["traffic"] = Field(description="What happens.")
    times: Annotated[float, Field(ge=0, le=1_000)] = Field(
        description="What the traffic is multiplied by; 0 is silence."
    )


class ManualChange(FaultEvent):
    """An operator changes variables of the function outside rolloutctl: drift."""

    kind: Literal["person"] = Field(description="What happens.")
    weight: Weight | None = Field(
        default=None, description="Weight to set, in the policy's own variables."
    )
    boolean: YamlFlag | None = Field(
        default=None,
        description="What to set the policy's boolean variable to, whatever the weight says.",
    )
    variables: dict[str, str] = Field(
        default_factory=dict, description="Other variables to set; the rest stays."
    )


class StackUpdate(FaultEvent):
    """An infrastructure stack resets the environment to that of the start, and deploys new code."""

    kind: Literal["stack_update"] = Field(description="What happens.")


class AliasReset(FaultEvent):
    """Callers are sent to an alias whose version has the environment of the rehearsal's start."""

    kind: Literal["alias_reset"] = Field(description="What happens.")


class SecondStart(FaultEvent):
    """An operator starts the policy again under another name while the rollout runs."""

    kind: Literal["second_start"] = Field(description="What happens.")


class AttestationEvent(FaultEvent):
    """An operator signs or refuses an attestation of the policy."""

    kind: Literal["attestation"] = Field(description="What happens.")
    criterion: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None, description="Id of the criterion; every attestation when left out."
    )
    refuse: YamlFlag = Field(default=False, description="true: the person says no.")
    note: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default="seen in the rehearsal", description="What the person says of it."
    )


ExternalAction: TypeAlias = ManualChange | StackUpdate | AliasReset | SecondStart | AttestationEvent


class Outage(LastingFault):
    """An AWS service fails its calls, or degrades their results."""

    service: ClassVar[str]
    how: str


class MetricsOutage(Outage):
    """CloudWatch fails metric calls, or degrades their results."""

    service: ClassVar[str] = "cloudwatch"

    kind: Literal["metrics_outage"] = Field(description="What happens.")
    how: Literal["error", "throttle", "denied", "partial", "internal_error", "forbidden"] = Field(
        description="error, throttle, denied: the call fails; partial, internal_error, forbidden: "
        "it succeeds with results of that status."
    )


class LambdaOutage(Outage):
    """Lambda's control plane fails its calls; traffic is not affected."""

    service: ClassVar[str] = "lambda"

    kind: Literal["lambda_outage"] = Field(description="What happens.")
    how: Literal["error", "throttle", "denied", "timeout", "lost_response"] = Field(
        description="error, throttle, denied, timeout: nothing is done; lost_response: writes are "
        "done, their answer is lost."
    )


class LogsOutage(Outage):
    """CloudWatch Logs fails its calls."""

    service: ClassVar[str] = "logs"

    kind: Literal["logs_outage"] = Field(description="What happens.")
    how: Literal["throttle", "denied", "timeout"] = Field(
        description="How it fails; nothing can be searched meanwhile."
    )


class HooksRefuse(LastingFault):
    """The hooks of the policy refuse, or do not answer."""

    kind: Literal["hooks_refuse"] = Field(description="What happens.")
    how: Literal["refused", "failed"] = Field(
        default="refused", description="refused: they say no; failed: they do not answer."
    )


class AlarmChange(LastingFault):
    """An alarm of the policy changes its state, whatever the metrics are."""

    kind: Literal["alarm"] = Field(description="What happens.")
    alarm: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="Name of the alarm; every alarm of the policy when left out."
    )
    state: Literal["ok", "alarm", "insufficient_data", "missing"] = Field(
        default="alarm", description="Its state meanwhile; it is OK otherwise."
    )


class LogLine(FaultEvent):
    """The function logs a message, in every log group that the policy reads."""

    kind: Literal["log_event"] = Field(description="What happens.")
    message: Annotated[str, Field(min_length=1, max_length=1_000)] = Field(
        description='What is logged, like {"event": "api_gateway_fallback"}.'
    )
    times: Annotated[int, Field(ge=1, le=1_000, strict=True)] = Field(
        default=1, description="How often, within a minute."
    )


class SlowUpdates(LastingFault):
    """Updates that begin meanwhile stay in progress for long."""

    kind: Literal["slow_updates"] = Field(description="What happens.")
    takes: Duration = Field(description="How long an update takes meanwhile.")


class FailedUpdates(LastingFault):
    """Updates that begin meanwhile end as failed; traffic keeps the old configuration."""

    kind: Literal["failed_updates"] = Field(description="What happens.")


class RefusedRaises(LastingFault):
    """Lambda denies every update that raises the weight; one that lowers it is done."""

    kind: Literal["refused_raises"] = Field(description="What happens.")


class KmsDenied(LastingFault):
    """The environment of the function cannot be decrypted."""

    kind: Literal["kms_denied"] = Field(description="What happens.")


Event: TypeAlias = Annotated[
    Errors
    | Latency
    | TrafficChange
    | ManualChange
    | StackUpdate
    | AliasReset
    | SecondStart
    | AttestationEvent
    | AlarmChange
    | LogLine
    | MetricsOutage
    | LambdaOutage
    | LogsOutage
    | HooksRefuse
    | SlowUpdates
    | FailedUpdates
    | RefusedRaises
    | KmsDenied,
    Field(discriminator="kind"),
]
