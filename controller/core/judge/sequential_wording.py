"""What the sequential judge found, in sentences that a person can check with the same numbers."""

from dataclasses import dataclass
from math import floor

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Label
from controller.core.judge.kinds.threshold import Context
from controller.core.judge.latency_tail import Limits, by_percentiles
from controller.core.judge.sequential_fold import Blamed, Case
from controller.core.judge.wording import moment, number, percent, stretch
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


def seen_text(criterion: BoundedCriterion, case: Case, unit: str, seen: Blamed) -> str:
    """Return what `seen` shows of `criterion` beside what is allowed; values are in `unit`."""
    match criterion:
        case SuccessRate():
            return _failing(1 - criterion.min, seen)
        case LatencyIncrease():
            return _slower(criterion, case, unit, seen)
        case Threshold() if case.limits is not None:
            return (
                f"{_share(seen.amount, seen.requests, case.usual)} of requests were slower than "
                f"{_value(criterion.bound, unit)}, at most {format_percent(case.usual)} allowed; "
                f"{_n(seen)}"
            )
        case Threshold():
            return _limit(criterion, seen)
        case Traffic():
            return f"{count_text(seen.requests, 'request')} arrived"


def _failing(allowed: float, seen: Blamed) -> str:
    failed, requests = number_text(seen.amount), count_text(seen.requests, "request")
    share = percent(_part(seen.amount, seen.requests), allowed, 2)
    text = f"{failed} of {requests} failed ({share}), at most {format_percent(allowed)} allowed"
    if not seen.control_requests:
        return text
    beside = percent(_part(seen.control_amount, seen.control_requests), allowed, 2)
    return f"{text}; {beside} on the stable path"


def _slower(criterion: LatencyIncrease, case: Case, unit: str, seen: Blamed) -> str:
    if case.limits is None:
        return "its baseline was never read"
    if case.limits.beside:
        return _beside(criterion, case, case.limits, unit, seen)
    return _against_stored(criterion, case, case.limits, unit, seen)


def _beside(criterion: LatencyIncrease, case: Case, limits: Limits, unit: str, seen: Blamed) -> str:
    usual = _value(limits.control, unit)
    other = _share(seen.control_amount, seen.control_requests, case.usual)
    return (
        f"{_share(seen.amount, seen.requests, case.usual)} of canary requests were slower than "
        f"{_times(criterion)} the stable path's {case.statistic} ({usual}), {other} of the stable "
        f"path's were slower than {usual}{_how(criterion)}; {_n(seen)}"
    )


def _against_stored(
    criterion: LatencyIncrease, case: Case, limits: Limits, unit: str, seen: Blamed
) -> str:
    limit, amount, drift = limits.holds, seen.amount, ""
    if seen.beyond < seen.amount:
        limit, amount = limits.fails, seen.beyond
        drift = f" and {format_percent(criterion.allowance)} of drift"
    frozen = isinstance(criterion.baseline, FrozenBaseline)
    whose = f"the stored {case.statistic}" if frozen else "the fixed value"
    return (
        f"{_share(amount, seen.requests, case.usual)} of canary requests were slower than "
        f"{_value(limit, unit)} ({_times(criterion)} {whose}{drift}), "
        f"{format_percent(round(case.usual, 4))} allowed{_how(criterion)}; {_n(seen)}"
    )


def _limit(criterion: Threshold, seen: Blamed) -> str:
    if criterion.per is not None:
        share = percent(_part(seen.amount, seen.requests), criterion.bound, 2)
        most = format_percent(criterion.bound)
        return f"{criterion.metric} per {criterion.per} was {share}, at most {most}; {_n(seen)}"
    minutes = max(1, (seen.end - seen.start) // MINUTE_S)
    mean = seen.amount / minutes * (criterion.over.total_seconds() / MINUTE_S)
    return (
        f"{criterion.metric} was {number(mean, criterion.bound)} in "
        f"{format_duration(criterion.over)} on average, at most {number_text(criterion.bound)}"
    )


def _times(criterion: LatencyIncrease) -> str:
    return f"{1 + criterion.max_increase:g} ×"


def _how(criterion: LatencyIncrease) -> str:
    return ", read between percentiles" if by_percentiles(criterion) else ""


def _n(seen: Blamed) -> str:
    return f"n = {number_text(round(seen.requests))}"


def _share(part: float, whole: float, usual: float) -> str:
    return percent(_part(part, whole), usual, 1)


def _value(value: float, unit: str) -> str:
    return f"{number_text(round(value, 1))} {unit}".rstrip()


def _part(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


# --- Proofs ---------------------------------------------------------------------------------------

# What is likelier by more than this is certain.
_BEYOND_COUNTING = 1_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """Sentences about one criterion."""

    name: str
    criterion: BoundedCriterion
    tally: Tally
    context: Context
    case: Case

    def fails(self) -> str:
        """Return why the rollout goes back: what was seen, since when, and how sure that is."""
        fold, blamed = self.case.fold, self.case.blamed
        if blamed is not None:
            seen = seen_text(self.criterion, self.case, self.context.unit, blamed)
            why = f"from {stretch(blamed.start, blamed.end)} {seen}; "
        elif self.tally.samples:
            why = f"in this step, since {moment(self.context.start)} {self._seen}; "
        else:
            why = "what it showed before is sealed in the history; "
        enough = number_text(round(1 / self.case.budget, 1))
        return (
            f"{self.name} fails: {why}evidence {self._odds} to 1 at {moment(fold.peak_at)}, "
            f"{enough} to 1 rolls back."
        )

    def holds(self) -> str:
        return f"{self.name} not refuted: {self._seen}."

    def wavers(self) -> str:
        return (
            f"{self.name} is undecided: {self._seen}; that is too much to pass and too little to "
            "roll back."
        )

    def proven(self) -> str:
        allowed = format_percent(self._allowed)
        return (
            f"{self.name} proven: {self._failures}; at 95 % confidence, whenever one looks, the "
            f"failure rate is below {allowed}."
        )

    def not_refuted(self) -> str:
        return f"{self.name} not refuted: {self._failures}; {self._doubt}."

    def unproven(self) -> str:
        needed = requests_to_prove(self._allowed, round(self.tally.amount))
        return (
            f"{self.name} is not proven yet: {self._failures}; {self._doubt}; that takes "
            f"{count_text(needed, 'request')} with no further failure."
        )

    def lacks(self, lack: Label) -> str:
        """Return what is missing for a verdict."""
        since = moment(self.context.start)
        match lack:
            case Label.BAD_DATA:
                why = "counts and requests contradict each other, or one of them is missing"
                return f"{self.name} cannot be judged: {why}."
            case Label.TOO_FEW:
                least = number_text(getattr(self.criterion, "min_samples", 0))
                seen = number_text(self.case.fewest(self.tally))
                return f"{self.name} has too few samples: {seen} of {least} since {since}."
            case _ if isinstance(self.criterion, LatencyIncrease) and self.case.limits is None:
                return f"{self.name} cannot be judged: its baseline was not read before the start."
            case _ if self.tally.windows:
                last = moment(self.tally.last_end)
                return f"{self.name} has no data any more: nothing since {last}."
            case _:
                return f"{self.name} has no data since {since}."

    # --- parts of sentences ---------------------------------------------------------------------

    @property
    def _seen(self) -> str:
        tally = self.tally
        of_step = Blamed(
            start=self.context.start,
            end=tally.through,
            requests=tally.samples,
            amount=tally.amount,
            beyond=tally.amount,
            control_requests=tally.control_samples,
            control_amount=tally.control_amount,
        )
        return seen_text(self.criterion, self.case, self.context.unit, of_step)

    @property
    def _odds(self) -> str:
        """The evidence in whole numbers, but where that would read as less than is enough."""
        peak, enough = self.case.fold.peak, 1 / self.case.budget
        certain = max(_BEYOND_COUNTING, enough)
        if peak > certain:
            return f"more than {number_text(round(certain))}"
        return number_text(floor(peak) if floor(peak) >= enough else round(peak, 1))

    @property
    def _failures(self) -> str:
        requests = count_text(round(self.tally.samples), "request")
        return f"{count_text(round(self.tally.amount), 'failure')} in {requests}"

    @property
    def _doubt(self) -> str:
        possible = upper_bound(round(self.tally.samples), round(self.tally.amount))
        below = percent(possible, self._allowed, 2)
        asked = format_percent(1 - self._allowed)
        return f"at 95 % confidence the failure rate is below {below}, so {asked} is not proven"

    @property
    def _allowed(self) -> float:
        return 1 - self.criterion.min if isinstance(self.criterion, SuccessRate) else 0.0
