"""Baselines of a relative criterion: a fixed number, a frozen reading or a concurrent metric."""

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
