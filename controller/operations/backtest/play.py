"""One start on a history, played as `decide` would: steps, bakes, holds, and their gates.

Evidence is folded once for each period, with the judge's own tests. A gate is concluded only where
its verdict can matter or change: at the end of a bake, in a hold, when a test rejects, and when the
windows of a literal criterion may fail.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from controller.core.judge.criterion_judge import CriterionJudge
from controller.core.judge.evidence import BaselineMeasurement, StepInterval, Tally
from controller.core.judge.findings import Finding, Verdict, gate_verdict
from controller.core.judge.gate import Evidence, judge_gate
from controller.core.judge.kinds.latency_increase import LatencyMeanJudge
from controller.core.judge.kinds.traffic import TrafficJudge
from controller.core.judge.sequential_evidence import SequentialEvidence, tests_of
from controller.core.judge.series import SAMPLE_COUNT
from controller.core.judge.series import query as query_of
from controller.core.judge.tally import window_starts
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy import Policy
from controller.core.stats.combined_tests import (
    ControlState,
    Fold,
    MinuteRatios,
)
from controller.core.units import MINUTE_S, ceil_to, floor_to, from_unix, next_minute
from controller.immutable import Immutable, replace
from controller.operations.backtest.faults import Fault, add_fault
from controller.operations.backtest.history import Points, Split, cut, longer_periods
from controller.operations.backtest.outcome import Ending, NotCounted, Run
from controller.operations.backtest.prepare import Subject
from controller.operations.backtest.step_on_history import JudgedCriterion, Stage, WindowCache
from controller.operations.start.baselines import (
    BaselineRequest,
    baseline_requests,
    frozen_value,
)


class Setup(Immutable):
    """What is played: the same for every start.

    every: time between ticks. seed: of the division of requests between the paths.
    """

    subject: Subject
    every: timedelta
    fault: Fault | None = None
    seed: int = 1


def planned_time(policy: Policy, every: timedelta) -> timedelta:
    """Return how long a rollout takes that never holds; every: time between its ticks."""
    waits = policy.evaluation_delay + every
    baked = (one.bake + policy.warmup_of(step) + waits for step, one in enumerate(policy.steps))
    return sum(baked, timedelta())


def possible_starts(setup: Setup, apart: timedelta) -> range:
    """Return each start from which the history lasts for the planned time; apart: from start to
    start.
    """
    history, step_s = setup.subject.history, int(apart.total_seconds())
    planned_s = int(planned_time(setup.subject.policy, setup.every).total_seconds())
    return range(ceil_to(history.begin, step_s), history.end - planned_s + 1, step_s)


class Player:
    """Plays starts of one setup; what they share is worked out once."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.policy = setup, setup.subject.policy
        self.tests = tests_of(self.policy)
        self.history = setup.subject.history
        self.stages = [self._stage(step) for step in range(len(self.policy.steps))]
        self._whole: dict[MetricQuery, tuple[Points, list[int]]] = {}
        self._last_baseline: dict[str, tuple[Span | None, BaselineMeasurement | None]] = {}

    def _stage(self, step: int) -> Stage:
        weight, fault = self.policy.steps[step].weight, self.setup.fault
        split = Split(self.policy, self.history, weight, self.setup.seed)
        if fault is not None and weight >= fault.weight:
            add_fault(split, fault, self.setup.seed)
        return Stage(self.policy, step, split)

    def play(self, start: int) -> Run | NotCounted:
        """Return how a rollout from `start` ends, or why it is not counted."""
        baselines = self.baselines(start)
        if baselines is None:
            return NotCounted.NO_BASELINE
        return _Climb(self, start, baselines).run() or NotCounted.UNFINISHED

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
            series = {query: self._cut(query, request.span) for query in request.queries}
            value = frozen_value(request, series)
            self._last_baseline[request.criterion] = request.span, value
        return value

    def _cut(self, query: MetricQuery, span: Span) -> Series:
        if query not in self._whole:
            points = self._points(query)
            self._whole[query] = points, sorted(points)
        return Series(cut(*self._whole[query], span.start, span.end))

    def _points(self, query: MetricQuery) -> Points:
        """Return what `query` would answer about the time before any canary."""
        columns = self.history.columns
        for name, metric in self.policy.metrics.items():
            points = columns.get((name, query.statistic), {})
            if points and query_of(metric, query.statistic, query.period_s) == query:
                samples = columns.get((name, SAMPLE_COUNT), {})
                return longer_periods(points, samples, query.statistic, query.period_s)
        return {}


@dataclass(slots=True)
class _Interval:
    """The minutes of one step.

    criteria: as this start judges them; sequential: those whose evidence adds up.
    """

    stage: Stage
    whole: StepInterval
    criteria: Mapping[str, JudgedCriterion]
    tallies: dict[str, Tally] = field(default_factory=dict)
    sequential: list[JudgedCriterion] = field(init=False)
    _timed: list[WindowCache] = field(init=False)

    def __post_init__(self) -> None:
        self.sequential = [one for one in self.criteria.values() if one.tests is not None]
        caches = {id(one.windows.times): one.windows for one in self.sequential}
        self._timed = list(caches.values())

    def minutes(self, begin: int, end: int) -> Sequence[int]:
        """Return the minutes from `begin` to `end` in which evidence that adds up has data."""
        begin = max(begin, self.whole.begin)
        if len(self._timed) == 1:
            return self._timed[0].times_between(begin, end)
        parts = [windows.times_between(begin, end) for windows in self._timed]
        return sorted({at for part in parts for at in part})


class _Climb:
    """One rollout, from its start to its end."""

    def __init__(
        self, player: Player, start: int, baselines: Mapping[str, BaselineMeasurement]
    ) -> None:
        self.player, self.policy, self.start = player, player.policy, start
        self.baselines = baselines
        self.fold = Fold()
        self.path: list[tuple[Stage, int]] = []
        self.interval = self._applied(0, start)
        self.earlier: list[_Interval] = []

    def run(self) -> Run | None:
        """Return how it ends; None where the history ends before, in a hold."""
        every_s = int(self.player.setup.every.total_seconds())
        for tick in range(self.start + every_s, self.player.history.end + every_s, every_s):
            ended = self._tick(tick)
            if ended is not None:
                return ended
        return None

    # --- ticks ------------------------------------------------------------------------------------

    def _tick(self, tick: int) -> Run | None:
        """Judge at `tick`; return the end of the run, None while it goes on."""
        closed_end = floor_to(from_unix(tick) - self.policy.evaluation_delay, MINUTE_S)
        bake_over = closed_end >= self.bake_end
        self._fold_until(closed_end)
        may_fail = self._fold_windows(closed_end)
        if not (bake_over or may_fail or self.fold.rejections):
            return None
        findings = self._judge(closed_end, bake_over=bake_over)
        verdict = gate_verdict(findings)
        if verdict is Verdict.FAIL:
            return self._end(tick, "rolled_back", [one.criterion for one in findings if one.fails])
        if not bake_over:
            return None
        undecided = [one.criterion for one in findings if one.blocks_advance]
        if verdict is Verdict.INCONCLUSIVE:
            if tick < self.hold_end:
                return None
            if self.policy.on_inconclusive != "advance":
                rolls_back = self.policy.on_inconclusive == "rollback"
                return self._end(tick, "rolled_back" if rolls_back else "held", undecided)
        return self._advance(tick)

    def _advance(self, tick: int) -> Run | None:
        """Apply the next step; after the last one, return the end of the run."""
        following = self.interval.whole.step + 1
        if following == len(self.policy.steps):
            return self._end(tick, "promoted", ())
        closed = replace(self.interval.whole, end=tick // MINUTE_S * MINUTE_S)
        self.earlier.append(dataclasses.replace(self.interval, whole=closed))
        self.interval = self._applied(following, tick)
        return None

    def _applied(self, step: int, since: int) -> _Interval:
        """Begin the interval of a step whose weight is applied at `since`."""
        stage, policy = self.player.stages[step], self.policy
        judged_from = next_minute(from_unix(since) + policy.warmup_of(step))
        whole = StepInterval(step, next_minute(from_unix(since)), judged_from)
        baked = judged_from + int(policy.steps[step].bake.total_seconds())
        self.bake_end = max(ceil_to(baked, period_s) for period_s in policy.periods_s[step])
        self.hold_end = self.bake_end + int(policy.max_hold_of(step).total_seconds())
        self.path.append((stage, since))
        return _Interval(stage, whole, stage.criteria(self.baselines))

    # --- evidence ---------------------------------------------------------------------------------

    def _fold_until(self, end: int) -> None:
        """Fold every minute that is over at `end`, of this step and of those before it."""
        intervals, self.earlier = [*self.earlier, self.interval], []
        for interval in intervals:
            until = min(interval.whole.end or end, end)
            for minute in interval.minutes(self.fold.through, until):
                self._fold_minute(interval, minute)
            if interval.whole.end > end:
                self.earlier.append(interval)
        self.fold = replace(self.fold, through=max(end, self.fold.through))

    def _fold_minute(self, interval: _Interval, minute: int) -> None:
        fold, ratios = self.fold, list[MinuteRatios]()
        controls: dict[str, ControlState] = {}
        for one in interval.sequential:
            window = one.windows(minute)
            if one.tests is None or window is None or not window.consistent:
                continue
            own, control = one.tests.likelihood_ratios(window, fold, interval.whole, minute)
            ratios += own
            if control is not None:
                controls[one.judge.name] = control
        end = minute + MINUTE_S
        self.fold = self.player.tests.fold_minute(fold, end, interval.whole.step, ratios, controls)

    def _fold_windows(self, closed_end: int) -> bool:
        """Fold the closed windows of literal criteria; tell whether one of them may fail."""
        may_fail = False
        for name, one in self.interval.criteria.items():
            if one.judge.criterion.sequential or not one.judge.has_windows:
                continue
            tally = self._folded(name, one, closed_end)
            may_fail |= _may_fail(one, tally)
        return may_fail

    def _folded(self, name: str, one: JudgedCriterion, end: int) -> Tally:
        """Return the tally of a criterion over the windows of the step that are closed at `end`."""
        tallies = self.interval.tallies
        before = tallies.get(name, _NO_TALLY)
        starts = window_starts(one.judge.period_s, before, self.interval.whole.judged_from, end)
        if starts:
            tallies[name] = fold_tally(one, before, starts)
        return tallies.get(name, before)

    def _judge(self, closed_end: int, *, bake_over: bool) -> Sequence[Finding]:
        for name, one in self.interval.criteria.items():
            self._folded(name, one, closed_end)
        stage, whole = self.interval.stage, self.interval.whole
        look_back = self.policy.look_back_of(whole.step)
        return judge_gate(
            Evidence(
                policy=self.policy,
                gate=stage.gate,
                series=stage.series,
                tallies=self.interval.tallies,
                start=whole.judged_from,
                closed_end=closed_end,
                open_end=closed_end,  # what is open may have data of later than now
                bake_over=bake_over,
                weight=stage.weight,
                baselines=self.baselines,
                sequential=SequentialEvidence(
                    self.policy, self.fold, (whole,), stage.series, self.baselines
                ),
                judged_later=self.policy.judged_after(whole.step),
                newest_start=closed_end - int(look_back.total_seconds()),
            )
        )

    # --- ends -------------------------------------------------------------------------------------

    @property
    def fault_at(self) -> int:
        """When the added fault began; 0 for none so far."""
        fault = self.player.setup.fault
        began = (at for stage, at in self.path if fault and stage.weight >= fault.weight)
        return next(began, 0)

    @property
    def _weight(self) -> int:
        return self.interval.stage.weight

    def _end(self, tick: int, ending: Ending, causes: Iterable[str]) -> Run:
        bad = sum(
            stage.bad_requests(begin, end)
            for (stage, begin), end in zip(
                self.path, [begin for _, begin in self.path[1:]] + [tick], strict=True
            )
        )
        causes = tuple(causes)
        applied = tuple(at for _, at in self.path)
        return Run(self.start, tick, ending, self._weight, causes, self.fault_at, bad, applied)


_NO_TALLY = Tally()


def fold_tally(one: JudgedCriterion, tally: Tally, starts: range) -> Tally:
    """Return `tally` with the windows at `starts`; those without data are counted, not read.

    A judge with a fold of its own gets every window.
    """
    judge = one.judge
    if type(judge).fold is not CriterionJudge.fold or len(starts) == 1:
        return judge.fold(tally, one.windows, starts)
    end = starts[-1] + judge.period_s
    times = [at for at in one.windows.times_between(starts[0], end) if at in starts]
    folded = judge.fold(tally, one.windows, times)
    newest = bool(times) and times[-1] == starts[-1]
    return replace(
        folded,
        through=end,
        empty=folded.empty + len(starts) - len(times),
        newest_inconsistent=folded.newest_inconsistent if newest else False,
    )


def _may_fail(one: JudgedCriterion, tally: Tally) -> bool:
    """Tell whether a literal criterion may fail before its bake is over; never a false no."""
    judge = one.judge
    if isinstance(judge, LatencyMeanJudge):
        return False
    if isinstance(judge, TrafficJudge):
        return bool(tally.counts.control_amount) and not tally.counts.amount
    if not isinstance(judge, WindowJudge):
        return True
    limit: int = judge.criterion.failure_limit
    return tally.longest_run.length >= limit
