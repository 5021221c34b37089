"""How fast an error budget burns, in two windows at once.

A burn rate is the share of failures over the share that the objective allows: at 1 the budget lasts
exactly as long as it is meant to. The long window says that enough of it is gone, the short one
that it still burns (The Site Reliability Workbook, chapter 5: "Alerting on SLOs").
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

from controller.core.judge.evidence import Run, Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.threshold import Context, unready
from controller.core.judge.series import Measure, Window
from controller.core.judge.tally import fold
from controller.core.judge.wording import moment, stretch
from controller.core.policy import BurnRate, BurnWindow
from controller.core.units import count_text, format_duration, format_percent, number_text

Recent: TypeAlias = tuple[tuple[float, float], ...]
"""Requests and failures of the newest windows, oldest first."""


@dataclass(frozen=True, slots=True)
class Burn:
    """One pair of windows at one moment. long, short: burn rates; requests: in the long window."""

    pair: BurnWindow
    long: float
    short: float
    requests: float

    @property
    def heat(self) -> float:
        """How near it is to failing: 1 is there."""
        return min(self.long, self.short) / self.pair.factor


def burns(criterion: BurnRate, recent: Recent) -> list[Burn]:
    """Return every pair of windows as it stands after the windows of `recent`.

    What a window reaches back beyond the begin of the step was not seen. It counts as requests like
    those that were, without a failure: so nothing fails sooner than it would with a longer past,
    and a short past is never taken for a long one.
    """
    return [
        Burn(
            pair,
            _rate(criterion, recent, pair.long),
            _rate(criterion, recent, pair.short),
            sum(requests for requests, _ in _newest(criterion, recent, pair.long)),
        )
        for pair in criterion.windows
    ]


def fold_burn(criterion: BurnRate, tally: Tally, measure: Measure, starts: Sequence[int]) -> Tally:
    """Return `tally` with the windows at `starts` folded in, in order, and looked back from each.

    The first moment at which a pair burnt too fast stays in it: however rarely one looks, it fails.
    """
    period_s = int(criterion.over.total_seconds())
    kept, recent, worst = criterion.longest_window // criterion.over, tally.recent, tally.worst
    for start in starts:
        recent = (*recent, _counted(measure(start)))[-kept:]
        if not worst.length:
            worst = _burnt(criterion, recent, start + period_s)
    return replace(fold(tally, measure, starts, period_s), recent=recent, worst=worst)


def _counted(seen: Window | None) -> tuple[float, float]:
    """Return requests and failures of a window; none where it has no data that make sense."""
    return (seen.samples, seen.amount) if seen is not None and seen.fits else (0.0, 0.0)


def _burnt(criterion: BurnRate, recent: Recent, end: int) -> Run:
    """Return the long window that burns too fast at `end`; of length 0 where none does."""
    hot = _hottest(criterion, recent)
    if hot.heat <= 1 or hot.requests < criterion.min_samples:
        return Run()
    return Run(1, end - int(hot.pair.long.total_seconds()), end, hot.long)


def looked_back(criterion: BurnRate, tally: Tally) -> Tally:
    """Return `tally` with no more windows of its own than the longest of `criterion` needs."""
    return replace(tally, recent=tally.recent[-(criterion.longest_window // criterion.over) :])


def conclude_burn(name: str, criterion: BurnRate, tally: Tally, context: Context) -> Finding:
    """Return what `tally` says of the budget, in numbers and in words."""
    hot = _hottest(criterion, tally.recent)
    failed = f"{count_text(tally.amount, 'failure')} in {count_text(tally.samples, 'request')}"
    behind = f"{failed} since {moment(context.start)}"
    budget = f"the budget of {format_percent(1 - criterion.slo)}"

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        end = max(context.start, min(tally.through, context.seen_until))
        value = tally.worst.value if verdict is Verdict.FAIL else hot.long
        measured = value if tally.windows else None
        factor = _factor(criterion, tally) if verdict is Verdict.FAIL else hot.pair.factor
        samples = int(tally.samples)
        return Finding(
            name, verdict, label, measured, factor, samples, context.start, end, sentence
        )

    if tally.worst.length:
        worst, factor = tally.worst, _factor(criterion, tally)
        sentence = (
            f"{name} fails: {budget} burnt {number_text(round(worst.value or 0.0, 1))} times as "
            f"fast as it may, more than {factor:g} times, "
            f"{stretch(max(worst.start, context.start), worst.end)}; {behind}."
        )
        return finding(Verdict.FAIL, Label.REFUTED, sentence)
    open_still = unready(name, criterion, tally, context)
    if open_still is not None:
        return finding(Verdict.INCONCLUSIVE, *open_still)
    lack = _lack(criterion, tally)
    if lack is Label.TOO_FEW:
        seen, least = number_text(tally.samples), number_text(criterion.min_samples)
        sentence = f"{name} has too few samples: {seen} of {least} that a pass needs; {failed}."
        return finding(Verdict.INCONCLUSIVE, lack, sentence)
    if lack is None and (few := _unsure(criterion, tally)) is not None:
        seen, least = number_text(few.requests), number_text(criterion.min_samples)
        sentence = (
            f"{name} has too few samples: {budget} burns more than {few.pair.factor:g} times as "
            f"fast as it may, and {format_duration(few.pair.long)} have {seen} of {least} requests "
            f"that a fail needs; {behind}."
        )
        return finding(Verdict.INCONCLUSIVE, Label.TOO_FEW, sentence)
    if lack is not None:
        last = f"since {moment(tally.last_end)}" if tally.windows else "in this step"
        why = "counts make no sense together" if lack is Label.BAD_DATA else f"no requests {last}"
        return finding(Verdict.INCONCLUSIVE, lack, f"{name} cannot be judged: {why}; {behind}.")
    return finding(
        Verdict.PASS,
        Label.NOT_REFUTED,
        f"{name} holds: {budget} burns {', '.join(_told(criterion, tally))}, where 1 is as fast as "
        f"it may; {behind}.",
    )


def _told(criterion: BurnRate, tally: Tally) -> Iterator[str]:
    """Yield how fast it burns in each pair of windows, and how fast it may."""
    for one in burns(criterion, tally.recent):
        long, short = format_duration(one.pair.long), one.pair.short_text
        rates = f"{number_text(round(one.long, 1))} and {number_text(round(one.short, 1))}"
        yield f"{rates} times over {long} and {short} (at most {one.pair.factor:g})"


def _lack(criterion: BurnRate, tally: Tally) -> Label | None:
    """Return what is missing for a pass; None when nothing is."""
    if tally.tail_unfit or (tally.unknown and tally.windows == 0):
        return Label.BAD_DATA
    if tally.windows == 0:
        return Label.NO_DATA
    if tally.samples < criterion.min_samples:
        return Label.TOO_FEW
    return Label.NO_DATA if tally.tail_empty else None


def _unsure(criterion: BurnRate, tally: Tally) -> Burn | None:
    """Return a pair that cannot fail for want of requests while the budget burns too fast for it.

    That is now, or over the whole step: little traffic is no reason to call that a pass.
    """
    whole = tally.amount / tally.samples / (1 - criterion.slo)
    few = [
        one
        for one in burns(criterion, tally.recent)
        if one.requests < criterion.min_samples and (one.heat > 1 or whole > one.pair.factor)
    ]
    return max(few, key=lambda one: one.heat, default=None)


def _hottest(criterion: BurnRate, recent: Recent) -> Burn:
    """Return the pair that is nearest to failing, of those that have requests enough to fail."""
    found = burns(criterion, recent)
    judged = [one for one in found if one.requests >= criterion.min_samples]
    return max(judged or found, key=lambda one: one.heat)


def _factor(criterion: BurnRate, tally: Tally) -> float:
    """Return the factor of the pair whose long window is the one that burnt too fast."""
    length = timedelta(seconds=tally.worst.end - tally.worst.start)
    return next(pair.factor for pair in criterion.windows if pair.long == length)


def _newest(criterion: BurnRate, recent: Recent, length: timedelta) -> Recent:
    return recent[-(length // criterion.over) :]


def _rate(criterion: BurnRate, recent: Recent, length: timedelta) -> float:
    """Return the burn rate over the newest `length`; 0.0 without requests."""
    seen = _newest(criterion, recent, length)
    requests, failed = (sum(part) for part in zip(*seen, strict=True)) if seen else (0.0, 0.0)
    if not requests:
        return 0.0
    part_seen = len(seen) * criterion.over / length
    return failed / requests / (1 - criterion.slo) * part_seen
