"""What the parts of a policy say about each other, checked over whichever parts are sound.

A mistake in one part hides none in another, and none is told twice: where a part has a mistake of
its own, only what can still be said of it for certain is checked.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise

from controller.core.policy.baseline import ConcurrentBaseline
from controller.core.policy.criteria import (
    Criterion,
    LatencyIncrease,
    Reference,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.policy.model import Metric, Step
from controller.core.policy.parts import Parts, raw_references, raw_weight
from controller.core.policy.problem import Place, Problem
from controller.core.policy.wording import suggestion
from controller.core.units import format_duration

COUNTS = ("Sum", "SampleCount")


def crosscheck(parts: Parts) -> Iterator[Problem]:
    """Yield every mistake that takes two parts to see."""
    yield from _variables(parts)
    yield from _weights(parts)
    yield from _metric_names(parts)
    yield from _unused_metrics(parts)
    yield from _statistics(parts)
    yield from _gates(parts)
    yield from _unused_criteria(parts)


def references(criterion: Criterion) -> Iterator[Reference]:
    """Yield each metric that `criterion` names, with the place of the name inside it."""
    yield from criterion.references()


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


def _metric_names(parts: Parts) -> Iterator[Problem]:
    if parts.metrics is None or parts.criteria is None:
        return
    for name, criterion in parts.criteria.items():
        raw = parts.raw_criteria[name]
        seen: set[str] = set()
        for place, metric in raw_references(raw) if criterion is None else references(criterion):
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
    used = {metric for _, criterion in parts.named() for _, metric in references(criterion)}
    for name in parts.metrics or ():
        if name not in used:
            yield Problem(("metrics", name), "no criterion uses this metric", at_key=True)


def _statistics(parts: Parts) -> Iterator[Problem]:
    for name, criterion in parts.named():
        for place, metric_name in references(criterion):
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
        case SuccessRate() | Traffic() if not counted:
            return "needs a count (Sum)"
        case Threshold(per=str()) if not counted:
            return "a ratio needs counts (Sum)"
        case LatencyIncrease() if counted:
            return "needs a percentile or an average"
    return None


def _comparable(parts: Parts, name: str, criterion: LatencyIncrease) -> Iterator[Problem]:
    """Yield where a latency is compared with another statistic or another unit of itself."""
    metrics = parts.metrics or {}
    own = metrics.get(criterion.metric)
    for place, other_name in references(criterion):
        other = metrics.get(other_name)
        if own is None or other is None or place == ("metric",) or other.statistic in COUNTS:
            continue
        at: Place = ("criteria", name, *place)
        if own.statistic != other.statistic:
            yield Problem(at, f"compares {own.statistic} with {other.statistic} of {other_name}")
        if own.unit and other.unit and own.unit != other.unit:
            yield Problem(at, f"compares {own.unit} with {other.unit} of {other_name}")


def _gates(parts: Parts) -> Iterator[Problem]:
    if parts.criteria is None:
        return
    if not parts.criteria:
        yield Problem(("criteria",), "needs at least one: a step without any would pass unseen")
    for index, (step, raw) in enumerate(zip(parts.steps or (), parts.raw_steps, strict=False)):
        yield from _named_gate(parts.criteria, index, raw)
        names = None if step is None else step.criteria
        for name, criterion in parts.named():
            if step is not None and (names is None or name in names):
                yield from _gated(index, step, name, criterion)


def _named_gate(criteria: Collection[str], index: int, step: object) -> Iterator[Problem]:
    """Yield what is wrong with the list of criteria that a step has of its own."""
    names = step.get("criteria") if isinstance(step, Mapping) else None
    if not isinstance(names, list):
        return
    place: Place = ("steps", index, "criteria")
    if not names:
        yield Problem(place, "a step without a criterion would pass unseen; name at least one")
    for position, name in enumerate(names):
        if not isinstance(name, str):
            continue
        if name not in criteria:
            message = f"no criterion is called {name!r}; {suggestion(name, criteria)}"
            yield Problem((*place, position), message)
        elif name in names[:position]:
            yield Problem((*place, position), f"{name} is named twice")


def _gated(index: int, step: Step, name: str, criterion: Criterion) -> Iterator[Problem]:
    concurrent = isinstance(criterion, LatencyIncrease) and isinstance(
        criterion.baseline, ConcurrentBaseline
    )
    if concurrent and step.weight == 100:
        message = (
            f"{name} compares with a concurrent control, which has no traffic at 100; "
            "give this step its own list of criteria"
        )
        yield Problem(("steps", index, "criteria" if step.criteria else "weight"), message)
    over = criterion.window
    if step.bake < 2 * over and over > timedelta(minutes=1):
        message = (
            f"{name} judges windows of {format_duration(over)}; a bake of "
            f"{format_duration(step.bake)} may hold none: at least {format_duration(2 * over)}"
        )
        yield Problem(("steps", index, "bake"), message)


def _unused_criteria(parts: Parts) -> Iterator[Problem]:
    steps = parts.steps or ()
    if not steps or any(step is None or step.criteria is None for step in steps):
        return
    used = {name for step in steps if step is not None for name in step.criteria or ()}
    for name in parts.criteria or ():
        if name not in used:
            yield Problem(("criteria", name), "no step has this criterion", at_key=True)
