"""The sentence of a finding: what was measured, the limit, and what is behind the number.

One function a reason. A sentence is made from the facts of the finding alone, whenever it is shown;
nothing is decided by it.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from math import ceil, floor, log10
from typing import Any, Final, TypeAlias

from controller.core.judge.findings import DILUTED, FRACTION, Finding, FindingReason
from controller.core.judge.text import MAX_DIGITS, number, percent, time_range_text, utc_text
from controller.core.observation import QueryStatus
from controller.core.units import (
    count_text,
    format_duration,
    format_percent,
    measured_text,
    number_text,
)

Facts: TypeAlias = Mapping[str, Any]
Sentence: TypeAlias = Callable[[Finding, Facts], str]


def sentence_of(finding: Finding) -> str:
    """Return the finding in one sentence for people, and what qualifies it: loss, dilution."""
    facts = finding.facts
    try:
        if "text" in facts:  # a kind of another package brings its own sentence
            sentence = str(facts["text"])
        else:
            sentence = SENTENCES[finding.reason](finding, facts)
        sentence += f" {_lost_windows(facts)}" if "lost_windows" in facts else ""
        return f"{sentence} {_dilution(facts)}" if DILUTED in facts else sentence
    except (LookupError, TypeError, ValueError, ArithmeticError):
        # A finding that was stored by another version may have other facts: it is shown all the
        # same, and a rollback waits for no sentence.
        return f"{finding.criterion} {finding.verdict}: {finding.reason}."


def _drain(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} {finding.label}: {facts['seen']}"


# --- Any criterion --------------------------------------------------------------------------------

_FAILED_QUERIES: Final = {
    QueryStatus.PARTIAL: "CloudWatch answered only partly",
    QueryStatus.ERROR: "CloudWatch did not answer",
    QueryStatus.FORBIDDEN: "CloudWatch refused the query (cloudwatch:GetMetricData)",
    QueryStatus.COMPLETE: "CloudWatch answered",
}


def query_failed_text(facts: Facts) -> str:
    """Return which query failed, and why."""
    detail = f": {facts['message']}" if facts["message"] else ""
    return f"{_FAILED_QUERIES[QueryStatus(facts['answer'])]} for {facts['series']}{detail}"


def _query_failed(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} cannot be judged: {query_failed_text(facts)}."


def _no_window_yet(finding: Finding, facts: Facts) -> str:
    window = _window(facts)
    return f"{finding.criterion} is not judged yet: no window of {window} has closed in this step."


def _kind_missing(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} is not judged: {facts['problem']}."


def _judge_failed(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} cannot be judged: the code of its kind {finding.kind} failed "
        f"({facts['error']}); the other criteria are judged."
    )


def _lost_windows(facts: Facts) -> str:
    windows = count_text(facts["lost_windows"], "window")
    verb = "was" if facts["lost_windows"] == 1 else "were"
    return f"{windows} of {_window(facts)} {verb} never answered by CloudWatch and left out."


def _dilution(facts: Facts) -> str:
    return (
        f"Diluted: {facts[DILUTED]} counted both paths, and the canary had "
        f"{facts['diluted_weight']} % of the requests."
    )


def _window(facts: Facts) -> str:
    return format_duration(timedelta(seconds=facts["window_s"]))


def _since(finding: Finding) -> str:
    return f"since {utc_text(finding.start)}"


def _value(value: float | None, finding: Finding, facts: Facts) -> str:
    """Return a value in its unit, with enough digits to differ from the bound."""
    if value is None:
        return "nothing"
    if facts["unit"] == FRACTION:
        return percent(value, finding.bound, 3)
    return f"{number(value, finding.bound)} {facts['unit']}".rstrip()


def _with_unit(value: float, facts: Facts) -> str:
    return f"{measured_text(value)} {facts['unit']}".rstrip()


# --- Windows against a bound ----------------------------------------------------------------------


def _within_bound(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} passes: {_newest_value(finding, facts)}; "
        f"{_counts(finding, facts)}{_possible_failures(finding, facts)}."
    )


def _breached(finding: Finding, facts: Facts) -> str:
    side = "above" if facts["side"] == "at most" else "below"
    span = time_range_text(facts["breach_start"], facts["breach_end"])
    return (
        f"{finding.criterion} fails: {facts['subject']} was {side} "
        f"{_value(finding.bound, finding, facts)} in {_breaches(facts)}, from {span}, "
        f"last {_value(finding.measured, finding, facts)}; {_counts(finding, facts)}."
    )


def _breaching(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} is breaching, not yet failed: {_newest_value(finding, facts)}; "
        f"{facts['breaches']:g} of the {facts['failure_limit']:g} breaches in a row that fail it."
    )


def _bad_windows(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} cannot be judged: datapoints are missing or contradict each other in "
        f"{count_text(facts['bad_windows'], 'window')} of {_window(facts)}; check the metric "
        "names, or set `missing: zero` where no datapoint means 0."
    )


def _too_few_samples(finding: Finding, facts: Facts) -> str:
    possible = _possible_failures(finding, facts)
    failures = f"; {count_text(facts['failures'], 'failure')}{possible}" if possible else ""
    return (
        f"{finding.criterion} has too few samples: {number_text(finding.samples)} of "
        f"{number_text(facts['min_samples'])} needed to pass; "
        f"last {_value(finding.measured, finding, facts)}, {_limit(finding, facts)}{failures}."
    )


def _no_window(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has no data: no window of {_window(facts)} {_since(finding)} had a "
        "datapoint; check that requests reach the canary, and the metric's name and dimensions."
    )


def _silent(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has no recent data: no datapoint since "
        f"{utc_text(facts['last_end'])}; {_counts(finding, facts)}."
    )


def _newest_value(finding: Finding, facts: Facts) -> str:
    return (
        f"{facts['subject']} was {_value(finding.measured, finding, facts)} in the newest "
        f"{_window(facts)}, {_limit(finding, facts)}"
    )


def _limit(finding: Finding, facts: Facts) -> str:
    word = "allowed" if facts["side"] == "at most" else "required"
    return f"{facts['side']} {_value(finding.bound, finding, facts)} {word}"


def _counts(finding: Finding, facts: Facts) -> str:
    """Return how many requests or samples are behind the number."""
    if "failures" not in facts:
        return f"{count_text(finding.samples, 'sample')} {_since(finding)}"
    failures = count_text(facts["failures"], "failure")
    requests = count_text(finding.samples, "request")
    return f"{failures} in {requests} {_since(finding)}"


def _breaches(facts: Facts) -> str:
    """Return how many windows breach; they are in a row only where each window had data."""
    count = facts["breaches"]
    if count == 1:
        return f"a window of {_window(facts)}"
    row = "in a row" if facts["breach_windows"] == count else "with data"
    return f"{count:g} windows of {_window(facts)} {row}"


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
    return f"{finding.criterion} passes: {_comparison(finding, facts)}."


def _increase_beyond(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} fails: {_comparison(finding, facts)}."


def _increase_so_far(finding: Finding, facts: Facts) -> str:
    comparison = _comparison(finding, facts)
    return f"{finding.criterion} is judged at the end of the bake; so far {comparison}."


def _comparison(finding: Finding, facts: Facts) -> str:
    increase, baseline = finding.measured or 0.0, facts["baseline"]
    canary, stable = facts.get("canary", baseline * (1 + increase)), baseline
    sign, bound = "+" if increase >= 0 else "-", finding.bound
    change = "" if finding.measured is None else f", {sign}{percent(abs(increase), bound, 1)}"
    return (
        f"{facts['metric']} was {_with_unit(canary, facts)} against {_with_unit(stable, facts)}"
        f"{change}, at most +{format_percent(bound)} allowed; "
        f"n = {number_text(facts['requests'])}"
    )


def _too_few_to_compare(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has too few samples: {number_text(facts['fewest_samples'])} on the "
        f"{facts['fewest_on']} of {number_text(facts['min_samples'])} needed to compare."
    )


def _nothing_to_compare(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has no data: no window {_since(finding)} had {facts['metric']} and "
        "its baseline."
    )


# --- Traffic --------------------------------------------------------------------------------------


def _requests_arrived(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} passes: {_requests(finding)} arrived {_since(finding)}, at least "
        f"{number_text(finding.bound)} required."
    )


def _too_few_arrived(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has {finding.label}: {_requests(finding)} {_since(finding)}, at "
        f"least {number_text(finding.bound)} required; check that requests reach the canary."
    )


def _canary_unreached(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} fails: no request reached the canary while the stable path had "
        f"{count_text(facts['control_requests'], 'request')}; about "
        f"{number_text(round(facts['expected']))} were expected on the canary."
    )


def _requests(finding: Finding) -> str:
    return count_text(finding.measured or 0.0, "request")


# --- Share of traffic -----------------------------------------------------------------------------


def _no_requests(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has no data: neither canary nor stable path had a request "
        f"{_since(finding)}."
    )


def _too_few_to_split(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has too few samples: {number_text(finding.samples)} of "
        f"{number_text(facts['min_samples'])} {_since(finding)}."
    )


def _split_so_far(finding: Finding, facts: Facts) -> str:
    split = _split(finding, facts)
    return f"{finding.criterion} so far: {split}; judged at the end of the bake."


def _split_fits(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} passes: {_split(finding, facts)}; {_split_range(finding, facts)}."


def _split_off(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} is out of range: {_split(finding, facts)}; "
        f"{_split_range(finding, facts)}. "
        "The share of traffic does not match the weight: check for callers that bypass the weight, "
        "for fallbacks to the other path, and whether both metrics count every request."
    )


def _split(finding: Finding, facts: Facts) -> str:
    share = percent(finding.measured or 0.0, finding.bound, 2)
    return (
        f"{number_text(facts['canary_requests'])} of {count_text(finding.samples, 'request')} took "
        f"the canary ({share}) {_since(finding)}"
    )


def _split_range(finding: Finding, facts: Facts) -> str:
    return (
        f"{number_text(facts['low'])} to {number_text(facts['high'])} expected at "
        f"{round(finding.bound * 100)} % (tolerance {format_percent(facts['tolerance'])}, "
        f"confidence {format_percent(facts['confidence'])})"
    )


# --- Error budget ---------------------------------------------------------------------------------


def _budget_burnt(finding: Finding, facts: Facts) -> str:
    span = time_range_text(facts["burn_start"], facts["burn_end"])
    return (
        f"{finding.criterion} fails: burn rate "
        f"{number_text(round(finding.measured or 0.0, 1))}x of {_budget(facts)}, {span}, "
        f"at most {finding.bound:g}x allowed; {_counts(finding, facts)}."
    )


def _budget_kept(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} passes: burn rates of {_budget(facts)}: {facts['rates']}; "
        f"{_counts(finding, facts)}."
    )


def _budget_too_few(finding: Finding, facts: Facts) -> str:
    requests = count_text(finding.samples, "request")
    failures = f"{count_text(facts['failures'], 'failure')} in {requests}"
    return (
        f"{finding.criterion} has too few samples: {number_text(finding.samples)} of "
        f"{number_text(facts['min_samples'])} needed to pass; {failures}."
    )


def _budget_undecided(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has too few samples: the burn rate of {_budget(facts)} is above "
        f"{facts['factor']:g}x, and the window of {facts['long']} has "
        f"{number_text(facts['long_requests'])} of {number_text(facts['min_samples'])} requests "
        f"needed to fail; {_counts(finding, facts)}."
    )


def _budget_bad_counts(finding: Finding, facts: Facts) -> str:
    counts = _counts(finding, facts)
    return f"{finding.criterion} cannot be judged: the counts contradict each other; {counts}."


def _budget_no_requests(finding: Finding, facts: Facts) -> str:
    last = f"since {utc_text(facts['last_end'])}" if facts["last_end"] else "in this step"
    return f"{finding.criterion} cannot be judged: no requests {last}; {_counts(finding, facts)}."


def _budget(facts: Facts) -> str:
    return f"the error budget of {format_percent(facts['budget'])}"


# --- Alarms and attestations ----------------------------------------------------------------------


def _alarm_ok(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} passes: {facts['alarm']} is OK{_alarm_since(facts)}."


def _in_alarm(finding: Finding, facts: Facts) -> str:
    since, why = _alarm_since(facts), _alarm_why(facts)
    return f"{finding.criterion} fails: {facts['alarm']} is in ALARM{since}{why}."


def _alarm_without_data(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has no data: {facts['alarm']} is in "
        f"INSUFFICIENT_DATA{_alarm_since(facts)}."
    )


def _alarm_missing(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} cannot be judged: there is no alarm {facts['alarm']} in the account "
        "and region of the rollout; create it, or start again with a policy that names another."
    )


def _alarm_unread(finding: Finding, facts: Facts) -> str:
    why = _alarm_why(facts)
    return f"{finding.criterion} cannot be judged: {facts['alarm']} was not read{why}."


def _alarm_in_warm_up(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} is not judged during the warm-up."


def _alarm_before_start(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} cannot be judged: {facts['alarm']} is in ALARM{_alarm_since(facts)}, "
        f"already before the start; it counts once it has been OK{_alarm_why(facts)}."
    )


def _alarm_since(facts: Facts) -> str:
    return f" since {utc_text(facts['since'])}" if facts["since"] else ""


def _alarm_why(facts: Facts) -> str:
    return f" ({facts['why'].rstrip('.')})" if facts["why"] else ""


def _not_attested(finding: Finding, facts: Facts) -> str:
    return (
        f'{finding.criterion} is not attested yet ("{facts["statement"]}"); to sign: '
        f"rolloutctl attest {facts['rollout']} {finding.criterion} --note TEXT"
    )


def _attested(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} passes: attested by {_signature(facts)}."


def _refused(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} fails: refused by {_signature(facts)}."


def _signature(facts: Facts) -> str:
    return f"{facts['by']} at {utc_text(facts['at'])}: {facts['note']}"


# --- Log events -----------------------------------------------------------------------------------


def _event_logged(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} fails: {_event(finding, facts)}."


def _no_minute_yet(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} is not judged yet: its first minute of log events is not final yet."
    )


def _log_unread(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} cannot be judged: {facts['message'] or 'its log was not read'}."


def _events_fit(finding: Finding, facts: Facts) -> str:
    control = f"; {_control(facts)}" if facts["control_events"] else ""
    return f"{finding.criterion} passes: {_event(finding, facts)}{control}."


def _too_few_events(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} is undecided: {_event(finding, facts)}; {_control(facts)}."


def _log_backlog(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} is not judged yet: {facts['group']} has been searched up to "
        f"{utc_text(facts['searched_until'])} only; the next ticks search the rest."
    )


def _no_control_event(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has no data: its control event {facts['control']} was not logged in "
        f"{facts['group']} in the newest {facts['control_window']}, so events may be missing."
    )


def _event(finding: Finding, facts: Facts) -> str:
    amount, bound = finding.measured or 0.0, finding.bound
    at_least = "" if amount <= bound else "at least "
    logged = f"was logged {at_least}{count_text(amount, 'time')}" if amount else "was not logged"
    word = "allowed" if facts["side"] == "at most" else "required"
    limit = f"{facts['side']} {count_text(bound, 'time')} {word}" if bound else "none allowed"
    return f"{facts['event']} {logged} in {facts['group']} {_since(finding)}, {limit}"


def _control(facts: Facts) -> str:
    events = facts["control_events"]
    times = f"{'at least ' if events >= facts['control_limit'] else ''}{count_text(events, 'time')}"
    return f"{facts['control']} was logged {times} in the newest {facts['control_window']}"


# --- Evidence that adds up ------------------------------------------------------------------------

# A larger likelihood ratio is written as more than this.
_MAX_ODDS: Final = 1_000_000


def _rejected(finding: Finding, facts: Facts) -> str:
    """Return why the rollout is rolled back: the counts, when they were, and the evidence."""
    why = "the counts are in an earlier history entry; "
    if "regression_start" in facts:
        span = time_range_text(facts["regression_start"], facts["regression_end"])
        why = f"from {span} {_totals(facts)}; "
    elif "form" in facts:
        why = f"in this step, {_since(finding)} {_totals(facts)}; "
    limit = number_text(ceil(facts["odds_limit"]))
    return (
        f"{finding.criterion} fails: {why}likelihood ratio {_odds(facts)} at "
        f"{utc_text(facts['odds_at'])} (rolls back at {limit})."
    )


def _odds(facts: Facts) -> str:
    """Return the evidence as a whole number that is no less than the limit reads."""
    odds, limit = facts["odds"], facts["odds_limit"]
    certain = max(_MAX_ODDS, limit)
    if odds > certain:
        return f"above {number_text(round(certain))}"
    return number_text(max(floor(odds), ceil(limit)))


def _not_refuted(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} passes, no regression detected: {_totals(facts)}."


def _shared_outage(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} is undecided: the stable path fails too, and no higher weight is "
        f"applied in an outage; {_totals(facts)}."
    )


def _ruled_out_large(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} passes, no regression detected: {_totals(facts)}; "
        f"{format_percent(facts['large_share'])} or more is ruled out at 95 % confidence, and a "
        "later step has to keep the limit."
    )


def _undecided(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} is undecided: {_totals(facts)}; above the limit, but not enough "
        "evidence to roll back."
    )


def _proven(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} passes, objective met: {_failures(facts)}; at 95 % confidence "
        f"the failure rate is below {format_percent(facts['allowed_share'])}."
    )


def _rate_not_refuted(finding: Finding, facts: Facts) -> str:
    confidence = _confidence(facts)
    return f"{finding.criterion} passes, no regression detected: {_failures(facts)}; {confidence}."


def _not_proven_yet(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has too few samples: {_failures(facts)}; {_confidence(facts)} "
        f"(needs {count_text(facts['proof_requests'], 'request')} with no further failure)."
    )


def _bad_counts(finding: Finding, facts: Facts) -> str:
    why = "counts and requests contradict each other, or one of them is missing"
    return f"{finding.criterion} cannot be judged: {why}."


def _too_few_requests(finding: Finding, facts: Facts) -> str:
    return (
        f"{finding.criterion} has too few samples: {number_text(facts['fewest_samples'])} of "
        f"{number_text(facts['min_samples'])} {_since(finding)}."
    )


def _baseline_unread(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} cannot be judged: its baseline was not read before the start."


def _no_requests_yet(finding: Finding, facts: Facts) -> str:
    return f"{finding.criterion} has no data {_since(finding)}."


def _no_requests_any_more(finding: Finding, facts: Facts) -> str:
    last = utc_text(facts["last_end"])
    return f"{finding.criterion} has no recent data: no request since {last}."


def _failures(facts: Facts) -> str:
    requests = count_text(round(facts["requests"]), "request")
    return f"{count_text(round(facts['failures']), 'failure')} in {requests}"


def _confidence(facts: Facts) -> str:
    below = percent(facts["possible_share"], facts["allowed_share"], 2)
    objective = format_percent(1 - facts["allowed_share"])
    return f"at 95 % confidence the failure rate is below {below}, so {objective} is not confirmed"


def _totals(facts: Facts) -> str:
    """Return the counts of some minutes beside what is allowed."""
    return _TOTALS[facts["form"]](facts)


def _failure_totals(facts: Facts) -> str:
    allowed = facts["allowed_share"]
    failures, requests = number_text(facts["failures"]), count_text(facts["requests"], "request")
    share = percent(_ratio(facts["failures"], facts["requests"]), allowed, 2)
    text = f"{failures} of {requests} failed ({share}), at most {format_percent(allowed)} allowed"
    if not facts["control_requests"]:
        return text
    stable = _ratio(facts["control_failures"], facts["control_requests"])
    return f"{text}; stable path: {percent(stable, allowed, 2)}"


def _slow_totals(facts: Facts) -> str:
    return (
        f"{_slow_share(facts)} of requests were slower than {_with_unit(facts['limit'], facts)}, "
        f"at most {format_percent(facts['allowed_share'])} allowed; {_sample_size(facts)}"
    )


def _concurrent_totals(facts: Facts) -> str:
    stable_limit = _with_unit(facts["control_limit"], facts)
    stable = _ratio(facts["control_slow"], facts["control_requests"])
    return (
        f"{_slow_share(facts)} of canary requests were slower than {facts['factor']:g} × the "
        f"stable path's {facts['statistic']} ({stable_limit}), "
        f"{percent(stable, facts['allowed_share'], 1)} of the stable path's were slower than "
        f"{stable_limit}{_method(facts)}; {_sample_size(facts)}"
    )


def _frozen_totals(facts: Facts) -> str:
    return _stored_totals(facts, f"the stored {facts['statistic']}")


def _fixed_totals(facts: Facts) -> str:
    return _stored_totals(facts, "the fixed value")


def _stored_totals(facts: Facts, baseline: str) -> str:
    drift = f" plus {format_percent(facts['drift'])} drift" if "drift" in facts else ""
    return (
        f"{_slow_share(facts)} of canary requests were slower than "
        f"{_with_unit(facts['limit'], facts)} ({facts['factor']:g} × {baseline}{drift}), "
        f"{format_percent(round(facts['allowed_share'], 4))} allowed{_method(facts)}; "
        f"{_sample_size(facts)}"
    )


def _hung_totals(facts: Facts) -> str:
    path = "stable path" if "control_share" in facts else "baseline"
    stable = ""
    if "control_share" in facts:
        share = percent(facts["control_share"], facts["allowed_share"], 1)
        stable = f" and {share} of the stable path's"
    return (
        f"{percent(_ratio(facts['hung'], facts['requests']), facts['allowed_share'], 1)} of canary "
        f"requests{stable} took longer than {_with_unit(facts['limit'], facts)} "
        f"({facts['factor']:g} × the {path}'s {facts['statistic']}), "
        f"{format_percent(round(facts['allowed_share'], 4))} allowed; {_sample_size(facts)}"
    )


def _ratio_totals(facts: Facts) -> str:
    share, limit = percent(facts["share"], facts["limit"], 2), format_percent(facts["limit"])
    return f"{facts['subject']} was {share}, at most {limit} allowed; {_sample_size(facts)}"


def _mean_totals(facts: Facts) -> str:
    return (
        f"{facts['subject']} was {number(facts['mean'], facts['limit'])} in {_window(facts)} on "
        f"average, at most {number_text(facts['limit'])} allowed"
    )


def _no_baseline_totals(facts: Facts) -> str:
    return "its baseline was never read"


def _slow_share(facts: Facts) -> str:
    return percent(_ratio(facts["slow"], facts["requests"]), facts["allowed_share"], 1)


def _method(facts: Facts) -> str:
    return f", read between {facts['read_between']}" if "read_between" in facts else ""


def _sample_size(facts: Facts) -> str:
    return f"n = {number_text(round(facts['requests']))}"


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

# --- All of them ----------------------------------------------------------------------------------

SENTENCES: Final[Mapping[str, Sentence]] = {
    FindingReason.DRAIN: _drain,
    FindingReason.QUERY_FAILED: _query_failed,
    FindingReason.NO_WINDOW_YET: _no_window_yet,
    FindingReason.KIND_MISSING: _kind_missing,
    FindingReason.JUDGE_FAILED: _judge_failed,
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
    FindingReason.REQUESTS_ARRIVED: _requests_arrived,
    FindingReason.TOO_FEW_ARRIVED: _too_few_arrived,
    FindingReason.CANARY_UNREACHED: _canary_unreached,
    FindingReason.NO_REQUESTS: _no_requests,
    FindingReason.TOO_FEW_TO_SPLIT: _too_few_to_split,
    FindingReason.SPLIT_SO_FAR: _split_so_far,
    FindingReason.SPLIT_FITS: _split_fits,
    FindingReason.SPLIT_OFF: _split_off,
    FindingReason.BUDGET_BURNT: _budget_burnt,
    FindingReason.BUDGET_KEPT: _budget_kept,
    FindingReason.BUDGET_TOO_FEW: _budget_too_few,
    FindingReason.BUDGET_UNDECIDED: _budget_undecided,
    FindingReason.BUDGET_BAD_COUNTS: _budget_bad_counts,
    FindingReason.BUDGET_NO_REQUESTS: _budget_no_requests,
    FindingReason.ALARM_OK: _alarm_ok,
    FindingReason.IN_ALARM: _in_alarm,
    FindingReason.ALARM_WITHOUT_DATA: _alarm_without_data,
    FindingReason.ALARM_MISSING: _alarm_missing,
    FindingReason.ALARM_UNREAD: _alarm_unread,
    FindingReason.ALARM_IN_WARM_UP: _alarm_in_warm_up,
    FindingReason.ALARM_BEFORE_START: _alarm_before_start,
    FindingReason.NOT_ATTESTED: _not_attested,
    FindingReason.ATTESTED: _attested,
    FindingReason.REFUSED: _refused,
    FindingReason.EVENT_LOGGED: _event_logged,
    FindingReason.NO_MINUTE_YET: _no_minute_yet,
    FindingReason.LOG_UNREAD: _log_unread,
    FindingReason.EVENTS_FIT: _events_fit,
    FindingReason.TOO_FEW_EVENTS: _too_few_events,
    FindingReason.LOG_BACKLOG: _log_backlog,
    FindingReason.NO_CONTROL_EVENT: _no_control_event,
    FindingReason.REJECTED: _rejected,
    FindingReason.NOT_REFUTED: _not_refuted,
    FindingReason.SHARED_OUTAGE: _shared_outage,
    FindingReason.RULED_OUT_LARGE: _ruled_out_large,
    FindingReason.UNDECIDED: _undecided,
    FindingReason.PROVEN: _proven,
    FindingReason.RATE_NOT_REFUTED: _rate_not_refuted,
    FindingReason.NOT_PROVEN_YET: _not_proven_yet,
    FindingReason.BAD_COUNTS: _bad_counts,
    FindingReason.TOO_FEW_REQUESTS: _too_few_requests,
    FindingReason.BASELINE_UNREAD: _baseline_unread,
    FindingReason.NO_REQUESTS_YET: _no_requests_yet,
    FindingReason.NO_REQUESTS_ANY_MORE: _no_requests_any_more,
}
