"""What the parts of a policy say about each other, checked over whichever parts are sound.

A mistake in one part hides none in another, and none is told twice: where a part has a mistake of
its own, only what can still be said of it for certain is checked.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from controller.core.policy.counted import BurnRate, Share, Traffic
from controller.core.policy.criteria import (
    Criterion,
    LatencyIncrease,
    SuccessRate,
    Threshold,
)
from controller.core.policy.gates import gates
from controller.core.policy.model import Metric
from controller.core.policy.parts import Parts, raw_references, raw_weight
from controller.core.policy.problem import Place, Problem
from controller.core.policy.wording import suggestion
from controller.core.policy.zones import zone_problem

COUNTS = ("Sum", "SampleCount")


def crosscheck(parts: Parts) -> Iterator[Problem]:
    """Yield every mistake that takes two parts to see."""
    yield from _variables(parts)
    yield from _weights(parts)
    yield from _approvals(parts)
    yield from _zone(parts)
    yield from _events(parts)
    yield from _metric_names(parts)
    yield from _unused_metrics(parts)
    yield from _statistics(parts)
    yield from _bounds(parts)
    yield from gates(parts)


def _variables(parts: Parts) -> Iterator[Problem]:
    target = parts.target
    if target is not None and target.boolean == target.percentage:
        yield Problem(("target", "boolean"), "must be another variable than `percentage`")


def _weights(parts: Parts) -> Iterator[Problem]:
    if parts.steps is None:
        return
    if not parts.steps:
        yield Problem(("steps",), "needs at least one step")
        return
    weights = [raw_weight(step) for step in parts.raw_steps]
    for index, (lower, upper) in enumerate(pairwise(weights)):
        if lower is not None and upper is not None and upper <= lower:
            message = f"weights must climb, but {upper} follows {lower}"
            yield Problem(("steps", index + 1, "weight"), message)
    if weights[-1] not in (None, 100):
        place = ("steps", len(weights) - 1, "weight")
        yield Problem(place, f"the last step must have weight 100, not {weights[-1]}")


def _approvals(parts: Parts) -> Iterator[Problem]:
    first = parts.raw_steps[0] if parts.raw_steps else None
    if isinstance(first, Mapping) and first.get("approval") is not None:
        message = "the first step takes none: whoever starts the rollout approves it by that"
        yield Problem(("steps", 0, "approval"), message)


def _zone(parts: Parts) -> Iterator[Problem]:
    """Yield when no such zone exists here and now.

    That is no matter of form: a stored policy has to be readable, and its rollout to be rolled
    back, on a machine whose database has lost the zone.
    """
    if parts.zone is not None and (wrong := zone_problem(parts.zone)):
        yield Problem(("freeze", "zone"), wrong)


def _events(parts: Parts) -> Iterator[Problem]:
    verify = parts.verify
    if verify is not None and verify.absent == verify.present:
        yield Problem(("verify_rollback", "present"), "must be another event than `absent`")


def _metric_names(parts: Parts) -> Iterator[Problem]:
    if parts.metrics is None or parts.criteria is None:
        return
    for name, criterion in parts.criteria.items():
        raw = parts.raw_criteria[name]
        seen: set[str] = set()
        for place, metric in raw_references(raw) if criterion is None else criterion.references():
            if metric not in parts.metrics:
                hint = suggestion(metric, parts.metrics)
                message = f"no metric is called {metric!r}; {hint}"
                yield Problem(("criteria", name, *place), message)
            elif metric in seen and "frozen" not in place:  # a metric has a past of its own
                yield Problem(("criteria", name, *place), f"{metric} is named twice")
            seen.add(metric)


def _unused_metrics(parts: Parts) -> Iterator[Problem]:
    if not parts.criteria or None in parts.criteria.values():
        return  # a criterion that is missing or wrong may be the one that uses it
    used = {metric for _, criterion in parts.named() for _, metric in criterion.references()}
    for name in parts.metrics or ():
        if name not in used:
            yield Problem(("metrics", name), "no criterion uses this metric", at_key=True)


def _statistics(parts: Parts) -> Iterator[Problem]:
    for name, criterion in parts.named():
        for place, metric_name in criterion.references():
            metric = (parts.metrics or {}).get(metric_name)
            if metric is not None and (wrong := _misused(criterion, metric)):
                message = f"{wrong}, but {metric_name} has statistic {metric.statistic}"
                yield Problem(("criteria", name, *place), message)
        if isinstance(criterion, LatencyIncrease):
            yield from _comparable(parts, name, criterion)


def _misused(criterion: Criterion, metric: Metric) -> str | None:
    """Requests and failures are counted, and so are both sides of a ratio; a latency is not."""
    counted = metric.statistic in COUNTS
    match criterion:
        case SuccessRate() | Traffic() | BurnRate() | Share() if not counted:
            return "needs a count (Sum)"
        case Threshold(per=str()) if not counted:
            return "a ratio needs counts (Sum)"
        case LatencyIncrease() if counted:
            return "needs a percentile or an average"
        case LatencyIncrease(judge="sequential") if not _has_slow_requests(metric):
            return "the sequential judge needs a percentile from p50 to below p100"
        case Threshold(judge="sequential") if not counted and not _has_slow_requests(metric):
            return "the sequential judge needs a percentile from p50 to below p100, or a count"
    return None


def _has_slow_requests(metric: Metric) -> bool:
    """Tell whether the statistic of `metric` leaves a share of values above it."""
    return metric.percentile is not None and 0.5 <= metric.percentile < 1


def _comparable(parts: Parts, name: str, criterion: LatencyIncrease) -> Iterator[Problem]:
    """Yield where a latency is compared with another statistic or another unit of itself."""
    metrics = parts.metrics or {}
    own = metrics.get(criterion.metric)
    for place, other_name in criterion.references():
        other = metrics.get(other_name)
        if own is None or other is None or place == ("metric",) or other.statistic in COUNTS:
            continue
        at: Place = ("criteria", name, *place)
        if own.statistic != other.statistic:
            yield Problem(at, f"compares {own.statistic} with {other.statistic} of {other_name}")
        if own.unit and other.unit and own.unit != other.unit:
            yield Problem(at, f"compares {own.unit} with {other.unit} of {other_name}")


def _bounds(parts: Parts) -> Iterator[Problem]:
    for name, criterion in parts.named():
        if not isinstance(criterion, Threshold) or criterion.per is not None:
            continue
        metric = (parts.metrics or {}).get(criterion.metric)
        if metric is None:
            continue
        side = "min" if criterion.max is None else "max"
        if criterion.sequential and metric.percentile is not None and criterion.bound <= 0:
            message = f"no request is faster than that: must be above 0, not {criterion.bound:g}"
            yield Problem(("criteria", name, side), message)
        if metric.statistic in COUNTS and criterion.bound < 0:
            message = f"a count is never below 0: must be at least 0, not {criterion.bound:g}"
            yield Problem(("criteria", name, side), message)
        if side == "max" and metric.missing == "zero" and criterion.min_samples > 0:
            yield Problem(("criteria", name, "min_samples"), _NEVER_PASSES.format(criterion.metric))


_NEVER_PASSES = (
    "must be 0, said in so many words: {} is `missing: zero`, so while all is well there are no "
    "samples to count, and silence has to pass"
)
