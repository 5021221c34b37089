"""The text of a drafted policy, line by line, with comments that say why."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from textwrap import wrap
from typing import Final

from controller.core.policy import Metric
from controller.core.policy.judge_settings import RATE_SAMPLES
from controller.core.units import (
    count_text,
    format_duration,
    format_percent,
    number_text,
)
from controller.operations.init.draft import (
    LATENCY,
    LATENCY_AT_100,
    OUTAGE,
    OUTAGE_AT_100,
    REFUSED,
    SIGN_OFF,
    SUCCESS,
    SUCCESS_AT_100,
    TRAFFIC,
    Draft,
    StepPlan,
)
from controller.operations.init.survey import Counts, function_source
from controller.safe_text import printable

_WIDTH: Final = 110

# Texts that YAML reads as text without quotes.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/-]*( [A-Za-z0-9_/-]+)*")
_NO_TEXT: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})

_FLAG_ADVICE: Final = (
    "The flag in docs/flag.md counts the canary alone, beside the stable path: add it to the "
    "function, leave it in for a day, and run `rolloutctl init` again."
)


def policy_text(draft: Draft) -> str:
    """Return the policy file of `draft`."""
    parts = (_head(draft), _target(draft), _metrics(draft), _criteria(draft), _steps(draft))
    return "\n".join("\n".join(part) + "\n" for part in parts)


def _head(draft: Draft) -> Iterator[str]:
    target = draft.target
    weight = next(iter(target.settings(0)))
    yield from _comment(
        f"Raises the weight of {weight} on {target.name}, step by step, while its criteria pass. "
        "A draft of `rolloutctl init`: every line is yours to change."
    )
    yield from _comment("A field: rolloutctl explain NAME. All of them: docs/policy.md.")
    yield "version: 1"
    yield f"name: {draft.name}"


def _target(draft: Draft) -> Iterator[str]:
    """Yield the fields of the target; those that are left out are comments."""
    yield "target:"
    values = draft.target.model_dump()
    for name, field in type(draft.target).model_fields.items():
        if values[name] is None:
            yield from _comment(f"{name}: {field.description}", 2)
        else:
            yield f"  {name}: {yaml_text(values[name])}"


# --- Metrics --------------------------------------------------------------------------------------

_BOTH: Final = ", counts: both"


def _metrics(draft: Draft) -> Iterator[str]:
    source, family = draft.source, draft.source.metrics
    yield from _comment(_requests_text(draft))
    yield "metrics:"
    yield from _comment(_counts_text(draft), 2)
    canary = f"&requests {_mapping(source.dimensions)}"
    missing = ", missing: zero" if family.zero else ""
    both = _BOTH if draft.survey.counts is Counts.BOTH else ""
    yield _metric("requests", source.count(family.requests), canary, both)
    yield from _answers(draft, "", "*requests", missing + both)
    if _uses(draft, REFUSED):
        yield from _comment(family.refused_text, 2)
        refused, more = f"&refused {_mapping(source.refusing)}", f", missing: zero{_BOTH}"
        yield _metric("refused", source.count(family.refused), refused, more)
        yield _metric("all_requests", source.count(family.requests), "*refused", more)
    if not draft.measures_both:
        yield from _latency_metric(draft)
        return
    control = not draft.quiet
    if control or _uses(draft, TRAFFIC):
        of_stable = f"&stable {_mapping(source.stable)}"
        yield _metric("stable_requests", source.count(family.requests), of_stable)
    if control:
        yield from _answers(draft, "stable_", "*stable", missing)
    if _uses(draft, LATENCY, LATENCY_AT_100):
        yield _latency("duration", source.count(family.latency), "*requests", family.unit)
        yield _latency("stable_duration", source.count(family.latency), "*stable", family.unit)
    if source.whole:
        yield from _metrics_at_100(draft)


def _metrics_at_100(draft: Draft) -> Iterator[str]:
    """Yield the metrics of both paths together: at 100 % they are those of the canary."""
    source, family = draft.source, draft.source.metrics
    yield from _comment("Of both paths together: at 100 % that is the canary.", 2)
    whole = f"&live {_mapping(source.whole)}"
    yield _metric("live_requests", source.count(family.requests), whole, _BOTH)
    yield from _answers(draft, "live_", "*live", _BOTH)
    if _uses(draft, LATENCY_AT_100):
        latency = source.count(family.latency)
        yield _latency("live_duration", latency, "*live", family.unit, _BOTH)


def _answers(draft: Draft, which: str, dimensions: str, more: str) -> Iterator[str]:
    """Yield the metrics of successes, or that of failures; which: the beginning of their names."""
    for name, metric in draft.successes or (("failures", draft.source.metrics.failures),):
        yield _metric(which + name, draft.source.count(metric), dimensions, more)


def _counts(draft: Draft, which: str) -> str:
    """Return the fields that count the requests of a success rate."""
    field = "successes" if draft.successes else "failures"
    names = [which + name for name, _ in draft.successes or (("failures", ""),)]
    return f"total: {which}requests, {field}: [{', '.join(names)}]"


def _latency_metric(draft: Draft) -> Iterator[str]:
    """Yield the latency of both paths, which is compared with itself before the start."""
    if not _uses(draft, LATENCY):
        return
    source, dimensions = draft.source, "*requests"
    if draft.survey.counts is Counts.CANARY:
        source = function_source(draft.target.short_name)
        dimensions = _mapping(source.dimensions)
        yield from _comment("The time that the function takes, on both paths (counts: both).", 2)
    metric, unit = source.count(source.metrics.latency), source.metrics.unit
    yield _latency("duration", metric, dimensions, unit, _BOTH)


def _uses(draft: Draft, *criteria: str) -> bool:
    return any(one in draft.criteria for one in criteria)


def _metric(name: str, metric: Metric, dimensions: str, more: str = "") -> str:
    text = f"namespace: {metric.namespace}, name: {metric.name}, statistic: Sum"
    return f"  {name}: {{{text}{more}, dimensions: {dimensions}}}"


def _latency(name: str, metric: Metric, dimensions: str, unit: str, more: str = "") -> str:
    text = f"namespace: {metric.namespace}, name: {metric.name}, statistic: p95, unit: {unit}"
    return f"  {name}: {{{text}{more}, dimensions: {dimensions}}}"


def _requests_text(draft: Draft) -> str:
    survey = draft.survey
    if survey.per_minute is not None:
        rate = number_text(survey.per_minute)
        return f"{rate} requests a minute on both paths, when this was drafted."
    reason = f": {printable(survey.problem)}" if survey.problem else ""
    return (
        f"How many requests there are is unknown{reason}. So the steps below are the usual ones; "
        "`rolloutctl plan POLICY --live` shows what they can decide."
    )


def _counts_text(draft: Draft) -> str:
    survey, title = draft.survey, draft.source.title
    if draft.measures_both:
        return draft.source.metrics.paths
    if survey.counts is Counts.CANARY:
        why = "there were few or none of them at 0 %" if survey.steady_hours is not None else ""
        return (
            f"Requests of {title}, taken to be those of the canary alone (counts: canary)"
            f"{f': {why}' if why else ''}. Other callers of it are counted as the canary. "
            f"{_FLAG_ADVICE}"
        )
    why = "it serves both paths"
    if not draft.source.metrics.both:
        why = f"it had requests in {survey.steady_hours} of the last 24 hours at 0 %"
    return (
        f"Requests of {title}: {why} (counts: both). So no metric counts the canary alone: at 10 % "
        "its failures are a tenth of what they are at 100 %, and nothing shows that the weight "
        f"has an effect. {_FLAG_ADVICE}"
    )


# --- Criteria -------------------------------------------------------------------------------------


def _criteria(draft: Draft) -> Iterator[str]:
    yield from _comment(
        "A criterion that fails takes the weight back to 0 % at once; one without enough data puts "
        "the rollout on hold, and then pauses it for an operator."
    )
    yield "criteria:"
    texts: Mapping[str, Callable[[Draft], Iterator[str]]] = {
        SUCCESS: _success, SUCCESS_AT_100: _success_at_100,
        OUTAGE: _outage, OUTAGE_AT_100: _outage_at_100,
        REFUSED: _refused, LATENCY: _relative, LATENCY_AT_100: _latency_at_100,
        TRAFFIC: _traffic, SIGN_OFF: _sign_off,
    }  # fmt: skip
    for name in draft.criteria:
        yield from texts[name](draft)
    if not _uses(draft, LATENCY, LATENCY_AT_100):
        yield from _comment(_no_latency_text(draft), 2)


def _success(draft: Draft) -> Iterator[str]:
    family = draft.source.metrics
    excluded = f" {family.client_errors} is no failure here." if family.client_errors else ""
    excluded += " A request that no target answered is one." if draft.successes else ""
    yield from _comment(f"At least 99.9 % of requests succeed.{excluded}", 2)
    if draft.quiet:
        yield from _comment(
            "In windows of two hours, three in a row: one failure in a day is no reason to go back."
            f" A pass says no more than that: {_rule_of_three(draft.steps[-1])}.", 2,
        )  # fmt: skip
        yield from _rate(draft, SUCCESS, "99.9%", "0.1%", _windows(draft, "2h"))
    elif draft.measures_both:
        yield from _comment("What fails on the stable path as well is not the canary's fault.", 2)
        control = f"control: {{{_counts(draft, 'stable_')}}}"
        yield from _rate(draft, SUCCESS, "99.9%", "0.1%", control)
    else:
        both = draft.survey.counts is Counts.BOTH
        samples = f"min_samples: {RATE_SAMPLES}" if both else ""  # a success rate has them anyway
        yield from _rate(draft, SUCCESS, "99.9%", "0.1%", samples)


def _success_at_100(draft: Draft) -> Iterator[str]:
    yield from _comment("At 100 % the stable path is idle, and nothing is compared with it.", 2)
    more = _windows(draft, "2h") if draft.quiet else ""
    yield from _rate(draft, SUCCESS_AT_100, "99.9%", "0.1%", more, "live_")


def _outage(draft: Draft) -> Iterator[str]:
    yield from _comment("Three windows in a row in which requests fail: it is broken.", 2)
    yield from _rate(draft, OUTAGE, "97%", "3%", _windows(draft, "5m"))


def _outage_at_100(draft: Draft) -> Iterator[str]:
    yield from _rate(draft, OUTAGE_AT_100, "97%", "3%", _windows(draft, "5m"), "live_")


def _windows(draft: Draft, window: str) -> str:
    samples = f"min_samples: {draft.quiet_samples}"
    return f"judge: threshold, window: {window}, failure_limit: 3, {samples}"


def _rate(
    draft: Draft, name: str, least: str, most: str, more: str, which: str = ""
) -> Iterator[str]:
    """Yield a criterion on the failures per request.

    A success rate speaks of the canary: after a rollback its requests have to end. Requests of both
    paths go on, and take a ratio. which: the beginning of the names of the metrics.
    """
    text = f"kind: success_rate, {_counts(draft, which)}, min: {least}"
    if draft.survey.counts is Counts.BOTH:
        text = f"kind: threshold, metric: failures, per: requests, max: {most}"
    yield f"  {name}:"
    yield f"    {{{text}," if more else f"    {{{text}}}"
    yield from [f"     {more}}}"] if more else ()


def _relative(draft: Draft) -> Iterator[str]:
    if draft.measures_both:
        yield from _comment("p95 latency, compared with the stable path in the same minutes.", 2)
        yield (
            f"  {LATENCY}: {{kind: latency_increase, metric: duration, max_increase: 10%, "
            "baseline: {concurrent: stable_duration}}"
        )
        return
    yield from _comment(
        "p95 latency of both paths, compared with the same metric before the start. Other load "
        "changes it too, so the limit is wide; at a low weight a slow canary hardly moves it.", 2,
    )  # fmt: skip
    yield (
        f"  {LATENCY}: {{kind: latency_increase, metric: duration, max_increase: 25%, "
        f"baseline: {{frozen: duration, window: {_baseline(draft)}}}}}"
    )


def _latency_at_100(draft: Draft) -> Iterator[str]:
    yield from _comment("At 100 % the stable path is idle: compared with the days before.", 2)
    metric, before = "duration", "stable_duration"
    if draft.source.whole:
        metric = before = "live_duration"
    yield (
        f"  {LATENCY_AT_100}: {{kind: latency_increase, metric: {metric}, max_increase: 25%, "
        f"baseline: {{frozen: {before}, window: {_baseline(draft)}}}}}"
    )


def _baseline(draft: Draft) -> str:
    days = draft.survey.baseline_days
    return "24h" if days <= 1 else f"{days}d"


def _traffic(draft: Draft) -> Iterator[str]:
    yield from _comment("The new path gets requests: otherwise the weight has no effect.", 2)
    control = ", control: stable_requests" if draft.measures_both else ""
    yield f"  {TRAFFIC}: {{kind: traffic, metric: requests, min: 1, window: 5m{control}}}"


def _refused(draft: Draft) -> Iterator[str]:
    gates = ""
    if draft.successes:
        yield from _comment("Only reported: `success` already counts the canary's part of it.", 2)
        gates = ", gates: false"
    yield f"  {REFUSED}:"
    yield (
        "    {kind: threshold, judge: threshold, metric: refused, per: all_requests, max: 1%, "
        f"window: 1m{gates}}}"
    )


def _sign_off(draft: Draft) -> Iterator[str]:
    yield from _comment(
        "No metric shows the canary below 100 %, so an operator checks its requests and signs: "
        f"rolloutctl attest {draft.name} {SIGN_OFF} --note TEXT", 2,
    )  # fmt: skip
    statement = "Requests to the new path were seen to work."
    yield f"  {SIGN_OFF}: {{kind: attestation, statement: {statement}}}"


def _no_latency_text(draft: Draft) -> str:
    if draft.quiet:
        return "No latency: the p95 of so few requests says nothing."
    if draft.weight:
        return (
            "No latency: the canary has traffic now, so there is no baseline of the stable path. "
            "Where you know one: {kind: latency_increase, ..., baseline: {fixed: MILLISECONDS}}."
        )
    if not draft.survey.baseline_days:
        return (
            "No latency: nothing was measured of the stable path, to compare with. After a day of "
            "traffic, run `rolloutctl init` again."
        )
    return "No latency: these steps have too few requests to judge it."


# --- Steps ----------------------------------------------------------------------------------------


def _steps(draft: Draft) -> Iterator[str]:
    if draft.weight:
        yield from _comment(
            f"The weight is {draft.weight} % now. A start needs 0 %, or `start --adopt`, which "
            "takes over the weight of one of these steps."
        )
    yield "steps:"
    everywhere = all(step.criteria == draft.steps[0].criteria for step in draft.steps)
    for step in draft.steps:
        yield from _comment(_power_text(draft, step), 2)
        gate = "" if everywhere else f", criteria: [{', '.join(step.criteria)}]"
        yield f"  - {{weight: {step.weight}, bake: {format_duration(step.bake)}{gate}}}"
    if draft.quiet:
        yield ""
        yield from _comment("A gate without a verdict waits for two days, then for an operator.")
        yield "max_hold: 48h"
        yield "on_inconclusive: pause"


def _power_text(draft: Draft, step: StepPlan) -> str:
    if step.requests is None:
        return ""
    text = f"About {count_text(round(step.requests), 'request')} on the canary"
    if draft.quiet:
        return f"{text}: {_rule_of_three(step)}."
    if step.smallest is None:
        return f"{text}."
    smallest = format_percent(step.smallest, 1)
    return f"{text}: a failure rate of {smallest} or more is detected within the bake."


def _rule_of_three(step: StepPlan) -> str:
    """Return what requests without a failure rule out at 95 % confidence (3 / n)."""
    requests = max(step.requests or 0, 3)
    limit = format_percent(min(3 / requests, 1), 1)
    return (
        f"{count_text(round(requests), 'request')} without a failure rule out {limit} of failures"
    )


# --- Text -----------------------------------------------------------------------------------------


def _comment(text: str, indent: int = 0) -> Iterator[str]:
    """Yield `text` as comment lines; none for an empty text."""
    space = " " * indent
    joined = printable(text).replace(" %", "\0%")  # a number and its unit stay on one line
    for line in wrap(joined, _WIDTH - indent, break_long_words=False):
        yield f"{space}# {line}".replace("\0", " ")


def _mapping(values: Mapping[str, str]) -> str:
    pairs = (f"{yaml_text(name)}: {yaml_text(value)}" for name, value in values.items())
    return f"{{{', '.join(pairs)}}}"


def yaml_text(text: str) -> str:
    """Return `text`, one printable line, as YAML reads it back."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXT
    return text if plain else json.dumps(text, ensure_ascii=False)
