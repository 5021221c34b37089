"""One step of a policy on a history: its series, and its windows, shared by all starts.

The series of a step depend on its weight and not on when a rollout starts. So do the windows of a
criterion without a stored baseline, and the likelihood ratios of each of them.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, TypeAlias

from controller.core.judge.criterion_judge import CriterionJudge, judge_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.sequential_evidence import CriterionTests, gate_tests
from controller.core.judge.series import SAMPLE_COUNT, Measure, SparseMeasure, WindowCounts
from controller.core.observation import Series
from controller.core.policy import Policy
from controller.core.stats.combined_tests import NO_CONTROL, ControlState, MinuteRatios
from controller.core.units import MINUTE_S
from controller.immutable import Immutable, replace
from controller.tools.backtest.past_metrics import (
    HistorySplit,
    as_minutes,
    longer_periods,
    spread_over_minutes,
)
from controller.tools.backtest.prepare import by_minute_source

# How many windows of a criterion are kept: several times what the neighbours of a start share.
_MOST_KEPT: Final = 4_096
_Ratios: TypeAlias = tuple[list[MinuteRatios], ControlState]
# The start of a window that no series has a datapoint for.
_NO_TIME: Final = -MINUTE_S


@dataclass(slots=True)
class WindowCache(SparseMeasure):
    """The windows of one criterion, measured once.

    times: the starts of those that have data, in order.
    """

    measure: Measure
    times: Sequence[int]
    _windows: dict[int, WindowCounts | None] = field(default_factory=dict)

    def __call__(self, start: int) -> WindowCounts | None:
        """Return the window that begins at `start`."""
        try:
            return self._windows[start]
        except KeyError:
            if len(self._windows) >= _MOST_KEPT:
                self._windows.clear()
            window = self._windows[start] = self.measure(start)
            return window

    def with_data(self, starts: Sequence[int]) -> Sequence[int]:
        return [at for at in self.times_between(starts[0], starts[-1] + 1) if at in starts]

    def times_between(self, begin: int, end: int) -> Sequence[int]:
        """Return the starts of windows with data from `begin` to `end`."""
        return self.times[bisect_left(self.times, begin) : bisect_left(self.times, end)]


class _RememberingJudge:
    """A sequential judge that works the ratios of a window out once, while no control is known.

    Its methods return what those of the judge return.
    """

    def __init__(self, judge: SequentialJudge[Any]) -> None:
        self.name, self.first_test = judge.name, judge.first_test
        self.after_gap, self.limit_ratios = judge.after_gap, judge.limit_ratios
        self._judge = judge
        self._known: dict[tuple[int, bool, int], tuple[WindowCounts, _Ratios]] = {}

    def minute_ratios(
        self, window: WindowCounts, control: ControlState, *, judged: bool, minutes: int
    ) -> tuple[list[MinuteRatios], ControlState]:
        if control is not NO_CONTROL:
            return self._judge.minute_ratios(window, control, judged=judged, minutes=minutes)
        # An id is quicker than a hash. The window is kept, so no other one has its id.
        key = (id(window), judged, minutes)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            ratios = self._judge.minute_ratios(window, control, judged=judged, minutes=minutes)
            known = self._known[key] = window, ratios
        return known[1]


class JudgedCriterion(Immutable):
    """A criterion of one step as one start judges it. tests: None without evidence that adds up."""

    judge: CriterionJudge[Any]
    windows: WindowCache
    tests: CriterionTests | None


class StepData:
    """One step of `policy` on the history as `split` divides it."""

    def __init__(self, policy: Policy, step: int, split: HistorySplit) -> None:
        self.policy, self.step, self.split = policy, step, split
        self.weight = policy.steps[step].weight
        self.gate = policy.gate(step)

    @cached_property
    def series(self) -> Mapping[str, Series]:
        """Every series that the gate reads, by series key; with a baseline or without."""
        unread = BaselineMeasurement(1.0, 1.0, 0, 1, 0.05, hours=(0.05,) * 24)
        series: dict[str, Series] = {}
        for name, criterion in self.gate.items():
            for baseline in (None, unread):
                judge = judge_of(name, criterion, self.policy, baseline)
                for metric, statistic, key in judge.series_keys:
                    points = self._points(metric, statistic, judge.period_s)
                    series.setdefault(key, Series(points))
        return series

    def _points(self, metric: str, statistic: str, period_s: int) -> Mapping[int, float]:
        columns, own_s = self.split.columns, self.split.period_s
        source = by_minute_source(metric)
        if source is not None:
            return spread_over_minutes(columns.get((source, statistic), {}), own_s)
        points = columns.get((metric, statistic), {})
        if period_s == own_s:
            return points
        if period_s == MINUTE_S:
            return as_minutes(points, own_s)
        samples = columns.get((metric, SAMPLE_COUNT), {})
        return longer_periods(points, samples, statistic, period_s)

    @cached_property
    def _tests(self) -> Mapping[str, CriterionTests]:
        return gate_tests(self.policy, self.step, {})

    @cached_property
    def _shared(self) -> Mapping[str, JudgedCriterion]:
        return {name: self._judged(name, None) for name in self.gate}

    def criteria(
        self, baselines: Mapping[str, BaselineMeasurement]
    ) -> Mapping[str, JudgedCriterion]:
        """Return the criteria of the gate, with `baselines` of one start."""
        own = {name: baselines[name] for name in self.gate if name in baselines}
        if not own:
            return self._shared
        return {**self._shared, **{name: self._judged(name, one) for name, one in own.items()}}

    def _judged(self, name: str, baseline: BaselineMeasurement | None) -> JudgedCriterion:
        judge = judge_of(name, self.gate[name], self.policy, baseline)
        measure = judge.measure(self.series, has_traffic=self.weight > 0)
        windows = WindowCache(measure, self._times(judge, measure))
        tests = self._tests.get(name)
        if tests is None or not isinstance(judge, SequentialJudge) or judge.lacks_baseline:
            return JudgedCriterion(judge, windows, None)
        own: Any = judge if baseline is not None else _RememberingJudge(judge)
        return JudgedCriterion(judge, windows, replace(tests, judge=own))

    def bad_requests(self, begin: int, end: int) -> float:
        """Return how many requests met an added fault from `begin` to `end`."""
        times, sums = self._bad_sums
        return sums[bisect_left(times, end)] - sums[bisect_left(times, begin)]

    @cached_property
    def _bad_sums(self) -> tuple[Sequence[int], Sequence[float]]:
        times = sorted(self.split.bad_requests)
        counts = (self.split.bad_requests[at] for at in times)
        return times, list(accumulate(counts, initial=0.0))

    def _times(self, judge: CriterionJudge[Any], measure: Measure) -> Sequence[int]:
        if measure(_NO_TIME) is not None:  # a window without a datapoint counts, as 0
            return range(self.split.begin, self.split.end, judge.period_s)
        keys = tuple(key for _, _, key in judge.series_keys)
        known = self._known_times.get(keys)
        if known is None:
            times = sorted({at for key in keys for at in self.series[key].points})
            # Equal times are one object, by which a step knows that it has them already.
            equal = (one for one in self._known_times.values() if one == times)
            known = self._known_times[keys] = next(equal, times)
        return known

    @cached_property
    def _known_times(self) -> dict[tuple[str, ...], Sequence[int]]:
        return {}
