"""What criteria expect of the values that `rolloutctl metrics` shows."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import (
    Comparison,
    Increase,
)
from controller.core.units import (
    format_duration,
    format_percent,
    measured_text,
    number_text,
)
from controller.immutable import Immutable
from controller.operations.metrics_view.views import key_of, window_minutes


class ExpectedRange(Immutable):
    """What one criterion expects: a value from `low` to `high`.

    window_minutes: how many of the newest minutes are added up; 0: each minute by itself;
    -1: a longer window, so the range is not evaluated.
    """

    criterion: str
    text: str
    low: float = -inf
    high: float = inf
    window_minutes: int = 0

    def contains(self, value: float) -> bool:
        """Tell whether `value` is within the range."""
        return self.low <= value <= self.high


def metric_expectations(
    policy: Policy, metric: Metric, baselines: Mapping[str, BaselineMeasurement]
) -> Iterator[ExpectedRange]:
    """Yield the ranges that criteria expect of `metric` alone, whatever they call it."""
    for criterion, one in policy.comparisons():
        stored = baselines.get(criterion)
        limit = one.limit(None if stored is None else stored.value)
        named = policy.metrics[one.metric] if one.metric else None
        if named is None or key_of(named) != key_of(metric) or limit is None:
            continue
        is_stored = isinstance(one.measured, Increase)
        number = measured_text(limit) if is_stored else number_text(limit)
        text = f"{number} {named.unit}".rstrip()
        if not metric.is_count:
            yield range_of(policy, criterion, one, text, limit)
            continue
        over = "the step" if one.window is None else format_duration(one.window)
        minutes = window_minutes(one.window)
        yield range_of(policy, criterion, one, f"{text} in {over}", limit, minutes)


def range_of(
    policy: Policy,
    criterion: str,
    one: Comparison,
    text: str,
    bound: float,
    window_minutes: int = 0,
) -> ExpectedRange:
    """Return the range on the right side of `bound`, which `text` says."""
    low, high = (-inf, bound) if one.is_maximum else (bound, inf)
    text = f"{'≤' if one.is_maximum else '≥'} {text}{_steps_text(policy, criterion)}"
    return ExpectedRange(criterion, text, low, high, window_minutes)


def stated_range(policy: Policy, name: str) -> ExpectedRange:
    """Return what a criterion expects in the words of its judge; no number is held against it."""
    judge = judge_of(name, policy.criteria[name], policy)
    text = f"{judge.target_text()}{_steps_text(policy, name)}"
    return ExpectedRange(name, text, window_minutes=-1)


def ratio_range(policy: Policy, name: str, compared: Sequence[Comparison]) -> ExpectedRange:
    one = compared[0]
    if one.follows_weight:
        return stated_range(policy, name)
    if one.and_window is None:
        return range_of(policy, name, one, format_percent(one.bound), one.bound)
    # Each is breached only together with a shorter window, as `plan` says.
    longest = [(format_percent(each.bound), each.window) for each in compared]
    texts = [f"≤ {share} in {format_duration(window)}" for share, window in longest if window]
    return ExpectedRange(name, f"{', '.join(texts)}{_steps_text(policy, name)}", window_minutes=-1)


def _steps_text(policy: Policy, criterion: str) -> str:
    """Return which steps judge `criterion`, by their weights; empty where all do."""
    steps = range(len(policy.steps))
    judging = [str(policy.steps[step].weight) for step in steps if criterion in policy.gate(step)]
    if len(judging) == len(steps):
        return ""
    return f", judged at {', '.join(judging)} %" if judging else ", judged in no step"
