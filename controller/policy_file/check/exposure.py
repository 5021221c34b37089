"""Checks of `max_bad_requests`: each step that it holds for has to be measured before and after."""

from collections.abc import Iterator
from itertools import pairwise

from controller.core.policy import Criterion, Step, failure_criteria
from controller.policy_file.check.partial_policy import PartialPolicy
from controller.policy_file.problem import Place, Problem


def exposure_problems(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield a problem for each `max_bad_requests` whose steps do not count failed requests.

    The traffic is measured in the step before, and the fault is found in the step itself.
    """
    steps = parts.steps or ()
    if steps and steps[0] is not None and steps[0].max_bad_requests is not None:
        message = "the first step takes none: no advance leads to it, and a start accepts it"
        yield Problem(("steps", 0, "max_bad_requests"), message)
    if parts.criteria and None not in parts.criteria.values():
        found = {one.place: one for one in reversed([*_uncounted_steps(parts)])}
        yield from reversed(found.values())


def _uncounted_steps(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield a problem for each step with a number that is not measured; some share a place."""
    for index, (before, step) in enumerate(pairwise(parts.steps or ()), start=1):
        if before is None or step is None:
            continue
        place: Place = ("steps", index, "max_bad_requests")
        if step.max_bad_requests is None:
            place = ("max_bad_requests",)
        has_number = step.max_bad_requests is not None or parts.max_bad_requests is not None
        weight = _uncounted_weight(parts, before, step) if has_number else None
        if weight is not None:
            yield Problem(
                place,
                "needs a criterion that counts failed requests (success_rate or burn_rate) in the "
                f"gate of each step and of the one before it, and the step with weight {weight} "
                "has none",
            )


def _uncounted_weight(parts: PartialPolicy, before: Step, step: Step) -> int | None:
    """Return the weight of the step that counts no failures; None where both do."""
    if not failure_criteria(_gate(parts, before)):
        return before.weight
    gate = _gate(parts, step)
    counted = any(gate[name].gating for name in failure_criteria(gate))
    return None if counted else step.weight


def _gate(parts: PartialPolicy, step: Step) -> dict[str, Criterion]:
    criteria = dict(parts.valid_criteria())
    names = criteria if step.criteria is None else step.criteria
    return {name: criteria[name] for name in names if name in criteria}
