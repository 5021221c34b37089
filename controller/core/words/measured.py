"""Sentences of a success rate, of a latency against a baseline, and of a value against a bound.

Windows are compared one by one; `totals_text` is what the evidence of all minutes is made from.
"""

from math import ceil, floor, inf, log10

from msgspec import UNSET

from controller.core.judge import facts
from controller.core.judge.bound import text_in_unit
from controller.core.judge.findings import Finding, FindingReason
from controller.core.stats.binomial import CONFIDENCE
from controller.core.units import (
    MAX_DIGITS,
    count_text,
    format_percent,
    measured_text,
    number_beside,
    number_text,
    percent_beside,
    time_range_text,
    utc_text,
)
from controller.core.words.shared_phrases import (
    Sentences,
    counts_text,
    few_text,
    last_text,
    limit_text,
    ratio,
    requests_text,
    since_text,
    window_text,
)

# --- Counts of some minutes beside what is allowed ------------------------------------------------


def totals_text(finding: Finding) -> str:
    """Return the counts of a finding. Raises ValueError for one without any."""
    after = ""
    match facts.totals_of(finding):
        case None:
            raise ValueError("the finding has no counts")
        case facts.NoBaseline():
            return "its baseline was never read"
        case facts.FailureTotals() as totals:
            allowed, requests = totals.allowed_share, count_text(totals.requests, "request")
            share = percent_beside(ratio(totals.failures, totals.requests), allowed)
            what = f"{number_text(totals.failures)} of {requests} failed ({share})"
            limit = format_percent(allowed)
            if totals.control_requests:
                stable = ratio(totals.control_failures, totals.control_requests)
                after = f"; stable path: {percent_beside(stable, allowed)}"
        case facts.RatioTotals() as totals:
            what = f"{totals.subject} was {percent_beside(totals.share, totals.limit)}"
            limit, after = format_percent(totals.limit), f"; {requests_text(totals.requests)}"
        case facts.MeanTotals() as totals:
            mean = f"{number_beside(totals.mean, totals.limit)} in {window_text(totals.window_s)}"
            what, limit = f"{totals.subject} was {mean} on average", number_text(totals.limit)
        case facts.HungTotals() as totals:
            what, limit, after = _hung(totals)
        case totals:
            what, limit, after = _slow(totals, finding)
    return f"{what}, at most {limit} allowed{after}"


def _hung(totals: facts.HungTotals) -> tuple[str, str, str]:
    """Return the share of requests that hung, the share that may, and that of the stable path."""
    path, stable = "baseline", ""
    if totals.control_share is not UNSET:
        path = "stable path"
        stable = f"; stable path: {percent_beside(totals.control_share, totals.allowed_share)}"
    text = (
        f"{percent_beside(ratio(totals.hung, totals.requests), totals.allowed_share)} of "
        f"{requests_text(totals.requests, 'canary request')} took longer than "
        f"{measured_text(totals.limit, totals.unit)} "
        f"({totals.factor:g} × the {path}'s {totals.statistic})"
    )
    return text, format_percent(round(totals.allowed_share, 4)), stable


def _slow(
    totals: facts.SlowTotals | facts.IncreaseTotals, finding: Finding
) -> tuple[str, str, str]:
    """Return the share of slow requests, the share that may be, and where that is from."""
    allowed, limit = totals.allowed_share, measured_text(totals.limit, totals.unit)
    share = percent_beside(ratio(totals.slow, totals.requests), allowed)
    if isinstance(totals, facts.SlowTotals):
        text = f"{share} of {requests_text(totals.requests)} were slower than {limit}"
        return text, format_percent(allowed), ""
    most, why = format_percent(round(allowed, 4)), ""
    match totals:
        case facts.ControlTotals():
            baseline = f"the stable path's {totals.statistic}"
            most = percent_beside(ratio(totals.control_slow, totals.control_requests), allowed)
            above = measured_text(totals.control_limit, totals.unit)
            why = f" (the stable path's share above {above})"
        case facts.FixedTotals():
            baseline = "the fixed value"
        case _:
            baseline, why = f"the stored {totals.statistic}", _correction(totals, finding)
    drift = 0.0 if totals.drift is UNSET else totals.drift
    value = measured_text(totals.limit / totals.factor / (1 + drift), totals.unit)
    for_drift = f", {format_percent(drift)} more for drift" if drift else ""
    text = (
        f"{share} of {requests_text(totals.requests, 'canary request')} were slower than {limit} "
        f"(+{format_percent(totals.factor - 1)} on {baseline} of {value}{for_drift})"
    )
    method = "" if totals.read_between is UNSET else f", read between {totals.read_between}"
    return text, most, f"{why}{method}"


def _correction(slow: facts.IncreaseTotals, finding: Finding) -> str:
    """Return what the stored share was before it was corrected for today, where that differs."""
    then = facts.AnotherDay.find(finding)
    if then is None:
        return ""
    was = format_percent(round(then.stored_share, 4))
    if was == format_percent(round(slow.allowed_share, 4)):
        return ""
    lower = slow.allowed_share < then.stored_share
    corrected, speed = ("lowered", "faster") if lower else ("raised", "slower")
    return (
        f" ({was} in the baseline, {corrected} because {then.stored_metric} was {speed} in "
        "earlier steps)"
    )


# --- A success rate -------------------------------------------------------------------------------


def possible_rate_text(finding: Finding) -> str:
    """Return the failure rate that windows leave possible; empty where it meets the bound."""
    possible = facts.PossibleRate.find(finding)
    if possible is None:
        return ""
    confidence = CONFIDENCE if possible.confidence is UNSET else possible.confidence
    objective, needed = format_percent(finding.bound), possible.proof_requests
    conclusion = f"no number of requests can confirm {objective}"
    if needed is not UNSET:
        conclusion = f"{objective} is not confirmed"
        if finding.samples < needed:
            requests = f"{number_text(needed)} requests without a failure"
            conclusion = f"not enough data to confirm {objective} (needs {requests})"
    # A percent of three figures, rounded up so that it holds.
    share = possible.possible_share
    scale = 10 ** (2 - floor(log10(share)))
    at_most = format_percent(ceil(share * scale) / scale, MAX_DIGITS)
    return (
        f"; at {confidence * 100:g}% confidence the failure rate is at most {at_most}: {conclusion}"
    )


def _not_proven_yet(finding: Finding) -> str:
    needed = facts.PossibleRate.of(finding).proof_requests
    requests = count_text(inf if needed is UNSET else needed, "request")
    return f"has too few samples: {_unproven(finding)} (needs {requests} with no further failure)."


def _unproven(finding: Finding) -> str:
    totals, possible = facts.FailureTotals.of(finding), facts.PossibleRate.of(finding)
    below = percent_beside(possible.possible_share, totals.allowed_share)
    objective = format_percent(1 - totals.allowed_share)
    return (
        f"{_failures(finding)}; at 95% confidence the failure rate is below {below}, so "
        f"{objective} is not confirmed"
    )


def _failures(finding: Finding) -> str:
    totals = facts.FailureTotals.of(finding)
    failures = count_text(round(totals.failures), "failure")
    return f"{failures} in {requests_text(totals.requests)}"


def better_text(finding: Finding) -> str:
    """Return how a canary does beside a stable path that failed before the start; or nothing."""
    better = facts.BetterThanStable.find(finding)
    if better is None:
        return ""
    failed = f"{number_text(better.kept_failures)} of {requests_text(better.kept_requests)} failed"
    window = window_text(better.kept_s)
    limit, stable = number_text(better.better_limit), format_percent(better.outage_share)
    odds = number_text(floor(better.better_odds))
    odds = f"above {odds}" if better.better_odds >= facts.CERTAINLY_BETTER else odds
    passes, limits = "", f"{odds}, limit {limit}"
    if finding.reason == FindingReason.SHARED_OUTAGE:
        passes, limits = "passes when it ", f"{limit} (now {odds})"
    return (
        f" The stable path failed before the start too ({stable}): the canary {passes}keeps the "
        f"limit over the last {window} ({failed}), and is better at a likelihood ratio of {limits}."
    )


# --- Windows against a bound ----------------------------------------------------------------------


def _breached(finding: Finding) -> str:
    windows, breach = facts.WindowFacts.of(finding), facts.Breach.of(finding)
    side = "above" if windows.side == "at most" else "below"
    span = time_range_text(breach.breach_start, breach.breach_end)
    count, length = breach.breaches, window_text(windows.window_s)
    # They are in a row only where each window had data.
    row = "in a row" if breach.breach_windows == count else "with data"
    breaches = f"a window of {length}" if count == 1 else f"{count} windows of {length} {row}"
    return (
        f"fails: {windows.subject} was {side} {_value(finding.bound, finding)} in {breaches}, from "
        f"{span}, last {_value(finding.measured, finding)}; {counts_text(finding)}."
    )


def _too_few_samples(finding: Finding) -> str:
    failures, counted = possible_rate_text(finding), facts.Failures.find(finding)
    if failures and counted is not None:
        failures = f"; {count_text(counted.failures, 'failure')}{failures}"
    return (
        f"{few_text(finding, finding.samples)} needed to pass; "
        f"last {_value(finding.measured, finding)}, {_limit(finding)}{failures}."
    )


def _newest_value(finding: Finding) -> str:
    windows = facts.WindowFacts.of(finding)
    return (
        f"{windows.subject} was {_value(finding.measured, finding)} in the newest "
        f"{window_text(windows.window_s)}, {_limit(finding)}"
    )


def _limit(finding: Finding) -> str:
    return limit_text(facts.WindowFacts.of(finding).side, _value(finding.bound, finding))


def _value(value: float | None, finding: Finding) -> str:
    """Return a value in its unit, with enough digits to differ from the bound."""
    unit = facts.WindowFacts.of(finding).unit
    return "nothing" if value is None else text_in_unit(value, finding.bound, unit)


# --- A mean latency against a baseline ------------------------------------------------------------


def _comparison(finding: Finding) -> str:
    metric, compared = facts.ComparedMetric.of(finding), facts.BaselineFacts.of(finding)
    increase, stable, bound = finding.measured or 0.0, compared.baseline, finding.bound
    canary = stable * (1 + increase) if compared.canary is UNSET else compared.canary
    limit = f"+{format_percent(bound)}"
    if stable:
        limit = f"{measured_text(stable * (1 + bound), metric.unit)} ({limit})"
    sign = "+" if increase >= 0 else "-"
    change = "" if finding.measured is None else f" ({sign}{percent_beside(abs(increase), bound)})"
    samples = count_text(compared.requests, "sample")
    return (
        f"{metric.metric} was {measured_text(canary, metric.unit)}{change} against "
        f"{measured_text(stable, metric.unit)}, at most {limit} allowed; {samples}"
    )


def _too_few_to_compare(finding: Finding) -> str:
    fewest = facts.FewestCompared.of(finding)
    return (
        f"has too few samples: {number_text(fewest.fewest_samples)} on the "
        f"{fewest.fewest_on} of {number_text(fewest.min_samples)} needed to compare."
    )


def _bad_counts(finding: Finding) -> str:
    """Return which data of a minute contradict each other; those of a rate are not known."""
    found = facts.Contradiction.find(finding)
    if found is None:
        why = "counts and requests contradict each other, or one of them is missing"
        return f"cannot be judged: {why}."
    value, limit = measured_text(found.value, found.unit), measured_text(found.limit, found.unit)
    return (
        f"cannot be judged: at {utc_text(found.at)} {number_text(round(found.slow))} of "
        f"{requests_text(found.requests)} took more than {limit} ({found.counted_by}), but their "
        f"{found.statistic} was {value}. One of the two is wrong: check AWS_ENDPOINT_URL and "
        "any proxy."
    )


SENTENCES: Sentences = {
    FindingReason.PROVEN: lambda finding: (
        f"passes, objective met: {_failures(finding)}; at 95% confidence the failure rate is below "
        f"{format_percent(facts.FailureTotals.of(finding).allowed_share)}."
    ),
    FindingReason.RATE_NO_REGRESSION: lambda finding: (
        f"passes, no regression detected: {_unproven(finding)}."
    ),
    FindingReason.NOT_PROVEN_YET: _not_proven_yet,
    FindingReason.WITHIN_BOUND: lambda finding: (
        f"passes: {_newest_value(finding)}; {counts_text(finding)}{possible_rate_text(finding)}."
    ),
    FindingReason.BREACHED: _breached,
    FindingReason.BREACHING: lambda finding: (
        f"is breaching, not yet failed: {_newest_value(finding)}; "
        f"{facts.Breaching.of(finding).breaches} of the "
        f"{facts.Breaching.of(finding).failure_limit} breaches in a row that fail it."
    ),
    FindingReason.BAD_WINDOWS: lambda finding: (
        "cannot be judged: datapoints are missing or contradict each other in "
        f"{count_text(facts.WindowFacts.of(finding).bad_windows, 'window')} of "
        f"{window_text(facts.WindowFacts.of(finding).window_s)}; check the metric names, or set "
        "`missing: zero` where no datapoint means 0."
    ),
    FindingReason.TOO_FEW_SAMPLES: _too_few_samples,
    FindingReason.NO_WINDOW: lambda finding: (
        f"has no data: no window of {window_text(facts.WindowFacts.of(finding).window_s)} "
        f"{since_text(finding)} had a datapoint; check that requests reach the canary, and the "
        "metric's name and dimensions."
    ),
    FindingReason.SILENT: lambda finding: (
        "has no recent data: no datapoint since "
        f"{last_text(facts.WindowFacts.of(finding).last_end, finding)}; {counts_text(finding)}."
    ),
    FindingReason.INCREASE_WITHIN: lambda finding: f"passes: {_comparison(finding)}.",
    FindingReason.INCREASE_BEYOND: lambda finding: f"fails: {_comparison(finding)}.",
    FindingReason.INCREASE_SO_FAR: lambda finding: (
        f"is judged at the end of the bake; so far {_comparison(finding)}."
    ),
    FindingReason.TOO_FEW_TO_COMPARE: _too_few_to_compare,
    FindingReason.NOTHING_TO_COMPARE: lambda finding: (
        f"has no data: no window {since_text(finding)} had "
        f"{facts.ComparedMetric.of(finding).metric} and its baseline."
    ),
    FindingReason.BAD_COUNTS: _bad_counts,
}
