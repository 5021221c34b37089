"""Sentences of values against a bound: window by window, and as evidence of a ratio or a count."""

from controller.core.judge.facts import (
    FRACTION,
    Breach,
    Breaching,
    Failures,
    MeanTotals,
    RatioTotals,
    WindowFacts,
)
from controller.core.judge.findings import Finding, FindingReason
from controller.core.units import (
    count_text,
    format_percent,
    number_beside,
    number_text,
    percent_beside,
    time_range_text,
)
from controller.core.words.shared_phrases import (
    Sentences,
    counts_text,
    last_text,
    requests_text,
    since_text,
    window_text,
)
from controller.core.words.success_rate import possible_rate_text


def _within_bound(finding: Finding) -> str:
    possible = possible_rate_text(finding)
    return f"passes: {_newest_value(finding)}; {counts_text(finding)}{possible}."


def _breached(finding: Finding) -> str:
    windows, breach = WindowFacts.of(finding), Breach.of(finding)
    side = "above" if windows.side == "at most" else "below"
    span = time_range_text(breach.breach_start, breach.breach_end)
    return (
        f"fails: {windows.subject} was {side} {_value(finding.bound, finding)} in "
        f"{_breaches(breach, windows)}, from {span}, last {_value(finding.measured, finding)}; "
        f"{counts_text(finding)}."
    )


def _breaching(finding: Finding) -> str:
    run = Breaching.of(finding)
    return (
        f"is breaching, not yet failed: {_newest_value(finding)}; "
        f"{run.breaches} of the {run.failure_limit} breaches in a row that fail it."
    )


def _bad_windows(finding: Finding) -> str:
    windows = WindowFacts.of(finding)
    return (
        "cannot be judged: datapoints are missing or contradict each other in "
        f"{count_text(windows.bad_windows, 'window')} of {window_text(windows.window_s)}; check "
        "the metric names, or set `missing: zero` where no datapoint means 0."
    )


def _too_few_samples(finding: Finding) -> str:
    failures, counted = possible_rate_text(finding), Failures.find(finding)
    if failures and counted is not None:
        failures = f"; {count_text(counted.failures, 'failure')}{failures}"
    return (
        f"has too few samples: {number_text(finding.samples)} of "
        f"{number_text(WindowFacts.of(finding).min_samples)} needed to pass; "
        f"last {_value(finding.measured, finding)}, {_limit(finding)}{failures}."
    )


def _no_window(finding: Finding) -> str:
    return (
        f"has no data: no window of {window_text(WindowFacts.of(finding).window_s)} "
        f"{since_text(finding)} had a datapoint; check that requests reach the canary, and the "
        "metric's name and dimensions."
    )


def _silent(finding: Finding) -> str:
    last = last_text(WindowFacts.of(finding).last_end, finding)
    return f"has no recent data: no datapoint since {last}; {counts_text(finding)}."


def _newest_value(finding: Finding) -> str:
    windows = WindowFacts.of(finding)
    return (
        f"{windows.subject} was {_value(finding.measured, finding)} in the newest "
        f"{window_text(windows.window_s)}, {_limit(finding)}"
    )


def _limit(finding: Finding) -> str:
    side = WindowFacts.of(finding).side
    word = "allowed" if side == "at most" else "required"
    return f"{side} {_value(finding.bound, finding)} {word}"


def _value(value: float | None, finding: Finding) -> str:
    """Return a value in its unit, with enough digits to differ from the bound."""
    unit = WindowFacts.of(finding).unit
    if value is None:
        return "nothing"
    if unit == FRACTION:
        return percent_beside(value, finding.bound)
    return f"{number_beside(value, finding.bound)} {unit}".rstrip()


def _breaches(breach: Breach, windows: WindowFacts) -> str:
    """Return how many windows breach; they are in a row only where each window had data."""
    count, length = breach.breaches, window_text(windows.window_s)
    if count == 1:
        return f"a window of {length}"
    row = "in a row" if breach.breach_windows == count else "with data"
    return f"{count} windows of {length} {row}"


def totals_text(totals: RatioTotals | MeanTotals) -> str:
    """Return a ratio, or the mean count in a window, beside the largest that is allowed."""
    limit = totals.limit
    if isinstance(totals, RatioTotals):
        share, requests = percent_beside(totals.share, limit), requests_text(totals.requests)
        return f"{totals.subject} was {share}, at most {format_percent(limit)} allowed; {requests}"
    mean, length = number_beside(totals.mean, limit), window_text(totals.window_s)
    return (
        f"{totals.subject} was {mean} in {length} on average, at most {number_text(limit)} allowed"
    )


SENTENCES: Sentences = {
    FindingReason.WITHIN_BOUND: _within_bound,
    FindingReason.BREACHED: _breached,
    FindingReason.BREACHING: _breaching,
    FindingReason.BAD_WINDOWS: _bad_windows,
    FindingReason.TOO_FEW_SAMPLES: _too_few_samples,
    FindingReason.NO_WINDOW: _no_window,
    FindingReason.SILENT: _silent,
}
