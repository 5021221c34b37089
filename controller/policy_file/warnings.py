"""Warnings: what is valid in a policy and probably a mistake, each at its place."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from controller.core.policy import (
    BurnRate,
    Criterion,
    Metric,
    Policy,
    Threshold,
    aws_metrics,
)
from controller.core.policy.aws_metrics import has_one_publisher
from controller.core.policy.comparison import Level, Ratio
from controller.core.policy.counts import purpose_of
from controller.core.units import format_duration, format_percent
from controller.policy_file.problem import Place, Problem

# A share of failures that a minute shows beyond doubt takes two to five minutes to find.
_SHORTEST_BAKE: Final = timedelta(minutes=5)


UNANSWERED: Final = (
    "{} has none of the requests that the load balancer answers itself, with 502 or 504, because a "
    "target died or hangs: count `successes`"
)


def warnings(policy: Policy) -> Iterator[Problem]:
    """Yield each warning about `policy` that needs nothing but the policy."""
    for name, metric in policy.metrics.items():
        for field, message in aws_metrics.warnings(metric):
            yield Problem(("metrics", name, field), message)
    yield from _metrics_of_criteria(policy)
    yield from _own_ratios(policy)
    yield from _short_bakes(policy)
    yield from _steps_of_arrivals(policy)
    yield from _versions_at_100(policy)


def _metrics_of_criteria(policy: Policy) -> Iterator[Problem]:
    """Yield a warning for each bound or count that the metric behind it cannot have."""
    for name, criterion in policy.criteria.items():
        if isinstance(criterion, Threshold) and (message := _never_fails(policy, criterion)):
            yield Problem(("criteria", name, "max"), message)
        if isinstance(criterion, BurnRate):
            yield from _burn_rates_out_of_reach(name, criterion)
        for place, used in criterion.references():
            if message := _miscount(place, policy.metrics[used]):
                yield Problem(("criteria", name, *place), message)


def _miscount(place: Place, metric: Metric) -> str:
    """Return why `metric` does not count what a criterion takes it for; empty: it may."""
    if place in (("total",), ("per",)) and not aws_metrics.may_count_requests(metric):
        return f"{metric.namespace} {metric.name} does not count requests"
    if "successes" in place and aws_metrics.counts_failures(metric):
        return f"{metric.name} counts failures, which would pass as successes"
    if place[0] == "failures" and aws_metrics.lacks_unanswered(metric):
        return UNANSWERED.format(metric.name)
    return ""


def _never_fails(policy: Policy, criterion: Threshold) -> str:
    """Return why the largest value that passes is never exceeded; empty: it may be."""
    metric = policy.metrics[criterion.metric]
    if criterion.max is None or criterion.max < 1:
        return ""
    if metric.statistic == "Average" and aws_metrics.is_share(metric):
        return f"the Average of {metric.name} is a share of requests, so never above 1"
    return "no share is above 100%, so it never fails" if criterion.per is not None else ""


def _burn_rates_out_of_reach(name: str, criterion: BurnRate) -> Iterator[Problem]:
    """Yield a warning for each pair of windows that no failures burn fast enough."""
    fastest = 1 / (1 - criterion.slo)
    for index, pair in enumerate(criterion.windows):
        if pair.factor >= fastest:
            place = (
                ("windows", index, "factor")
                if "windows" in criterion.model_fields_set
                else ("slo",)
            )
            message = (
                f"{pair.text} never fails: where every request fails, the budget of "
                f"{format_percent(criterion.slo)} burns {fastest:g}x"
            )
            yield Problem(("criteria", name, *place), message)


def _own_ratios(policy: Policy) -> Iterator[Problem]:
    """Yield a warning for each ratio of an application's metrics with other values of a dimension.

    What such a dimension means only the application knows, so it is no mistake for certain.
    """
    for name, criterion in policy.criteria.items():
        judged = [one for one in criterion.references() if purpose_of(one[0]) == "judged"]
        for place, other in judged[1:]:
            first, second = policy.metrics[judged[0][1]], policy.metrics[other]
            if first.namespace != second.namespace or has_one_publisher(first.namespace):
                continue
            for dimension in first.dimensions.keys() & second.dimensions.keys():
                values = first.dimensions[dimension], second.dimensions[dimension]
                if values[0] != values[1]:
                    message = (
                        f"{other} counts {dimension} {values[1]}, but {judged[0][1]} counts "
                        f"{dimension} {values[0]}"
                    )
                    yield Problem(("criteria", name, *place), message)


def _short_bakes(policy: Policy) -> Iterator[Problem]:
    for index, step in enumerate(policy.steps):
        gate = policy.gate(index).values()
        if step.bake < _SHORTEST_BAKE and any(one.sequential and one.gating for one in gate):
            message = (
                f"a bake of {format_duration(step.bake)} detects only failures of about 20 % or "
                f"more: bake for {format_duration(_SHORTEST_BAKE)} or more"
            )
            yield Problem(("steps", index, "bake"), message)


def _steps_of_arrivals(policy: Policy) -> Iterator[Problem]:
    """Yield a warning for each step whose gate sees that requests arrive, and not how they end."""
    for index, step in enumerate(policy.steps):
        gating = [one for one in policy.gate(index).values() if one.gating]
        if gating and all(map(_sees_arrivals, gating)):
            message = (
                "the gate of this step only sees that requests arrive: a canary that fails all of "
                "them would pass. Add a criterion on failures"
            )
            yield Problem(("steps", index, "criteria" if step.criteria else "weight"), message)


def _sees_arrivals(criterion: Criterion) -> bool:
    """Tell whether `criterion` judges which requests arrive, and not how they end."""
    measured = [one.measured for one in criterion.comparisons]
    return bool(measured) and all(
        isinstance(one, Level | Ratio) and one.counts == "requests" for one in measured
    )


def _versions_at_100(policy: Policy) -> Iterator[Problem]:
    """Yield a warning for each step at 100 % that judges what AWS counts below 100 % only."""
    source = policy.target.counted_by
    if source is None or not source.whole:
        return
    for index, step in enumerate(policy.steps):
        if step.weight != 100:
            continue
        for name, criterion in policy.gate(index).items():
            ended = [
                metric
                for place, metric in criterion.references()
                if purpose_of(place) == "judged"
                and policy.metrics[metric].dimensions == source.dimensions
            ]
            if ended and criterion.gating:
                message = (
                    f"criterion {name} has no data at 100 %, so this step stays on hold: AWS "
                    f"counts {ended[0]} only while the alias has a weight. Use criteria on metrics "
                    "of the alias here, without ExecutedVersion"
                )
                yield Problem(("steps", index, "criteria" if step.criteria else "weight"), message)
