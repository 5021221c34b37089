"""The evidence of a whole rollout for the sequential judge: its tests, and their fold.

`CriterionTests` gives the likelihood ratios of one criterion for one minute. `SequentialEvidence`
folds each closed minute into the tests of the policy, once and in order, and finds the minutes that
speak most for a regression.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import inf
from operator import add
from typing import Any, TypeAlias

from controller.core.judge.evidence import (
    BaselineMeasurement,
    IntervalTotals,
    StepInterval,
)
from controller.core.judge.sequential import (
    SequentialJudge,
    budget_shares,
    sequential_judges,
)
from controller.core.judge.series import NO_SERIES, Measure, WindowCounts, measure_since
from controller.core.observation import QueryStatus, Series
from controller.core.policy import Policy
from controller.core.policy.judge_settings import DEFAULT_FALSE_ROLLBACK
from controller.core.stats.combined_tests import (
    NO_CONTROL,
    CombinedTests,
    ControlState,
    MinuteRatios,
    RegressionStart,
    SequentialState,
    Test,
)
from controller.core.stats.counts import Counts
from controller.core.stats.eprocess import ChangePointPrior
from controller.core.units import MINUTE_S
from controller.immutable import Immutable, replace

# --- Tests of a policy ----------------------------------------------------------------------------


def tests_of(policy: Policy) -> CombinedTests:
    scale = DEFAULT_FALSE_ROLLBACK / policy.budget
    tests = {
        one.name: Test(one.name, part, one.minutes, one.saved, part * scale, one.block)
        for one, part in budget_shares(policy)
    }
    return CombinedTests(tests, ChangePointPrior(len(policy.steps)))


class CriterionTests(Immutable):
    """The sequential tests of one criterion.

    combined: all tests of the policy. gates: False where the step asks for other criteria, and this
    one only watches the stable path.
    """

    judge: SequentialJudge[Any]
    combined: CombinedTests
    gates: bool = True

    def likelihood_ratios(
        self, window: WindowCounts, fold: SequentialState, interval: StepInterval, minute: int
    ) -> tuple[list[MinuteRatios], ControlState | None]:
        """Return the likelihood ratios of the minute that begins at `minute`, unix seconds.

        And what is known of the control after it; None: no more than before.
        window: consistent data of at least one request. fold: over everything before that minute.
        """
        before = fold.controls.get(self.judge.name, NO_CONTROL)
        judged = self.gates and minute >= interval.judged_from
        # Minutes between datapoints; 0 before the second one.
        capital = fold.capitals.get(self.judge.first_test)
        spacing = 0 if capital is None else capital.spacing_at(minute + MINUTE_S)
        if capital is not None:
            before = self.judge.after_gap(before, (minute - capital.newest) // MINUTE_S)
        ratios, after = self.judge.minute_ratios(window, before, judged=judged, minutes=spacing)
        ratios = self.judge.limit_ratios(ratios, window, before, minute - interval.begin)
        return ratios, None if after is before else after

    def fold_minute(
        self, window: WindowCounts, fold: SequentialState, interval: StepInterval, minute: int
    ) -> tuple[list[MinuteRatios], SequentialState]:
        """Return `likelihood_ratios`, and the fold of this criterion alone after the minute."""
        ratios, control = self.likelihood_ratios(window, fold, interval, minute)
        controls = {} if control is None else {self.judge.name: control}
        end = minute + MINUTE_S
        return ratios, self.combined.fold_minute(fold, end, interval.step, ratios, controls)

    def rejected_at(
        self,
        interval: StepInterval,
        minutes: Iterable[tuple[int, WindowCounts]],
        fold: SequentialState,
    ) -> int | None:
        """Return the end of the first of `minutes` after which a test rejects, unix seconds.

        minutes: begin and counts of each that has data. fold: over everything before them.
        None where no test rejects.
        """
        for minute, window in minutes:
            _, fold = self.fold_minute(window, fold, interval, minute)
            if fold.rejections:
                return fold.through
        return None


def gate_tests(
    policy: Policy,
    step: int,
    baselines: Mapping[str, BaselineMeasurement],
    combined: CombinedTests | None = None,
) -> dict[str, CriterionTests]:
    """Return the sequential tests in the gate of step number `step`, by criterion.

    combined: all tests of the policy, where they were made already.
    """
    combined = combined or tests_of(policy)
    return {
        judge.name: CriterionTests(judge, combined)
        for judge in sequential_judges(policy, policy.gate(step), baselines)
    }


def step_judges(
    policy: Policy, step: int, baselines: Mapping[str, BaselineMeasurement]
) -> Iterator[SequentialJudge[Any]]:
    """Yield the judges of step number `step` whose evidence adds up.

    And those of other steps that watch the stable path meanwhile.
    """
    gate = policy.gate(step)
    others = {name: one for name, one in policy.criteria.items() if name not in gate}
    yield from sequential_judges(policy, gate, baselines)
    for judge in sequential_judges(policy, others, baselines):
        if judge.watches_stable_path:
            yield judge


def step_tests(
    policy: Policy,
    step: int,
    baselines: Mapping[str, BaselineMeasurement],
    combined: CombinedTests | None = None,
) -> dict[str, CriterionTests]:
    """Return the tests of `step_judges`, by criterion; those of another step prove nothing.

    combined: as in `gate_tests`.
    """
    combined, gate = combined or tests_of(policy), policy.gate(step)
    return {
        judge.name: CriterionTests(judge, combined, gates=judge.name in gate)
        for judge in step_judges(policy, step, baselines)
    }


def fold_minute(
    combined: CombinedTests,
    tests: Iterable[tuple[CriterionTests, Measure]],
    fold: SequentialState,
    interval: StepInterval,
    minute: int,
) -> SequentialState:
    """Return `fold` after the minute of `interval` that begins at `minute`, unix seconds.

    combined: all tests of the policy. tests: those of the step, with the windows of each.
    """
    ratios: list[MinuteRatios] = []
    controls: dict[str, ControlState] = {}
    for one, measure in tests:
        window = measure(minute)
        if window is None or not window.consistent:
            continue
        own_ratios, control = one.likelihood_ratios(window, fold, interval, minute)
        ratios += own_ratios
        if control is not None:
            controls[one.judge.name] = control
    return combined.fold_minute(fold, minute + MINUTE_S, interval.step, ratios, controls)


# --- Minutes of a regression ----------------------------------------------------------------------

RegressionMinute: TypeAlias = tuple[int, Counts, Sequence[float]]
"""A minute or block of one test: its start, unix seconds, its counts, a log ratio an effect."""


def _strongest_start(
    minutes: Sequence[RegressionMinute], earlier: RegressionStart | None = None
) -> RegressionStart | None:
    """Return the newest minutes that together speak most for any one effect; None without minutes.

    earlier: those before the checkpoint, which the minutes may continue.
    """
    if not minutes:
        return earlier
    best, first, effect = -inf, 0, 0
    sums = (0.0,) * len(minutes[0][2])
    for index in range(len(minutes) - 1, -1, -1):
        sums = tuple(map(add, sums, minutes[index][2]))
        if max(sums) > best:
            best, first, effect = max(sums), index, sums.index(max(sums))
    continued = earlier is not None and sums[earlier.effect] + earlier.log_ratio > best
    counts = sum((one for _, one, _ in minutes[0 if continued else first :]), Counts())
    if earlier is None or not continued:
        return RegressionStart(effect, best, minutes[first][0], counts)
    log_ratio = earlier.log_ratio + sums[earlier.effect]
    return RegressionStart(earlier.effect, log_ratio, earlier.start, earlier.counts + counts)


# --- Fold -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SequentialEvidence:
    """The evidence of a whole rollout: the checkpoint, and the minutes since. Each is folded once.

    fold: that of the checkpoint; intervals: the steps that the minutes since belong to.
    series: by series key; baselines: by criterion. judged_since: as `Evidence` has it.
    judges, measures: of the criteria that were folded, by name; each reads a minute once. With
        traffic, as everything that is folded had.
    """

    policy: Policy
    fold: SequentialState
    intervals: tuple[StepInterval, ...]
    series: Mapping[str, Series]
    baselines: Mapping[str, BaselineMeasurement]
    judged_since: Mapping[str, int] = field(default_factory=dict)
    # Not those of the evidence that this one was made from: it has other series.
    judges: dict[str, SequentialJudge[Any]] = field(default_factory=dict, init=False)
    measures: dict[str, Measure] = field(default_factory=dict, init=False)
    _folds: dict[int, SequentialState] = field(
        default_factory=dict
    )  # by the end of their last minute
    _tests: dict[int, dict[str, CriterionTests]] = field(default_factory=dict)  # by step

    @cached_property
    def combined(self) -> CombinedTests:
        """All tests of the policy."""
        return tests_of(self.policy)

    def fold_until(self, end: int) -> SequentialState:
        """Return the fold over all minutes that are over at `end`, in order and each once.

        A criterion whose series were not answered in full contributes nothing.
        """
        fold = self._folds.get(
            max((one for one in self._folds if one <= end), default=0), self.fold
        )
        for interval in self.intervals:
            until = min(interval.end or end, end)
            first = max(interval.begin, fold.through)
            if first < until:
                for fold in self._fold_interval(  # noqa: B020 - each one continues the one before
                    fold, interval, range(first, until, MINUTE_S)
                ):
                    self._folds[fold.through] = fold
        return fold

    def fold_to_checkpoint(self, end: int, give_up_end: int) -> SequentialState:
        """Return the fold to store: up to `end`, or `give_up_end` while a query is unanswered.

        end: minutes before it can no longer change. give_up_end: minutes before it are no longer
        queried. Both in unix seconds.
        """
        fold = self.fold_until(end if self.complete else min(end, give_up_end))
        by_test = self._minutes_by_test(fold.through)
        onsets = {
            test: _strongest_start(by_test.get(test, ()), self.fold.onsets.get(test))
            for test in {**self.fold.onsets, **by_test}
        }
        speaking = {test: onset for test, onset in onsets.items() if onset and onset.log_ratio > 0}
        return replace(fold, onsets=speaking)

    def find_regression(self, test: str, end: int) -> IntervalTotals | None:
        """Return the minutes for which `test` rolls back; None where the checkpoint has all.

        end: of the minute in which its evidence was highest, unix seconds. They end there, and
        begin where most of the evidence speaks for a change, however long ago that was.
        """
        minutes = self._minutes_by_test(end).get(test)
        if not minutes:
            return None
        found = _strongest_start(minutes, self.fold.onsets.get(test))
        if found is None:
            return None
        return IntervalTotals(found.start, end, found.counts)

    def _minutes_by_test(self, end: int) -> dict[str, list[RegressionMinute]]:
        """Return the minutes with data after the checkpoint that are over at `end`, by test."""
        by_test: dict[str, list[RegressionMinute]] = {}
        for interval in self.intervals:
            first = max(interval.begin, self.fold.through)
            minutes = range(first, min(interval.end or end, end), MINUTE_S)
            for tests, measure in self._tests_with_data(interval):
                fold = SequentialState(capitals=self.fold.capitals)
                for minute in minutes:
                    window = measure(minute)
                    if window is None or not window.consistent:
                        continue
                    ratios, fold = tests.fold_minute(window, fold, interval, minute)
                    for ratio in ratios:
                        start, counts = minute, window.counts
                        if (block := ratio.block) is not None:
                            start -= (block.minutes - 1) * MINUTE_S
                            counts = Counts(block.requests, block.failed, fail_amount=block.failed)
                        by_test.setdefault(ratio.test, []).append((start, counts, ratio.log_ratios))
        return by_test

    @property
    def complete(self) -> bool:
        """True when every series that anything is folded from was answered in full."""
        return all(
            self._is_complete(tests)
            for interval in self.intervals
            for tests in self._tests_of(interval)
        )

    def _fold_interval(
        self, fold: SequentialState, interval: StepInterval, minutes: range
    ) -> Iterator[SequentialState]:
        combined, tests_with_data = self.combined, list(self._tests_with_data(interval))
        for minute in minutes:
            fold = fold_minute(combined, tests_with_data, fold, interval, minute)
            yield fold

    def _tests_with_data(self, interval: StepInterval) -> Iterator[tuple[CriterionTests, Measure]]:
        for tests in self._tests_of(interval):
            if self._is_complete(tests) and not tests.judge.lacks_baseline:
                measure = self._measure_of(tests.judge)
                since = self.judged_since.get(tests.judge.name)
                yield tests, measure if since is None else measure_since(measure, since)

    def _measure_of(self, judge: SequentialJudge[Any]) -> Measure:
        """Return the function that reads a minute of a criterion, of which it is kept."""
        if judge.name not in self.measures:
            self.judges[judge.name] = judge
            self.measures[judge.name] = cache(judge.measure(self.series, has_traffic=True))
        return self.measures[judge.name]

    def _tests_of(self, interval: StepInterval) -> Collection[CriterionTests]:
        step = interval.step
        if step not in self._tests:
            self._tests[step] = step_tests(self.policy, step, self.baselines, self.combined)
        return self._tests[step].values()

    def _is_complete(self, tests: CriterionTests) -> bool:
        keys = (key for _, _, key in tests.judge.series_keys)
        return all(self.series.get(key, NO_SERIES).status is QueryStatus.COMPLETE for key in keys)
