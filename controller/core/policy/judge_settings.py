"""The judge of a criterion: `threshold` compares windows, `sequential` adds up evidence.

A field of the sequential judge is None where a policy leaves it out, so that policies which were
stored before the field existed keep their digest.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from controller.core.policy.comparison import (
    Comparison,
    Comparisons,
    Computed,
    Increase,
    Level,
    NotCompared,
    Ratio,
)
from controller.core.policy.field_types import (
    AwsLocation,
    Count,
    Model,
    WindowLength,
    one_of_problem,
)
from controller.core.policy.metric import Metric
from controller.core.policy.metric_uses import (
    FailureMetrics,
    Place,
    Reference,
    RequestsMetric,
    SuccessMetrics,
    references_in,
)
from controller.core.units import PercentUpTo, quote_value

FAILURE_LIMIT = 3
MINUTE = timedelta(minutes=1)
# Three failures expected at ten times the allowed rate of 0.1%: rules out 1% at 95% confidence.
RATE_SAMPLES = 300
# How far a stored latency may have drifted since, through no fault of the release.
DRIFT_ALLOWANCE = 0.05
# The chance that a rollout which breaks no rule is rolled back, over all its criteria and minutes.
DEFAULT_FALSE_ROLLBACK = 0.01

Judge: TypeAlias = Literal["threshold", "sequential"]
# What a criterion for either judge has when it names none.
DEFAULT_JUDGE: Final = "sequential"
FailureLimit: TypeAlias = Annotated[Count, Field(le=1_000)]
Assurance: TypeAlias = Literal["no_regression", "proven"]
Exceedance: TypeAlias = Literal["counts", "percentiles"]


def _above_zero(share: float) -> float:
    if share <= 0:
        raise ValueError("must be above 0%: at 0% no rollout would be rolled back")
    return share


Budget: TypeAlias = Annotated[float, PercentUpTo("20%"), AfterValidator(_above_zero)]


def _left_out_or_false(value: object) -> object:
    if value is not None and type(value) is not bool:  # 0 equals False, and `no` is text
        raise ValueError(f"expected true or false, not {quote_value(value)}")
    return None if value else value  # true is the default: one meaning, one digest


Gates: TypeAlias = Annotated[
    Literal[False] | None,
    BeforeValidator(_left_out_or_false),
    WithJsonSchema({"type": "boolean"}),
]


class Criterion(Model):
    """Base of every criterion, whatever it is judged from.

    judged_by: the class that judges criteria of this kind, as `module:Class`; judged_by_evidence:
    the one for `judge: sequential`.
    """

    judged_by: ClassVar[str]
    judged_by_evidence: ClassVar[str] = ""

    kind: str
    gates: Gates = Field(
        default=None,
        description="false: it is measured, shown and recorded, and neither blocks nor rolls back "
        "anything. A criterion gates when this is left out.",
    )

    @property
    def gating(self) -> bool:
        """True when the gate of a step waits for the criterion, and rolls back when it fails."""
        return self.gates is None

    @property
    def period(self) -> timedelta:
        """Length of the CloudWatch periods that are read and judged one by one."""
        return MINUTE

    @property
    def sequential(self) -> bool:
        """True when evidence adds up over minutes, and no window is compared by itself."""
        return False

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every metric that is named, with its place and its use.

        Not kept: `model_copy` would hand it on to a copy with other metrics.
        """
        return tuple(references_in(type(self), self.__dict__))

    @property
    def metric_names(self) -> list[str]:
        """The names of `references`."""
        return [one.metric for one in self.references]

    @property
    def judged(self) -> list[Reference]:
        """The references to what is judged, and neither compared with nor a frozen baseline."""
        return [one for one in self.references if one.use.purpose == "judged"]

    @property
    def shows_failures(self) -> bool:
        """True where a canary that fails its requests may change what is judged."""
        return any(one.use.shows_failures for one in self.judged)

    @property
    def windows_to_fail(self) -> int:
        """How many windows in a row it takes to fail."""
        return 1

    @property
    def compares_paths(self) -> bool:
        """True when both paths are compared minute by minute, so that both need requests."""
        return False

    def compares(self) -> Comparisons:
        """Return what is compared with a bound, for graphs, alarms and tables, or why nothing is.

        Of several, the criterion fails by any; all of them are of the same measurement.
        """
        return NotCompared("its kind does not say what it compares")

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """What is compared with a bound; empty for a criterion that compares no values."""
        compared = self.compares()
        return () if isinstance(compared, NotCompared) else compared

    def requests_in(self, one: Comparison) -> Iterator[str]:
        """Yield the metrics of a comparison that count requests, those of the canary first."""
        yield from filter(None, one.requests)
        if isinstance(one.measured, Ratio):
            uses = [(named.metric, named.use.measures) for named in self.references]
            yield from (name for name in one.measured.whole if (name, "requests") in uses)

    @property
    def window_value(self) -> Comparison:
        """What the judge measures in a window, and its bound."""
        unnamed = Comparison(Computed(), 0.0, True, self.period)
        return next(iter(self.comparisons), unnamed)

    def value_unit(self, metrics: Mapping[str, Metric]) -> str:
        """Return the unit of what the judge measures in a window; empty where it has none."""
        match self.window_value.measured:
            case Level(counts="requests"):
                return "requests"
            case Level(metric=name) | Increase(metric=name):
                return metrics[name].unit
            case _:
                return ""

    def with_bound(self, worst: float) -> Self:
        """Return the criterion with `worst`, a value of its judge, as the bound if that is wider.

        It is for a rollout that was started as a fix. A kind whose judge knows no worst value
        stays as it is.
        """
        return self

    def metric_problems(self, metrics: Mapping[str, Metric]) -> Iterator[tuple[Place, str]]:
        """Yield every mistake in what the criterion and its metrics say, with its place.

        metrics: those that are valid, by name.
        """
        for place, name, use in self.references:
            metric = metrics.get(name)
            if metric is None:
                continue
            problem = self.statistic_problem(metric)
            if problem is None and use.is_count and not metric.is_count:
                problem = "needs a count (Sum)"
            if problem is not None:
                yield place, f"{problem}, but {name} has statistic {metric.statistic}"

    def statistic_problem(self, metric: Metric) -> str | None:
        """Return what statistic the criterion needs of `metric`; None when it has that.

        That a metric of requests is a count is checked beside it.
        """
        return None

    def arns(self, where: AwsLocation, log_group: str) -> Mapping[str, Sequence[str]]:
        """Return the ARNs for the names in braces in the permissions of its sources.

        log_group: that of the target, where the criterion names none.
        """
        return {}


class WindowedRule(Criterion):
    """A criterion whose closed windows are compared one by one."""

    judge: Literal["threshold"] = Field(
        default="threshold",
        description="How evidence becomes a verdict: threshold compares each closed window.",
    )
    window: WindowLength = Field(default=timedelta(minutes=5), description="Length of one window.")

    @property
    def period(self) -> timedelta:
        return self.window


class MeasuredCriterion(WindowedRule):
    """Base of a criterion that compares one value of each closed window with one bound.

    A kind of another package extends it: it says what the value is, and what it is called.
    `failure_limit` breaches in a row fail; a pass needs the newest window within the bound.

    is_maximum: the bound is the largest value that holds, else the smallest. unit: of the value;
    None: that of the metric, where the criterion reads one metric.
    """

    judged_by: ClassVar[str] = "controller.core.judge.threshold_judge:MeasuredJudge"
    is_maximum: ClassVar[bool] = True
    unit: ClassVar[str | None] = None

    failure_limit: FailureLimit = Field(
        default=FAILURE_LIMIT, description="Breaching windows in a row that fail."
    )
    min_samples: Annotated[int, Field(ge=0, strict=True)] = Field(
        default=1, description="Samples in the step that a pass needs."
    )
    _worst: float | None = PrivateAttr(default=None)

    @property
    def windows_to_fail(self) -> int:
        return self.failure_limit

    @property
    def compares_paths(self) -> bool:
        """True where it names a metric of the stable path, as its value is of the same window."""
        return any(one.use.purpose == "compared" for one in self.references)

    @property
    def bound(self) -> float:
        """The limit that the value is compared with."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """What the value is called in a sentence, like `age of the oldest message`."""
        raise NotImplementedError

    def value(self, points: Mapping[str, float]) -> tuple[float, float] | None:
        """Return the value of one window and its samples; None where it has no value.

        points: what each metric of `references` had in the window, by name; one without a datapoint
        is left out.
        """
        raise NotImplementedError

    def compares(self) -> tuple[Comparison, ...]:
        """Return the computed value.

        A kind that says instead which metrics it compares has an alarm and a graph.
        """
        return (self.window_value,)

    @property
    def window_value(self) -> Comparison:
        """The computed value."""
        return Comparison(Computed(), self.bound, self.is_maximum, self.window)

    def value_unit(self, metrics: Mapping[str, Metric]) -> str:
        """Return `unit`, or that of the only metric."""
        names = set(self.metric_names)
        if self.unit is None and len(names) == 1:
            return metrics[names.pop()].unit
        return self.unit or ""

    def with_bound(self, worst: float) -> Self:
        """Return the criterion with the value `worst` as its bound, if that is wider."""
        relaxed = self.model_copy()
        relaxed._worst = worst
        return relaxed

    @property
    def widest(self) -> float:
        """The bound, or what `with_bound` was given where that is wider."""
        if self._worst is None:
            return self.bound
        return (max if self.is_maximum else min)(self.bound, self._worst)

    def breaches(self, value: float) -> bool:
        """Tell whether `value` is on the wrong side of the bound."""
        return value > self.widest if self.is_maximum else value < self.widest


class DualJudgeRule(WindowedRule):
    """A criterion for either judge: `threshold` or `sequential`."""

    judge: Judge = Field(  # type: ignore[assignment] # more than the base allows, on purpose
        default=DEFAULT_JUDGE,
        description="How evidence becomes a verdict: sequential adds up the evidence of every "
        "minute, threshold compares each closed window.",
    )

    @property
    def period(self) -> timedelta:
        """Length of one window; a minute, where evidence adds up."""
        return MINUTE if self.sequential else self.window

    @property
    def sequential(self) -> bool:
        return self.judge == "sequential"

    @model_validator(mode="after")
    def _check_sequential_gates(self) -> Self:
        if self.sequential and not self.gating:
            raise ValueError(
                "the sequential judge shares one budget of false rollbacks among the criteria that "
                "gate: one that only reports takes `judge: threshold`"
            )
        return self


class MinutelyRule(DualJudgeRule):
    """A criterion that the sequential judge reads minute by minute, in no longer window."""

    window: WindowLength = Field(
        default=timedelta(minutes=5),
        description="Length of one window of the threshold judge. The sequential judge reads "
        "minutes.",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_window(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("judge", DEFAULT_JUDGE) != "sequential":
            return data
        return {"window": "1m", **data}

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.sequential and self.window != MINUTE:
            raise ValueError(
                "the sequential judge adds up minutes: leave `window` out, or write "
                "`judge: threshold`"
            )
        return self


_C = TypeVar("_C", bound=DualJudgeRule)


def require_sequential(criterion: _C, *fields: str) -> _C:
    """Return `criterion`; raise ValueError if `fields` are set for the threshold judge."""
    names = [name for name in fields if getattr(criterion, name) is not None]
    if names and not criterion.sequential:
        raise ValueError(f"`{names[0]}` is for `judge: sequential`")
    return criterion


class CountedRequests(Model):
    """Requests, and either those that failed, or those that succeeded: all others failed."""

    example: ClassVar[str] = "{total: stable_requests, failures: [stable_failures]}"

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["failures"]}, {"required": ["successes"]}]}
    )

    total: RequestsMetric = Field(description="Metric that counts requests.")
    failures: FailureMetrics | None = Field(
        default=None, description="Metrics that count failed requests. They are added up."
    )
    successes: SuccessMetrics | None = Field(
        default=None,
        description="Instead of failures: metrics that count good answers. Every other request "
        "failed, including one that no failure metric counts.",
    )

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        if (self.failures is None) == (self.successes is None):
            given = self.failures is not None
            raise ValueError(one_of_problem("failures", "successes", given=given))
        return self

    @property
    def counted(self) -> tuple[str, ...]:
        """The metrics of failures, or those of successes."""
        return self.failures or self.successes or ()

    @property
    def failures_text(self) -> str:
        """How failures are counted: `4xx + 5xx`, or `requests - ok`."""
        return self.share.text

    @property
    def share(self) -> Ratio:
        """The share of requests that did not fail."""
        if self.successes is not None:
            return Ratio(self.successes, (self.total,), "successes")
        return Ratio(self.counted, (self.total,), "failures")


class Control(CountedRequests):
    """The same counts of the stable path: what fails there too is not the canary's fault."""
