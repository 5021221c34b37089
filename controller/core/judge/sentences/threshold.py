"""Sentences of windows against a bound, and of a mean latency against a baseline."""

from collections.abc import Mapping
from math import ceil, floor, log10
from typing import Final

from controller.core.judge.findings import Finding, FindingReason
from controller.core.judge.number_and_time_text import (
    MAX_DIGITS,
    percent,
    time_range_text,
    utc_text,
)
from controller.core.judge.sentences.shared_phrases import (
    Facts,
    Sentence,
    counts_text,
    since_text,
    value_text,
    window_text,
    with_unit,
)
from controller.core.units import count_text, format_percent, number_text

# --- Windows against a bound ----------------------------------------------------------------------


def _within_bound(finding: Finding, facts: Facts) -> str:
    return (
        f"passes: {_newest_value(finding, facts)}; "
        f"{counts_text(finding, facts)}{_possible_failures(finding, facts)}."
    )


def _breached(finding: Finding, facts: Facts) -> str:
    side = "above" if facts["side"] == "at most" else "below"
    span = time_range_text(facts["breach_start"], facts["breach_end"])
    return (
        f"fails: {facts['subject']} was {side} "
        f"{value_text(finding.bound, finding, facts)} in {_breaches(facts)}, from {span}, "
        f"last {value_text(finding.measured, finding, facts)}; {counts_text(finding, facts)}."
    )


def _breaching(finding: Finding, facts: Facts) -> str:
    return (
        f"is breaching, not yet failed: {_newest_value(finding, facts)}; "
        f"{facts['breaches']:g} of the {facts['failure_limit']:g} breaches in a row that fail it."
    )


def _bad_windows(finding: Finding, facts: Facts) -> str:
    return (
        "cannot be judged: datapoints are missing or contradict each other in "
        f"{count_text(facts['bad_windows'], 'window')} of {window_text(facts)}; check the metric "
        "names, or set `missing: zero` where no datapoint means 0."
    )


def _too_few_samples(finding: Finding, facts: Facts) -> str:
    possible = _possible_failures(finding, facts)
    failures = f"; {count_text(facts['failures'], 'failure')}{possible}" if possible else ""
    return (
        f"has too few samples: {number_text(finding.samples)} of "
        f"{number_text(facts['min_samples'])} needed to pass; "
        f"last {value_text(finding.measured, finding, facts)}, {_limit(finding, facts)}{failures}."
    )


def _no_window(finding: Finding, facts: Facts) -> str:
    return (
        f"has no data: no window of {window_text(facts)} "
        f"{since_text(finding)} had a datapoint; check that requests reach the canary, and the "
        "metric's name and dimensions."
    )


def _silent(finding: Finding, facts: Facts) -> str:
    return (
        "has no recent data: no datapoint since "
        f"{utc_text(facts['last_end'])}; {counts_text(finding, facts)}."
    )


def _newest_value(finding: Finding, facts: Facts) -> str:
    return (
        f"{facts['subject']} was {value_text(finding.measured, finding, facts)} in the newest "
        f"{window_text(facts)}, {_limit(finding, facts)}"
    )


def _limit(finding: Finding, facts: Facts) -> str:
    word = "allowed" if facts["side"] == "at most" else "required"
    return f"{facts['side']} {value_text(finding.bound, finding, facts)} {word}"


def _breaches(facts: Facts) -> str:
    """Return how many windows breach; they are in a row only where each window had data."""
    count = facts["breaches"]
    if count == 1:
        return f"a window of {window_text(facts)}"
    row = "in a row" if facts["breach_windows"] == count else "with data"
    return f"{count:g} windows of {window_text(facts)} {row}"


def _possible_failures(finding: Finding, facts: Facts) -> str:
    """Return the failure rate that the counts leave possible; empty where it meets the bound."""
    if "possible_share" not in facts:
        return ""
    objective = format_percent(finding.bound)
    conclusion = f"no number of requests can confirm {objective}"
    if "proof_requests" in facts:
        needed = facts["proof_requests"]
        conclusion = f"{objective} is not confirmed"
        if finding.samples < needed:
            requests = f"{number_text(needed)} requests without a failure"
            conclusion = f"not enough data to confirm {objective} (needs {requests})"
    return (
        f"; at {facts['confidence'] * 100:g} % confidence the failure rate is at most "
        f"{_rounded_up(facts['possible_share'])}: {conclusion}"
    )


def _rounded_up(share: float) -> str:
    """Return a share above 0 as a percent of three figures, rounded up so that it holds."""
    scale = 10 ** (2 - floor(log10(share)))
    return format_percent(ceil(share * scale) / scale, MAX_DIGITS)


# --- A mean latency against a baseline ------------------------------------------------------------


def _increase_within(finding: Finding, facts: Facts) -> str:
    return f"passes: {_comparison(finding, facts)}."


def _increase_beyond(finding: Finding, facts: Facts) -> str:
    return f"fails: {_comparison(finding, facts)}."


def _increase_so_far(finding: Finding, facts: Facts) -> str:
    comparison = _comparison(finding, facts)
    return f"is judged at the end of the bake; so far {comparison}."


def _comparison(finding: Finding, facts: Facts) -> str:
    increase, baseline = finding.measured or 0.0, facts["baseline"]
    canary, stable = facts.get("canary", baseline * (1 + increase)), baseline
    sign, bound = "+" if increase >= 0 else "-", finding.bound
    limit = f"+{format_percent(bound)}"
    if stable:
        limit = f"{with_unit(stable * (1 + bound), facts)} ({limit})"
    change = "" if finding.measured is None else f" ({sign}{percent(abs(increase), bound)})"
    samples = count_text(facts["requests"], "sample")
    return (
        f"{facts['metric']} was {with_unit(canary, facts)}{change} against "
        f"{with_unit(stable, facts)}, at most {limit} allowed; {samples}"
    )


def _too_few_to_compare(finding: Finding, facts: Facts) -> str:
    return (
        f"has too few samples: {number_text(facts['fewest_samples'])} on the "
        f"{facts['fewest_on']} of {number_text(facts['min_samples'])} needed to compare."
    )


def _nothing_to_compare(finding: Finding, facts: Facts) -> str:
    return f"has no data: no window {since_text(finding)} had {facts['metric']} and its baseline."


SENTENCES: Final[Mapping[str, Sentence]] = {
    FindingReason.WITHIN_BOUND: _within_bound,
    FindingReason.BREACHED: _breached,
    FindingReason.BREACHING: _breaching,
    FindingReason.BAD_WINDOWS: _bad_windows,
    FindingReason.TOO_FEW_SAMPLES: _too_few_samples,
    FindingReason.NO_WINDOW: _no_window,
    FindingReason.SILENT: _silent,
    FindingReason.INCREASE_WITHIN: _increase_within,
    FindingReason.INCREASE_BEYOND: _increase_beyond,
    FindingReason.INCREASE_SO_FAR: _increase_so_far,
    FindingReason.TOO_FEW_TO_COMPARE: _too_few_to_compare,
    FindingReason.NOTHING_TO_COMPARE: _nothing_to_compare,
}
