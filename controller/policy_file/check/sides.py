"""Checks that the metrics of one criterion are of the same API, function or target group.

Requests of one API and failures of another make no failure rate, and neither do the requests of all
stages and the failures of one. Metrics of different namespaces are not compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Final

from controller.core.policy.aws_metrics import FLAG, has_one_publisher
from controller.core.policy.counts import purpose_of
from controller.core.policy.judging import Criterion
from controller.core.policy.metric import PLACEHOLDER, Metric
from controller.core.policy.request_source import RequestSource
from controller.core.policy.targets import TargetSpec
from controller.policy_file.problem import Place, Problem

# The dimensions that name an API, a function, a load balancer, a part of one, or a path. Others may
# differ: what fails may be in another queue, of one kind of error, or of one zone.
_PLACES: Final = (
    "ApiName", "ApiId", "Stage", "Resource", "Method", "Route", "FunctionName", "ExecutedVersion",
    "LoadBalancer", "TargetGroup", "AvailabilityZone", "Path", "Flag",
)  # fmt: skip
# What a load balancer answers itself is counted for all of it, and for none of its groups.
_OF_BALANCER: Final = "HTTPCode_ELB_"


def side_problems(
    target: TargetSpec | None,
    metrics: Mapping[str, Metric],
    criteria: Sequence[tuple[str, Criterion]],
) -> Iterator[Problem]:
    """Yield a problem for each metric that a criterion sets against one of another place.

    metrics: those that are checked, by name.
    """
    if target is not None:
        metrics = {name: one.resolved(target.values) for name, one in metrics.items()}
    source = None if target is None else target.counted_by
    for name, criterion in criteria:
        mistakes = (*_mistakes(criterion, metrics, source), *_parts(criterion, metrics))
        for place, message in mistakes:
            yield Problem(("criteria", name, *place), message)


def _mistakes(
    criterion: Criterion, metrics: Mapping[str, Metric], source: RequestSource | None
) -> Iterator[tuple[Place, str]]:
    """Yield the place of each metric of another place than the first one, and the difference."""
    named = [one for one in criterion.references() if one[1] in metrics]
    judged = [one for one in named if purpose_of(one[0]) == "judged"]
    compared = [one for one in named if purpose_of(one[0]) == "compared"]
    for side in (judged, compared):
        names = [metrics[name].name for _, name in side]
        for place, name in side[1:]:
            pair = (side[0][1], name)
            first, other = metrics[pair[0]], metrics[name]
            dimension = _other_value(first, other, _PLACES)
            if not dimension and names.count(other.name) == 1:  # several may be all the parts
                dimension = _other_extent(first, other, source)
            if dimension:
                yield place, _message(dimension, pair, metrics)
    for place, name in compared if judged else ():
        pair = (judged[0][1], name)
        first, other = metrics[pair[0]], metrics[name]
        dimension = _other_value(first, other, _of_target(source, first))
        if first.namespace == other.namespace == FLAG:  # of one flag
            dimension = _other_value(first, other, ["Flag"])
        if dimension:
            yield place, _message(dimension, pair, metrics)


def _parts(criterion: Criterion, metrics: Mapping[str, Metric]) -> Iterator[tuple[Place, str]]:
    """Yield the place of each metric of a list that is added up with what it is a part of."""
    listed = [one for one in criterion.references() if isinstance(one[0][-1], int)]
    for (place, name), (other_place, other) in permutations(listed, 2):
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
    return next((one for one in _PLACES if one in apart - free), "")


def _of_target(source: RequestSource | None, metric: Metric) -> list[str]:
    """Return the dimensions of `metric` that both paths of the target have in common."""
    if source is None or source.metrics.namespace != metric.namespace:
        return []
    return [name for name, one in source.dimensions.items() if source.stable.get(name) == one]


def _message(dimension: str, names: Sequence[str], metrics: Mapping[str, Metric]) -> str:
    """Return the message that two metrics are not of the same place. names: the first one first."""
    first, other = (
        f"{name} counts {dimension} {metrics[name].dimensions[dimension]}"
        if dimension in metrics[name].dimensions
        else f"{name} counts every {dimension}"
        for name in names
    )
    return f"{other}, but {first}: both must name the same {dimension}"
