"""Criteria on counted requests: they arrive, on which path, how fast an error budget burns."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controller.core.policy.base import Count, Model, Name, Window
from controller.core.policy.judged import Judged, Reference, Rule, not_empty
from controller.core.units import DurationRange, PercentUpTo, format_duration

# Three failures expected at ten times the allowed rate of 0.1 %: rules out 1 % at 95 % confidence.
RATE_SAMPLES = 300
# From so many on, a share of 10 % that is none at all is no chance (0.9 ^ 100 = 0.003 %).
SHARE_SAMPLES = 100


def _open_interval(share: float) -> float:
    if not 0 < share < 1:
        raise ValueError("must be above 0% and below 100%")
    return share


class Traffic(Judged):
    """Requests arrived on the canary, so that a flag that reached nobody is seen."""

    kind: Literal["traffic"] = Field(description="Kind of the criterion.")
    metric: Name = Field(description="Metric that counts requests of the canary.")
    min: Count = Field(
        default=1, description="Requests in the step that show that the canary is reached."
    )
    control: Name | None = Field(
        default=None,
        description="Metric that counts requests of the stable path alone; with it, silence of "
        "the canary fails when it is unlikely (< 0.1 %).",
    )
    over: Window = Field(default=timedelta(minutes=1), description="Length of one window.")

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("metric",), self.metric
        if self.control is not None:
            yield ("control",), self.control


class Share(Rule):
    """The share of requests on the canary is what the weight says."""

    kind: Literal["share"] = Field(description="Kind of the criterion.")
    metric: Name = Field(description="Metric that counts requests of the canary.")
    control: Name = Field(description="Metric that counts requests of the stable path alone.")
    confidence: Annotated[float, PercentUpTo("100%"), AfterValidator(_open_interval)] = Field(
        default=0.99, description="How much of what chance does to a share is within the band."
    )
    tolerance: Annotated[float, PercentUpTo("50%")] = Field(
        default=0.02,
        description="How far the share itself may be off the weight, in points: 2% lets a weight "
        "of 10 be 8 to 12 %.",
    )
    min_samples: Count = Field(
        default=SHARE_SAMPLES,
        description="Requests on both paths in the step without which nothing passes.",
    )
    over: Window = Field(default=timedelta(minutes=1), description="Length of one window.")

    @property
    def window(self) -> timedelta:
        """Length of one judged window."""
        return self.over

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
        """The rule as a person says it: `14.4x over 1h and 5m`."""
        return f"{self.factor:g}x over {format_duration(self.long)} and {self.short_text}"

    @property
    def short_text(self) -> str:
        """The length of the short window."""
        return format_duration(self.short)


def _hours(factor: float, long: int, short_minutes: int) -> BurnWindow:
    return BurnWindow.model_construct(
        factor=factor, long=timedelta(hours=long), short=timedelta(minutes=short_minutes)
    )


# 2 % of the budget of 30 days in an hour, 5 % in six hours: The Site Reliability Workbook (Beyer et
# al., O'Reilly 2018), chapter 5, "Alerting on SLOs", table 5-8, "Multiwindow, Multi-Burn-Rate".
BURN_WINDOWS = (_hours(14.4, 1, 5), _hours(6, 6, 30))


class BurnRate(Rule):
    """No pair of windows burns the error budget of `slo` faster than its factor."""

    kind: Literal["burn_rate"] = Field(description="Kind of the criterion.")
    total: Name = Field(description="Metric that counts requests.")
    failures: Annotated[tuple[Name, ...], AfterValidator(not_empty)] = Field(
        description="Metrics that count failed requests; they are added up.",
        json_schema_extra={"minItems": 1},
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
    over: Window = Field(
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
        if any(length % self.over for length in lengths):
            raise ValueError(
                f"every window must be a multiple of `over` ({format_duration(self.over)})"
            )
        return self

    @property
    def window(self) -> timedelta:
        """Length of one judged window."""
        return self.over

    @property
    def longest(self) -> timedelta:
        """The longest window that is looked back over."""
        return max(pair.long for pair in self.windows)

    def references(self) -> Iterator[Reference]:
        """Yield every metric that is named, with its place."""
        yield ("total",), self.total
        for index, name in enumerate(self.failures):
            yield ("failures", index), name
