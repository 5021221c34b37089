"""What a criterion compares, in the same terms for every kind: for graphs, alarms and tables.

The judge of a kind decides in its own way. What draws or lists criteria reads only this, and
matches on the few forms here instead of on kinds.
"""

from datetime import timedelta
from typing import Literal, TypeAlias

from controller.core.policy.baseline import (
    Baseline,
    ConcurrentBaseline,
    FixedBaseline,
    FrozenBaseline,
)
from controller.immutable import Immutable


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
