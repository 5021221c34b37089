"""Criteria on what requests do: their success, their latency, and any metric against a bound."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

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

from controller.core.policy.aws_metrics import time_unit
from controller.core.policy.comparison import (
    Baseline,
    Comparison,
    ConcurrentBaseline,
    Increase,
    Level,
    Ratio,
)
from controller.core.policy.field_types import Count, one_of_problem
from controller.core.policy.judge_settings import (
    DRIFT_ALLOWANCE,
    FAILURE_LIMIT,
    RATE_SAMPLES,
    Assurance,
    Control,
    CountedRequests,
    DualJudgeRule,
    Exceedance,
    FailureLimit,
    MinutelyRule,
    require_sequential,
)
from controller.core.policy.metric import Metric
from controller.core.policy.metric_uses import MetricName, MetricUse, Place, RequestsMetric
from controller.core.units import (
    PERCENT_PATTERN,
    PercentUpTo,
    format_percent,
    parse_percent,
    quote_value,
)

# CloudWatch calls fewer than 10 / (1 - p) samples "not enough" for a percentile: 200 for p95.
PERCENTILE_SAMPLES = 200

# The author of "10 in a day" does not mean an average of 10 / 1,440 a minute.
_MAX_MEAN_WINDOW = timedelta(hours=1)

Bound: TypeAlias = Annotated[
    float,
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": PERCENT_PATTERN}]}),
]


# Why a criterion that counts what is published only when it happens would never pass.
_NEVER_PASSES = (
    "must be 0, written out: {} is `missing: zero`, so a healthy service has no samples to count, "
    "and has to pass without them"
)


def _above_zero(share: float) -> float:
    if share == 0:
        raise ValueError("must be above 0%: a minimum of 0% never fails")
    return share


# Beyond it no test of shares can tell what is worse.
_WIDEST_SHARE = 0.9


class SuccessRate(CountedRequests, MinutelyRule):
    """The share of requests that did not fail is at least `min`."""

    example: ClassVar[str] = (
        "{kind: success_rate, total: requests, failures: [failures], min: 99.9%}"
    )
    judged_by: ClassVar[str] = "controller.core.judge.criteria.success_rate:SuccessRateWindowJudge"
    judged_by_evidence: ClassVar[str] = (
        "controller.core.judge.criteria.success_rate:SuccessRateSequentialJudge"
    )

    kind: Literal["success_rate"] = Field(description="Kind of the criterion.")
    min: Annotated[float, PercentUpTo("100%"), AfterValidator(_above_zero)] = Field(
        description="Lowest share that passes, like 99.9%."
    )
    failure_limit: FailureLimit = Field(
        default=FAILURE_LIMIT,
        description="Breaching windows in a row that fail, with judge: threshold.",
    )
    min_samples: Count = Field(
        default=RATE_SAMPLES, description="Requests in the step that a pass needs."
    )
    assurance: Assurance | None = Field(
        default=None,
        description="What a pass needs: no_regression (when left out), or proven: a share below "
        "`min` is ruled out at 95% confidence.",
    )
    control: Annotated[Control, MetricUse("compared")] | None = Field(
        default=None,
        description="Counts of the stable path. While it fails too, the canary is compared "
        "with it.",
    )

    @model_validator(mode="after")
    def _check_sequential_fields(self) -> Self:
        if self.sequential and not 0.8 <= self.min < 1:
            raise ValueError(
                "the sequential judge needs a `min` from 80% to below 100%; `judge: threshold` "
                "takes any"
            )
        return require_sequential(self, "assurance", "control")

    @property
    def windows_to_fail(self) -> int:
        """Breaching windows in a row that fail; the sequential judge counts none."""
        return 1 if self.sequential else self.failure_limit

    def with_bound(self, worst: float) -> Self:
        """Return the criterion with the share `worst` as its minimum."""
        return self.model_copy(update={"min": min(self.min, max(worst, 1 - _WIDEST_SHARE))})

    def compares(self) -> tuple[Comparison]:
        """Return the share of requests that did not fail, with that of the stable path."""
        return (
            Comparison(
                self.share,
                self.min,
                is_maximum=False,
                window=self.window,
                field="min",
                control=None if self.control is None else self.control.share,
            ),
        )


class LatencyIncrease(MinutelyRule):
    """Latency is at most `max_increase` above the baseline, judged at the end of the bake."""

    example: ClassVar[str] = (
        "{kind: latency_increase, metric: duration, max_increase: 5%, baseline:"
        " {concurrent: stable_duration}}"
    )
    judged_by: ClassVar[str] = "controller.core.judge.criteria.latency_increase:LatencyMeanJudge"
    judged_by_evidence: ClassVar[str] = (
        "controller.core.judge.criteria.latency_increase_tail:tail_judge"
    )

    kind: Literal["latency_increase"] = Field(description="Kind of the criterion.")
    metric: MetricName = Field(
        description="Latency of the canary path, as a percentile or average."
    )
    max_increase: Annotated[float, PercentUpTo("1000%")] = Field(
        description="Largest increase that passes, like 5%."
    )
    baseline: Baseline = Field(description="What to compare with: fixed, frozen or concurrent.")
    min_samples: Count = Field(
        default=PERCENTILE_SAMPLES,
        description="Requests on either side that a verdict needs.",
    )
    drift_allowance: Annotated[float, PercentUpTo("100%")] | None = Field(
        default=None,
        description="How much a frozen or fixed baseline may have drifted before the sequential "
        "judge rolls back. 5% when left out.",
    )
    exceedance: Exceedance | None = Field(
        default=None,
        description="How the share of slow requests is read: counts above a limit (when left out), "
        "or percentiles where a source has no such counts.",
    )

    @model_validator(mode="after")
    def _check_sequential_fields(self) -> Self:
        if isinstance(self.baseline, ConcurrentBaseline) and self.drift_allowance is not None:
            raise ValueError("a concurrent control drifts along: leave `drift_allowance` out")
        return require_sequential(self, "drift_allowance", "exceedance")

    @property
    def allowance(self) -> float:
        """How far the baseline may have drifted, as a fraction; 0 for a concurrent baseline."""
        if isinstance(self.baseline, ConcurrentBaseline):
            return 0.0
        return DRIFT_ALLOWANCE if self.drift_allowance is None else self.drift_allowance

    def compares(self) -> tuple[Comparison]:
        """Return the increase of the latency over its baseline."""
        increase = Increase(self.metric, self.baseline)
        return (
            Comparison(
                increase,
                self.max_increase,
                is_maximum=True,
                window=self.window,
                field="max_increase",
                min_samples=self.min_samples,
                control=Level(increase.control) if increase.control else None,
            ),
        )

    def statistic_problem(self, metric: Metric) -> str | None:
        """Return that a percentile or an average is needed, or a percentile alone."""
        if metric.is_count:
            return "needs a percentile or an average"
        if self.sequential and not metric.has_slow_requests:
            return (
                "the sequential judge needs a percentile from p50 to below p100 (`judge: "
                "threshold` takes any, and an average)"
            )
        return None

    def metric_problems(self, metrics: Mapping[str, Metric]) -> Iterator[tuple[Place, str]]:
        """Yield also where a latency is compared with another statistic, or in another unit."""
        yield from super().metric_problems(metrics)
        own = metrics.get(self.metric)
        for place, name, _ in self.references:
            other = metrics.get(name)
            if own is None or other is None or place == ("metric",) or other.is_count:
                continue
            if own.statistic != other.statistic:
                yield place, f"compares {own.statistic} with {other.statistic} of {name}"
            unit, other_unit = (time_unit(one) or one.unit for one in (own, other))
            if unit and other_unit and unit != other_unit:
                yield place, f"compares {unit} with {other_unit} of {name}"

    @property
    def compares_paths(self) -> bool:
        """True for a concurrent baseline."""
        return isinstance(self.baseline, ConcurrentBaseline)


# Of so many samples within the bound, at most 14% more may be beyond it (95% confidence). One
# request, or one datapoint, shows nothing.
THRESHOLD_SAMPLES = 20


class Threshold(DualJudgeRule):
    """A metric, or its ratio to another, stays within `max` or `min`."""

    example: ClassVar[str] = "{kind: threshold, metric: duration, max: 500}"
    judged_by: ClassVar[str] = "controller.core.judge.criteria.threshold:ThresholdWindowJudge"
    judged_by_evidence: ClassVar[str] = "controller.core.judge.criteria.threshold:sequential_judge"
    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["max"]}, {"required": ["min"]}]}
    )

    kind: Literal["threshold"] = Field(description="Kind of the criterion.")
    metric: MetricName = Field(description="Metric that is compared.")
    per: RequestsMetric | None = Field(
        default=None,
        examples=["requests"],
        description="Metric to divide by. The bound is then a percent.",
    )
    max: Bound | None = Field(default=None, description="Largest value that passes.")
    min: Bound | None = Field(default=None, examples=[1], description="Smallest value that passes.")
    failure_limit: FailureLimit = Field(
        default=FAILURE_LIMIT,
        description="Breaching windows in a row that fail, with judge: threshold.",
    )
    min_samples: Annotated[int, Field(ge=0, strict=True)] = Field(
        default=THRESHOLD_SAMPLES, description="Samples in the step that a pass needs."
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
            return 0.0  # `per` is invalid, so the unit is unknown
        if info.data["per"] is not None:
            value = parse_percent(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(
                f"expected a number in the unit of the metric, not {quote_value(value)}"
            )
        if value < 0 or (value == 0 and info.field_name == "min"):
            least = "must be above 0" if info.field_name == "min" else "must be at least 0"
            raise ValueError(f"{least}, not {value:g}: no value is below 0")
        return value

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.max is None) == (self.min is None):
            raise ValueError(one_of_problem("max", "min", given=self.max is not None))
        if self.sequential and self.max is None:
            raise ValueError("the sequential judge needs a `max`; `judge: threshold` takes a `min`")
        if self.sequential and self.per is not None and not 0 < self.bound <= 0.5:
            raise ValueError(
                "the sequential judge needs a `max` above 0% and up to 50%; `judge: threshold` "
                "takes any"
            )
        if self.sequential and self.window > _MAX_MEAN_WINDOW:
            raise ValueError(
                "the sequential judge reads minutes: `window` is for a count, and at most 1h; "
                "`judge: threshold` takes more"
            )
        return require_sequential(self, "exceedance")

    @field_serializer("max", "min")
    def _bound_text(self, value: float | None) -> float | str | None:
        return value if value is None or self.per is None else format_percent(value)

    @property
    def bound(self) -> float:
        """The limit that is compared with: a fraction for a ratio."""
        limit = self.min if self.max is None else self.max
        return 0.0 if limit is None else limit  # never None: one of the two is required

    @property
    def windows_to_fail(self) -> int:
        """Breaching windows in a row that fail; the sequential judge counts none."""
        return 1 if self.sequential else self.failure_limit

    def with_bound(self, worst: float) -> Self:
        """Return the criterion with the value or the ratio `worst` as its bound."""
        if self.max is None:
            return self.model_copy(update={"min": min(self.bound, worst)})
        widest = worst if self.per is None else min(worst, _WIDEST_SHARE)
        return self.model_copy(update={"max": max(self.max, widest)})

    def compares(self) -> tuple[Comparison]:
        """Return the metric, or its ratio to another."""
        measured = Ratio((self.metric,), (self.per,)) if self.per else Level(self.metric)
        side = "min" if self.max is None else "max"
        return (Comparison(measured, self.bound, side == "max", self.window, field=side),)

    def statistic_problem(self, metric: Metric) -> str | None:
        """Return that counts are needed for a ratio, or what the sequential judge needs."""
        if self.per is not None:
            return None if metric.is_count else "a ratio needs counts (Sum)"
        if self.sequential and not metric.is_count and not metric.has_slow_requests:
            return (
                "the sequential judge needs a percentile from p50 to below p100, or a count "
                "(`judge: threshold` takes any)"
            )
        return None

    def metric_problems(self, metrics: Mapping[str, Metric]) -> Iterator[tuple[Place, str]]:
        """Yield also where the bound, or the samples of a pass, do not fit the metric."""
        yield from super().metric_problems(metrics)
        metric = metrics.get(self.metric)
        if metric is None or self.per is not None:
            return
        side = "min" if self.max is None else "max"
        if self.sequential and metric.percentile is not None and self.bound <= 0:
            yield (side,), f"no request is faster than that: must be above 0, not {self.bound:g}"
        if side == "max" and metric.missing == "zero" and self.min_samples > 0:
            yield ("min_samples",), _NEVER_PASSES.format(self.metric)
