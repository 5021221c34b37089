"""What a long step just below 100% finds and costs, beside a long one at 100%.

`plan` proposes it for a policy, and a drafted policy names it in a comment.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from controller.core.policy import Policy
from controller.core.policy.comparison import Increase
from controller.core.units import format_duration, number_text
from controller.tools.plan.power import StepPower

_MINUTE = timedelta(minutes=1)
# A long step beside a stable path that keeps a little traffic, percent; at least so many requests a
# minute are left on it.
_WHOLE, _BESIDE, _LONG_BAKE, _LEAST_BESIDE = 100, 98, timedelta(hours=6), 10.0
# What judge.md measures at so many requests a minute, with 5% allowed: until a late increase
# of 20% is found, beside the stable path and at 100%, and healthy releases of 100 that are rolled
# back at 100%, and none beside the stable path: when both paths get 10% slower, and when the load
# of both comes in waves of an hour.
_MEASURED = {600: ("2h 11m", "6h 10m", 20, 10), 6_000: ("23m", "5h 49m", 12, 15)}


def long_step_changes(policy: Policy, steps: Sequence[StepPower]) -> Iterator[str]:
    """Yield what a long step just below 100% would find and cost, beside a long one at 100%.

    Only where the policy compares both paths, and enough of its requests would be left on the
    stable one.
    """
    last = policy.steps[-1]
    before = policy.steps[-2].weight if len(policy.steps) > 1 else 0
    is_long = last.weight == _WHOLE and last.bake >= _LONG_BAKE and before < _BESIDE
    compares_paths = any(
        one.control is not None
        or (isinstance(one.measured, Increase) and bool(one.measured.control))
        for _, one in policy.comparisons()
    )
    if not (is_long and steps and compares_paths):
        return
    per_minute = steps[-1].requests * (_MINUTE / last.bake)
    if text := long_step_text(per_minute):
        bake = format_duration(last.bake)
        yield (
            f"100%: for {bake} nothing is left to compare with; a step `{{weight: {_BESIDE}, "
            f"bake: {bake}}}` before a short last one {text}"
        )


def long_step_text(per_minute: float) -> str:
    """Return what a long step just below 100% gains and costs beside one at 100%.

    per_minute: requests of both paths. Empty where too few of them would be left.
    """
    kept = per_minute * (_WHOLE - _BESIDE) / _WHOLE
    if kept < _LEAST_BESIDE:
        return ""
    measured = max((rate for rate in _MEASURED if rate <= per_minute), default=min(_MEASURED))
    beside, alone, slower, waves = _MEASURED[measured]
    return (
        f"keeps {number_text(round(kept))} requests a minute on the stable path: +20% that begins "
        f"late is found after {beside} instead of {alone}, and no healthy release is rolled back "
        f"instead of {slower} in 100 where both paths get 10% slower, and {waves} in 100 in load "
        f"waves of an hour (measured at {number_text(measured)} requests a minute); "
        f"{_WHOLE - _BESIDE}% of users wait a day longer"
    )
