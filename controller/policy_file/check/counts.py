"""Checks of whose requests each metric counts, as far as that is known without reading anything."""

from collections.abc import Iterator, Sequence

from controller.core.policy.counts import Uses, counts_of, known_counts
from controller.core.policy.metric import Counts, Metric
from controller.policy_file.check.partial_policy import PartialPolicy, raw_weight
from controller.policy_file.check.problem import Place, Problem

_WHOSE: dict[Counts, str] = {
    "canary": "the canary alone",
    "stable": "the stable path alone",
    "both": "both paths",
}


def counts_problems(parts: PartialPolicy) -> Iterator[Problem]:
    """Yield every metric that cannot count what the policy takes it for."""
    criteria = list(parts.valid_criteria())
    metrics = parts.metrics or {}
    for name, metric in metrics.items():
        if metric is None:
            continue
        message = _problem(parts, name, metric, Uses.of(metric, metrics, criteria))
        if message:
            place: Place = ("metrics", name)
            stated = metric.counts is not None
            yield Problem((*place, "counts") if stated else place, message, at_key=not stated)


def _problem(parts: PartialPolicy, name: str, metric: Metric, uses: Uses) -> str:
    known = known_counts(parts.target, metric)
    counts = counts_of(metric, known, uses)
    if known == "both" and counts == "canary" and (uses.judged or metric.counts):
        return _diluted_text(parts, name)
    only_frozen = uses.frozen and not (uses.judged or uses.compared)
    if known not in (None, counts) and not (known == "both" and only_frozen):
        return f"metric {name} counts {_WHOSE[known]} by its dimensions, and not {_WHOSE[counts]}"
    comparing = (*uses.compared, *(uses.frozen if counts == "canary" else ()))
    if comparing and counts != "stable":
        return (
            f"criterion {_list(comparing)} compares the canary with metric {name}, which then has "
            f"to count {_WHOSE['stable']}, and not {_WHOSE[counts]}"
        )
    return ""


def _diluted_text(parts: PartialPolicy, name: str) -> str:
    of_target = "" if parts.target is None else f" of {parts.target.name}"
    weight = next((raw_weight(step) for step in parts.raw_steps), None) or 10
    return (
        f"metric {name} counts both paths: every request{of_target} is in it, whichever path it "
        f"takes. At {weight} %, a canary that fails 10 % of its requests would show as "
        f"{weight / 10:g} %. Name a metric of the canary alone, or write `counts: both`, which is "
        "judged as it is and labelled diluted"
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
