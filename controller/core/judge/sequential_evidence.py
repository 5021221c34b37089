"""The evidence of a whole rollout for the sequential judge: its tests, and their fold.

`CriterionTests` gives the likelihood ratios of one criterion for one minute. `SequentialEvidence`
folds each closed minute into the tests of the policy, once and in order, and finds the minutes that
speak most for a regression.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from operator import add
from typing import Any, TypeAlias

from controller.core.judge.criterion_judge import is_complete, judges_of
from controller.core.judge.evidence import (
    BaselineMeasurement,
    IntervalTotals,
    StepInterval,
    criterion_of,
)
from controller.core.judge.memo import FoldMemo
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.series import Measure, Window
from controller.core.observation import Series
from controller.core.policy import Criterion, Policy
from controller.core.stats.combined_tests import (
    ControlState,
    Fold,
    LikelihoodRatios,
    Test,
    fold_minute,
)
from controller.core.stats.eprocess import Capital, cap_for
from controller.core.stats.prior import ChangePointPrior
from controller.core.units import MINUTE_S

# --- Tests of a policy ----------------------------------------------------------------------------

NO_CONTROL, _INITIAL_CAPITAL = ControlState(), Capital()
# The series that the sequential judge reads: their keys end like this.
_OF_MINUTES = f"@{MINUTE_S}"
_MEMO = FoldMemo[Fold]()


def tests_of(policy: Policy) -> dict[str, Test]:
    """Return every test of `policy`; their parts of the budget add up to it."""
    judges = _sequential_judges(policy, policy.criteria, {})
    parts = [part for judge in judges for part in judge.tests()]
    unit = policy.budget / sum(one.share for one in parts) if parts else 0.0
    return {
        name: Test(name, share * unit, cap_for(share * unit, min_minutes))
        for name, share, min_minutes in parts
    }


def change_point_prior(policy: Policy) -> ChangePointPrior:
    """Return the prior of when a regression begins, for the steps and bake times of `policy`."""
    baked = sum(step.bake.total_seconds() for step in policy.steps)
    return ChangePointPrior(len(policy.steps), int(baked) // MINUTE_S)


@dataclass(frozen=True, slots=True)
class CriterionTests:
    """The sequential tests of one criterion.

    prior: of the minute in which a regression begins. tests: by name.
    """

    judge: SequentialJudge[Any]
    prior: ChangePointPrior
    tests: Mapping[str, Test]

    def likelihood_ratios(
        self, window: Window, fold: Fold, interval: StepInterval, minute: int
    ) -> tuple[list[LikelihoodRatios], ControlState]:
        """Return the likelihood ratios of the minute that begins at `minute`, unix seconds.

        And what is known of the control after it. window: consistent data of at least one request;
        fold: over everything before that minute.
        """
        before = fold.controls.get(self.judge.name, NO_CONTROL)
        judged = minute >= interval.judged_from
        ratios, after = self.judge.minute_ratios(window, before, judged=judged)
        capital_of, prior_share, step = fold.capitals.get, self.prior.share, interval.step
        weighed = [
            LikelihoodRatios(
                self.tests[test],
                log_ratios,
                prior_share(capital_of(test, _INITIAL_CAPITAL), step),
                dispersion,
                step,
            )
            for test, log_ratios, dispersion in ratios
        ]
        return weighed, after


def gate_tests(
    policy: Policy, step: int, baselines: Mapping[str, BaselineMeasurement]
) -> dict[str, CriterionTests]:
    """Return the sequential tests in the gate of step number `step`, by criterion."""
    prior, tests = change_point_prior(policy), tests_of(policy)
    return {
        judge.name: CriterionTests(judge, prior, tests)
        for judge in _sequential_judges(policy, policy.gate(step), baselines)
    }


def _sequential_judges(
    policy: Policy,
    criteria: Mapping[str, Criterion],
    baselines: Mapping[str, BaselineMeasurement],
) -> Iterator[SequentialJudge[Any]]:
    for judge in judges_of(policy, criteria, baselines):
        if judge.criterion.sequential and isinstance(judge, SequentialJudge):
            yield judge


# --- Minutes of a regression ----------------------------------------------------------------------

RegressionMinute: TypeAlias = tuple[int, Window, tuple[float, ...]]
"""One minute of one test: its start in unix seconds, its counts, its log ratio for each effect."""


def _minute_ratios(
    tests: CriterionTests, measure: Measure, interval: StepInterval, minutes: range, test: str
) -> Iterator[RegressionMinute]:
    """Yield each minute with data, its counts, and its log ratios in `test`."""
    fold = Fold()
    for minute in minutes:
        window = measure(minute)
        if window is not None and window.consistent:
            ratios, control = tests.likelihood_ratios(window, fold, interval, minute)
            fold = replace(fold, controls={tests.judge.name: control})
            yield from ((minute, window, one.log_ratios) for one in ratios if one.test.name == test)


def _strongest_interval(minutes: Sequence[RegressionMinute]) -> IntervalTotals | None:
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
        hung=sum(one.hung for one in windows),
        control_hung=sum(one.control_hung for one in windows),
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
        folds = self._known_folds()
        fold = folds.get(max((one for one in folds if one <= end), default=0), self.fold)
        for interval in self.intervals:
            until = min(interval.end or end, end)
            first = max(interval.begin, fold.through)
            if first < until:
                for fold in self._fold_interval(  # noqa: B020 - each one continues the one before
                    fold, interval, range(first, until, MINUTE_S)
                ):
                    folds[fold.through] = fold
        return fold

    def _known_folds(self) -> dict[int, Fold]:
        """Return the folds after earlier minutes that were made already, by end of the minute."""
        minutes = {key: one for key, one in self.series.items() if key.endswith(_OF_MINUTES)}
        inputs = self.policy, self.fold, self.baselines, self.intervals
        first = self.intervals[0].begin if self.intervals else 0
        return _MEMO.results((id(self.policy), first), inputs, minutes)

    def fold_to_seal(self, end: int, give_up_end: int) -> Fold:
        """Return the fold to store: up to `end`, or `give_up_end` while a query is unanswered.

        end: minutes before it can no longer change. give_up_end: minutes before it are no longer
        queried. Both in unix seconds.
        """
        return self.fold_until(end if self.complete else min(end, give_up_end))

    def find_regression(self, test: str, end: int) -> IntervalTotals | None:
        """Return the minutes for which `test` rolls back; None where they are sealed.

        end: of the minute in which its evidence was highest, unix seconds. They end there, and
        begin where most of the evidence speaks for a change.
        """
        minute_ratios: list[RegressionMinute] = []
        for interval in self.intervals:
            until = min(interval.end or end, end)
            for tests, measure in self._tests_with_data(interval):
                if tests.judge.name == criterion_of(test):
                    minutes = range(max(interval.begin, self.fold.through), until, MINUTE_S)
                    minute_ratios += _minute_ratios(tests, measure, interval, minutes, test)
        return _strongest_interval(minute_ratios)

    @property
    def complete(self) -> bool:
        """True when every series that anything is folded from was answered in full."""
        return all(
            self._is_complete(tests)
            for interval in self.intervals
            for tests in gate_tests(self.policy, interval.step, self.baselines).values()
        )

    def _fold_interval(self, fold: Fold, interval: StepInterval, minutes: range) -> Iterator[Fold]:
        """Yield the fold after each of `minutes`."""
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
                if control is not fold.controls.get(tests.judge.name, NO_CONTROL):
                    controls[tests.judge.name] = control
            fold = fold_minute(fold, minute + MINUTE_S, ratios, controls)
            yield fold

    def _tests_with_data(self, interval: StepInterval) -> Iterator[tuple[CriterionTests, Measure]]:
        for tests in gate_tests(self.policy, interval.step, self.baselines).values():
            if self._is_complete(tests) and not tests.judge.lacks_baseline:
                yield tests, tests.judge.measure(self.series, has_traffic=True)

    def _is_complete(self, tests: CriterionTests) -> bool:
        return is_complete(self.series, [key for _, _, key in tests.judge.series_keys])
