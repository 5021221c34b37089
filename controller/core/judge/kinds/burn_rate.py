"""Criteria of kind `burn_rate`: how fast an error budget burns, in two windows at once.

A burn rate is the share of failures over the share that the objective allows: at 1 the budget lasts
exactly as long as it is meant to. The long window shows that enough of it is gone, the short one
that it still burns (The Site Reliability Workbook, chapter 5: "Alerting on SLOs").
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

from controller.core.judge.evidence import BreachRun, Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.threshold import Context, not_ready_reason
from controller.core.judge.series import Measure, Window
from controller.core.judge.tally import fold
from controller.core.judge.wording import time_range_text, utc_text
from controller.core.policy import BurnRate, BurnWindow
from controller.core.units import count_text, format_duration, format_percent, number_text

Recent: TypeAlias = tuple[tuple[float, float], ...]
"""Requests and failures of the newest windows, oldest first."""


@dataclass(frozen=True, slots=True)
class Burn:
    """One pair of windows at one moment: long, short: burn rates; requests: in the long window."""

    pair: BurnWindow
    long: float
    short: float
    requests: float

    @property
    def limit_ratio(self) -> float:
        """How near the pair is to failing: above 1 it fails."""
        return min(self.long, self.short) / self.pair.factor


def burns(criterion: BurnRate, recent: Recent) -> list[Burn]:
    """Return the burn rates of every pair of windows at the end of `recent`.

    Where a window reaches back beyond the begin of the step, the time before counts as requests
    like those since, without a failure: so nothing fails sooner than it would with a longer past,
    and a short past is never taken for a long one.
    """
    return [
        Burn(
            pair,
            _burn_rate(criterion, recent, pair.long),
            _burn_rate(criterion, recent, pair.short),
            sum(requests for requests, _ in _newest(criterion, recent, pair.long)),
        )
        for pair in criterion.windows
    ]


def fold_burn_rate(
    criterion: BurnRate, tally: Tally, measure: Measure, starts: Sequence[int]
) -> Tally:
    """Return `tally` with the windows at `starts` folded in, in order.

    All pairs are computed at the end of each window. The first pair that burnt too fast stays in
    the tally, so the criterion fails however rarely a tick runs.
    """
    period_s = int(criterion.over.total_seconds())
    length, recent, worst = criterion.longest_window // criterion.over, tally.recent, tally.worst
    for start in starts:
        recent = (*recent, _window_counts(measure(start)))[-length:]
        if not worst.length:
            worst = _breach(criterion, recent, start + period_s)
    return replace(fold(tally, measure, starts, period_s), recent=recent, worst=worst)


def _window_counts(window: Window | None) -> tuple[float, float]:
    """Return requests and failures of a window; zeros where it has no data or bad data."""
    return (
        (window.samples, window.amount) if window is not None and window.consistent else (0.0, 0.0)
    )


def _breach(criterion: BurnRate, recent: Recent, end: int) -> BreachRun:
    """Return the long window that burns too fast at `end`; of length 0 where none does."""
    fastest = _fastest_burn(criterion, recent)
    if fastest.limit_ratio <= 1 or fastest.requests < criterion.min_samples:
        return BreachRun()
    return BreachRun(1, end - int(fastest.pair.long.total_seconds()), end, fastest.long)


def trim_recent(criterion: BurnRate, tally: Tally) -> Tally:
    """Return `tally` with no more recent windows than the longest one of `criterion` needs."""
    return replace(tally, recent=tally.recent[-(criterion.longest_window // criterion.over) :])


def conclude_burn_rate(name: str, criterion: BurnRate, tally: Tally, context: Context) -> Finding:
    """Return the finding of `tally` on the error budget."""
    fastest = _fastest_burn(criterion, tally.recent)
    failures = f"{count_text(tally.amount, 'failure')} in {count_text(tally.samples, 'request')}"
    basis = f"{failures} since {utc_text(context.start)}"
    budget = f"the budget of {format_percent(1 - criterion.slo)}"

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        end = max(context.start, min(tally.through, context.open_end))
        value = tally.worst.value if verdict is Verdict.FAIL else fastest.long
        measured = value if tally.windows else None
        factor = (
            _breach_factor(criterion, tally) if verdict is Verdict.FAIL else fastest.pair.factor
        )
        samples = int(tally.samples)
        return Finding(
            name, verdict, label, measured, factor, samples, context.start, end, sentence
        )

    if tally.worst.length:
        worst, factor = tally.worst, _breach_factor(criterion, tally)
        sentence = (
            f"{name} fails: {budget} burnt {number_text(round(worst.value or 0.0, 1))} times as "
            f"fast as it may, more than {factor:g} times, "
            f"{time_range_text(max(worst.start, context.start), worst.end)}; {basis}."
        )
        return finding(Verdict.FAIL, Label.REFUTED, sentence)
    not_ready = not_ready_reason(name, criterion, tally, context)
    if not_ready is not None:
        return finding(Verdict.INCONCLUSIVE, *not_ready)
    lack = _data_problem(criterion, tally)
    if lack is Label.TOO_FEW:
        count, minimum = number_text(tally.samples), number_text(criterion.min_samples)
        sentence = (
            f"{name} has too few samples: {count} of {minimum} that a pass needs; {failures}."
        )
        return finding(Verdict.INCONCLUSIVE, lack, sentence)
    if lack is None and (undecided := _undecided_pair(criterion, tally)) is not None:
        count, minimum = number_text(undecided.requests), number_text(criterion.min_samples)
        factor, window = undecided.pair.factor, format_duration(undecided.pair.long)
        sentence = (
            f"{name} has too few samples: {budget} burns more than {factor:g} times as fast as it "
            f"may, and {window} have {count} of {minimum} requests that a fail needs; {basis}."
        )
        return finding(Verdict.INCONCLUSIVE, Label.TOO_FEW, sentence)
    if lack is not None:
        last = f"since {utc_text(tally.last_end)}" if tally.windows else "in this step"
        why = "counts make no sense together" if lack is Label.BAD_DATA else f"no requests {last}"
        return finding(Verdict.INCONCLUSIVE, lack, f"{name} cannot be judged: {why}; {basis}.")
    rates = ", ".join(_rate_texts(criterion, tally))
    sentence = f"{name} holds: {budget} burns {rates}, where 1 is as fast as it may; {basis}."
    return finding(Verdict.PASS, Label.NOT_REFUTED, sentence)


def _rate_texts(criterion: BurnRate, tally: Tally) -> Iterator[str]:
    """Yield how fast the budget burns in each pair of windows, and how fast it may."""
    for one in burns(criterion, tally.recent):
        long, short = format_duration(one.pair.long), one.pair.short_text
        rates = f"{number_text(round(one.long, 1))} and {number_text(round(one.short, 1))}"
        yield f"{rates} times over {long} and {short} (at most {one.pair.factor:g})"


def _data_problem(criterion: BurnRate, tally: Tally) -> Label | None:
    """Return what is missing for a pass; None when nothing is."""
    if tally.tail_unfit or (tally.unknown and tally.windows == 0):
        return Label.BAD_DATA
    if tally.windows == 0:
        return Label.NO_DATA
    if tally.samples < criterion.min_samples:
        return Label.TOO_FEW
    return Label.NO_DATA if tally.tail_empty else None


def _undecided_pair(criterion: BurnRate, tally: Tally) -> Burn | None:
    """Return a pair that burns too fast and has too few requests to fail; None without one.

    It burns too fast now, or over the whole step: little traffic is no reason to pass then.
    """
    step_rate = tally.amount / tally.samples / (1 - criterion.slo)
    undecided = [
        one
        for one in burns(criterion, tally.recent)
        if one.requests < criterion.min_samples
        and (one.limit_ratio > 1 or step_rate > one.pair.factor)
    ]
    return max(undecided, key=lambda one: one.limit_ratio, default=None)


def _fastest_burn(criterion: BurnRate, recent: Recent) -> Burn:
    """Return the pair that is nearest to failing, of those that have enough requests to fail."""
    all_burns = burns(criterion, recent)
    judgeable = [one for one in all_burns if one.requests >= criterion.min_samples]
    return max(judgeable or all_burns, key=lambda one: one.limit_ratio)


def _breach_factor(criterion: BurnRate, tally: Tally) -> float:
    """Return the factor of the pair whose long window burnt too fast."""
    length = timedelta(seconds=tally.worst.end - tally.worst.start)
    return next(pair.factor for pair in criterion.windows if pair.long == length)


def _newest(criterion: BurnRate, recent: Recent, length: timedelta) -> Recent:
    return recent[-(length // criterion.over) :]


def _burn_rate(criterion: BurnRate, recent: Recent, length: timedelta) -> float:
    """Return the burn rate over the newest `length`; 0.0 without requests."""
    newest = _newest(criterion, recent, length)
    requests, failures = (sum(part) for part in zip(*newest, strict=True)) if newest else (0.0, 0.0)
    if not requests:
        return 0.0
    covered_share = len(newest) * criterion.over / length
    return failures / requests / (1 - criterion.slo) * covered_share
