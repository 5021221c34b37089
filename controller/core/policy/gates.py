"""What gates a step: which criteria, and whether its bake is long enough for them."""

from collections.abc import Collection, Iterator, Mapping

from controller.core.policy.baseline import ConcurrentBaseline
from controller.core.policy.criteria import (
    Criterion,
    LatencyIncrease,
    SuccessRate,
    Threshold,
)
from controller.core.policy.model import Step
from controller.core.policy.parts import Parts
from controller.core.policy.problem import Place, Problem
from controller.core.policy.wording import suggestion
from controller.core.units import format_duration


def gates(parts: Parts) -> Iterator[Problem]:
    """Yield every mistake in what gates the steps."""
    yield from _of_steps(parts)
    yield from _unused(parts)


def _of_steps(parts: Parts) -> Iterator[Problem]:
    if parts.criteria is None:
        return
    if not parts.criteria:
        yield Problem(("criteria",), "needs at least one: a step without any would pass unseen")
    for index, (step, raw) in enumerate(zip(parts.steps or (), parts.raw_steps, strict=False)):
        yield from _named_gate(parts.criteria, index, raw)
        names = None if step is None else step.criteria
        yield from _only_reports(parts, index, step)
        for name, criterion in parts.named():
            if step is not None and (names is None or name in names):
                yield from _gated(index, step, name, criterion)


def _only_reports(parts: Parts, index: int, step: Step | None) -> Iterator[Problem]:
    """Yield when nothing gates a step: it would pass whatever is reported."""
    if step is None or not parts.criteria:
        return
    names = parts.criteria if step.criteria is None else step.criteria
    ones = [parts.criteria.get(name) for name in names]
    if any(one is None or one.gating for one in ones):
        return
    message = "none of these criteria gates: with `gates: false` alone, a step would pass unseen"
    yield Problem(("steps", index, "criteria" if step.criteria else "weight"), message)


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
    yield from _too_short(index, step, name, criterion)


def _too_short(index: int, step: Step, name: str, criterion: Criterion) -> Iterator[Problem]:
    """Yield when the bake ends before the criterion can say what it is there to say."""
    over, least = format_duration(criterion.window), criterion.window
    what = f"{name} judges windows of {over}"
    if isinstance(criterion, SuccessRate | Threshold) and not criterion.sequential:
        least *= criterion.failure_limit
        if criterion.failure_limit > 1:
            what = f"{name} fails after {criterion.failure_limit} windows of {over} in a row"
    if step.bake < least:
        message = (
            f"{what}, more than a bake of {format_duration(step.bake)} holds: "
            f"at least {format_duration(least)}"
        )
        yield Problem(("steps", index, "bake"), message)


def _unused(parts: Parts) -> Iterator[Problem]:
    steps = parts.steps or ()
    if not steps or any(step is None or step.criteria is None for step in steps):
        return
    used = {name for step in steps if step is not None for name in step.criteria or ()}
    for name in parts.criteria or ():
        if name not in used:
            yield Problem(("criteria", name), "no step has this criterion", at_key=True)
