"""The tally of a criterion: the fold of its closed windows into a few numbers.

A window belongs to a step when it lies wholly after the step's first judged second. Windows start
at multiples of their length (UTC), as CloudWatch cuts them.
"""

from collections.abc import Iterable

from controller.core.judge.evidence import BreachRun, Tally
from controller.core.judge.series import Measure
from controller.core.units import ceil_to
from controller.immutable import replace


def window_starts(period_s: int, tally: Tally, judged_from: int, end: int) -> range:
    """Return the starts of the windows that are not folded yet and are closed at `end`."""
    begin = max(ceil_to(judged_from, period_s), tally.through)
    return range(begin, end - period_s + 1, period_s)


def fold(tally: Tally, measure: Measure, starts: Iterable[int], period_s: int) -> Tally:
    """Return `tally` with the windows at `starts` folded in, in order.

    Windows without data neither continue nor end a run of breaches: missing data is no evidence.
    """
    through, empty, unknown, count = tally.through, tally.empty, tally.inconsistent, tally.windows
    counts, run, worst = tally.counts, tally.run, tally.longest_run
    last, last_end, last_breach = tally.last, tally.last_end, tally.last_breach
    tail_unfit, spacing = tally.newest_inconsistent, tally.spacing
    for start in starts:
        through = start + period_s
        window = measure(start)
        tail_unfit = window is not None and not window.consistent
        if window is None:
            empty += 1
            continue
        if not window.consistent:
            unknown += 1
            continue
        count += 1
        counts += window.counts
        first = run.start if run.length else start
        run = BreachRun(run.length + 1, first, through, window.value) if window.breach else _NO_RUN
        worst = run if run.length > worst.length else worst
        if last_end:
            spacing = min(spacing or through - last_end, through - last_end)
        last, last_end, last_breach = window.value, through, window.breach
    return Tally(
        through=through,
        windows=count,
        empty=empty,
        inconsistent=unknown,
        unanswered=tally.unanswered,
        counts=counts,
        run=run,
        longest_run=worst,
        last=last,
        last_end=last_end,
        last_breach=last_breach,
        newest_inconsistent=tail_unfit,
        spacing=spacing,
        recent=tally.recent,
    )


def silent_periods(tally: Tally, period_s: int) -> int:
    """Return how many periods have closed without data since the newest window with data.

    Periods of the metric itself: one that is published every five minutes is silent after ten
    minutes, however short the windows are in which it is read. period_s: length of those.
    """
    own_s = max(tally.spacing, period_s)
    return max(0, (tally.through - tally.last_end + period_s) // own_s - 1)


def mark_lost(tally: Tally, starts: range, period_s: int) -> Tally:
    """Return `tally` with the windows at `starts` counted as lost: they are not read again.

    They end a run of breaches: a window that was never read may have been within the bound.
    """
    if not starts:
        return tally
    return replace(
        tally,
        through=starts[-1] + period_s,
        unanswered=tally.unanswered + len(starts),
        run=_NO_RUN,
        newest_inconsistent=False,
        recent=(*tally.recent, *((0.0, 0.0) for _ in starts)) if tally.recent else (),
    )


_NO_RUN = BreachRun()
