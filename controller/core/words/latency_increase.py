"""Sentences of a latency: its mean against a baseline, and requests that are slow or hang."""

from msgspec import UNSET

from controller.core.judge.facts import (
    AnotherDay,
    BaselineFacts,
    ComparedMetric,
    Contradiction,
    ControlTotals,
    FewestCompared,
    HungTotals,
    IncreaseTotals,
    NoBaseline,
    SlowTotals,
    StoredTotals,
)
from controller.core.judge.findings import Finding, FindingReason
from controller.core.units import count_text, format_percent, number_text, percent_beside, utc_text
from controller.core.words.shared_phrases import (
    Sentences,
    ratio,
    requests_text,
    since_text,
    with_unit,
)

# --- A mean against a baseline --------------------------------------------------------------------


def _comparison(finding: Finding) -> str:
    metric, compared = ComparedMetric.of(finding), BaselineFacts.of(finding)
    increase, stable, bound = finding.measured or 0.0, compared.baseline, finding.bound
    canary = stable * (1 + increase) if compared.canary is UNSET else compared.canary
    limit = f"+{format_percent(bound)}"
    if stable:
        limit = f"{with_unit(stable * (1 + bound), metric.unit)} ({limit})"
    sign = "+" if increase >= 0 else "-"
    change = "" if finding.measured is None else f" ({sign}{percent_beside(abs(increase), bound)})"
    samples = count_text(compared.requests, "sample")
    return (
        f"{metric.metric} was {with_unit(canary, metric.unit)}{change} against "
        f"{with_unit(stable, metric.unit)}, at most {limit} allowed; {samples}"
    )


def _too_few_to_compare(finding: Finding) -> str:
    fewest = FewestCompared.of(finding)
    return (
        f"has too few samples: {number_text(fewest.fewest_samples)} on the "
        f"{fewest.fewest_on} of {number_text(fewest.min_samples)} needed to compare."
    )


def _nothing_to_compare(finding: Finding) -> str:
    metric = ComparedMetric.of(finding).metric
    return f"has no data: no window {since_text(finding)} had {metric} and its baseline."


# --- Slow requests, and those that hang -----------------------------------------------------------


def totals_text(
    totals: SlowTotals | ControlTotals | StoredTotals | HungTotals | NoBaseline, finding: Finding
) -> str:
    """Return the share of requests that were slow or hung beside the share that may be."""
    match totals:
        case SlowTotals():
            allowed = format_percent(totals.allowed_share)
            return (
                f"{_slow_share(totals)} of {requests_text(totals.requests)} were slower than "
                f"{with_unit(totals.limit, totals.unit)}, at most {allowed} allowed"
            )
        case ControlTotals():
            return _beside_control(totals)
        case StoredTotals():
            return _beside_stored(totals, finding)
        case HungTotals():
            return _hung(totals)
        case NoBaseline():
            return "its baseline was never read"


def _beside_control(slow: ControlTotals) -> str:
    share = ratio(slow.control_slow, slow.control_requests)
    limit = with_unit(slow.control_limit, slow.unit)
    increase = _increase(slow, f"the stable path's {slow.statistic}")
    return (
        f"{increase}, at most {percent_beside(share, slow.allowed_share)} allowed "
        f"(the stable path's share above {limit}){_method(slow)}"
    )


def _beside_stored(slow: StoredTotals, finding: Finding) -> str:
    today, then, why = slow.allowed_share, AnotherDay.find(finding), ""
    allowed = format_percent(round(today, 4))
    if then is not None and (was := format_percent(round(then.stored_share, 4))) != allowed:
        lower = today < then.stored_share
        corrected, speed = ("lowered", "faster") if lower else ("raised", "slower")
        why = (
            f" ({was} in the baseline, {corrected} because {then.stored_metric} was {speed} in "
            "earlier steps)"
        )
    baseline = "the fixed value" if slow.fixed else f"the stored {slow.statistic}"
    return f"{_increase(slow, baseline)}, at most {allowed} allowed{why}{_method(slow)}"


def _increase(slow: IncreaseTotals, baseline: str) -> str:
    """Return the share of slow requests, and where the limit in between is from."""
    drift = 0.0 if slow.drift is UNSET else slow.drift
    value = with_unit(slow.limit / slow.factor / (1 + drift), slow.unit)
    for_drift = f", {format_percent(drift)} more for drift" if drift else ""
    return (
        f"{_slow_share(slow)} of {requests_text(slow.requests, 'canary request')} were slower than "
        f"{with_unit(slow.limit, slow.unit)} (+{format_percent(slow.factor - 1)} on {baseline} of "
        f"{value}{for_drift})"
    )


def _slow_share(slow: SlowTotals | IncreaseTotals) -> str:
    return percent_beside(ratio(slow.slow, slow.requests), slow.allowed_share)


def _method(slow: IncreaseTotals) -> str:
    return "" if slow.read_between is UNSET else f", read between {slow.read_between}"


def _hung(totals: HungTotals) -> str:
    path, stable, allowed = "baseline", "", totals.allowed_share
    if totals.control_share is not UNSET:
        path, stable = (
            "stable path",
            f"; stable path: {percent_beside(totals.control_share, allowed)}",
        )
    return (
        f"{percent_beside(ratio(totals.hung, totals.requests), allowed)} of "
        f"{requests_text(totals.requests, 'canary request')} took longer than "
        f"{with_unit(totals.limit, totals.unit)} "
        f"({totals.factor:g} × the {path}'s {totals.statistic}), "
        f"at most {format_percent(round(allowed, 4))} allowed{stable}"
    )


def _bad_counts(finding: Finding) -> str:
    """Return which data of a minute contradict each other; those of a rate are not known."""
    found = Contradiction.find(finding)
    if found is None:
        why = "counts and requests contradict each other, or one of them is missing"
        return f"cannot be judged: {why}."
    value, limit = with_unit(found.value, found.unit), with_unit(found.limit, found.unit)
    return (
        f"cannot be judged: at {utc_text(found.at)} {number_text(round(found.slow))} of "
        f"{requests_text(found.requests)} took more than {limit} ({found.counted_by}), but their "
        f"{found.statistic} was {value}. One of the two is wrong: check AWS_ENDPOINT_URL and "
        "any proxy."
    )


SENTENCES: Sentences = {
    FindingReason.INCREASE_WITHIN: lambda finding: f"passes: {_comparison(finding)}.",
    FindingReason.INCREASE_BEYOND: lambda finding: f"fails: {_comparison(finding)}.",
    FindingReason.INCREASE_SO_FAR: lambda finding: (
        f"is judged at the end of the bake; so far {_comparison(finding)}."
    ),
    FindingReason.TOO_FEW_TO_COMPARE: _too_few_to_compare,
    FindingReason.NOTHING_TO_COMPARE: _nothing_to_compare,
    FindingReason.BAD_COUNTS: _bad_counts,
}
