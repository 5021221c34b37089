"""Checks of the parts of a policy against each other, over every part that is valid.

A mistake in one part hides none in another, and none is reported twice: of a part that has a
mistake of its own, only what is certain all the same is checked.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Final
from zoneinfo import available_timezones

from controller.core.policy import Criterion, MeasuredCriterion, Threshold
from controller.core.policy.aws_metrics import dimensions_problem
from controller.core.policy.metric import PLACEHOLDER, Metric, RequestSource
from controller.core.policy.model import Step, failure_criteria
from controller.core.units import format_duration, written_text
from controller.policy_file.counts import counts_problems
from controller.policy_file.mistake import Place, PolicyMistake, nearest, suggestion
from controller.policy_file.partial_policy import PartialPolicy

# Names that depend on the machine or stand for "unknown": no policy could mean them.
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
# How alike two names of places have to be for a suggestion: 1 is equal.
_NEAR = 0.8


def crosscheck(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield every mistake that takes two parts to see."""
    for check in _CHECKS:
        yield from check(parts)


# --- The ladder -----------------------------------------------------------------------------------


def _weights(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    if parts.steps is None:
        return
    if not parts.steps:
        yield PolicyMistake(("steps",), "needs at least one step")
        return
    for index, (lower, upper) in enumerate(pairwise(parts.weights)):
        if lower is not None and upper is not None and upper <= lower:
            message = f"weights must climb, but {upper} follows {lower}"
            yield PolicyMistake(("steps", index + 1, "weight"), message)
    last, before = parts.weights[-1], parts.weights[-2] if len(parts.weights) > 1 else None
    if last not in (None, 100) and (before is None or last > before):
        place = ("steps", len(parts.weights) - 1, "weight")
        yield PolicyMistake(place, f"the last step must have weight 100, not {last}")


def _first_step(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    raw = parts.raw_steps[0] if parts.raw_steps else None
    if isinstance(raw, Mapping) and raw.get("approval") is not None:
        message = "the first step takes none: starting the rollout approves it"
        yield PolicyMistake(("steps", 0, "approval"), message)
    first = parts.steps[0] if parts.steps else None
    if first is not None and first.max_bad_requests is not None:
        message = "the first step takes none: no advance leads to it, and a start accepts it"
        yield PolicyMistake(("steps", 0, "max_bad_requests"), message)


def _exposure(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield a problem for each `max_bad_requests` whose steps do not count failed requests.

    The traffic is measured in the step before, and the fault is found in the step itself.
    """
    if not parts.criteria or None in parts.criteria.values():
        return
    is_reported = False  # that of the policy is one mistake, however many steps it holds for
    for index, (before, step) in enumerate(pairwise(parts.steps or ())):
        if before is None or step is None:
            continue
        place: Place = ("steps", index + 1, "max_bad_requests")
        if step.max_bad_requests is None:
            place = ("max_bad_requests",)
            if parts.max_bad_requests is None or is_reported:
                continue
        counted_before = failure_criteria(parts.gates[index])
        counted = failure_criteria(parts.gates[index + 1])
        if counted_before and any(parts.valid_criteria[name].gating for name in counted):
            continue
        is_reported = is_reported or place == ("max_bad_requests",)
        weight = step.weight if counted_before else before.weight
        yield PolicyMistake(
            place,
            "needs a criterion that counts failed requests (success_rate or burn_rate) in the "
            f"gate of each step and of the one before it, and the step with weight {weight} "
            "has none",
        )


def _zone(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield a problem when the time zone does not exist on this machine, in the IANA's spelling.

    The model of a policy does not check that: a stored policy has to be readable, and its rollout
    to be rolled back, on a machine whose time zone database has lost the zone.

    The names are those of the system's database and of the tzdata package. The name is looked up
    in their list and not loaded: a file system that ignores case would load `europe/berlin`, and
    another would not.
    """
    if parts.zone is None:
        return
    zones = available_timezones() - _NO_ZONES
    if parts.zone in zones:
        return
    if not zones:
        message = "this machine has no database of time zones: install the tzdata package"
        yield PolicyMistake(("freeze", "zone"), message)
        return
    # Abbreviations that differ by one letter differ by hours: only places are suggested.
    places = sorted(zone for zone in zones if "/" in zone)
    spellings = {place.rsplit("/", 1)[-1].casefold(): place for place in places}
    spellings |= {place.casefold(): place for place in places}
    near = get_close_matches(parts.zone.casefold(), spellings, n=1, cutoff=_NEAR)
    hint = f"did you mean {spellings[near[0]]!r}?" if near else "IANA names are like Europe/Berlin"
    yield PolicyMistake(("freeze", "zone"), f"no time zone is called {parts.zone!r:.70}; {hint}")


# --- Metrics and events ---------------------------------------------------------------------------


def _events(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    verify = parts.verify
    if verify is not None and verify.absent == verify.present:
        yield PolicyMistake(("verify_rollback", "present"), "must be another event than `absent`")
    if parts.target is None or parts.of_target(lambda target: target.log_group, "unknown"):
        return
    logs = [(("criteria", name), criterion) for name, criterion in parts.valid_criteria.items()]
    for place, one in [*logs, (("verify_rollback",), verify)]:
        if getattr(one, "log_group", "") is None:
            message = f"is required, because a {parts.target.kind} target has no log group"
            yield PolicyMistake((*place, "log_group"), message)


def _metric_names(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    if parts.metrics is None or parts.criteria is None:
        return
    unknown = _UnknownNames("metric", parts.metrics)
    for name, references in parts.references.items():
        named: dict[str, Metric | None] = {}
        for place, metric, use in references:
            if metric not in parts.metrics:
                unknown.add(metric, ("criteria", name, *place))
            elif use.purpose == "frozen":  # a frozen baseline reads another time
                continue
            elif metric in named:
                yield PolicyMistake(("criteria", name, *place), f"{metric} is named twice")
            elif twin := _twin(parts.metrics[metric], named):
                message = f"{metric} is the same metric as {twin}: it would be counted twice"
                yield PolicyMistake(("criteria", name, *place), message)
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

    def problems(self) -> Iterator[PolicyMistake]:
        """Yield a problem for each name, at its first place."""
        for name, places in self._places.items():
            count = f", named in {len(places)} places" if len(places) > 1 else ""
            hint = suggestion(name, self._known)
            yield PolicyMistake(places[0], f"no {self._what} is called {name!r}{count}; {hint}")


def _placeholders(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield a problem for each `${name}` in a dimension that the target has no value for."""
    if parts.target is None:
        return
    known = parts.target.placeholders
    for name, metric in parts.valid_metrics.items():
        for dimension, value in metric.dimensions.items():
            for found in PLACEHOLDER.findall(value):
                if found not in known:
                    has = " and ".join(f"${{{one}}}" for one in known) or "none"
                    message = f"${{{found}}} is unknown: a {parts.target.kind} target has {has}"
                    yield PolicyMistake(("metrics", name, "dimensions", dimension), message)


def _dimensions(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield a problem for each metric that AWS documents with other dimensions only."""
    for name, metric in parts.valid_metrics.items():
        if message := dimensions_problem(metric):
            yield PolicyMistake(("metrics", name, "dimensions"), message)


def _sources(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield a problem for each metric that its source does not have, and each mix of sources."""
    for name, metric in parts.valid_metrics.items():
        if metric.source is not None:
            problems = metric.source.metric_problems(
                metric.name, metric.statistic, metric.dimensions
            )
            yield from (PolicyMistake(("metrics", name, field), text) for field, text in problems)
    for name, references in parts.references.items():
        used = [(place, parts.valid_metrics.get(metric)) for place, metric, _ in references]
        known = [(place, one) for place, one in used if one is not None]
        for place, one in known[1:]:
            if one.source != known[0][1].source and one.place != known[0][1].place:
                message = (
                    f"{one.name} is of {one.place} and {known[0][1].name} of {known[0][1].place}: "
                    "two sources count at other times, so name metrics of one"
                )
                yield PolicyMistake(("criteria", name, *place), message)
        if message := _exceedance_problem(parts, name, [one for _, one in known]):
            yield PolicyMistake(("criteria", name, "exceedance"), message)


def _exceedance_problem(parts: PartialPolicy, name: str, metrics: Sequence[Metric]) -> str:
    """Return why a criterion cannot learn from its source how many requests are slow."""
    sources = [one.source for one in metrics if one.source and one.percentile is not None]
    criterion = parts.valid_criteria.get(name)
    if not sources or criterion is None or not criterion.sequential:
        return ""
    by_percentiles = getattr(criterion, "exceedance", None) == "percentiles"
    if by_percentiles and sources[0].counts_above:
        return "its source counts the requests above a limit: leave `exceedance` out"
    if not by_percentiles and not sources[0].counts_above:
        return (
            "its source does not count the requests above a limit: write `exceedance: percentiles`"
        )
    return ""


def _unused_metrics(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    if not parts.criteria or None in parts.criteria.values():
        return  # a criterion that is missing or invalid may use the metric
    metrics = parts.metrics or {}
    named = {metric for references in parts.references.values() for _, metric, _ in references}
    used = named | {nearest(metric, metrics) for metric in named - metrics.keys()}
    for name in metrics:
        if name not in used:
            yield PolicyMistake(("metrics", name), "no criterion uses this metric", at_key=True)


def _metric_problems(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    for name, criterion in parts.valid_criteria.items():
        for place, message in criterion.metric_problems(parts.valid_metrics):
            yield PolicyMistake(("criteria", name, *place), message)


def _ignored_limits(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield a problem for each `failure_limit` that no judge reads, whatever its value is."""
    for name, criterion in parts.valid_criteria.items():
        raw = parts.raw_criteria[name]
        if criterion.sequential and isinstance(raw, Mapping) and "failure_limit" in raw:
            message = (
                "the sequential judge counts no windows: leave `failure_limit` out, or write "
                "`judge: threshold`"
            )
            yield PolicyMistake(("criteria", name, "failure_limit"), message)


# --- Gates ----------------------------------------------------------------------------------------


def _gates(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield every mistake in what gates the steps."""
    if parts.criteria is None:
        return
    if not parts.criteria:
        yield PolicyMistake(
            ("criteria",), "needs at least one: a step without criteria would pass unchecked"
        )
    unknown = _UnknownNames("criterion", parts.criteria)
    for index, (step, raw) in enumerate(zip(parts.steps or (), parts.raw_steps, strict=True)):
        names = raw.get("criteria") if isinstance(raw, Mapping) else None
        if isinstance(names, list):
            yield from _criteria_list(unknown, parts.criteria, names, ("steps", index, "criteria"))
        if step is not None:
            yield from _step_gate(parts, index, step)
    yield from unknown.problems()


def _criteria_list(
    unknown: _UnknownNames, criteria: Collection[str], names: list[object], place: Place
) -> Iterator[PolicyMistake]:
    """Yield every mistake in the list of criteria of a step; names of none go to `unknown`."""
    if not names:
        yield PolicyMistake(
            place, "a step without a criterion would pass unchecked; name at least one"
        )
    for position, name in enumerate(names):
        if not isinstance(name, str):
            continue
        if name not in criteria:
            unknown.add(name, (*place, position))
        elif name in names[:position]:
            yield PolicyMistake((*place, position), f"criterion {name} is named twice")


def _step_gate(parts: PartialPolicy, index: int, step: Step) -> Iterator[PolicyMistake]:
    """Yield a problem when nothing gates a step, or a criterion cannot be judged in it."""
    gate = parts.gates[index]
    place: Place = ("steps", index, "criteria" if step.criteria else "weight")
    if parts.criteria and not any(one is None or one.gating for one in gate.values()):
        message = (
            "none of these criteria gates: with `gates: false` alone, a step would pass unchecked"
        )
        yield PolicyMistake(place, message)
    for name, criterion in parts.valid_criteria.items():
        if name not in gate:
            continue
        if criterion.compares_paths and step.weight == 100:
            message = (
                f"criterion {name} compares with a concurrent control, which has no traffic at "
                "100; give this step its own list of criteria"
            )
            yield PolicyMistake(place, message)
        window, count = format_duration(criterion.period), criterion.windows_to_fail
        min_bake = criterion.period * count
        if step.bake < min_bake:
            raw = parts.raw_steps[index]
            bake = raw.get("bake") if isinstance(raw, Mapping) else step.bake
            what = f"criterion {name} judges windows of {window}"
            if count > 1:
                what = f"criterion {name} fails after {count} windows of {window} in a row"
            message = (
                f"{what}, more than a bake of {written_text(bake)} holds: "
                f"at least {format_duration(min_bake)}"
            )
            yield PolicyMistake(("steps", index, "bake"), message)


def _versions_at_100(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield a problem for each step at 100% that cannot pass, or passes on what counts nothing.

    Without data a criterion has no verdict. Only a maximum on a count of which no data means zero
    has one, and that is a pass whatever happens.
    """
    source = parts.of_target(lambda target: target.counted_by, None)
    if source is None or not source.whole:
        return
    for index, (step, gate) in enumerate(zip(parts.steps or (), parts.gates, strict=True)):
        if step is None or step.weight != 100 or None in gate.values():
            continue
        gating = {name: one for name, one in gate.items() if one is not None and one.gating}
        counted = {
            name: ended_metrics(source, one, parts.valid_metrics) for name, one in gating.items()
        }
        zero = [
            name
            for name, one in gating.items()
            if counted[name] and _passes_without_data(one, parts.valid_metrics)
        ]
        never = [
            name for name, one in gating.items() if name not in zero and _needs(one, counted[name])
        ]
        if never:
            names, what = never, "cannot pass"
        elif zero and len(zero) == len(gating):
            names, what = zero, f"{'passes' if len(zero) == 1 else 'pass'} unchecked"
        else:
            continue
        metrics = dict.fromkeys(metric for name in names for metric in counted[name])
        live = ", ".join(f"{name}: {value}" for name, value in source.whole.items())
        message = (
            f"{'criterion' if len(names) == 1 else 'criteria'} {' and '.join(names)} {what} at "
            f"100%: AWS counts {' and '.join(metrics)} only while the alias has a weight. Give "
            f"this step criteria on the metrics of the alias: {{{live}}} and `counts: both`"
        )
        yield PolicyMistake(("steps", index, "criteria" if step.criteria else "weight"), message)


def ended_metrics(
    source: RequestSource, criterion: Criterion, metrics: Mapping[str, Metric]
) -> list[str]:
    """Return the metrics that a criterion judges, and that AWS counts below 100% only."""
    names = dict.fromkeys(one.metric for one in criterion.judged)
    return [name for name in names if name in metrics and source.ends_at_100(metrics[name])]


def _passes_without_data(criterion: Criterion, metrics: Mapping[str, Metric]) -> bool:
    return (
        isinstance(criterion, Threshold)
        and criterion.per is None
        and criterion.max is not None
        and metrics[criterion.metric].missing == "zero"
    )


def _needs(criterion: Criterion, ended: Sequence[str]) -> bool:
    """Tell whether a criterion has no verdict without the metrics `ended`: it judges no other.

    What one of another package says without data is not known. One that compares the paths has its
    own mistake at 100%.
    """
    judged = {one.metric for one in criterion.judged}
    is_known = not isinstance(criterion, MeasuredCriterion) and not criterion.compares_paths
    return bool(judged) and judged == {*ended} and is_known


def _unused_criteria(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    steps = parts.steps or ()
    if not steps or any(step is None or step.criteria is None for step in steps):
        return
    criteria = parts.criteria or {}
    named = {name for step in steps if step is not None for name in step.criteria or ()}
    used = named | {nearest(name, criteria) for name in named - criteria.keys()}
    for name in criteria:
        if name not in used:
            yield PolicyMistake(("criteria", name), "no step has this criterion", at_key=True)


# In the order in which mistakes at one place are reported.
_CHECKS: Final[Sequence[Callable[[PartialPolicy], Iterator[PolicyMistake]]]] = (
    _weights,
    _first_step,
    _exposure,
    _zone,
    _events,
    _metric_names,
    _placeholders,
    _dimensions,
    _sources,
    _unused_metrics,
    _metric_problems,
    _ignored_limits,
    counts_problems,
    _gates,
    _versions_at_100,
    _unused_criteria,
)
