"""What a criterion compares, in the same terms for every kind: for graphs, alarms and tables.

The judge of a kind decides in its own way. What draws or lists criteria reads only this, and
matches on the few forms here instead of on kinds.

The first part has the baselines of a latency that may grow: a fixed value, one that is frozen at
the start, or the stable path.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from controller.core.policy.field_types import Model
from controller.core.policy.metric_uses import FrozenLatencyMetric, StableLatencyMetric
from controller.core.units import DurationRange, quote_value
from controller.immutable import Immutable


def _moment(value: object) -> object:
    if value is None or isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(
            "expected a moment with its time zone, like 2026-11-20T00:00:00Z, "
            f"not {quote_value(value)}"
        )
    return moment


# What comes back every day is not known from one.
_MIN_SAME_HOURS = timedelta(days=2)

Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_moment)]


class FixedBaseline(Model):
    """A number that is known beforehand."""

    example: ClassVar[str] = "{fixed: 240}"

    fixed: Annotated[float, Field(gt=0, strict=True)] = Field(
        description="Value to compare with, in the unit of the metric."
    )


class FrozenBaseline(Model):
    """Another metric, read once before the start and stored."""

    example: ClassVar[str] = "{frozen: stable_duration, window: 24h}"

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["window"]}, {"required": ["from", "to"]}]}
    )

    frozen: FrozenLatencyMetric = Field(description="Metric of the stable path.")
    window: Annotated[timedelta, DurationRange("5m", "14d")] | None = Field(
        default=None, description="Length of the window that ends at the start."
    )
    from_: Moment | None = Field(
        default=None,
        alias="from",
        examples=["2026-11-20T00:00:00Z"],
        description="Begin of the window, with a time zone.",
    )
    to: Moment | None = Field(
        default=None,
        examples=["2026-11-20T00:00:00Z"],
        description="End of the window, with a time zone.",
    )
    same_hours: Literal[True] | None = Field(
        default=None,
        description="true: each hour is compared with the same hours of the earlier days of the "
        "window, which has two days at least.",
    )

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if (self.window is None) == (self.from_ is None and self.to is None):
            if self.window is not None:
                raise ValueError("has both `window` and `from` or `to`: leave one of them out")
            raise ValueError("needs `window`, or `from` and `to`")
        if (self.from_ is None) != (self.to is None):
            raise ValueError("needs both `from` and `to`")
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("`from` must be before `to`")
        if self.same_hours and self._length < _MIN_SAME_HOURS:
            raise ValueError("`same_hours` needs a window of two days at least")
        return self

    @property
    def _length(self) -> timedelta:
        if self.from_ is not None and self.to is not None:
            return self.to - self.from_
        return self.window or timedelta()

    def span(self, now: datetime, evaluation_delay: timedelta) -> tuple[datetime, datetime]:
        """Return begin and end of the window, for a rollout that starts at `now`."""
        if self.from_ is not None and self.to is not None:
            return self.from_.astimezone(UTC), self.to.astimezone(UTC)
        end = now - evaluation_delay
        return end - (self.window or timedelta()), end


class ConcurrentBaseline(Model):
    """Another metric in the same windows: a true control, while it has traffic."""

    example: ClassVar[str] = "{concurrent: stable_duration}"

    concurrent: StableLatencyMetric = Field(description="Metric of the stable path.")


def _tag(value: Any) -> str:
    keys = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    return next((tag for tag in ("fixed", "concurrent") if tag in keys), "frozen")


Baseline: TypeAlias = Annotated[
    Annotated[FixedBaseline, Tag("fixed")]
    | Annotated[FrozenBaseline, Tag("frozen")]
    | Annotated[ConcurrentBaseline, Tag("concurrent")],
    Discriminator(_tag),
]


class Level(Immutable):
    """The value of one metric. counts: `requests` where that is what it counts."""

    metric: str
    counts: Literal["requests", ""] = ""


class Ratio(Immutable):
    """A share: the sum of `parts` in the sum of `whole`.

    counts: what the parts count; empty where that is not known. Of `failures` with a smallest
    value, 1 minus the share is compared. Of `requests`, the whole is those of the canary, then of
    the stable path.
    """

    parts: tuple[str, ...]
    whole: tuple[str, ...]
    counts: Literal["requests", "failures", "successes", ""] = ""

    @property
    def judges_failures(self) -> bool:
        """True for a share of requests that failed, or of those that did not."""
        return self.counts in ("failures", "successes")

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics of it, each once."""
        return tuple(dict.fromkeys((*self.whole, *self.parts)))

    @property
    def text(self) -> str:
        """What is counted: `4xx + 5xx`, or for failures as the rest `requests - ok`."""
        if self.counts == "successes":
            return " - ".join((*self.whole, *self.parts))
        return " + ".join(self.parts)


class Increase(Immutable):
    """By how much `metric` is above what it is compared with, as a fraction of that, at most."""

    metric: str
    over: Baseline

    @property
    def control(self) -> str:
        """The metric of the same time that it is compared with; empty for a stored value."""
        return self.over.concurrent if isinstance(self.over, ConcurrentBaseline) else ""

    @property
    def fixed(self) -> float | None:
        """The number that it is compared with; None where the policy has none."""
        return self.over.fixed if isinstance(self.over, FixedBaseline) else None


class Computed(Immutable):
    """A value that only the judge of the kind works out."""


Measured: TypeAlias = Level | Ratio | Increase | Computed


class Comparison(Immutable):
    """One value that is compared with a bound.

    bound: the largest value that holds, or the smallest; 0 where it follows the weight.
    window: how long a value is measured; None: over the whole step.
    and_window: it takes also the newest time of this length to breach the bound; None: it does not.
    field: the field of the criterion that sets the bound; empty where no single one does.
    min_samples: that a comparison needs on either side; 0 where they are not counted.
    control: the same on the stable path, at the same time; None where it is not read.
    """

    measured: Measured
    bound: float
    is_maximum: bool
    window: timedelta | None
    field: str = ""
    and_window: timedelta | None = None
    min_samples: int = 0
    control: Level | Ratio | None = None

    @property
    def metric(self) -> str | None:
        """The metric whose values are compared, by themselves or with others; None for a share."""
        return self.measured.metric if isinstance(self.measured, Level | Increase) else None

    @property
    def stable_metric(self) -> str:
        """The metric of the stable path that `metric` is compared with; empty without one."""
        over = self.measured.over if isinstance(self.measured, Increase) else None
        if isinstance(over, FrozenBaseline):
            return over.frozen
        return self.control.metric if isinstance(self.control, Level) else ""

    @property
    def is_of_successes(self) -> bool:
        """True where the value is the share of requests that did not fail."""
        of_failures = isinstance(self.measured, Ratio) and self.measured.judges_failures
        return of_failures and not self.is_maximum

    @property
    def share_bound(self) -> float:
        """The bound as a share of failures where a ratio is about them, else as it is."""
        return 1 - self.bound if self.is_of_successes else self.bound

    @property
    def follows_weight(self) -> bool:
        """True for the share of requests on the canary: what is expected of it is the weight."""
        return isinstance(self.measured, Ratio) and self.measured.counts == "requests"

    def limit(self, stored: float | None) -> float | None:
        """Return the bound in the unit of the metric.

        stored: the frozen baseline; None before it was read. The result is None without it, and
        where the bound follows a metric of the same time, or the weight.
        """
        if not isinstance(self.measured, Increase):
            return None if self.follows_weight else self.bound
        if self.measured.control:
            return None
        value = self.measured.fixed or stored
        return None if value is None else value * (1 + self.bound)

    @property
    def requests(self) -> tuple[str, str]:
        """The metrics that count requests: of the canary, and of the stable path by itself.

        Empty where there is none.
        """
        match self.measured:
            case Ratio(counts="requests", whole=(canary, stable)):
                return canary, stable
            case _:
                return _requests(self.measured), _requests(self.control)


def _requests(one: Measured | None) -> str:
    match one:
        case Level(counts="requests", metric=name):
            return name
        case Ratio(whole=(name, *_)) if one.judges_failures:
            return name
        case _:
            return ""


class NotCompared(Immutable):
    """A criterion that compares no values over time. why: as a sentence for people."""

    why: str


Comparisons: TypeAlias = tuple[Comparison, ...] | NotCompared
