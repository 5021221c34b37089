"""What the sequential judge concludes from: the fold over all minutes of a rollout.

`SequentialEvidence` folds each closed minute into the tests of the policy, once and in order, and
finds the minutes that speak most for a regression.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from operator import add
from typing import TypeAlias

from controller.core.judge.evidence import BaselineMeasurement, IntervalTotals, StepInterval
from controller.core.judge.kind import is_complete
from controller.core.judge.sequential_tests import (
    NO_CONTROL,
    CriterionTests,
    gate_tests,
    tests_of,
)
from controller.core.judge.series import Measure, Window
from controller.core.observation import Series
from controller.core.policy import Policy
from controller.core.stats.combined_tests import (
    ControlState,
    Fold,
    LikelihoodRatios,
    Test,
    fold_minute,
)
from controller.core.units import MINUTE_S

# --- Minutes of a regression ----------------------------------------------------------------------

MinuteRatios: TypeAlias = tuple[int, Window, tuple[float, ...]]
"""One minute of one test: its start in unix seconds, its counts, its log ratio for each effect."""


def _minute_ratios(
    tests: CriterionTests, measure: Measure, interval: StepInterval, minutes: range, test: str
) -> Iterator[MinuteRatios]:
    """Yield each minute with data, its counts, and its log ratios in `test`."""
    fold = Fold()
    for minute in minutes:
        window = measure(minute)
        if window is not None and window.consistent:
            ratios, control = tests.likelihood_ratios(window, fold, interval, minute)
            fold = replace(fold, controls={tests.kind.name: control})
            yield from ((minute, window, one.log_ratios) for one in ratios if one.test == test)


def _strongest_interval(minutes: Sequence[MinuteRatios]) -> IntervalTotals | None:
    """Return the totals of the newest minutes that together speak most for any one effect."""
    best, first = -inf, 0
    sums: tuple[float, ...] = ()
    for index in range(len(minutes) - 1, -1, -1):
        ratios = minutes[index][2]
        sums = tuple(map(add, sums, ratios)) if sums else ratios
        if max(sums) > best:
            best, first = max(sums), index
    if not minutes:
        return None
    windows = [window for _, window, _ in minutes[first:]]
    return IntervalTotals(
        start=minutes[first][0],
        end=minutes[-1][0] + MINUTE_S,
        requests=sum(one.samples for one in windows),
        amount=sum(one.amount for one in windows),
        fail_amount=sum(one.fail_amount for one in windows),
        control_requests=sum(one.control_samples for one in windows),
        control_amount=sum(one.control_amount for one in windows),
    )


# --- Fold -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SequentialEvidence:
    """The evidence of a whole rollout: what is sealed, and the minutes since.

    fold: what is sealed; intervals: the steps that the minutes since belong to.
    series: by series key; baselines: by criterion.
    """

    policy: Policy
    fold: Fold
    intervals: tuple[StepInterval, ...]
    series: Mapping[str, Series]
    baselines: Mapping[str, BaselineMeasurement]

    def fold_until(self, end: int) -> Fold:
        """Return the fold over all minutes that are over at `end`, in order and each once.

        A criterion whose series were not answered in full contributes nothing.
        """
        fold, all_tests = self.fold, tests_of(self.policy)
        for interval in self.intervals:
            until = min(interval.end or end, end)
            first = max(interval.begin, fold.through)
            if first < until:
                fold = self._fold_interval(fold, interval, range(first, until, MINUTE_S), all_tests)
        return fold

    def fold_to_seal(self, end: int, give_up_end: int) -> Fold:
        """Return the fold to store: up to `end`, or `give_up_end` while a query is unanswered.

        end: minutes before it can no longer change. give_up_end: minutes before it are no longer
        queried. Both in unix seconds.
        """
        return self.fold_until(end if self.complete else min(end, give_up_end))

    def find_regression(self, name: str, fold: Fold) -> IntervalTotals | None:
        """Return the minutes for which criterion `name` fails; None where they are sealed.

        They end where the evidence was at its peak, and begin where most of it speaks for a change.
        """
        minute_ratios: list[MinuteRatios] = []
        for interval in self.intervals:
            until = min(interval.end or fold.peak_at, fold.peak_at)
            for tests, measure in self._tests_with_data(interval):
                if tests.kind.name == name:
                    minutes = range(max(interval.begin, self.fold.through), until, MINUTE_S)
                    minute_ratios += _minute_ratios(tests, measure, interval, minutes, fold.carried)
        return _strongest_interval(minute_ratios)

    @property
    def complete(self) -> bool:
        """True when every series that anything is folded from was answered in full."""
        return all(
            self._is_complete(tests)
            for interval in self.intervals
            for tests in gate_tests(self.policy, interval.step, self.baselines).values()
        )

    def _fold_interval(
        self, fold: Fold, interval: StepInterval, minutes: range, all_tests: tuple[Test, ...]
    ) -> Fold:
        tests_with_data = list(self._tests_with_data(interval))
        for minute in minutes:
            ratios: list[LikelihoodRatios] = []
            controls: dict[str, ControlState] = {}
            for tests, measure in tests_with_data:
                window = measure(minute)
                if window is None or not window.consistent:
                    continue
                own_ratios, control = tests.likelihood_ratios(window, fold, interval, minute)
                ratios += own_ratios
                if control is not fold.controls.get(tests.kind.name, NO_CONTROL):
                    controls[tests.kind.name] = control
            fold = fold_minute(fold, minute + MINUTE_S, ratios, controls, all_tests)
        return fold

    def _tests_with_data(self, interval: StepInterval) -> Iterator[tuple[CriterionTests, Measure]]:
        for tests in gate_tests(self.policy, interval.step, self.baselines).values():
            if self._is_complete(tests) and not tests.kind.lacks_baseline:
                yield tests, tests.kind.measure(self.series, has_traffic=True)

    def _is_complete(self, tests: CriterionTests) -> bool:
        return is_complete(self.series, [key for _, _, key in tests.kind.series_keys])
