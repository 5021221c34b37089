"""Checks of whose requests each metric counts, as far as that is known without reading anything.

A metric has to count what the policy uses it for. The metrics of one criterion have to be of the
same API, function or target group: requests of one and failures of another make no failure rate,
and neither do the requests of all stages and the failures of one. Metrics of different namespaces
are not compared. Each step needs a criterion that shows what the canary does.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Final

from controller.core.policy import Policy
from controller.core.policy.aws_metrics import FLAG, has_one_publisher
from controller.core.policy.metric import PLACEHOLDER, CountedPath, Metric, RequestSource
from controller.core.policy.metric_uses import Reference, Uses, counts_of, known_counts
from controller.immutable import Immutable
from controller.policy_file.mistake import Place, PolicyMistake, place_text
from controller.policy_file.partial_policy import PartialPolicy, parse_partial

_WHOSE: Final[Mapping[CountedPath, str]] = {
    "canary": "only the canary",
    "stable": "only the stable path",
    "both": "both paths",
}


def counts_refusals(policy: Policy) -> list[str]:
    """Return the mistakes of `counts_problems` in a policy whose versions are resolved."""
    parts = parse_partial(policy.model_dump(mode="json", by_alias=True, exclude_none=True))
    return [f"{place_text(problem.place)}: {problem.message}" for problem in counts_problems(parts)]


def counts_problems(parts: PartialPolicy) -> Iterator[PolicyMistake]:
    """Yield a problem for each metric, ratio and step that cannot show what the canary does.

    That is a metric that does not count what the policy uses it for, a ratio of two places, and a
    step without a gating criterion of the canary.
    """
    sides = {name: _Sides.of(parts.references[name]) for name in parts.valid_criteria}
    metrics = parts.valid_metrics
    compared = [metrics.get(name) for side in sides.values() for _, name, _ in side.compared]
    # AWS has the same metrics of every resource, so no name of one tells the paths apart. Those of
    # a resource that a criterion compares with, minute by minute, count the stable path.
    stable = {
        _resource(one)
        for one in compared
        if one is not None and one.namespace.startswith("AWS/") and one.counts is None
    }
    sound: dict[str, Metric] = {}
    counts: dict[str, CountedPath] = {}
    references = {name: criterion.references for name, criterion in parts.valid_criteria.items()}
    for name, metric in metrics.items():
        uses = Uses.of(metric, metrics, references)
        known = _known_counts(parts, metric)
        if known is None and _resource(metric) in stable:
            known = "stable"
        counted = counts_of(metric, known, uses)
        if message := _problem(parts, name, uses, known, counted):
            place: Place = ("metrics", name)
            stated = metric.counts is not None
            yield PolicyMistake((*place, "counts") if stated else place, message, at_key=not stated)
        else:
            sound[name], counts[name] = metric, counted
    yield from _other_places(parts, sides, sound)
    yield from _blind_steps(parts, sides, counts)


def _known_counts(parts: PartialPolicy, metric: Metric) -> CountedPath | None:
    return parts.of_target(lambda target: known_counts(target, metric), known_counts(None, metric))


class _Sides(Immutable):
    """The metrics that one criterion names, with their places.

    judged: what it judges. compared: what it compares that with, minute by minute.
    """

    judged: Sequence[Reference]
    compared: Sequence[Reference]

    @classmethod
    def of(cls, references: Sequence[Reference]) -> "_Sides":
        """Return the two sides of all that a criterion names; a frozen baseline is on neither."""
        return cls(
            judged=[one for one in references if one.use.purpose == "judged"],
            compared=[one for one in references if one.use.purpose == "compared"],
        )


# --- Metrics --------------------------------------------------------------------------------------


def _resource(metric: Metric) -> tuple[str, frozenset[tuple[str, str]]]:
    """Return the resource of AWS of a metric: its namespace, and its dimensions with values."""
    return metric.place, frozenset(metric.dimensions.items())


def _problem(
    parts: PartialPolicy, name: str, uses: Uses, known: CountedPath | None, counts: CountedPath
) -> str:
    """Return what is wrong with what a metric counts, if it has to count `counts`; empty: nothing.

    known: what it counts by its dimensions.
    """
    stated = parts.valid_metrics[name].counts is not None
    if known == "both" and counts == "canary" and (uses.judged or stated):
        of_target = parts.of_target(lambda target: f" of {target.name}", "")
        weight = next(iter(parts.weights), None) or 10
        return (
            f"metric {name} may count both paths: its dimensions name neither path{of_target}. At "
            f"{weight}%, a canary that fails 10% of its requests would then show as "
            f"{weight / 10:g}%. Name a metric of the canary, or write `counts: both` to have it "
            "judged as it is and labelled diluted"
        )
    if known == "stable" and uses.judged and not stated:
        return (
            f"criterion {_list(uses.judged)} judges metric {name}, which by its dimensions counts "
            f"{_WHOSE[known]}: a failing canary would pass. Name a metric of the canary, or write "
            "`counts: stable` if the stable path is meant"
        )
    only_frozen = uses.frozen and not (uses.judged or uses.compared)
    if known not in (None, counts) and not (known == "both" and only_frozen):
        return (
            f"metric {name} by its dimensions counts {_WHOSE[known]}, not {_WHOSE[counts]}. Name "
            f"another metric, or write `counts: {known}`"
        )
    comparing = [*uses.compared, *(uses.frozen if counts == "canary" else ())]
    comparing = [one for one in comparing if not _is_named_twice(name, parts.references[one])]
    if comparing and counts != "stable":
        judged = ""
        if uses.judged and not stated:
            judged = (
                f". Criterion {_list(uses.judged)} judges it, so it is taken to count the canary. "
                "If it counts the stable path, write `counts: stable`"
            )
        return (
            f"criterion {_list(comparing)} compares the canary with metric {name}, which must "
            f"count {_WHOSE['stable']}, not {_WHOSE[counts]}{judged}"
        )
    return ""


def _is_named_twice(name: str, references: Sequence[Reference]) -> bool:
    """Tell whether a criterion names one metric twice, which another check reports.

    A frozen baseline does not count as a second use: it reads another time.
    """
    return [one.metric for one in references if one.use.purpose != "frozen"].count(name) > 1


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


# --- The places of one criterion ------------------------------------------------------------------

# The dimensions that name an API, a function, a load balancer, a part of one, or a path. Others may
# differ: what fails may be in another queue, of one kind of error, or of one zone.
_PLACES: Final = (
    "ApiName", "ApiId", "Stage", "Resource", "Method", "Route", "FunctionName", "ExecutedVersion",
    "LoadBalancer", "TargetGroup", "AvailabilityZone", "Path", "Flag",
)  # fmt: skip
# What a load balancer answers itself is counted for all of it, and for none of its groups.
_OF_BALANCER: Final = "HTTPCode_ELB_"


def _other_places(
    parts: PartialPolicy, sides: Mapping[str, _Sides], metrics: Mapping[str, Metric]
) -> Iterator[PolicyMistake]:
    """Yield a problem for each metric that a criterion sets against one of another place.

    metrics: those without a mistake.
    """
    source = parts.of_target(lambda target: target.counted_by, None)
    no_values: Mapping[str, str] = {}
    values = parts.of_target(lambda target: target.values, no_values)
    metrics = {name: metric.resolved(values) for name, metric in metrics.items()}
    for name, side in sides.items():
        mistakes = (
            *_of_another_place(side, metrics, source),
            *_counted_twice(parts.references[name], metrics),
        )
        for place, message in mistakes:
            yield PolicyMistake(("criteria", name, *place), message)


def _of_another_place(
    sides: _Sides, metrics: Mapping[str, Metric], source: RequestSource | None
) -> Iterator[tuple[Place, str]]:
    """Yield the place of each metric of another place than the first one, and the difference."""
    judged = [one for one in sides.judged if one.metric in metrics]
    compared = [one for one in sides.compared if one.metric in metrics]
    for side in (judged, compared):
        names = [metrics[name].name for _, name, _ in side]
        for place, name, _ in side[1:]:
            pair = (side[0].metric, name)
            first, other = metrics[pair[0]], metrics[name]
            dimension = _other_value(first, other, _PLACES)
            if not dimension and names.count(other.name) == 1:  # several may be all the parts
                dimension = _other_extent(first, other, source)
            if dimension:
                yield place, _message(dimension, pair, metrics)
    for place, name, _ in compared if judged else ():
        pair = (judged[0].metric, name)
        first, other = metrics[pair[0]], metrics[name]
        dimension = _other_value(first, other, _of_target(source, first))
        if first.namespace == other.namespace == FLAG:  # of one flag
            dimension = _other_value(first, other, ["Flag"])
        if dimension:
            yield place, _message(dimension, pair, metrics)


def _counted_twice(
    references: Sequence[Reference], metrics: Mapping[str, Metric]
) -> Iterator[tuple[Place, str]]:
    """Yield the place of each metric of a list that is added up with what it is a part of."""
    listed = [reference for reference in references if isinstance(reference.place[-1], int)]
    for (place, name, _), (other_place, other, _) in permutations(listed, 2):
        part, whole = metrics.get(name), metrics.get(other)
        if place[:-1] != other_place[:-1] or part is None or whole is None:
            continue
        same = part.model_copy(update={"dimensions": whole.dimensions}) == whole
        if same and part.dimensions.items() > whole.dimensions.items():
            yield place, f"{name} is a part of {other}: it would be counted twice"


def _other_value(first: Metric, other: Metric, places: Sequence[str]) -> str:
    """Return the dimension in which both name another place; empty where they do not.

    A version that only `start` finds is not compared with a number.
    """
    if first.namespace != other.namespace:
        return ""
    for dimension in sorted(first.dimensions.keys() & other.dimensions.keys()):
        one, two = first.dimensions[dimension], other.dimensions[dimension]
        is_late = bool(PLACEHOLDER.search(one)) != bool(PLACEHOLDER.search(two))
        is_place = dimension in places or _account(one) != _account(two)
        if one != two and is_place and not is_late:
            return dimension
    return ""


def _account(value: str) -> str:
    """Return the account in an ARN; empty for another text."""
    parts = value.split(":")
    return parts[4] if parts[0] == "arn" and len(parts) > 5 else ""


def _other_extent(first: Metric, other: Metric, source: RequestSource | None) -> str:
    """Return the dimension by which one of two metrics of AWS is a part of the other; else empty.

    What tells the paths of the target apart is left to `counts`.
    """
    if first.namespace != other.namespace or not has_one_publisher(first.namespace):
        return ""
    free = set() if source is None else source.dimensions.keys() - _of_target(source, first)
    if "TargetGroup" in first.dimensions.keys() & other.dimensions.keys():
        free |= {"LoadBalancer"}  # the group names it
    if other.name.startswith(_OF_BALANCER):
        free |= {"TargetGroup"}
    apart = first.dimensions.keys() ^ other.dimensions.keys()
    return next((place for place in _PLACES if place in apart - free), "")


def _of_target(source: RequestSource | None, metric: Metric) -> list[str]:
    """Return the dimensions of `metric` that both paths of the target have in common."""
    if source is None or source.metrics.namespace != metric.namespace:
        return []
    return [
        name
        for name, dimension in source.dimensions.items()
        if source.stable.get(name) == dimension
    ]


def _message(dimension: str, names: Sequence[str], metrics: Mapping[str, Metric]) -> str:
    """Return the message that two metrics are not of the same place. names: the first one first."""
    first, other = (
        f"{name} counts {dimension} {metrics[name].dimensions[dimension]}"
        if dimension in metrics[name].dimensions
        else f"{name} counts every {dimension}"
        for name in names
    )
    return f"{other}, but {first}: both must name the same {dimension}"


# --- Steps ----------------------------------------------------------------------------------------


def _blind_steps(
    parts: PartialPolicy, sides: Mapping[str, _Sides], counts: Mapping[str, CountedPath]
) -> Iterator[PolicyMistake]:
    """Yield a problem for each step that only criteria of other requests than the canary's gate.

    counts: of each metric without a mistake. Any other is taken to count what it is meant to.
    """
    for index, (step, gate) in enumerate(zip(parts.steps or (), parts.gates, strict=True)):
        if step is None or None in gate.values():
            continue
        gating = [name for name, one in gate.items() if one and one.gating]
        seen = [sees_canary(sides[name].judged, counts, step.weight) for name in gating]
        if not seen or any(seen):  # without any that gates, that is the mistake
            continue
        message = (
            f"no criterion of the canary gates this step: {', '.join(gating)} would pass a failing "
            "canary. Add a criterion on metrics of the canary"
        )
        if step.weight < 100 and "both" in counts.values():
            message += "; metrics of `counts: both` suffice only at 100%"
        yield PolicyMistake(("steps", index, "criteria" if step.criteria else "weight"), message)


def sees_canary(named: Sequence[Reference], counts: Mapping[str, CountedPath], weight: int) -> bool:
    """Tell whether a failing canary shows in what a criterion judges at `weight`.

    Failures of both paths hide none of the canary's. Divided by requests of both paths they do. An
    alarm, log events and a sign-off name no metric, so no policy says whose requests they show.
    """
    counted = [counts.get(one.metric, "canary") for one in named]
    if not named or "stable" in counted:
        return not named
    if weight == 100:
        return True
    others = [one for one, path in zip(named, counted, strict=True) if path == "both"]
    return len(others) < len(named) and all(one.use.measures == "failures" for one in others)
