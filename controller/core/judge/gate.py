"""The judge of a gate: folds the closed windows of a step and makes one finding per criterion.

What is particular to a kind of criterion is in `criteria/`. `judge: threshold` (threshold_judge.py)
compares window by window; `judge: sequential` (sequential.py) adds up the evidence of every minute
of the rollout.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    incomplete_series,
    judge_of,
)
from controller.core.judge.evidence import (
    BaselineMeasurement,
    BreachRun,
    NonMetricEvidence,
    SequentialResult,
    Tally,
    criterion_of,
    strongest_rejection,
)
from controller.core.judge.facts import Dilution, Facts, FewNewest, JudgeFault, LostWindows, flat
from controller.core.judge.findings import Finding, FindingReason, Label, Verdict
from controller.core.judge.leak_check import leak_check_query_plan
from controller.core.judge.queries import QueryPlan, gate_query_plan, stable_use_plan
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.judge.series import Measure, mark_lost, measure_since, window_starts
from controller.core.observation import QueryStatus, Series, Span
from controller.core.policy import Criterion, Policy
from controller.core.rollout import Phase, Rollout
from controller.core.stats.combined_tests import NO_CONTROL, SequentialState
from controller.core.units import MINUTE_S, ceil_to, floor_to
from controller.immutable import Immutable, field, replace

_NO_TALLY = Tally()

# An hourly checkpoint and a tick every quarter of an hour leave no more than this unstored.
BACKLOG_THRESHOLD = timedelta(minutes=90)


class Evidence(Immutable):
    """What a gate is judged from.

    gate: its criteria. tallies: the checkpoint, by criterion; series: the data since, by key.
    start, closed_end, open_end: first judged second, end of the settled periods, end of what was
    read; unix seconds.
    bake_over: the bake is over and its data are settled to the end.
    weight: percent that the canary is judged at. baselines: by criterion.
    sequential: the evidence of the whole rollout; without intervals it has nothing new.
    non_metric: alarms and sign-offs. judged_later: the criteria that a later step judges too.
    newest_start: begin of the newest bake-length that is closed, unix seconds.
    judged_since: from when on a criterion of a fix is judged with the others, unix seconds; without
        any, from the start of the step.
    known_judges, known_measures: those of criteria that were made already, by criterion.
    """

    policy: Policy
    gate: Mapping[str, Criterion]
    series: Mapping[str, Series]
    tallies: Mapping[str, Tally]
    start: int
    closed_end: int
    open_end: int
    bake_over: bool
    weight: int
    baselines: Mapping[str, BaselineMeasurement]
    sequential: SequentialEvidence
    non_metric: NonMetricEvidence = field(default_factory=NonMetricEvidence)
    judged_later: frozenset[str] = frozenset()
    newest_start: int = 0
    judged_since: Mapping[str, int] = field(default_factory=dict)
    known_judges: dict[str, CriterionJudge[Any]] = field(default_factory=dict)
    known_measures: Mapping[str, Measure] = field(default_factory=dict)

    @property
    def looks_back(self) -> bool:
        """True when the newest bake-length is judged beside the step, and does not begin with it.

        In a bake of several days that is from its end on: nothing advances before, and each tick
        would have to read a day again.
        """
        return self.bake_over and self.newest_start > self.start

    def judges(self) -> Iterator[CriterionJudge[Any]]:
        """Yield the judge of each criterion of the gate."""
        return (self.judge_of(name, criterion) for name, criterion in self.gate.items())

    def judge_of(self, name: str, criterion: Criterion) -> CriterionJudge[Any]:
        if name not in self.known_judges:
            self.known_judges[name] = self.sequential.judges.get(name) or judge_of(
                name, criterion, self.policy, self.baselines.get(name)
            )
        return self.known_judges[name]

    def measure_of(self, judge: CriterionJudge[Any]) -> Measure:
        """Return the function that reads one window of a criterion."""
        has_traffic = self.weight > 0
        measure = self.known_measures.get(judge.name)
        if measure is None and has_traffic:
            measure = self.sequential.measures.get(judge.name)
        measure = measure or judge.measure(self.series, has_traffic=has_traffic)
        since = self.judged_since.get(judge.name)
        return measure if since is None else measure_since(measure, since)

    def tally_of(self, judge: CriterionJudge[Any]) -> Tally:
        """Return the stored tally of a criterion."""
        return self.tallies.get(judge.name, _NO_TALLY)

    def search_span_of(self, judge: CriterionJudge[Any]) -> Span | None:
        """Return where a log was searched for the events of a criterion; None without a log."""
        return judge.search_span(self.tally_of(judge).through, Span(self.start, self.closed_end))

    def incomplete_series_of(self, judge: CriterionJudge[Any]) -> tuple[str, Series] | None:
        """Return the first series that was not answered in full, by name; None when all were."""
        return incomplete_series(judge.answers(self.series, self.search_span_of(judge)))


def fold_closed_windows(judge: CriterionJudge[Any], evidence: Evidence, end: int) -> Tally:
    """Return the stored tally of a criterion with its closed windows up to `end` folded in."""
    span = evidence.search_span_of(judge)
    limit = end if span is None else min(end, span.end)
    return _fold_windows(judge, evidence, evidence.tally_of(judge), limit)


def _fold_windows(judge: CriterionJudge[Any], evidence: Evidence, tally: Tally, end: int) -> Tally:
    starts = window_starts(judge.period_s, tally, evidence.start, end)
    if not starts:
        return tally
    measure = evidence.measure_of(judge)
    return judge.fold(tally, measure, starts)


def fold_open_breaches(judge: CriterionJudge[Any], evidence: Evidence, tally: Tally) -> Tally:
    """Return `tally` with open windows folded in whose count is already over its limit.

    A count only grows: once over the limit it stays over it, so a breach needs neither settled nor
    complete data. A window in between that is not over yet, or was not answered, may still end a
    run of breaches, so it does.
    """
    if not judge.counts_open_windows:
        return tally
    period_s = judge.period_s
    measure = evidence.measure_of(judge)
    first = max(ceil_to(evidence.start, period_s), tally.through)
    certain = tally
    for start in range(first, evidence.open_end, period_s):
        window = measure(start)
        if window is None or not window.breach:
            continue
        if start != certain.through:
            certain = replace(certain, run=BreachRun())
        certain = judge.fold(certain, measure, (start,))
    return replace(certain, newest_inconsistent=tally.newest_inconsistent)


def reads_log_backlog(evidence: Evidence) -> bool:
    """Tell whether a log with a backlog answers again, so that the next ticks can catch up."""
    longest = BACKLOG_THRESHOLD.total_seconds()
    return any(span.end - span.start > longest for _, span in _answered_logs(evidence))


def awaits_log_backlog(evidence: Evidence) -> bool:
    """Tell whether the gate has no verdict yet because a log still has a backlog."""
    return any(
        judge.criterion.gating and span.end < evidence.closed_end
        for judge, span in _answered_logs(evidence)
    )


def _answered_logs(evidence: Evidence) -> Iterator[tuple[CriterionJudge[Any], Span]]:
    """Yield each criterion whose log queries were answered, and where its event was searched."""
    for judge in evidence.judges():
        span = evidence.search_span_of(judge)
        if span is not None and evidence.incomplete_series_of(judge) is None:
            yield judge, span


# --- Judgement ------------------------------------------------------------------------------------

# A minute this old can no longer change: CloudWatch's values converge within about ten minutes.
CHECKPOINT_AGE = timedelta(minutes=15)
# A query that stays unanswered is tried again for windows up to this age. Later they are lost, so
# that neither the read nor the history grows with an outage.
GIVE_UP_AGE = timedelta(hours=6)


def query_plan(rollout: Rollout, now: datetime) -> QueryPlan:
    """Return what has to be read for the next decision about `rollout`."""
    if rollout.phase is Phase.ROLLED_BACK:
        return leak_check_query_plan(rollout, now)
    if rollout.phase is Phase.SUCCEEDED:
        return stable_use_plan(rollout, now)
    return gate_query_plan(rollout, now)


def judge_gate(evidence: Evidence) -> tuple[Finding, ...]:
    """Return one finding per criterion of the gate.

    And one for a criterion of another step whose evidence rolls back, or whose sign-off an operator
    has refused.
    """
    fold = evidence.sequential.fold_until(evidence.closed_end)
    gate = dict(evidence.gate)
    for earlier in map(criterion_of, fold.rejections):
        if earlier in evidence.policy.criteria:
            gate.setdefault(earlier, evidence.policy.criteria[earlier])
    for refused in evidence.non_metric.refusals():  # a refusal counts at once, in any step
        gate.setdefault(refused, evidence.policy.criteria[refused])
    return tuple(
        _judge_criterion(evidence.judge_of(name, criterion), evidence, fold)
        for name, criterion in gate.items()
    )


def _judge_criterion(
    judge: CriterionJudge[Any], evidence: Evidence, fold: SequentialState
) -> Finding:
    """Return the finding of a criterion; one whose judge raises is undecided, and says so."""
    try:
        return _concluded(judge, evidence, fold)
    except Exception as error:  # noqa: BLE001 - a fault of one judge keeps no other from failing
        return Finding(
            criterion=judge.name,
            kind=judge.criterion.kind,
            verdict=Verdict.INCONCLUSIVE,
            label=Label.NOT_JUDGED,
            reason=FindingReason.JUDGE_FAILED,
            measured=None,
            bound=0.0,
            samples=0,
            start=evidence.start,
            end=max(evidence.start, evidence.closed_end),
            facts=flat(JudgeFault(type(error).__name__)),
            gates=judge.criterion.gating,
        )


def checkpoint_tallies(evidence: Evidence, now: datetime) -> dict[str, Tally]:
    """Return the tallies with every window folded in that is too old to change.

    A criterion whose series were not answered in full stays where it was and is read again, until
    its windows are so old that they are given up.
    """
    up_to = min(floor_to(now - CHECKPOINT_AGE, MINUTE_S), evidence.closed_end)
    give_up_end = floor_to(now - GIVE_UP_AGE, MINUTE_S)
    tallies: dict[str, Tally] = {}
    for judge in evidence.judges():
        if not judge.has_windows:
            continue
        try:
            tallies[judge.name] = _checkpoint_tally(judge, evidence, up_to, give_up_end)
        except Exception:  # noqa: BLE001 - a fault of one judge keeps no other from its checkpoint
            tallies[judge.name] = evidence.tally_of(judge)
    return tallies


def _checkpoint_tally(
    judge: CriterionJudge[Any], evidence: Evidence, up_to: int, give_up_end: int
) -> Tally:
    if evidence.incomplete_series_of(judge) is None:
        return fold_closed_windows(judge, evidence, up_to)
    tally = evidence.tally_of(judge)
    starts = window_starts(judge.period_s, tally, evidence.start, give_up_end)
    return judge.after_loss(mark_lost(tally, starts, judge.period_s))


def checkpoint_state(evidence: Evidence, now: datetime) -> SequentialState:
    """Return the fold with every minute in it that is too old to change, or to be queried."""
    up_to = min(floor_to(now - CHECKPOINT_AGE, MINUTE_S), evidence.closed_end)
    return evidence.sequential.fold_to_checkpoint(up_to, floor_to(now - GIVE_UP_AGE, MINUTE_S))


def _concluded(judge: CriterionJudge[Any], evidence: Evidence, fold: SequentialState) -> Finding:
    incomplete = evidence.incomplete_series_of(judge)
    tally = evidence.tally_of(judge)
    # An incomplete answer is not folded: with gaps in it, a run of breaches may not be one.
    if judge.has_windows and (incomplete is None or judge.folds_partial):
        tally = fold_closed_windows(judge, evidence, evidence.closed_end)
    tally = fold_open_breaches(judge, evidence, tally)
    adds_up, newest = isinstance(judge, SequentialJudge), None
    if adds_up and judge.name in evidence.judged_later:
        newest = _newest_tally(judge, evidence, tally)
    context = Context(
        start=ceil_to(evidence.start, judge.period_s),
        closed_end=evidence.closed_end,
        open_end=evidence.open_end,
        bake_over=evidence.bake_over,
        weight=evidence.weight,
        incomplete=incomplete,
        series=evidence.series,
        search_span=evidence.search_span_of(judge) or Span(0, 0),
        non_metric=evidence.non_metric,
        result=_sequential_result(judge, evidence, fold) if adds_up else SequentialResult(),
        newest=newest,
        newest_start=evidence.newest_start if evidence.looks_back else evidence.start,
    )
    finding = judge.conclude(tally, context)
    more = list(_qualifications(judge, context, tally))
    if evidence.bake_over and finding.verdict is Verdict.INCONCLUSIVE and not finding.lacks_data:
        more += _few_newest(judge, evidence, newest or _newest_tally(judge, evidence, tally))
    return replace(finding, facts=flat(finding.facts, *more)) if more else finding


def _newest_tally(judge: CriterionJudge[Any], evidence: Evidence, step: Tally) -> Tally:
    """Return the tally of the newest bake-length: that of the step, while that is not longer."""
    if not evidence.looks_back:
        return step
    newest = replace(evidence, start=evidence.newest_start)
    return _fold_windows(judge, newest, _NO_TALLY, evidence.closed_end)


def _few_newest(judge: CriterionJudge[Any], evidence: Evidence, newest: Tally) -> Iterator[Facts]:
    """Yield how few requests the newest bake-length has, where the whole step has enough."""
    if isinstance(judge, SequentialJudge) and evidence.looks_back:
        fewest = judge.fewest_samples(newest)
        if fewest < judge.criterion.min_samples:
            yield FewNewest(fewest)


def _qualifications(judge: CriterionJudge[Any], context: Context, tally: Tally) -> Iterator[Facts]:
    """Yield what qualifies any finding: metrics that count both paths, and windows given up.

    At 0 and 100% nothing is mixed.
    """
    metrics = judge.policy.diluted_metrics(judge.name) if 0 < context.weight < 100 else ()
    if metrics:
        yield Dilution(", ".join(metrics), context.weight)
    if tally.unanswered and not isinstance(judge, SequentialJudge):
        yield LostWindows(tally.unanswered, judge.period_s)


def _sequential_result(
    judge: CriterionJudge[Any], evidence: Evidence, fold: SequentialState
) -> SequentialResult:
    strongest = strongest_rejection(fold, judge.name)
    if strongest is None:
        return SequentialResult(control=fold.controls.get(judge.name, NO_CONTROL))
    test, rejection = strongest
    regression = evidence.sequential.find_regression(test, rejection.at)
    return SequentialResult(rejection, regression, test)


def error_series(message: str, keys: Mapping[str, object]) -> dict[str, Series]:
    """Return a failed series for every key: the answer in an outage of the whole source."""
    return {key: Series(status=QueryStatus.ERROR, message=message) for key in keys}
