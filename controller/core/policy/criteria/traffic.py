"""Criteria on requests: that they arrive, on which path, and how fast they burn a budget."""

from datetime import timedelta
from itertools import chain
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controller.core.policy.comparison import Comparison, Level, Ratio
from controller.core.policy.field_types import Count, Model, WindowLength
from controller.core.policy.judge_settings import (
    RATE_SAMPLES,
    Criterion,
    WindowedRule,
)
from controller.core.policy.metric_uses import FailureMetrics, RequestsMetric, StableRequestsMetric
from controller.core.units import DurationRange, PercentUpTo, format_duration


def _open_interval(share: float) -> float:
    if not 0 < share < 1:
        raise ValueError("must be above 0% and below 100%")
    return share


# With this many requests, 0 of them where 10% are due is no chance (0.9 ^ 100 = 0.003%).
SHARE_SAMPLES = 100


class Traffic(WindowedRule):
    """Requests arrived on the canary, so that a flag without effect is found."""

    example: ClassVar[str] = "{kind: traffic, metric: requests, control: stable_requests}"
    judged_by: ClassVar[str] = "controller.core.judge.criteria.traffic:TrafficJudge"

    kind: Literal["traffic"] = Field(description="Kind of the criterion.")
    metric: RequestsMetric = Field(description="Metric that counts requests of the canary.")
    min: Count = Field(default=1, description="Requests in the step that a pass needs.")
    control: StableRequestsMetric | None = Field(
        default=None,
        description="Metric that counts only requests of the stable path. With it, a canary "
        "without requests fails when that is unlikely by chance (< 0.1%).",
    )
    window: WindowLength = Field(default=timedelta(minutes=1), description="Length of one window.")

    def compares(self) -> tuple[Comparison]:
        """Return the requests of the canary over a step."""
        control = None if self.control is None else Level(self.control, "requests")
        requests = Level(self.metric, "requests")
        return (Comparison(requests, self.min, is_maximum=False, window=None, control=control),)


class Share(Criterion):
    """The share of requests on the canary is what the weight says."""

    example: ClassVar[str] = "{kind: share, metric: requests, control: stable_requests}"
    judged_by: ClassVar[str] = "controller.core.judge.criteria.traffic:ShareJudge"

    kind: Literal["share"] = Field(description="Kind of the criterion.")
    metric: RequestsMetric = Field(description="Metric that counts requests of the canary.")
    control: StableRequestsMetric = Field(
        description="Metric that counts only requests of the stable path."
    )
    confidence: Annotated[float, PercentUpTo("100%"), AfterValidator(_open_interval)] = Field(
        default=0.99, description="Confidence of the expected range of the share."
    )
    tolerance: Annotated[float, PercentUpTo("50%")] = Field(
        default=0.02,
        description="How far the share itself may be off the weight, in points: 2% lets a weight "
        "of 10 be 8 to 12%.",
    )
    min_samples: Count = Field(
        default=SHARE_SAMPLES,
        description="Requests on both paths in the step that a pass needs.",
    )
    window: WindowLength = Field(default=timedelta(minutes=1), description="Length of one window.")

    @property
    def period(self) -> timedelta:
        return self.window

    def compares(self) -> tuple[Comparison]:
        """Return the share of requests on the canary."""
        share = Ratio((self.metric,), (self.metric, self.control), "requests")
        return (Comparison(share, 0.0, is_maximum=False, window=self.window),)


class BurnWindow(Model):
    """Two stretches of time, and how fast the budget may burn in both at once."""

    example: ClassVar[str] = "{factor: 14.4, long: 1h, short: 5m}"

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
        """The rule as text for people: `14.4x over both 1h and 5m`."""
        return f"{self.factor:g}x over both {format_duration(self.long)} and {self.short_text}"

    @property
    def short_text(self) -> str:
        return format_duration(self.short)


def _burn_window(factor: float, long: int, short_minutes: int) -> BurnWindow:
    return BurnWindow.model_construct(
        factor=factor, long=timedelta(hours=long), short=timedelta(minutes=short_minutes)
    )


# 2% of the budget of 30 days in an hour, 5% in six hours: The Site Reliability Workbook (Beyer et
# al., O'Reilly 2018), chapter 5, "Alerting on SLOs", table 5-8, "Multiwindow, Multi-Burn-Rate".
BURN_WINDOWS = (_burn_window(14.4, 1, 5), _burn_window(6, 6, 30))


class BurnRate(Criterion):
    """No pair of windows burns the error budget of `slo` faster than its factor."""

    example: ClassVar[str] = "{kind: burn_rate, total: requests, failures: [failures], slo: 99.9%}"
    judged_by: ClassVar[str] = "controller.core.judge.criteria.burn_rate:BurnRateJudge"

    kind: Literal["burn_rate"] = Field(description="Kind of the criterion.")
    total: RequestsMetric = Field(description="Metric that counts requests.")
    failures: FailureMetrics = Field(
        description="Metrics that count failed requests. They are added up."
    )
    slo: Annotated[float, PercentUpTo("100%"), AfterValidator(_open_interval)] = Field(
        description="Share of requests that has to succeed, like 99.9%. The rest is the budget."
    )
    windows: tuple[BurnWindow, ...] = Field(
        default=BURN_WINDOWS,
        validate_default=False,
        description="Pairs of windows. One that burns too fast in both fails.",
    )
    min_samples: Count = Field(
        default=RATE_SAMPLES,
        description="Requests without which nothing passes, and no long window fails.",
    )
    window: WindowLength = Field(
        default=timedelta(minutes=5),
        description="Length of one counted window. Every length of `windows` is a multiple.",
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
        return self.window

    @property
    def longest_window(self) -> timedelta:
        """The longest window of all pairs."""
        return max(pair.long for pair in self.windows)

    def with_bound(self, worst: float) -> Self:
        """Return the criterion with factors that are `worst` times as high."""
        pairs = [
            pair.model_copy(update={"factor": pair.factor * max(1, worst)}) for pair in self.windows
        ]
        return self.model_copy(update={"windows": tuple(pairs)})

    def compares(self) -> tuple[Comparison, ...]:
        """Return the share of failures in each long window, which fails with its short one."""
        return tuple(
            Comparison(
                Ratio(self.failures, (self.total,), "failures"),
                min(1.0, pair.factor * (1 - self.slo)),
                is_maximum=True,
                window=pair.long,
                and_window=pair.short,
                field="slo",
            )
            for pair in self.windows
        )
