"""Checks of whose requests each metric counts, as far as that is known without reading anything."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from controller.core.policy import Policy
from controller.core.policy.counts import Uses, counts_of, known_counts, purpose_of
from controller.core.policy.judging import Criterion
from controller.core.policy.metric import Counts, Metric
from controller.policy_file.check.partial_policy import PartialPolicy, parse_partial, raw_weight
from controller.policy_file.check.sides import side_problems
from controller.policy_file.problem import Place, Problem, place_text

_Resource: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
"""The namespace of a metric, and its dimensions with their values."""

_WHOSE: Final[Mapping[Counts, str]] = {
    "canary": "only the canary",
    "stable": "only the stable path",
    "both": "both paths",
}


def counts_refusals(policy: Policy) -> list[str]:
    """Return the mistakes of `counts_problems` in a policy whose versions are resolved."""
    parts = parse_partial(policy.model_dump(mode="json", by_alias=True, exclude_none=True))
    return [f"{place_text(one.place)}: {one.message}" for one in counts_problems(parts)]


def counts_problems(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield a problem for each metric, ratio and step that cannot show what the canary does.

    That is a metric that does not count what the policy uses it for, a ratio of two places, and a
    step without a gating criterion of the canary.
    """
    criteria = list(parts.valid_criteria())
    metrics = parts.metrics or {}
    counts: dict[str, Counts] = {}
    mistaken = set[str]()
    stable = _stable_resources(parts)
    for name, metric in metrics.items():
        if metric is None:
            continue
        uses = Uses.of(metric, metrics, criteria)
        known = known_counts(parts.target, metric)
        if known is None and _resource(metric) in stable:
            known = "stable"
        counts[name] = counts_of(metric, known, uses)
        if message := _problem(parts, name, metric, uses, known, _named_twice(name, criteria)):
            mistaken.add(name)
            place: Place = ("metrics", name)
            stated = metric.counts is not None
            yield Problem((*place, "counts") if stated else place, message, at_key=not stated)
    sound = {name: one for name, one in metrics.items() if one and name not in mistaken}
    yield from side_problems(parts.target, sound, criteria)
    yield from _blind_steps(parts, {name: counts[name] for name in sound})


# --- Metrics --------------------------------------------------------------------------------------


def _stable_resources(parts: PartialPolicy) -> set[_Resource]:
    """Return the resources of AWS whose requests a criterion compares with, minute by minute.

    Their metrics count the stable path: AWS has the same metrics of every resource, so no name of
    one tells the paths apart.
    """
    metrics = parts.metrics or {}
    compared = {
        name
        for _, criterion in parts.valid_criteria()
        for place, name in criterion.references()
        if purpose_of(place) == "compared"
    }
    found = (metrics.get(name) for name in compared)
    return {
        _resource(one)
        for one in found
        if one is not None and one.namespace.startswith("AWS/") and one.counts is None
    }


def _resource(metric: Metric) -> _Resource:
    return metric.namespace, frozenset(metric.dimensions.items())


def _problem(
    parts: PartialPolicy,
    name: str,
    metric: Metric,
    uses: Uses,
    known: Counts | None,
    excluded: Collection[str],
) -> str:
    """Return what is wrong with what a metric counts; excluded: criteria that compare nothing."""
    counts = counts_of(metric, known, uses)
    if known == "both" and counts == "canary" and (uses.judged or metric.counts):
        return _diluted_text(parts, name)
    if known == "stable" and uses.judged and metric.counts is None:
        return (
            f"criterion {_list(uses.judged)} judges metric {name}, which by its dimensions counts "
            f"{_WHOSE[known]}: a failing canary would pass. Name a metric of the canary, or write "
            "`counts: stable` if the stable path is meant"
        )
    only_frozen = uses.frozen and not (uses.judged or uses.compared)
    if known not in (None, counts) and not (known == "both" and only_frozen):
        return f"metric {name} by its dimensions counts {_WHOSE[known]}, not {_WHOSE[counts]}"
    comparing = [*uses.compared, *(uses.frozen if counts == "canary" else ())]
    comparing = [one for one in comparing if one not in excluded]
    if comparing and counts != "stable":
        judged = ""
        if uses.judged and metric.counts is None:
            judged = (
                f". Criterion {_list(uses.judged)} judges it, so it is taken to count the canary. "
                "If it counts the stable path, write `counts: stable`"
            )
        return (
            f"criterion {_list(comparing)} compares the canary with metric {name}, which must "
            f"count {_WHOSE['stable']}, not {_WHOSE[counts]}{judged}"
        )
    return ""


def _diluted_text(parts: PartialPolicy, name: str) -> str:
    of_target = "" if parts.target is None else f" of {parts.target.name}"
    weight = next((raw_weight(step) for step in parts.raw_steps), None) or 10
    return (
        f"metric {name} may count both paths: its dimensions name neither path{of_target}. At "
        f"{weight} %, a canary that fails 10 % of its requests would then show as "
        f"{weight / 10:g} %. Name a metric of the canary, or write `counts: both` to have it "
        "judged as it is and labelled diluted"
    )


def _named_twice(name: str, criteria: Iterable[tuple[str, Criterion]]) -> list[str]:
    """Return the criteria that name one metric twice, which another check reports.

    A frozen baseline does not count as a second use: it reads another time.
    """
    return [
        one
        for one, criterion in criteria
        if [metric for place, metric in criterion.references() if "frozen" not in place].count(name)
        > 1
    ]


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


# --- Steps ----------------------------------------------------------------------------------------


def _blind_steps(parts: PartialPolicy, counts: Mapping[str, Counts]) -> Iterator[Problem]:
    """Yield a problem for each step that only criteria of other requests than the canary's gate.

    counts: of each metric without a mistake. Any other is taken to count what it is meant to.
    """
    for index, step in enumerate(parts.steps or ()):
        criteria = parts.criteria or {}
        names = criteria if step is None or step.criteria is None else step.criteria
        gate = {name: criteria.get(name) for name in names}
        if step is None or None in gate.values():
            continue
        gating = {name: one for name, one in gate.items() if one and one.gating}
        seen = [_sees_canary(one, counts, step.weight) for one in gating.values()]
        if not seen or any(seen):  # without any that gates, that is the mistake
            continue
        message = (
            f"no criterion of the canary gates this step: {', '.join(gating)} would pass a failing "
            "canary. Add a criterion on metrics of the canary"
        )
        if step.weight < 100 and "both" in counts.values():
            message += "; metrics of `counts: both` suffice only at 100 %"
        yield Problem(("steps", index, "criteria" if step.criteria else "weight"), message)


def _sees_canary(criterion: Criterion, counts: Mapping[str, Counts], weight: int) -> bool:
    """Tell whether a failing canary shows in what `criterion` judges at `weight`.

    Failures of both paths hide none of the canary's. Divided by requests of both paths they do. An
    alarm, log events and a sign-off name no metric, so no policy says whose requests they show.
    """
    judged = {
        place: counts.get(name, "canary")
        for place, name in criterion.references()
        if purpose_of(place) == "judged"
    }
    if not judged or "stable" in judged.values():
        return not judged
    if weight == 100:
        return True
    others = [place for place, counted in judged.items() if counted == "both"]
    return len(others) < len(judged) and all(place[0] == "failures" for place in others)
