"""What the criteria of a policy expect of a metric, as far as one look can hold it against that."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

from controller.core.gauges.asked import COUNTED, MINUTES
from controller.core.measured import FrozenValue
from controller.core.policy import (
    ConcurrentBaseline,
    Criterion,
    FixedBaseline,
    LatencyIncrease,
    Policy,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.units import MINUTE_S, format_duration, format_percent, number_text


@dataclass(frozen=True, slots=True)
class Expected:
    """What one criterion expects: a value from `low` to `high`.

    over: how many of the newest minutes are added up for that; 0: any minute by itself.
    """

    criterion: str
    text: str
    low: float = -inf
    high: float = inf
    over: int = 0

    def holds(self, value: float) -> bool:
        """Tell whether `value` is as expected."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Ratio:
    """A criterion on a share: `parts` of `whole`, or what they leave of it (`rest`)."""

    expected: Expected
    whole: str
    parts: tuple[str, ...]
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Increase:
    """A criterion on how much more `metric` shows than `control` does at the same time."""

    expected: Expected
    metric: str
    control: str


def of_metric(
    policy: Policy, name: str, baselines: Mapping[str, FrozenValue]
) -> Iterator[Expected]:
    """Yield what is expected of the metric called `name` alone."""
    for criterion, one in policy.criteria.items():
        match one:
            case Threshold(metric=metric, per=None) if metric == name:
                yield _threshold(criterion, one, policy)
            case Traffic(metric=metric) if metric == name:
                over = _minutes(one)
                text = f"≥ {number_text(one.min)} in {format_duration(one.over)}"
                yield Expected(criterion, text, low=one.min, over=over)
            case LatencyIncrease(metric=metric) if metric == name:
                yield from _above(criterion, one, baselines.get(criterion), policy)
            case _:
                pass


def of_several(policy: Policy) -> Iterator[Ratio | Increase]:
    """Yield what is expected of several metrics together."""
    for criterion, one in policy.criteria.items():
        match one:
            case SuccessRate():
                expected = Expected(criterion, f"≥ {format_percent(one.min)}", low=one.min)
                yield Ratio(expected, one.total, one.failures, rest=True)
            case Threshold(per=str(whole)):
                text = f"{'≥' if one.max is None else '≤'} {format_percent(one.bound)}"
                yield Ratio(_bounded(criterion, text, one, 0), whole, (one.metric,))
            case LatencyIncrease(baseline=ConcurrentBaseline(concurrent=control)):
                text = f"≤ +{format_percent(one.max_increase)} of {control}"
                expected = Expected(criterion, text, high=one.max_increase)
                yield Increase(expected, one.metric, control)
            case _:
                pass


def _threshold(criterion: str, one: Threshold, policy: Policy) -> Expected:
    metric = policy.metrics[one.metric]
    counted = metric.statistic in COUNTED
    sign = "≥" if one.max is None else "≤"
    text = f"{sign} {number_text(one.bound)} {metric.unit}".rstrip()
    if counted:
        text += f" in {format_duration(one.over)}"
    return _bounded(criterion, text, one, _minutes(one) if counted else 0)


def _bounded(criterion: str, text: str, one: Threshold, over: int) -> Expected:
    if one.max is None:
        return Expected(criterion, text, low=one.bound, over=over)
    return Expected(criterion, text, high=one.bound, over=over)


def _above(
    criterion: str, one: LatencyIncrease, frozen: FrozenValue | None, policy: Policy
) -> Iterator[Expected]:
    """Yield the level that a stored or fixed baseline allows, where it is known."""
    if isinstance(one.baseline, ConcurrentBaseline):
        return  # held against the control beside it, whatever was stored of that
    fixed = one.baseline.fixed if isinstance(one.baseline, FixedBaseline) else None
    known = frozen.value if frozen is not None else fixed
    if known is None:
        return
    high = known * (1 + one.max_increase)
    text = f"≤ {number_text(round(high, 1))} {policy.metrics[one.metric].unit}".rstrip()
    yield Expected(criterion, text, high=high)


def _minutes(one: Criterion) -> int:
    """Return how many minutes are counted; as good as none where that is longer than a look."""
    minutes = int(one.window.total_seconds()) // MINUTE_S
    if isinstance(one, Threshold | Traffic):
        minutes = int(one.over.total_seconds()) // MINUTE_S
    return minutes if minutes <= MINUTES else -1
