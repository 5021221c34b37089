"""Loads policy files: YAML to Policy, and every mistake at its line and column.

Every mistake is reported at once: of the YAML, of the shape of each part, of a text that is no
printable line, and of the parts against each other. The last is checked over whatever can be read
of a bad file, so that one bad step hides no bad criterion, and a bad target no bad metric. What is
valid and probably a mistake is a warning.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from controller.core.policy import BurnRate, Criterion, Metric, Policy, Threshold, aws_metrics
from controller.core.policy.aws_metrics import has_one_publisher
from controller.core.policy.comparison import Ratio
from controller.core.policy.metric_uses import Reference
from controller.core.units import format_duration, format_percent
from controller.errors import Flaw, PolicyError
from controller.policy_file import yaml_file
from controller.policy_file.crosscheck import crosscheck, ended_metrics
from controller.policy_file.mistake import PolicyMistake
from controller.policy_file.partial_policy import parse_partial
from controller.policy_file.shape import validated
from controller.policy_file.template import Inherited, inherited, read_policy
from controller.policy_file.yaml_file import YamlSource


def load(path: Path) -> Policy:
    """Return the policy in the file at `path`.

    Raises PolicyError with one `file:line:column: path: problem` line per mistake.
    """
    return _policy(read_policy(path))


class LoadedPolicy(NamedTuple):
    """A policy, the warnings about it in the file's order, and what it has from its template."""

    policy: Policy
    warnings: Sequence[Flaw]
    inherited: Sequence[Inherited]


def load_with_sources(path: Path) -> LoadedPolicy:
    """Return the policy in the file at `path` with what is known of its text.

    Raises PolicyError as `load` does.
    """
    source = read_policy(path)
    policy = _policy(source)
    return LoadedPolicy(policy, source.flaws(warnings(policy)), list(inherited(source)))


def loads(text: str, name: str) -> Policy:
    """Return the policy in `text`; `name` takes the place of the file name in errors.

    A text has no folder, so it extends no template. Raises PolicyError as `load` does.
    """
    return _policy(yaml_file.parse(text, name))


def _policy(source: YamlSource) -> Policy:
    policy, problems = check(source.data)
    flaws = source.flaws(problems)
    if policy is None or flaws:
        raise PolicyError.of(*flaws)
    return policy


def check(data: object) -> tuple[Policy | None, Sequence[PolicyMistake]]:
    """Return the policy that `data` describes, None without one, and every mistake in `data`.

    data: mappings, lists and scalars, as a file has them.
    """
    policy, problems = validated(data, Policy)
    if isinstance(data, Mapping):
        parts, bad_places = parse_partial(data), {problem.place for problem in problems}
        problems += [one for one in crosscheck(parts) if one.place not in bad_places]
    return policy, problems


# --- Warnings -------------------------------------------------------------------------------------

# A share of failures that a minute shows beyond doubt takes two to five minutes to find.
_SHORTEST_BAKE: Final = timedelta(minutes=5)
# A load balancer ends a request after so long without an answer, by its default idle timeout.
_IDLE_TIMEOUT_S: Final = 60
UNANSWERED: Final = (
    "{} has none of the requests that the load balancer answers itself, with 502 or 504, because a "
    "target died or hangs: count `successes`"
)


def warnings(policy: Policy) -> Iterator[PolicyMistake]:
    """Yield each warning about `policy` that needs nothing but the policy."""
    for name, metric in policy.metrics.items():
        for field, message in aws_metrics.warnings(metric):
            yield PolicyMistake(("metrics", name, field), message)
    yield from _metrics_of_criteria(policy)
    yield from _own_ratios(policy)
    for index, step in enumerate(policy.steps):
        gate = policy.gate(index).values()
        if step.bake < _SHORTEST_BAKE and any(one.sequential and one.gating for one in gate):
            text = (
                f"a bake of {format_duration(step.bake)} detects only failures of about 20% or "
                f"more: bake for {format_duration(_SHORTEST_BAKE)} or more"
            )
            yield PolicyMistake(("steps", index, "bake"), text)
    yield from _steps_without_failures(policy)
    yield from _versions_at_100(policy)


def _metrics_of_criteria(policy: Policy) -> Iterator[PolicyMistake]:
    """Yield a warning for each bound or count that the metric behind it cannot have."""
    for name, criterion in policy.criteria.items():
        if isinstance(criterion, Threshold) and (message := _bound_out_of_reach(policy, criterion)):
            yield PolicyMistake(("criteria", name, "max"), message)
        if isinstance(criterion, BurnRate):
            yield from _burn_rates_out_of_reach(name, criterion)
        elif field := _share_out_of_reach(criterion):
            text = "no share is above 100%, so it never fails"
            yield PolicyMistake(("criteria", name, field), text)
        for named in criterion.references:
            if message := _miscount(named, policy.metrics[named.metric]):
                yield PolicyMistake(("criteria", name, *named.place), message)


def _miscount(named: Reference, metric: Metric) -> str:
    """Return why `metric` does not count what a criterion takes it for; empty: it may."""
    is_judged = named.use.purpose == "judged"
    match named.use.measures:
        case "requests" if is_judged and not aws_metrics.may_count_requests(metric):
            return f"{metric.place} {metric.name} does not count requests"
        case "requests" if aws_metrics.counts_failures(metric):
            return f"{metric.name} counts failures, and not all requests"
        case "successes" if aws_metrics.counts_failures(metric):
            return f"{metric.name} counts failures, which would pass as successes"
        case "failures" if is_judged and aws_metrics.lacks_unanswered(metric):
            return UNANSWERED.format(metric.name)
        case _:
            return ""


def _bound_out_of_reach(policy: Policy, criterion: Threshold) -> str:
    """Return why the largest value that passes is hardly ever exceeded; empty: it may be."""
    metric = policy.metrics[criterion.metric]
    if criterion.max is None or criterion.max < 1 or criterion.per is not None:
        return ""
    if metric.statistic == "Average" and aws_metrics.is_share(metric):
        return f"the Average of {metric.name} is a share of requests, so never above 1"
    if aws_metrics.is_in_seconds(metric) and criterion.max > _IDLE_TIMEOUT_S:
        meant = f"for {criterion.max:g} ms write {criterion.max / 1000:g}"
        return f"{metric.name} is in seconds, and by default none takes over a minute: {meant}"
    return ""


def _share_out_of_reach(criterion: Criterion) -> str:
    """Return the field of a largest share that no share is above; empty: there is none."""
    shares = [one for one in criterion.comparisons if isinstance(one.measured, Ratio)]
    return next((one.field for one in shares if one.is_maximum and one.bound >= 1), "")


def _burn_rates_out_of_reach(name: str, criterion: BurnRate) -> Iterator[PolicyMistake]:
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
            yield PolicyMistake(("criteria", name, *place), message)


def _own_ratios(policy: Policy) -> Iterator[PolicyMistake]:
    """Yield a warning for each ratio of an application's metrics with other values of a dimension.

    What such a dimension means only the application knows, so it is no mistake for certain.
    """
    for name, criterion in policy.criteria.items():
        judged = criterion.judged
        for place, other, _ in judged[1:]:
            first, second = policy.metrics[judged[0].metric], policy.metrics[other]
            if first.namespace != second.namespace or has_one_publisher(first.namespace):
                continue
            for dimension in first.dimensions.keys() & second.dimensions.keys():
                values = first.dimensions[dimension], second.dimensions[dimension]
                if values[0] != values[1]:
                    message = (
                        f"{other} counts {dimension} {values[1]}, but {judged[0].metric} counts "
                        f"{dimension} {values[0]}"
                    )
                    yield PolicyMistake(("criteria", name, *place), message)


def _steps_without_failures(policy: Policy) -> Iterator[PolicyMistake]:
    """Yield a warning for each step whose gate reads nothing that failed requests would change."""
    for index, step in enumerate(policy.steps):
        gating = [one for one in policy.gate(index).values() if one.gating]
        if gating and all(map(_sees_no_failures, gating)):
            message = (
                "no criterion of this step sees how requests end: a canary that fails all of them "
                "would pass. Add a criterion on failures"
            )
            yield PolicyMistake(
                ("steps", index, "criteria" if step.criteria else "weight"), message
            )


def _sees_no_failures(criterion: Criterion) -> bool:
    """Tell whether `criterion` reads metrics, and none that failed requests would change."""
    return bool(criterion.judged) and not criterion.shows_failures


def _versions_at_100(policy: Policy) -> Iterator[PolicyMistake]:
    """Yield a warning for each step at 100% that also judges what AWS counts below 100% only."""
    source = policy.target.counted_by
    if source is None or not source.whole:
        return
    for index, step in enumerate(policy.steps):
        if step.weight != 100:
            continue
        for name, criterion in policy.gate(index).items():
            ended = ended_metrics(source, criterion, policy.metrics)
            if ended and criterion.gating:
                message = (
                    f"criterion {name} sees nothing of {' and '.join(ended)} at 100%: AWS counts "
                    "that only while the alias has a weight. Use criteria on metrics of the alias "
                    "here, without ExecutedVersion"
                )
                yield PolicyMistake(
                    ("steps", index, "criteria" if step.criteria else "weight"), message
                )
