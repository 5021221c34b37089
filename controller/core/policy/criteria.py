"""The rules a gate is made of, each with its kind, its bound and how it is judged.

success_rate       share of requests that did not fail (SC-004)
latency_increase   latency against a baseline (SC-003)
threshold          any metric, or a ratio of two, against a bound
traffic, share, burn_rate   what counted requests show (counted.py)
alarm, log_events, attestation   what others say than metrics (told.py)
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_serializer,
    field_validator,
    model_validator,
)

from controller.core.policy.base import Count, Name
from controller.core.policy.baseline import Baseline, ConcurrentBaseline, FrozenBaseline
from controller.core.policy.counted import RATE_SAMPLES, BurnRate, Share, Traffic
from controller.core.policy.judged import (
    DRIFT_ALLOWANCE,
    FAILURE_LIMIT,
    Assurance,
    ByMinute,
    Control,
    Exceedance,
    FailureLimit,
    Reference,
    Weighed,
    not_empty,
    only_sequential,
)
from controller.core.policy.told import Alarm, Attestation, LogEvents
from controller.core.units import (
    PERCENT_PATTERN,
    PercentUpTo,
    format_percent,
    parse_percent,
    shown,
)

# CloudWatch calls fewer than 10 / (1 - p) samples "not enough" for a percentile: 200 for p95.
PERCENTILE_SAMPLES = 200

# "10 in a day" is no mean of 10 / 1,440 a minute to whoever writes it.
_LONGEST_MEAN = timedelta(hours=1)

Bound: TypeAlias = Annotated[
    float,
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": PERCENT_PATTERN}]}),
]


class SuccessRate(ByMinute):
    """The share of requests that did not fail is at least `min`."""

    kind: Literal["success_rate"] = Field(description="Kind of the criterion.")
    total: Name = Field(description="Metric that counts requests.")
    failures: Annotated[tuple[Name, ...], AfterValidator(not_empty)] = Field(
        description="Metrics that count failed requests; they are added up.",
        json_schema_extra={"minItems": 1},
    )
    min: Annotated[float, PercentUpTo("100%")] = Field(
        description="Lowest share that holds, like 99.9%."
    )
    failure_limit: FailureLimit = Field(
        default=FAILURE_LIMIT, description="Breaching windows in a row that fail."
    )
    min_samples: Count = Field(
        default=RATE_SAMPLES, description="Requests in the step without which nothing passes."
    )
    assurance: Assurance | None = Field(
        default=None,
        description="What the sequential judge asks of a pass: not_refuted (when left out), or "
        "proven: a share below `min` has been ruled out at 95 % confidence.",
    )
    control: Control | None = Field(
        default=None,
        description="Counts of the stable path: in minutes in which it fails too, the sequential "
        "judge compares the canary with it, for a quarter of an hour of an outage at most.",
    )

    @model_validator(mode="after")
    def _of_the_sequential_judge(self) -> Self:
        if self.sequential and not 0.8 <= self.min < 1:
            raise ValueError("the sequential judge needs a `min` from 80% to below 100%")
        return only_sequential(self, "assurance", "control")

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("total",), self.total
        for index, name in enumerate(self.failures):
            yield ("failures", index), name
        if self.control is not None:
            for place, name in self.control.references():
                yield ("control", *place), name


class LatencyIncrease(ByMinute):
    """Latency is at most `max_increase` above the baseline, judged at the end of the bake."""

    kind: Literal["latency_increase"] = Field(description="Kind of the criterion.")
    metric: Name = Field(description="Latency of the canary path, as a percentile or average.")
    max_increase: Annotated[float, PercentUpTo("1000%")] = Field(
        description="Largest increase that holds, like 5%."
    )
    baseline: Baseline = Field(description="What to compare with: fixed, frozen or concurrent.")
    min_samples: Count = Field(
        default=PERCENTILE_SAMPLES,
        description="Requests on either side without which nothing is judged.",
    )
    drift_allowance: Annotated[float, PercentUpTo("100%")] | None = Field(
        default=None,
        description="How much a frozen or fixed baseline may have drifted meanwhile before the "
        "sequential judge rolls back; 5% when left out.",
    )
    exceedance: Exceedance | None = Field(
        default=None,
        description="How the sequential judge learns the share of slow requests: counts (when "
        "left out), or percentiles, where a source has no counts above a limit.",
    )

    @model_validator(mode="after")
    def _of_the_sequential_judge(self) -> Self:
        if isinstance(self.baseline, ConcurrentBaseline) and self.drift_allowance is not None:
            raise ValueError("a concurrent control drifts along: leave `drift_allowance` out")
        return only_sequential(self, "drift_allowance", "exceedance")

    @property
    def allowance(self) -> float:
        """What the baseline may have drifted, as a fraction; 0 beside a concurrent control."""
        if isinstance(self.baseline, ConcurrentBaseline):
            return 0.0
        return DRIFT_ALLOWANCE if self.drift_allowance is None else self.drift_allowance

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("metric",), self.metric
        if isinstance(self.baseline, FrozenBaseline):
            yield ("baseline", "frozen"), self.baseline.frozen
        if isinstance(self.baseline, ConcurrentBaseline):
            yield ("baseline", "concurrent"), self.baseline.concurrent


class Threshold(Weighed):
    """A metric, or its ratio to another, stays within `max` or `min`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["max"]}, {"required": ["min"]}]}
    )

    kind: Literal["threshold"] = Field(description="Kind of the criterion.")
    metric: Name = Field(description="Metric that is compared.")
    per: Name | None = Field(
        default=None, description="Metric to divide by; the bound is then a percent."
    )
    max: Bound | None = Field(default=None, description="Largest value that holds.")
    min: Bound | None = Field(default=None, description="Smallest value that holds.")
    failure_limit: FailureLimit = Field(
        default=FAILURE_LIMIT, description="Breaching windows in a row that fail."
    )
    min_samples: Annotated[int, Field(ge=0, strict=True)] = Field(
        default=1, description="Samples in the step without which nothing passes."
    )
    exceedance: Exceedance | None = Field(
        default=None,
        description="As for latency_increase, where the metric is a percentile.",
    )

    @field_validator("max", "min", mode="before")
    @classmethod
    def _unit_fits(cls, value: object, info: ValidationInfo) -> object:
        """Read a percent for a ratio, and a plain number for anything else."""
        if value is None:
            return None
        if "per" not in info.data:
            return 0.0  # `per` has a mistake of its own: nobody can say which unit fits
        if info.data["per"] is not None:
            return parse_percent(value)
        if type(value) not in (int, float):
            raise ValueError(f"expected a number in the unit of the metric, not {shown(value)}")
        return value

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.max is None) == (self.min is None):
            raise ValueError("needs either `max` or `min`")
        if self.sequential and self.max is None:
            raise ValueError("the sequential judge needs a `max`")
        if self.sequential and self.per is not None and not 0 < self.bound <= 0.5:
            raise ValueError("the sequential judge needs a `max` above 0% and up to 50%")
        if self.sequential and self.over > _LONGEST_MEAN:
            raise ValueError(
                "the sequential judge reads minutes: `over` is for a count, and at most 1h"
            )
        return only_sequential(self, "exceedance")

    @field_serializer("max", "min")
    def _bound_text(self, value: float | None) -> float | str | None:
        return value if value is None or self.per is None else format_percent(value)

    @property
    def bound(self) -> float:
        """The limit that is compared with: a fraction for a ratio."""
        limit = self.min if self.max is None else self.max
        return 0.0 if limit is None else limit  # never None: one of the two is required

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("metric",), self.metric
        if self.per is not None:
            yield ("per",), self.per


# What is compared with a bound of its own, in windows or as evidence that adds up.
Bounded: TypeAlias = SuccessRate | LatencyIncrease | Threshold | Traffic
# What no metric tells.
Told: TypeAlias = Alarm | LogEvents | Attestation

Criterion: TypeAlias = Annotated[
    SuccessRate
    | LatencyIncrease
    | Threshold
    | Traffic
    | Share
    | BurnRate
    | Alarm
    | LogEvents
    | Attestation,
    Field(discriminator="kind"),
]
