"""The kinds of criteria that a gate is made of, each with its bound and its judge.

success_rate       share of requests that did not fail (SC-004)
latency_increase   latency against a baseline (SC-003)
threshold          any metric, or a ratio of two, against a bound
traffic            requests reached the canary
share              share of requests on the canary against the weight
burn_rate          error budget that a pair of windows burns
alarm              state of a CloudWatch alarm
log_events         an event that is absent from the log, or present in it
attestation        signature of an operator
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

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

from controller.core.policy.aws_location import AwsLocation
from controller.core.policy.base import Count, Model, Name, WindowLength
from controller.core.policy.baseline import Baseline, ConcurrentBaseline, FrozenBaseline
from controller.core.policy.judging import (
    DRIFT_ALLOWANCE,
    FAILURE_LIMIT,
    Assurance,
    Control,
    Criterion,
    DualJudgeRule,
    Exceedance,
    FailureLimit,
    MetricNames,
    MinutelyRule,
    Place,
    Reference,
    WindowedRule,
    failure_references,
    require_sequential,
)
from controller.core.policy.kinds import Kinds, MissingKind
from controller.core.policy.metric import Metric
from controller.core.policy.verify_rollback import EventPattern, LogGroup
from controller.core.units import (
    PERCENT_PATTERN,
    DurationRange,
    PercentUpTo,
    format_duration,
    format_percent,
    parse_percent,
    quote_value,
)

# Three failures expected at ten times the allowed rate of 0.1 %: rules out 1 % at 95 % confidence.
RATE_SAMPLES = 300


def _open_interval(share: float) -> float:
    if not 0 < share < 1:
        raise ValueError("must be above 0% and below 100%")
    return share


# --- Success rate, latency and thresholds ---------------------------------------------------------

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
        raise ValueError("must be above 0%: no share is below 0%")
    return share


def _one_of(first: str, second: str, *, given: bool) -> str:
    """Return that one of two fields is needed; given: both are there, so that one is too many."""
    if given:
        return f"has both `{first}` and `{second}`: leave one of them out"
    return f"needs `{first}` or `{second}`"


def count_problem(metric: Metric) -> str | None:
    """Return that a count is needed; None where `metric` is one."""
    return None if metric.is_count else "needs a count (Sum)"


class SuccessRate(MinutelyRule):
    """The share of requests that did not fail is at least `min`."""

    judged_by: ClassVar[str] = "controller.core.judge.kinds.success_rate:SuccessRateJudge"

    kind: Literal["success_rate"] = Field(description="Kind of the criterion.")
    total: Name = Field(description="Metric that counts requests.")
    failures: MetricNames = Field(
        description="Metrics that count failed requests; they are added up."
    )
    min: Annotated[float, PercentUpTo("100%"), AfterValidator(_above_zero)] = Field(
        description="Lowest share that passes, like 99.9%."
    )
    failure_limit: FailureLimit = Field(
        default=FAILURE_LIMIT, description="Breaching windows in a row that fail."
    )
    min_samples: Count = Field(
        default=RATE_SAMPLES, description="Requests in the step that a pass needs."
    )
    assurance: Assurance | None = Field(
        default=None,
        description="What a pass of the sequential judge needs: not_refuted (when left out), or "
        "proven: a share below `min` has been ruled out at 95 % confidence.",
    )
    control: Control | None = Field(
        default=None,
        description="Counts of the stable path: while it fails too, the sequential judge compares "
        "the canary with it, and no gate but the last one passes.",
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

    def statistic_problem(self, metric: Metric) -> str | None:
        """Return that a count is needed."""
        return count_problem(metric)

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield from failure_references(self.total, self.failures)
        if self.control is not None:
            for place, name in self.control.references():
                yield ("control", *place), name


class LatencyIncrease(MinutelyRule):
    """Latency is at most `max_increase` above the baseline, judged at the end of the bake."""

    judged_by: ClassVar[str] = "controller.core.judge.kinds.latency_increase:LatencyIncreaseJudge"

    kind: Literal["latency_increase"] = Field(description="Kind of the criterion.")
    metric: Name = Field(description="Latency of the canary path, as a percentile or average.")
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
        description="How much a frozen or fixed baseline may have drifted meanwhile before the "
        "sequential judge rolls back; 5% when left out.",
    )
    exceedance: Exceedance | None = Field(
        default=None,
        description="How the sequential judge learns the share of slow requests: counts (when "
        "left out), or percentiles, where a source has no counts above a limit.",
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
        for place, name in self.references():
            other = metrics.get(name)
            if own is None or other is None or place == ("metric",) or other.is_count:
                continue
            if own.statistic != other.statistic:
                yield place, f"compares {own.statistic} with {other.statistic} of {name}"
            if own.unit and other.unit and own.unit != other.unit:
                yield place, f"compares {own.unit} with {other.unit} of {name}"

    @property
    def compares_paths(self) -> bool:
        """True for a concurrent baseline."""
        return isinstance(self.baseline, ConcurrentBaseline)

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("metric",), self.metric
        if isinstance(self.baseline, FrozenBaseline):
            yield ("baseline", "frozen"), self.baseline.frozen
        if isinstance(self.baseline, ConcurrentBaseline):
            yield ("baseline", "concurrent"), self.baseline.concurrent


# Of so many samples within the bound, at most 14 % more may be beyond it (95 % confidence). One
# request, or one datapoint, shows nothing.
THRESHOLD_SAMPLES = 20


class Threshold(DualJudgeRule):
    """A metric, or its ratio to another, stays within `max` or `min`."""

    judged_by: ClassVar[str] = "controller.core.judge.kinds.threshold:ThresholdJudge"
    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["max"]}, {"required": ["min"]}]}
    )

    kind: Literal["threshold"] = Field(description="Kind of the criterion.")
    metric: Name = Field(description="Metric that is compared.")
    per: Name | None = Field(
        default=None, description="Metric to divide by; the bound is then a percent."
    )
    max: Bound | None = Field(default=None, description="Largest value that passes.")
    min: Bound | None = Field(default=None, description="Smallest value that passes.")
    failure_limit: FailureLimit = Field(
        default=FAILURE_LIMIT, description="Breaching windows in a row that fail."
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
            raise ValueError(_one_of("max", "min", given=self.max is not None))
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

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("metric",), self.metric
        if self.per is not None:
            yield ("per",), self.per


# --- Traffic, share and burn rate -----------------------------------------------------------------

# With this many requests, 0 of them where 10 % are due is no chance (0.9 ^ 100 = 0.003 %).
SHARE_SAMPLES = 100


class Traffic(WindowedRule):
    """Requests arrived on the canary, so that a flag without effect is found."""

    judged_by: ClassVar[str] = "controller.core.judge.kinds.traffic:TrafficJudge"

    kind: Literal["traffic"] = Field(description="Kind of the criterion.")
    metric: Name = Field(description="Metric that counts requests of the canary.")
    min: Count = Field(default=1, description="Requests in the step that a pass needs.")
    control: Name | None = Field(
        default=None,
        description="Metric that counts requests of the stable path alone; with it, a canary "
        "without requests fails when that is unlikely by chance (< 0.1 %).",
    )
    window: WindowLength = Field(default=timedelta(minutes=1), description="Length of one window.")

    def statistic_problem(self, metric: Metric) -> str | None:
        """Return that a count is needed."""
        return count_problem(metric)

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("metric",), self.metric
        if self.control is not None:
            yield ("control",), self.control


class Share(Criterion):
    """The share of requests on the canary is what the weight says."""

    judged_by: ClassVar[str] = "controller.core.judge.kinds.traffic_share:ShareJudge"

    kind: Literal["share"] = Field(description="Kind of the criterion.")
    metric: Name = Field(description="Metric that counts requests of the canary.")
    control: Name = Field(description="Metric that counts requests of the stable path alone.")
    confidence: Annotated[float, PercentUpTo("100%"), AfterValidator(_open_interval)] = Field(
        default=0.99, description="Confidence of the expected range of the share."
    )
    tolerance: Annotated[float, PercentUpTo("50%")] = Field(
        default=0.02,
        description="How far the share itself may be off the weight, in points: 2% lets a weight "
        "of 10 be 8 to 12 %.",
    )
    min_samples: Count = Field(
        default=SHARE_SAMPLES,
        description="Requests on both paths in the step that a pass needs.",
    )
    window: WindowLength = Field(default=timedelta(minutes=1), description="Length of one window.")

    @property
    def period(self) -> timedelta:
        """Length of one window."""
        return self.window

    def statistic_problem(self, metric: Metric) -> str | None:
        """Return that a count is needed."""
        return count_problem(metric)

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("metric",), self.metric
        yield ("control",), self.control


class BurnWindow(Model):
    """Two stretches of time, and how fast the budget may burn in both at once."""

    factor: Annotated[float, Field(gt=1, le=1_000)] = Field(
        description="How many times faster than the objective allows."
    )
    long: Annotated[timedelta, DurationRange("10m", "3d")] = Field(
        description="Length of the long window: enough of the budget is gone."
    )
    short: Annotated[timedelta, DurationRange("1m", "1d")] = Field(
        description="Length of the short window: it still burns."
    )

    @property
    def text(self) -> str:
        """The rule as text for people: `14.4x over 1h and 5m`."""
        return f"{self.factor:g}x over {format_duration(self.long)} and {self.short_text}"

    @property
    def short_text(self) -> str:
        """The length of the short window."""
        return format_duration(self.short)


def _burn_window(factor: float, long: int, short_minutes: int) -> BurnWindow:
    return BurnWindow.model_construct(
        factor=factor, long=timedelta(hours=long), short=timedelta(minutes=short_minutes)
    )


# 2 % of the budget of 30 days in an hour, 5 % in six hours: The Site Reliability Workbook (Beyer et
# al., O'Reilly 2018), chapter 5, "Alerting on SLOs", table 5-8, "Multiwindow, Multi-Burn-Rate".
BURN_WINDOWS = (_burn_window(14.4, 1, 5), _burn_window(6, 6, 30))


class BurnRate(Criterion):
    """No pair of windows burns the error budget of `slo` faster than its factor."""

    judged_by: ClassVar[str] = "controller.core.judge.kinds.burn_rate:BurnRateJudge"

    kind: Literal["burn_rate"] = Field(description="Kind of the criterion.")
    total: Name = Field(description="Metric that counts requests.")
    failures: MetricNames = Field(
        description="Metrics that count failed requests; they are added up."
    )
    slo: Annotated[float, PercentUpTo("100%"), AfterValidator(_open_interval)] = Field(
        description="Share of requests that has to succeed, like 99.9%; the rest is the budget."
    )
    windows: tuple[BurnWindow, ...] = Field(
        default=BURN_WINDOWS,
        validate_default=False,
        description="Pairs of windows; one that burns too fast in both fails.",
    )
    min_samples: Count = Field(
        default=RATE_SAMPLES,
        description="Requests without which nothing passes, and no long window fails.",
    )
    window: WindowLength = Field(
        default=timedelta(minutes=5),
        description="Length of one counted window; every length of `windows` is a multiple.",
    )

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if not self.windows:
            raise ValueError("needs at least one pair of `windows`")
        for pair in self.windows:
            if pair.short >= pair.long:
                raise ValueError(f"`short` must be shorter than `long`, but is not in {pair.text}")
        if len({pair.long for pair in self.windows}) < len(self.windows):
            raise ValueError("each pair of `windows` needs a `long` of its own")
        lengths = chain.from_iterable((pair.long, pair.short) for pair in self.windows)
        if any(length % self.window for length in lengths):
            window = format_duration(self.window)
            raise ValueError(f"every length in `windows` must be a multiple of `window` ({window})")
        return self

    @property
    def period(self) -> timedelta:
        """Length of one window."""
        return self.window

    @property
    def longest_window(self) -> timedelta:
        """The longest window of all pairs."""
        return max(pair.long for pair in self.windows)

    def statistic_problem(self, metric: Metric) -> str | None:
        """Return that a count is needed."""
        return count_problem(metric)

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield from failure_references(self.total, self.failures)


# --- Alarms, log events and attestations ----------------------------------------------------------

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

    judged_by: ClassVar[str] = "controller.core.judge.kinds.alarm:AlarmJudge"

    kind: Literal["alarm"] = Field(description="Kind of the criterion.")
    alarm: AlarmId = Field(
        description="Name or ARN of a metric alarm or a composite alarm, in the region and account "
        "of the target."
    )

    def arns(self, where: AwsLocation, log_group: str) -> Mapping[str, Sequence[str]]:
        """Return every alarm: CloudWatch describes alarms by no narrower resource."""
        return {"alarms": ["*"]}


class LogEvents(Criterion):
    """An event is absent from the log of the function, or present in it, while logs arrive."""

    judged_by: ClassVar[str] = "controller.core.judge.kinds.log_events:LogEventsJudge"
    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["absent"]}, {"required": ["present"]}]}
    )

    kind: Literal["log_events"] = Field(description="Kind of the criterion.")
    log_group: LogGroup | None = Field(
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
        description="Filter pattern of an event that is always logged, like one of every request: "
        "the positive control, without which a missing event confirms nothing."
    )
    window: WindowLength = Field(
        default=timedelta(minutes=15),
        description="The newest window in which `control` has to be logged.",
    )

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        if (self.absent is None) == (self.present is None):
            raise ValueError(_one_of("absent", "present", given=self.absent is not None))
        if self.absent is None and self.max is not None:
            raise ValueError("`max` is for `absent`")
        if self.present is None and self.min is not None:
            raise ValueError("`min` is for `present`")
        if self.control == self.event:
            raise ValueError("`control` must be another event: it shows that logs arrive")
        return self

    def arns(self, where: AwsLocation, log_group: str) -> Mapping[str, Sequence[str]]:
        """Return the ARN of the log group."""
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

    judged_by: ClassVar[str] = "controller.core.judge.kinds.attestation:AttestationJudge"

    kind: Literal["attestation"] = Field(description="Kind of the criterion.")
    statement: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="What the operator signs, in one sentence."
    )


# --- All kinds ------------------------------------------------------------------------------------


class MissingCriterion(Criterion, MissingKind):
    """A stored criterion whose kind has no usable model here: it is never judged."""

    judged_by: ClassVar[str] = "controller.core.judge.kinds.missing:MissingCriterionJudge"


CRITERIA: Final = Kinds(
    "criterion",
    "rolloutctl.criteria",
    {
        "success_rate": "controller.core.policy.criteria:SuccessRate",
        "latency_increase": "controller.core.policy.criteria:LatencyIncrease",
        "threshold": "controller.core.policy.criteria:Threshold",
        "traffic": "controller.core.policy.criteria:Traffic",
        "share": "controller.core.policy.criteria:Share",
        "burn_rate": "controller.core.policy.criteria:BurnRate",
        "alarm": "controller.core.policy.criteria:Alarm",
        "log_events": "controller.core.policy.criteria:LogEvents",
        "attestation": "controller.core.policy.criteria:Attestation",
    },
    Criterion,
    MissingCriterion,
)
