"""The sentences of the sequential judge, with the counts that a reader can check them with.

A sentence has the totals of a criterion (of its step, or of the minutes of a regression) beside
what is allowed, and the evidence as a likelihood ratio or as a confidence of 95 %.
"""

from dataclasses import dataclass
from math import floor

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Label
from controller.core.judge.kinds.threshold import Context
from controller.core.judge.latency_tail import Limits, uses_percentiles
from controller.core.judge.sequential_evidence import IntervalTotals, SequentialResult
from controller.core.judge.wording import number, percent, time_range_text, utc_text
from controller.core.policy import (
    BoundedCriterion,
    FrozenBaseline,
    LatencyIncrease,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.stats.binomial import requests_to_prove, upper_bound
from controller.core.units import (
    MINUTE_S,
    count_text,
    format_duration,
    format_percent,
    number_text,
)

# --- Totals ---------------------------------------------------------------------------------------


def totals_text(
    criterion: BoundedCriterion, result: SequentialResult, unit: str, totals: IntervalTotals
) -> str:
    """Return `totals` of `criterion` beside what is allowed; values are in `unit`."""
    match criterion:
        case SuccessRate():
            return _failures_text(1 - criterion.min, totals)
        case LatencyIncrease():
            return _latency_text(criterion, result, unit, totals)
        case Threshold() if result.limits is not None:
            allowed = result.allowed_slow_share
            return (
                f"{_share_text(totals.amount, totals.requests, allowed)} of requests were slower "
                f"than {_value_text(criterion.bound, unit)}, at most {format_percent(allowed)} "
                f"allowed; {_samples_text(totals)}"
            )
        case Threshold():
            return _threshold_text(criterion, totals)
        case Traffic():
            return f"{count_text(totals.requests, 'request')} arrived"


def _failures_text(allowed: float, totals: IntervalTotals) -> str:
    failures, requests = number_text(totals.amount), count_text(totals.requests, "request")
    share = percent(_ratio(totals.amount, totals.requests), allowed, 2)
    text = f"{failures} of {requests} failed ({share}), at most {format_percent(allowed)} allowed"
    if not totals.control_requests:
        return text
    stable_share = percent(_ratio(totals.control_amount, totals.control_requests), allowed, 2)
    return f"{text}; {stable_share} on the stable path"


def _latency_text(
    criterion: LatencyIncrease, result: SequentialResult, unit: str, totals: IntervalTotals
) -> str:
    if result.limits is None:
        return "its baseline was never read"
    if result.limits.control_metric:
        return _concurrent_text(criterion, result, result.limits, unit, totals)
    return _stored_text(criterion, result, result.limits, unit, totals)


def _concurrent_text(
    criterion: LatencyIncrease,
    result: SequentialResult,
    limits: Limits,
    unit: str,
    totals: IntervalTotals,
) -> str:
    allowed, stable_limit = result.allowed_slow_share, _value_text(limits.control_limit, unit)
    stable_share = _share_text(totals.control_amount, totals.control_requests, allowed)
    return (
        f"{_share_text(totals.amount, totals.requests, allowed)} of canary requests were slower "
        f"than {_factor_text(criterion)} the stable path's {result.statistic} ({stable_limit}), "
        f"{stable_share} of the stable path's were slower than {stable_limit}"
        f"{_method_text(criterion)}; {_samples_text(totals)}"
    )


def _stored_text(
    criterion: LatencyIncrease,
    result: SequentialResult,
    limits: Limits,
    unit: str,
    totals: IntervalTotals,
) -> str:
    limit, amount, drift = limits.pass_limit, totals.amount, ""
    if totals.fail_amount < totals.amount:
        limit, amount = limits.fail_limit, totals.fail_amount
        drift = f" and {format_percent(criterion.allowance)} of drift"
    frozen = isinstance(criterion.baseline, FrozenBaseline)
    baseline = f"the stored {result.statistic}" if frozen else "the fixed value"
    allowed = result.allowed_slow_share
    return (
        f"{_share_text(amount, totals.requests, allowed)} of canary requests were slower than "
        f"{_value_text(limit, unit)} ({_factor_text(criterion)} {baseline}{drift}), "
        f"{format_percent(round(allowed, 4))} allowed{_method_text(criterion)}; "
        f"{_samples_text(totals)}"
    )


def _threshold_text(criterion: Threshold, totals: IntervalTotals) -> str:
    if criterion.per is not None:
        share = percent(_ratio(totals.amount, totals.requests), criterion.bound, 2)
        limit, samples = format_percent(criterion.bound), _samples_text(totals)
        return f"{criterion.metric} per {criterion.per} was {share}, at most {limit}; {samples}"
    minutes = max(1, (totals.end - totals.start) // MINUTE_S)
    mean = totals.amount / minutes * (criterion.over.total_seconds() / MINUTE_S)
    return (
        f"{criterion.metric} was {number(mean, criterion.bound)} in "
        f"{format_duration(criterion.over)} on average, at most {number_text(criterion.bound)}"
    )


def _factor_text(criterion: LatencyIncrease) -> str:
    return f"{1 + criterion.max_increase:g} ×"


def _method_text(criterion: LatencyIncrease) -> str:
    return ", read between percentiles" if uses_percentiles(criterion) else ""


def _samples_text(totals: IntervalTotals) -> str:
    return f"n = {number_text(round(totals.requests))}"


def _share_text(part: float, whole: float, allowed: float) -> str:
    return percent(_ratio(part, whole), allowed, 1)


def _value_text(value: float, unit: str) -> str:
    return f"{number_text(round(value, 1))} {unit}".rstrip()


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


# --- Sentences ------------------------------------------------------------------------------------

# A larger likelihood ratio is written as more than this.
_MAX_LIKELIHOOD_RATIO = 1_000_000


@dataclass(frozen=True, slots=True)
class SequentialSentences:
    """Sentences about one criterion of the sequential judge; tally: of its step."""

    name: str
    criterion: BoundedCriterion
    tally: Tally
    context: Context
    result: SequentialResult

    def fails(self) -> str:
        """Return why the rollout is rolled back: the counts, when they were, and the evidence."""
        fold, regression = self.result.fold, self.result.regression
        if regression is not None:
            evidence_text = totals_text(self.criterion, self.result, self.context.unit, regression)
            why = f"from {time_range_text(regression.start, regression.end)} {evidence_text}; "
        elif self.tally.samples:
            why = f"in this step, since {utc_text(self.context.start)} {self._step_totals}; "
        else:
            why = "what it showed before is sealed in the history; "
        enough = number_text(round(1 / self.result.budget, 1))
        return (
            f"{self.name} fails: {why}evidence {self._likelihood_ratio} to 1 at "
            f"{utc_text(fold.peak_at)}, {enough} to 1 rolls back."
        )

    def passes(self) -> str:
        return f"{self.name} not refuted: {self._step_totals}."

    def undecided(self) -> str:
        return (
            f"{self.name} is undecided: {self._step_totals}; that is too much to pass and too "
            "little to roll back."
        )

    def proven(self) -> str:
        allowed = format_percent(self._allowed)
        return (
            f"{self.name} proven: {self._failures}; at 95 % confidence, whenever one looks, the "
            f"failure rate is below {allowed}."
        )

    def not_refuted(self) -> str:
        return f"{self.name} not refuted: {self._failures}; {self._confidence_note}."

    def unproven(self) -> str:
        needed = requests_to_prove(self._allowed, round(self.tally.amount))
        return (
            f"{self.name} is not proven yet: {self._failures}; {self._confidence_note}; that takes "
            f"{count_text(needed, 'request')} with no further failure."
        )

    def inconclusive(self, lack: Label) -> str:
        """Return what is missing for a verdict."""
        since = utc_text(self.context.start)
        match lack:
            case Label.BAD_DATA:
                why = "counts and requests contradict each other, or one of them is missing"
                return f"{self.name} cannot be judged: {why}."
            case Label.TOO_FEW:
                minimum = number_text(getattr(self.criterion, "min_samples", 0))
                samples = number_text(self.result.fewest_samples(self.tally))
                return f"{self.name} has too few samples: {samples} of {minimum} since {since}."
            case _ if isinstance(self.criterion, LatencyIncrease) and self.result.limits is None:
                return f"{self.name} cannot be judged: its baseline was not read before the start."
            case _ if self.tally.windows:
                last = utc_text(self.tally.last_end)
                return f"{self.name} has no data any more: nothing since {last}."
            case _:
                return f"{self.name} has no data since {since}."

    @property
    def _step_totals(self) -> str:
        tally = self.tally
        totals = IntervalTotals(
            start=self.context.start,
            end=tally.through,
            requests=tally.samples,
            amount=tally.amount,
            fail_amount=tally.amount,
            control_requests=tally.control_samples,
            control_amount=tally.control_amount,
        )
        return totals_text(self.criterion, self.result, self.context.unit, totals)

    @property
    def _likelihood_ratio(self) -> str:
        """The evidence as a whole number, but where that would read as less than the limit."""
        peak, enough = self.result.fold.peak, 1 / self.result.budget
        certain = max(_MAX_LIKELIHOOD_RATIO, enough)
        if peak > certain:
            return f"more than {number_text(round(certain))}"
        return number_text(floor(peak) if floor(peak) >= enough else round(peak, 1))

    @property
    def _failures(self) -> str:
        requests = count_text(round(self.tally.samples), "request")
        return f"{count_text(round(self.tally.amount), 'failure')} in {requests}"

    @property
    def _confidence_note(self) -> str:
        possible = upper_bound(round(self.tally.samples), round(self.tally.amount))
        below = percent(possible, self._allowed, 2)
        objective = format_percent(1 - self._allowed)
        return f"at 95 % confidence the failure rate is below {below}, so {objective} is not proven"

    @property
    def _allowed(self) -> float:
        return 1 - self.criterion.min if isinstance(self.criterion, SuccessRate) else 0.0
