"""Sentences of evidence that adds up over the minutes of a rollout."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from math import floor
from typing import Final

from controller.core.judge.findings import Finding, FindingReason
from controller.core.judge.number_and_time_text import (
    number,
    odds_limit,
    percent,
    time_range_text,
    utc_text,
)
from controller.core.judge.sentences.shared_phrases import (
    Facts,
    Sentence,
    since_text,
    window_text,
    with_unit,
)
from controller.core.units import count_text, format_duration, format_percent, number_text

# A larger likelihood ratio is written as more than this.
_MAX_ODDS: Final = 1_000_000


def _rejected(finding: Finding, facts: Facts) -> str:
    """Return why the rollout is rolled back: the counts, when they were, and the evidence."""
    why = "the counts are in an earlier history entry; "
    if "regression_start" in facts:
        span = time_range_text(facts["regression_start"], facts["regression_end"])
        why = f"{_totals(facts)}, from {span}; "
    elif "form" in facts:
        why = f"in this step, {since_text(finding)} {_totals(facts)}; "
    limit = number_text(odds_limit(facts["odds_limit"]))
    counted = ""
    if "successes" in facts:
        counted = f" Counted as failed: requests that are in none of {facts['successes']}."
    return f"fails: {why}likelihood ratio {_odds(facts)}, limit {limit}.{counted}"


def _odds(facts: Facts) -> str:
    """Return the evidence as a whole number that is no less than the limit reads."""
    odds, limit = facts["odds"], facts["odds_limit"]
    certain = max(_MAX_ODDS, limit)
    if odds > certain:
        return f"above {number_text(round(certain))}"
    return number_text(max(floor(odds), odds_limit(limit)))


def _no_regression(finding: Finding, facts: Facts) -> str:
    return f"passes, no regression detected: {_totals(facts)}."


def _shared_outage(finding: Finding, facts: Facts) -> str:
    return (
        "is undecided: the stable path fails too, and no higher weight is "
        f"applied in an outage; {_totals(facts)}."
    )


def _newest_above(finding: Finding, facts: Facts) -> str:
    return (
        f"is undecided: {_newest(facts)}, more than chance explains; no higher weight is applied "
        "until it is back within the limit."
    )


def _ruled_out_large(finding: Finding, facts: Facts) -> str:
    chance = ", which chance explains" if facts["by_chance"] else ""
    return (
        f"passes, no regression detected: {_newest(facts)}{chance}; "
        f"{format_percent(facts['large_share'])} or more is ruled out at 95 % confidence, and a "
        "later step has to keep the limit."
    )


def _newest(facts: Facts) -> str:
    """Return the counts of the newest bake-length beside what is allowed."""
    length = format_duration(timedelta(seconds=facts["newest_s"]))
    return f"in the last {length}, {_totals(facts)}"


def _undecided(finding: Finding, facts: Facts) -> str:
    return f"is undecided: {_totals(facts)}; above the limit, but not enough evidence to roll back."


def _proven(finding: Finding, facts: Facts) -> str:
    return (
        f"passes, objective met: {_failures(facts)}; at 95 % confidence "
        f"the failure rate is below {format_percent(facts['allowed_share'])}."
    )


def _rate_no_regression(finding: Finding, facts: Facts) -> str:
    confidence = _confidence(facts)
    return f"passes, no regression detected: {_failures(facts)}; {confidence}."


def _not_proven_yet(finding: Finding, facts: Facts) -> str:
    return (
        f"has too few samples: {_failures(facts)}; {_confidence(facts)} "
        f"(needs {count_text(facts['proof_requests'], 'request')} with no further failure)."
    )


def _bad_counts(finding: Finding, facts: Facts) -> str:
    if "counted_by" not in facts:
        why = "counts and requests contradict each other, or one of them is missing"
        return f"cannot be judged: {why}."
    value, limit = with_unit(facts["value"], facts), with_unit(facts["limit"], facts)
    return (
        f"cannot be judged: at {utc_text(facts['at'])} {number_text(round(facts['slow']))} of "
        f"{_requests(facts)} took more than {limit} ({facts['counted_by']}), but their "
        f"{facts['statistic']} was {value}. One of the two is wrong: check AWS_ENDPOINT_URL and "
        "any proxy."
    )


def _too_few_requests(finding: Finding, facts: Facts) -> str:
    return (
        f"has too few samples: {number_text(facts['fewest_samples'])} of "
        f"{number_text(facts['min_samples'])} {since_text(finding)}."
    )


def _baseline_unread(finding: Finding, facts: Facts) -> str:
    return "cannot be judged: its baseline was not read before the start."


def _no_requests_yet(finding: Finding, facts: Facts) -> str:
    return f"has no data {since_text(finding)}."


def _no_requests_any_more(finding: Finding, facts: Facts) -> str:
    last = utc_text(facts["last_end"])
    return f"has no recent data: no request since {last}."


def _failures(facts: Facts) -> str:
    requests = count_text(round(facts["requests"]), "request")
    return f"{count_text(round(facts['failures']), 'failure')} in {requests}"


def _confidence(facts: Facts) -> str:
    below = percent(facts["possible_share"], facts["allowed_share"])
    objective = format_percent(1 - facts["allowed_share"])
    return f"at 95 % confidence the failure rate is below {below}, so {objective} is not confirmed"


def _totals(facts: Facts) -> str:
    """Return the counts of some minutes beside what is allowed."""
    return _TOTALS[facts["form"]](facts)


def _failure_totals(facts: Facts) -> str:
    allowed = facts["allowed_share"]
    failures, requests = number_text(facts["failures"]), count_text(facts["requests"], "request")
    share = percent(_ratio(facts["failures"], facts["requests"]), allowed)
    text = f"{failures} of {requests} failed ({share}), at most {format_percent(allowed)} allowed"
    if not facts["control_requests"]:
        return text
    stable = _ratio(facts["control_failures"], facts["control_requests"])
    return f"{text}; stable path: {percent(stable, allowed)}"


def _slow_totals(facts: Facts) -> str:
    return (
        f"{_slow_share(facts)} of {_requests(facts)} were slower than "
        f"{with_unit(facts['limit'], facts)}, "
        f"at most {format_percent(facts['allowed_share'])} allowed"
    )


def _concurrent_totals(facts: Facts) -> str:
    stable_limit = with_unit(facts["control_limit"], facts)
    stable = percent(
        _ratio(facts["control_slow"], facts["control_requests"]), facts["allowed_share"]
    )
    baseline = f"the stable path's {facts['statistic']}"
    return (
        f"{_increase_totals(facts, baseline)}, at most {stable} allowed (the stable path's share "
        f"above {stable_limit}){_method(facts)}"
    )


def _frozen_totals(facts: Facts) -> str:
    return _stored_totals(facts, f"the stored {facts['statistic']}")


def _fixed_totals(facts: Facts) -> str:
    return _stored_totals(facts, "the fixed value")


def _stored_totals(facts: Facts, baseline: str) -> str:
    allowed = format_percent(round(facts["allowed_share"], 4))
    why = _another_day(facts, allowed)
    return f"{_increase_totals(facts, baseline)}, at most {allowed} allowed{why}{_method(facts)}"


def _another_day(facts: Facts, allowed: str) -> str:
    """Return why another share is allowed than the baseline had, where it is another."""
    stored, today = facts.get("stored_share", facts["allowed_share"]), facts["allowed_share"]
    if (was := format_percent(round(stored, 4))) == allowed:
        return ""
    corrected, speed = ("lowered", "faster") if today < stored else ("raised", "slower")
    return (
        f" ({was} in the baseline, {corrected} because {facts['stored_metric']} was {speed} in "
        "earlier steps)"
    )


def _increase_totals(facts: Facts, baseline: str) -> str:
    """Return the share of slow requests, and where the limit in between is from."""
    factor, drift = facts["factor"], facts.get("drift", 0.0)
    value = with_unit(facts["limit"] / factor / (1 + drift), facts)
    for_drift = f", {format_percent(drift)} more for drift" if drift else ""
    return (
        f"{_slow_share(facts)} of {_requests(facts, 'canary request')} were slower than "
        f"{with_unit(facts['limit'], facts)} (+{format_percent(factor - 1)} on {baseline} of "
        f"{value}{for_drift})"
    )


def _hung_totals(facts: Facts) -> str:
    path = "stable path" if "control_share" in facts else "baseline"
    stable = ""
    if "control_share" in facts:
        share = percent(facts["control_share"], facts["allowed_share"])
        stable = f"; stable path: {share}"
    return (
        f"{percent(_ratio(facts['hung'], facts['requests']), facts['allowed_share'])} of "
        f"{_requests(facts, 'canary request')} took longer than {with_unit(facts['limit'], facts)} "
        f"({facts['factor']:g} × the {path}'s {facts['statistic']}), "
        f"at most {format_percent(round(facts['allowed_share'], 4))} allowed{stable}"
    )


def _ratio_totals(facts: Facts) -> str:
    share, limit = percent(facts["share"], facts["limit"]), format_percent(facts["limit"])
    return f"{facts['subject']} was {share}, at most {limit} allowed; {_requests(facts)}"


def _mean_totals(facts: Facts) -> str:
    return (
        f"{facts['subject']} was {number(facts['mean'], facts['limit'])} in {window_text(facts)} "
        f"on average, at most {number_text(facts['limit'])} allowed"
    )


def _no_baseline_totals(facts: Facts) -> str:
    return "its baseline was never read"


def _slow_share(facts: Facts) -> str:
    return percent(_ratio(facts["slow"], facts["requests"]), facts["allowed_share"])


def _method(facts: Facts) -> str:
    return f", read between {facts['read_between']}" if "read_between" in facts else ""


def _requests(facts: Facts, noun: str = "request") -> str:
    return count_text(round(facts["requests"]), noun)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


_TOTALS: Final[Mapping[str, Callable[[Facts], str]]] = {
    "failures": _failure_totals,
    "slow": _slow_totals,
    "slow against control": _concurrent_totals,
    "slow against frozen": _frozen_totals,
    "slow against fixed": _fixed_totals,
    "hung": _hung_totals,
    "ratio": _ratio_totals,
    "mean": _mean_totals,
    "no baseline": _no_baseline_totals,
}

SENTENCES: Final[Mapping[str, Sentence]] = {
    FindingReason.REJECTED: _rejected,
    FindingReason.NO_REGRESSION: _no_regression,
    FindingReason.SHARED_OUTAGE: _shared_outage,
    FindingReason.NEWEST_ABOVE: _newest_above,
    FindingReason.RULED_OUT_LARGE: _ruled_out_large,
    FindingReason.UNDECIDED: _undecided,
    FindingReason.PROVEN: _proven,
    FindingReason.RATE_NO_REGRESSION: _rate_no_regression,
    FindingReason.NOT_PROVEN_YET: _not_proven_yet,
    FindingReason.BAD_COUNTS: _bad_counts,
    FindingReason.TOO_FEW_REQUESTS: _too_few_requests,
    FindingReason.BASELINE_UNREAD: _baseline_unread,
    FindingReason.NO_REQUESTS_YET: _no_requests_yet,
    FindingReason.NO_REQUESTS_ANY_MORE: _no_requests_any_more,
}
