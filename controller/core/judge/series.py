"""The datapoints that a criterion is judged from: put together window by window, and folded.

`Reader` finds series by the names that a policy gives its metrics; a `Measure` of a criterion turns
the start of a window into its `WindowCounts`. A `Tally` is the fold of the closed windows of a step
into a few numbers. A window belongs to a step when it lies wholly after the step's first judged
second. Windows start at multiples of their length (UTC), as CloudWatch cuts them.
"""

from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import TypeAlias

from controller.core.judge.evidence import BreachRun, Tally
from controller.core.observation import MetricQuery, QueryStatus, Series
from controller.core.policy import Metric
from controller.core.stats.counts import Counts
from controller.core.units import ceil_to
from controller.immutable import Immutable, replace

NO_SERIES = Series(status=QueryStatus.ERROR, message="was not queried")
SAMPLE_COUNT = "SampleCount"


class WindowCounts(Immutable, gc=False):
    """What the series of one window show of a criterion.

    value: what is compared with the bound; breach: it is beyond.
    consistent: False when the series of this window contradict each other or one is missing.
    usual: the share that a stored baseline had at this time of day; 0 where it is not known.
    """

    counts: Counts
    value: float
    breach: bool = False
    consistent: bool = True
    usual: float = 0.0


INCONSISTENT = WindowCounts(Counts(), 0.0, consistent=False)

Measure: TypeAlias = Callable[[int], WindowCounts | None]
"""Start of a window, unix seconds -> the window; None when it has no data."""

FailureCounter: TypeAlias = Callable[[int], tuple[float, float] | None]
"""Start of a window -> requests and failures; None without requests; nan failures: bad data."""


class SparseMeasure:
    """A measure that knows which windows have data, so that no other one is read."""

    def __call__(self, start: int) -> WindowCounts | None:
        """Return the window that begins at `start`."""
        raise NotImplementedError

    def with_data(self, starts: Sequence[int]) -> Sequence[int]:
        """Return those of `starts` at which a window has data."""
        raise NotImplementedError


def no_window(_: int) -> None:
    """Return no window: the measure of what no metric counts."""


def series_key(metric: str, statistic: str, period_s: int) -> str:
    """Return the key of a series inside an observation: `latency:p95@300`."""
    return f"{metric}:{statistic}@{period_s}"


def query(metric: Metric, statistic: str, period_s: int) -> MetricQuery:
    """Return the query for one statistic of `metric`."""
    dimensions = tuple(sorted(metric.dimensions.items()))
    return MetricQuery(
        metric.namespace, metric.name, statistic, period_s, dimensions, metric.source
    )


def measure_since(measure: Measure, since: int) -> Measure:
    """Return `measure` without the windows that begin before `since`, unix seconds."""
    return lambda start: measure(start) if start >= since else None


class Reader(Immutable):
    """The series of an observation, by the metric names of a policy; period_s: of one window."""

    metrics: Mapping[str, Metric]
    series: Mapping[str, Series]
    period_s: int

    def points(self, metric: str, statistic: str | None = None) -> Mapping[int, float]:
        """Return the datapoints of `statistic`, by default that of the metric."""
        return self._series(metric, statistic).points

    def values_and_counts(self, metric: str) -> tuple[Mapping[int, float], Mapping[int, float]]:
        """Return the datapoints of `metric`, and how many samples are behind each."""
        return self.points(metric), self.points(metric, SAMPLE_COUNT)

    def failure_counter(
        self, total: str, failures: Sequence[str], *, capped: bool
    ) -> FailureCounter:
        """Return a function that counts the requests and failures of a window.

        capped: more failures than requests count as all requests, else as bad data. A request may
        be counted twice where failure metrics overlap.
        """
        totals, failed = self.points(total), self._sum_of(failures)

        def count_failures(start: int) -> tuple[float, float] | None:
            requests = totals.get(start, 0.0)
            if requests <= 0:
                return None
            count = failed(start)
            if count > requests:
                return requests, requests if capped else nan
            return requests, count

        return count_failures

    def rest_counter(self, total: str, successes: Sequence[str]) -> FailureCounter:
        """Return a function that counts requests, and those of them that did not succeed.

        A request may be counted in one window and its answer in the next: the second window then
        has a success too many, and its failures may be below 0, also without any request.
        """
        totals, succeeded = self.points(total), self._sum_of(successes)

        def count_rest(start: int) -> tuple[float, float] | None:
            requests, count = totals.get(start, 0.0), succeeded(start)
            if requests <= 0 and not count > 0:
                return None
            return max(requests, 0.0), requests - count

        return count_rest

    def _sum_of(self, metrics: Sequence[str]) -> Callable[[int], float]:
        """Return a function that adds `metrics` up in a window; nan where one is unknown."""
        parts = [(self.points(name), self.absent_is_zero(name)) for name in metrics]

        def add_up(start: int) -> float:
            count = 0.0
            for counts, absent_is_zero in parts:
                value = counts.get(start)
                if value is None and not absent_is_zero:
                    return nan
                count += value or 0.0
            return count

        return add_up

    def absent_is_zero(self, metric: str) -> bool:
        """Tell whether a window without a datapoint of `metric` counts as 0."""
        # What a failed query left out is unknown, not zero.
        complete = self._series(metric).status is QueryStatus.COMPLETE
        return complete and self.metrics[metric].missing == "zero"

    def _series(self, metric: str, statistic: str | None = None) -> Series:
        name = series_key(metric, statistic or self.metrics[metric].statistic, self.period_s)
        return self.series.get(name, NO_SERIES)


# --- The tally of a criterion ---------------------------------------------------------------------

_NO_RUN = BreachRun()


def window_starts(period_s: int, tally: Tally, judged_from: int, end: int) -> range:
    """Return the starts of the windows that are not folded yet and are closed at `end`."""
    begin = max(ceil_to(judged_from, period_s), tally.through)
    return range(begin, end - period_s + 1, period_s)


def fold(tally: Tally, measure: Measure, starts: Sequence[int], period_s: int) -> Tally:
    """Return `tally` with the windows at `starts` folded in, in order.

    Windows without data neither continue nor end a run of breaches: missing data is no evidence.
    """
    if len(starts) > 1 and isinstance(measure, SparseMeasure):
        return _fold_sparse(tally, measure, starts, period_s)
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
        if window.breach:
            first = run.start if run.length else start
            run = BreachRun(run.length + 1, first, through, window.value)
            worst = run if run.length > worst.length else worst
        else:
            run = _NO_RUN
        if last_end:
            since = through - last_end
            spacing = spacing if 0 < spacing < since else since
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


def _fold_sparse(
    tally: Tally, measure: SparseMeasure, starts: Sequence[int], period_s: int
) -> Tally:
    """Return what `fold` does; windows without data are counted, not read."""
    known, last = measure.with_data(starts), starts[-1]
    folded = fold(tally, measure.__call__, known, period_s)  # as a plain function: each is read
    return replace(
        folded,
        through=last + period_s,
        empty=folded.empty + len(starts) - len(known),
        newest_inconsistent=bool(known) and known[-1] == last and folded.newest_inconsistent,
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
