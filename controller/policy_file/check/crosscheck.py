"""Checks of the parts of a policy against each other, over every part that is valid.

A mistake in one part hides none in another, and none is reported twice: of a part that has a
mistake of its own, only what is certain all the same is checked.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

from controller.core.policy.aws_metrics import dimensions_problem
from controller.core.policy.judging import Criterion
from controller.core.policy.metric import PLACEHOLDER, Metric
from controller.core.policy.model import Step
from controller.core.units import format_duration
from controller.policy_file.check.counts import counts_problems
from controller.policy_file.check.exposure import exposure_problems
from controller.policy_file.check.partial_policy import PartialPolicy, raw_references, raw_weight
from controller.policy_file.check.zone import zone_problem
from controller.policy_file.problem import Place, Problem, nearest, suggestion


def crosscheck(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield every mistake that takes two parts to see."""
    yield from _weights(parts)
    yield from _approvals(parts)
    yield from exposure_problems(parts)
    yield from _zone(parts)
    yield from _events(parts)
    yield from _metric_names(parts)
    yield from _placeholders(parts)
    yield from _dimensions(parts)
    yield from _unused_metrics(parts)
    yield from _metric_problems(parts)
    yield from _ignored_limits(parts)
    yield from counts_problems(parts)
    yield from gate_problems(parts)


def _weights(parts: PartialPolicy) -> Iterator[Problem]:
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
    last, before = weights[-1], weights[-2] if len(weights) > 1 else None
    if last not in (None, 100) and (before is None or last > before):
        place = ("steps", len(weights) - 1, "weight")
        yield Problem(place, f"the last step must have weight 100, not {last}")


def _approvals(parts: PartialPolicy) -> Iterator[Problem]:
    first = parts.raw_steps[0] if parts.raw_steps else None
    if isinstance(first, Mapping) and first.get("approval") is not None:
        message = "the first step takes none: starting the rollout approves it"
        yield Problem(("steps", 0, "approval"), message)


def _zone(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield a problem when the time zone does not exist on this machine.

    The model of a policy does not check that: a stored policy has to be readable, and its rollout
    to be rolled back, on a machine whose time zone database has lost the zone.
    """
    if parts.zone is not None and (message := zone_problem(parts.zone)):
        yield Problem(("freeze", "zone"), message)


def _events(parts: PartialPolicy) -> Iterator[Problem]:
    verify = parts.verify
    if verify is not None and verify.absent == verify.present:
        yield Problem(("verify_rollback", "present"), "must be another event than `absent`")
    if parts.target is None or parts.target.log_group:
        return
    logs = [(("criteria", name), one) for name, one in parts.valid_criteria()]
    for place, one in [*logs, (("verify_rollback",), verify)]:
        if getattr(one, "log_group", "") is None:
            message = f"is required, because a {parts.target.kind} target has no log group"
            yield Problem((*place, "log_group"), message)


def _metric_names(parts: PartialPolicy) -> Iterator[Problem]:
    if parts.metrics is None or parts.criteria is None:
        return
    unknown = _UnknownNames("metric", parts.metrics)
    for name, criterion in parts.criteria.items():
        raw = parts.raw_criteria[name]
        named: dict[str, Metric | None] = {}
        for place, metric in raw_references(raw) if criterion is None else criterion.references():
            if metric not in parts.metrics:
                unknown.add(metric, ("criteria", name, *place))
            elif "frozen" in place:  # a frozen baseline reads another time
                continue
            elif metric in named:
                yield Problem(("criteria", name, *place), f"{metric} is named twice")
            elif twin := _twin(parts.metrics[metric], named):
                message = f"{metric} is the same metric as {twin}: it would be counted twice"
                yield Problem(("criteria", name, *place), message)
            named[metric] = parts.metrics.get(metric)
    yield from unknown.problems()


def _twin(metric: Metric | None, named: Mapping[str, Metric | None]) -> str:
    """Return the one of `named` that has the same series and statistic; empty: there is none."""
    return next(
        (
            name
            for name, one in named.items()
            if one and metric and one.is_same_series(metric) and one.statistic == metric.statistic
        ),
        "",
    )


class _UnknownNames:
    """Names that nothing has, with their places: each of them is one mistake."""

    def __init__(self, what: str, known: Collection[str]) -> None:
        self._what, self._known = what, known
        self._places: dict[str, list[Place]] = {}

    def add(self, name: str, place: Place) -> None:
        """Note that `place` names `name`."""
        self._places.setdefault(name, []).append(place)

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each name, at its first place."""
        for name, places in self._places.items():
            count = f", named in {len(places)} places" if len(places) > 1 else ""
            hint = suggestion(name, self._known)
            yield Problem(places[0], f"no {self._what} is called {name!r}{count}; {hint}")


def _placeholders(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield a problem for each `${name}` in a dimension that the target has no value for."""
    if parts.target is None:
        return
    known = parts.target.placeholders
    for name, metric in (parts.metrics or {}).items():
        for dimension, value in (metric.dimensions if metric is not None else {}).items():
            for found in PLACEHOLDER.findall(value):
                if found not in known:
                    has = " and ".join(f"${{{one}}}" for one in known) or "none"
                    message = f"${{{found}}} is unknown: a {parts.target.kind} target has {has}"
                    yield Problem(("metrics", name, "dimensions", dimension), message)


def _dimensions(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield a problem for each metric that AWS documents with other dimensions only."""
    for name, metric in (parts.metrics or {}).items():
        if metric is not None and (message := dimensions_problem(metric)):
            yield Problem(("metrics", name, "dimensions"), message)


def _unused_metrics(parts: PartialPolicy) -> Iterator[Problem]:
    if not parts.criteria or None in parts.criteria.values():
        return  # a criterion that is missing or invalid may use the metric
    metrics = parts.metrics or {}
    named = {
        metric for _, criterion in parts.valid_criteria() for _, metric in criterion.references()
    }
    used = named | {nearest(metric, metrics) for metric in named - metrics.keys()}
    for name in metrics:
        if name not in used:
            yield Problem(("metrics", name), "no criterion uses this metric", at_key=True)


def _metric_problems(parts: PartialPolicy) -> Iterator[Problem]:
    metrics = {name: one for name, one in (parts.metrics or {}).items() if one is not None}
    for name, criterion in parts.valid_criteria():
        for place, message in criterion.metric_problems(metrics):
            yield Problem(("criteria", name, *place), message)


def _ignored_limits(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield a problem for each `failure_limit` that no judge reads, whatever its value is."""
    for name, criterion in parts.valid_criteria():
        raw = parts.raw_criteria[name]
        if criterion.sequential and isinstance(raw, Mapping) and "failure_limit" in raw:
            message = (
                "the sequential judge counts no windows: leave `failure_limit` out, or write "
                "`judge: threshold`"
            )
            yield Problem(("criteria", name, "failure_limit"), message)


# --- Gates ----------------------------------------------------------------------------------------


def gate_problems(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield every mistake in what gates the steps."""
    yield from _step_problems(parts)
    yield from _unused_criteria(parts)


def _step_problems(parts: PartialPolicy) -> Iterator[Problem]:
    if parts.criteria is None:
        return
    if not parts.criteria:
        yield Problem(
            ("criteria",), "needs at least one: a step without criteria would pass unchecked"
        )
    unknown = _UnknownNames("criterion", parts.criteria)
    for index, (step, raw) in enumerate(zip(parts.steps or (), parts.raw_steps, strict=False)):
        yield from _criteria_list_problems(unknown, parts.criteria, index, raw)
        names = None if step is None else step.criteria
        yield from _without_gate(parts, index, step)
        for name, criterion in parts.valid_criteria():
            if step is not None and (names is None or name in names):
                yield from _step_criterion_problems(index, step, name, criterion)
    yield from unknown.problems()


def _without_gate(parts: PartialPolicy, index: int, step: Step | None) -> Iterator[Problem]:
    """Yield a problem when no criterion gates a step: it would pass whatever is measured."""
    if step is None or not parts.criteria:
        return
    names = parts.criteria if step.criteria is None else step.criteria
    criteria = [parts.criteria.get(name) for name in names]
    if any(one is None or one.gating for one in criteria):
        return
    message = "none of these criteria gates: with `gates: false` alone, a step would pass unchecked"
    yield Problem(("steps", index, "criteria" if step.criteria else "weight"), message)


def _criteria_list_problems(
    unknown: _UnknownNames, criteria: Collection[str], index: int, step: object
) -> Iterator[Problem]:
    """Yield every mistake in the list of criteria of a step; names of none go to `unknown`."""
    names = step.get("criteria") if isinstance(step, Mapping) else None
    if not isinstance(names, list):
        return
    place: Place = ("steps", index, "criteria")
    if not names:
        yield Problem(place, "a step without a criterion would pass unchecked; name at least one")
    for position, name in enumerate(names):
        if not isinstance(name, str):
            continue
        if name not in criteria:
            unknown.add(name, (*place, position))
        elif name in names[:position]:
            yield Problem((*place, position), f"criterion {name} is named twice")


def _step_criterion_problems(
    index: int, step: Step, name: str, criterion: Criterion
) -> Iterator[Problem]:
    if criterion.compares_paths and step.weight == 100:
        message = (
            f"criterion {name} compares with a concurrent control, which has no traffic at 100; "
            "give this step its own list of criteria"
        )
        yield Problem(("steps", index, "criteria" if step.criteria else "weight"), message)
    yield from _bake_too_short(index, step, name, criterion)


def _bake_too_short(index: int, step: Step, name: str, criterion: Criterion) -> Iterator[Problem]:
    """Yield a problem when the bake is too short for the windows that the criterion needs."""
    window_text, count = format_duration(criterion.period), criterion.windows_to_fail
    min_bake = criterion.period * count
    what = f"criterion {name} judges windows of {window_text}"
    if count > 1:
        what = f"criterion {name} fails after {count} windows of {window_text} in a row"
    if step.bake < min_bake:
        message = (
            f"{what}, more than a bake of {format_duration(step.bake)} holds: "
            f"at least {format_duration(min_bake)}"
        )
        yield Problem(("steps", index, "bake"), message)


def _unused_criteria(parts: PartialPolicy) -> Iterator[Problem]:
    steps = parts.steps or ()
    if not steps or any(step is None or step.criteria is None for step in steps):
        return
    criteria = parts.criteria or {}
    named = {name for step in steps if step is not None for name in step.criteria or ()}
    used = named | {nearest(name, criteria) for name in named - criteria.keys()}
    for name in criteria:
        if name not in used:
            yield Problem(("criteria", name), "no step has this criterion", at_key=True)
