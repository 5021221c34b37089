"""One start on a history: `decide` moves a simulated rollout from step to step.

Evidence is folded once for each period, with the judge's own tests. A gate is concluded only where
its verdict can matter or change: at the end of a bake, in a hold, when a test rejects, and when the
windows of a literal criterion may fail.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Final

from controller.core.decide import decide, decide_progressing
from controller.core.events import Started
from controller.core.judge.evidence import BaselineMeasurement, StepInterval, Tally
from controller.core.judge.gate import Evidence
from controller.core.judge.judgement import Judgement
from controller.core.judge.sequential_evidence import fold_minute, tests_of
from controller.core.judge.series import SAMPLE_COUNT, window_starts
from controller.core.judge.series import query as query_of
from controller.core.observation import (
    MetricQuery,
    Observation,
    Series,
    Span,
    TargetReading,
    UpdateStatus,
)
from controller.core.rollout import Phase, Progressing, Rollout
from controller.core.stats.combined_tests import SequentialState
from controller.core.transitions.advance import confirm_applied
from controller.core.units import ceil_to, from_unix
from controller.immutable import Immutable, replace
from controller.operations.start.baselines import (
    BaselinePeriod,
    BaselineRequest,
    baseline_requests,
    periods_of,
    value_of,
)
from controller.tools.backtest.faults import Fault, add_fault
from controller.tools.backtest.outcome import Ending, NotCounted, Run
from controller.tools.backtest.past_metrics import HistorySplit, Points, longer_periods
from controller.tools.backtest.prepare import BacktestInput
from controller.tools.backtest.step_on_history import JudgedCriterion, StepData


class BacktestSetup(Immutable):
    """What is played, the same for every start. every: time between ticks."""

    subject: BacktestInput
    every: timedelta
    fault: Fault | None = None

    @property
    def planned_time(self) -> timedelta:
        """How long a rollout takes that never holds: each step is over at a tick."""
        policy = self.subject.policy
        return policy.shortest_duration + len(policy.steps) * self.every


def possible_starts(setup: BacktestSetup, apart: timedelta) -> range:
    """Return each start from which the history lasts for the planned time; apart: from start to
    start.
    """
    history, step_s = setup.subject.history, int(apart.total_seconds())
    planned_s = int(setup.planned_time.total_seconds())
    return range(ceil_to(history.begin, step_s), history.end - planned_s + 1, step_s)


class BacktestPlayer:
    """Plays starts of one setup; what they share is worked out once."""

    def __init__(self, setup: BacktestSetup) -> None:
        self.setup, self.policy = setup, setup.subject.policy
        self.tests = tests_of(self.policy)
        self.history = setup.subject.history
        self.stages = [self._stage(step) for step in range(len(self.policy.steps))]
        # By criterion and length: all periods of the history, and their starts.
        self._all_periods: dict[tuple[str, int], tuple[list[BaselinePeriod], list[int]]] = {}
        # Neighbouring starts have nearly all ticks in common.
        self.settled_end = lru_cache(1_024)(lambda tick: self.policy.settled_end(from_unix(tick)))
        self._last_baseline: dict[str, tuple[Span | None, BaselineMeasurement | None]] = {}

    def _stage(self, step: int) -> StepData:
        weight, fault = self.policy.steps[step].weight, self.setup.fault
        split = HistorySplit(self.policy, self.history, weight)
        if fault is not None and weight >= fault.weight:
            add_fault(split, fault)
        return StepData(self.policy, step, split)

    def play(self, start: int) -> Run | NotCounted:
        """Return how a rollout from `start` ends, or why it is not counted."""
        baselines = self.baselines(start)
        if baselines is None:
            return NotCounted.NO_BASELINE
        return _SimulatedRollout(self, start, baselines).run() or NotCounted.UNFINISHED

    # --- baselines --------------------------------------------------------------------------------

    def baselines(self, start: int) -> dict[str, BaselineMeasurement] | None:
        """Return the baselines of a rollout that starts at `start`, as `start` reads them."""
        found: dict[str, BaselineMeasurement] = {}
        for request in baseline_requests(self.policy, from_unix(start)):
            value = self._baseline(request)
            if value is None or value.samples < request.min_samples:
                return None
            found[request.criterion] = value
        return found

    def _baseline(self, request: BaselineRequest) -> BaselineMeasurement | None:
        if request.span.start < self.history.begin:
            return None
        span, value = self._last_baseline.get(request.criterion, (None, None))
        if span != request.span:  # a window with fixed ends is the same for every start
            value = value_of(request, self._periods(request))
            self._last_baseline[request.criterion] = request.span, value
        return value

    def _periods(self, request: BaselineRequest) -> Sequence[BaselinePeriod]:
        """Return what `periods_of` would, before any canary."""
        key = request.criterion, request.value.period_s  # an old window has longer periods
        if key not in self._all_periods:
            whole = replace(request, span=Span(self.history.begin, self.history.end))
            series = {one: Series(self._points(one)) for one in request.queries}
            periods = periods_of(whole, series)
            self._all_periods[key] = periods, [one.at for one in periods]
        periods, times = self._all_periods[key]
        begin, end = bisect_left(times, request.span.start), bisect_left(times, request.span.end)
        return periods[begin:end]

    def _points(self, query: MetricQuery) -> Points:
        """Return what `query` would answer of the whole history, in order."""
        columns = self.history.columns
        for name, metric in self.policy.metrics.items():
            points = columns.get((name, query.statistic), {})
            if points and query_of(metric, query.statistic, query.period_s) == query:
                samples = columns.get((name, SAMPLE_COUNT), {})
                found = longer_periods(points, samples, query.statistic, query.period_s)
                return dict(sorted(found.items()))
        return {}


class _JudgedStep:
    """One step as one start judges it.

    tests: of the criteria whose evidence adds up, with their windows. literal: those that compare
    window by window, and can fail.
    """

    def __init__(self, stage: StepData, baselines: Mapping[str, BaselineMeasurement]) -> None:
        self.stage, self.criteria = stage, stage.criteria(baselines)
        judged = self.criteria.items()
        self.judges = {name: criterion.judge for name, criterion in judged}
        self.measures = {name: criterion.windows for name, criterion in judged}
        self.tests = [(one.tests, one.windows) for _, one in judged if one.tests is not None]
        self.literal = [
            (name, criterion)
            for name, criterion in judged
            if criterion.judge.has_windows
            and not criterion.judge.criterion.sequential
            and criterion.judge.can_fail_after(None)
        ]
        self._timed = list({id(windows.times): windows for _, windows in self.tests}.values())

    def minutes(self, begin: int, end: int) -> Sequence[int]:
        """Return the minutes from `begin` to `end` in which evidence that adds up has data."""
        if len(self._timed) == 1:
            return self._timed[0].times_between(begin, end)
        parts = [windows.times_between(begin, end) for windows in self._timed]
        return sorted({at for part in parts for at in part})


@dataclass(frozen=True, eq=False)
class _StepJudgement(Judgement):
    """A judgement of closed minutes: what is open may have data of later than now.

    step: what is known of its criteria.
    """

    step: _JudgedStep

    @cached_property
    def evidence(self) -> Evidence | None:
        made = super().evidence
        if made is None:
            return None
        return replace(
            made,
            open_end=made.closed_end,
            known_judges=self.step.judges,
            known_measures=self.step.measures,
        )


class _SimulatedRollout:
    """One rollout, from its start to its end: `decide` moves it, and the evidence is folded here.

    A weight is read back in the tick that decided it.
    """

    rollout: Rollout
    intervals: tuple[StepInterval, ...]
    judged_from: int
    bake_end: int

    def __init__(
        self, player: BacktestPlayer, start: int, baselines: Mapping[str, BaselineMeasurement]
    ) -> None:
        self.player, self.policy, self.start = player, player.policy, start
        self.fold = SequentialState()
        self.applied: list[int] = []  # when each step that was reached
        self.steps: list[_JudgedStep] = []
        started = Started(self.policy, "", _reading(0), 1, baselines)
        self._move_to(decide(None, started, from_unix(start)).rollout, start)

    def run(self) -> Run | None:
        """Return how it ends; None where the history ends before, in a hold."""
        tick, every_s = self.start, int(self.player.setup.every.total_seconds())
        while isinstance(state := self.rollout.state, Progressing):
            if tick >= self.player.history.end:
                return None
            tick += every_s
            self._tick(state, tick)
        return self._end(tick)

    # --- ticks ------------------------------------------------------------------------------------

    def _tick(self, state: Progressing, tick: int) -> None:
        """Fold the evidence until `tick`, and decide where that can matter."""
        closed_end = self.player.settled_end(tick)
        self._fold_until(closed_end)
        may_fail = self._fold_windows(closed_end)
        if not (closed_end >= self.bake_end or may_fail or self.fold.rejections):
            return
        step, now = self.steps[-1], from_unix(tick)
        for name, criterion in step.criteria.items():
            self._folded(name, criterion, closed_end)
        stored = replace(
            self.rollout.evidence, fold=self.fold, tallies=self.tallies, checkpoint_at=now
        )
        rollout = replace(self.rollout, evidence=stored, updated=now)
        observation = Observation(_reading(rollout.weight), step.stage.series)
        judgement = _StepJudgement(rollout, observation, now, self.rollout.updated, step)
        self._move_to(decide_progressing(rollout, state, judgement).rollout, tick)

    def _move_to(self, decided: Rollout, tick: int) -> None:
        """Take the decision of `tick`; a weight is read back, and its step is judged from then."""
        self.rollout, state, pending = decided, decided.state, decided.pending
        if pending is None or not isinstance(state, Progressing):
            return
        rollout = self.rollout = confirm_applied(decided, state, pending, from_unix(tick)).rollout
        self.intervals, self.tallies = rollout.intervals_after_checkpoint, dict[str, Tally]()
        self.judged_from = rollout.judged_from or 0
        self.bake_end = self.policy.bake_end_of(rollout.step, self.judged_from)
        stage = self.player.stages[rollout.step]
        self.steps.append(_JudgedStep(stage, rollout.evidence.baselines))
        self.applied.append(tick)

    # --- evidence ---------------------------------------------------------------------------------

    def _fold_until(self, end: int) -> None:
        """Fold every minute that is over at `end`, of this step and of those before it."""
        for interval in self.intervals:
            first = max(interval.begin, self.fold.through)
            until = min(interval.end or end, end)
            if first >= until:
                continue
            step = self.steps[interval.step]
            for minute in step.minutes(first, until):
                self.fold = fold_minute(self.player.tests, step.tests, self.fold, interval, minute)
        self.fold = replace(self.fold, through=end)

    def _fold_windows(self, closed_end: int) -> bool:
        """Fold the closed windows of literal criteria; tell whether one of them may fail."""
        may_fail = False
        for name, one in self.steps[-1].literal:
            may_fail |= one.judge.may_fail_early(self._folded(name, one, closed_end))
        return may_fail

    def _folded(self, name: str, one: JudgedCriterion, end: int) -> Tally:
        """Return the tally of a criterion over the windows of the step that are closed at `end`."""
        before = self.tallies.get(name, _NO_TALLY)
        starts = window_starts(one.judge.period_s, before, self.judged_from, end)
        if starts:
            self.tallies[name] = one.judge.fold(before, one.windows, starts)
        return self.tallies.get(name, before)

    # --- ends -------------------------------------------------------------------------------------

    def _end(self, tick: int) -> Run:
        """Return the end of the rollout at `tick`.

        Its causes: the criteria that failed, or those that were undecided when its hold ended.
        """
        state, findings = self.rollout.state, self.rollout.evidence.findings
        ending = _ENDINGS[state.phase]
        failed = tuple(finding.criterion for finding in findings if finding.fails)
        undecided = tuple(finding.criterion for finding in findings if finding.blocks_advance)
        fault, ends = self.player.setup.fault, [*self.applied[1:], tick]
        spans = list(zip(self.steps, self.applied, ends, strict=True))
        faulty = (at for step, at, _ in spans if fault and step.stage.weight >= fault.weight)
        return Run(
            start=self.start,
            end=tick,
            ending=ending,
            weight=self.policy.steps[self.rollout.step].weight,
            causes=() if ending == "promoted" else failed or undecided,
            fault_at=next(faulty, 0),
            bad_requests=sum(step.stage.bad_requests(begin, until) for step, begin, until in spans),
            applied=tuple(self.applied),
        )


_ENDINGS: Final[Mapping[Phase, Ending]] = {
    Phase.SUCCEEDED: "promoted",
    Phase.PAUSED: "held",
    Phase.ROLLING_BACK: "rolled_back",
}


def _reading(weight: int) -> TargetReading:
    return TargetReading("", weight, "", "", UpdateStatus.SUCCESSFUL)


_NO_TALLY = Tally()
