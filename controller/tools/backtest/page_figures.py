"""What the page of a backtest shows besides its outcome: each criterion over the whole history.

A criterion is shown as the canary would have had it at the weight of the last step that judges it.
A latency is shown as it is in the history: the limit of a stored baseline differs from start to
start.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.series import Measure, WindowCounts
from controller.core.stats.counts import Counts
from controller.core.units import from_unix
from controller.immutable import Immutable, replace
from controller.operations.recorded.series import Judge, WeightSpan
from controller.operations.recorded.trace import (
    Trace,
    TraceForm,
    TraceSource,
    latency_limit,
    limit_of,
    source_of,
    trace,
)
from controller.tools.backtest.outcome import Outcome, Run
from controller.tools.backtest.past_metrics import HistorySplit
from controller.tools.backtest.play import BacktestPlayer, BacktestSetup
from controller.tools.backtest.step_on_history import StepData

# Rollbacks that are no further apart than this are one row: neighbouring starts meet one event.
_EVENT_S: Final = 3_600
# The narrowest mark on a history, as a part of it: narrower ones could not be seen.
_NARROWEST: Final = 1 / 400


class TimeSpan(Immutable):
    """From `begin` to `end`, unix seconds."""

    begin: int
    end: int


class CriterionHistory(Immutable):
    """One criterion over the history.

    weight: of the step whose gate is shown. rolled_back, held: how many starts it ended so.
    starts, rollbacks: where the starts that it rolled back began, and when it did.
    trace: None where the history has no value of it. with_fault: of one start that met an added
    fault, from its start to its end; None where none did.
    """

    name: str
    kind: str
    target: str
    demand: str
    weight: int
    rolled_back: int
    held: int
    starts: tuple[TimeSpan, ...]
    rollbacks: tuple[TimeSpan, ...]
    trace: Trace | None
    with_fault: Trace | None


class RollbackEvent(Immutable):
    """Rollbacks for the same causes in the same step, shortly after each other.

    first, last: when they happened, unix seconds. starts: how many, and `begun` when those began.
    """

    causes: tuple[str, ...]
    weight: int
    first: int
    last: int
    starts: int
    begun: TimeSpan


def criterion_histories(setup: BacktestSetup, outcome: Outcome) -> list[CriterionHistory]:
    """Return the criteria that a backtest played, those that rolled back most first.

    The history is shown without the fault that was added to it, one start with it.
    """
    policy, history = setup.subject.policy, setup.subject.history
    causes, held = outcome.causes(), outcome.causes("held")
    stages: dict[int, StepData] = {}
    example = _example(setup, outcome.typical_fault)
    found = []
    for name in sorted(policy.criteria, key=lambda criterion: -causes.get(criterion, 0)):
        steps = [number for number in range(len(policy.steps)) if name in policy.gate(number)]
        if not steps:
            continue
        if steps[-1] not in stages:
            weight = policy.steps[steps[-1]].weight
            split = HistorySplit(policy, history, weight, setup.seed)
            stages[steps[-1]] = StepData(policy, steps[-1], split)
        judge = judge_of(name, policy.criteria[name], policy)
        back = [run for run in outcome.runs if run.ending == "rolled_back" and name in run.causes]
        shown = _trace(judge, stages[steps[-1]])
        found.append(
            CriterionHistory(
                name=name,
                kind=policy.criteria[name].kind,
                target=judge.target_text(),
                demand=judge.rule_text,
                weight=stages[steps[-1]].weight,
                rolled_back=causes.get(name, 0),
                held=held.get(name, 0),
                starts=_spans((one.start for one in back), setup),
                rollbacks=_spans((one.end for one in back), setup),
                trace=shown if shown.bins else None,
                with_fault=_faulty_trace(judge, example),
            )
        )
    return found


def _example(setup: BacktestSetup, run: Run | None) -> list[tuple[StepData, WeightSpan]]:
    """Return the steps of `run` with the fault, and when each was applied; none without a run."""
    if run is None:
        return []
    times, player = [*run.applied, run.end], BacktestPlayer(setup)
    return [
        (stage, WeightSpan(stage.step, stage.weight, from_unix(begin), from_unix(end)))
        for stage, begin, end in zip(player.stages, times, times[1:], strict=False)
    ]


def _faulty_trace(judge: Judge, example: Sequence[tuple[StepData, WeightSpan]]) -> Trace | None:
    """Return a criterion over one start that met the fault; None where it has no value of it."""
    spans = [span for _, span in example]
    judged = [(one, span) for one, span in example if judge.name in one.gate]
    if not judged:
        return None
    sources = {span.step: _source(judge, one) for one, span in judged}
    begins = {int(span.begin.timestamp()): sources[span.step] for _, span in judged}
    source = next(iter(sources.values()))

    def measure(start: int) -> WindowCounts | None:
        at = max((begin for begin in begins if begin <= start), default=None)
        return None if at is None else begins[at].measure(start)

    bounds = {span.step: _bound(judge, span) for _, span in judged}
    found = trace(replace(source, measure=measure), spans, bounds)
    return found if found.bins else None


def rollback_events(outcome: Outcome) -> list[RollbackEvent]:
    """Return the rollbacks of all starts as events, the one with most starts first."""
    back = [one for one in outcome.runs if one.ending == "rolled_back"]
    groups: list[list[Run]] = []
    for one in sorted(back, key=lambda run: (run.causes, run.weight, run.end)):
        before = groups[-1][-1] if groups else None
        same = before is not None and (before.causes, before.weight) == (one.causes, one.weight)
        if before is None or not same or one.end - before.end > _EVENT_S:
            groups.append([])
        groups[-1].append(one)
    events = map(_event, groups)
    return sorted(events, key=lambda event: (-event.starts, event.first))


def _event(runs: Sequence[Run]) -> RollbackEvent:
    starts = [run.start for run in runs]
    return RollbackEvent(
        causes=runs[0].causes,
        weight=runs[0].weight,
        first=runs[0].end,
        last=runs[-1].end,
        starts=len(runs),
        begun=TimeSpan(min(starts), max(starts)),
    )


def _spans(times: Iterable[int], setup: BacktestSetup) -> tuple[TimeSpan, ...]:
    """Return the times as spans that can be seen on a chart; neighbours are one."""
    history = setup.subject.history
    least = max(history.period_s, round((history.end - history.begin) * _NARROWEST))
    spans: list[TimeSpan] = []
    for at in sorted(times):
        if spans and at <= spans[-1].end:
            spans[-1] = replace(spans[-1], end=at + least)
        else:
            spans.append(TimeSpan(at, at + least))
    return tuple(spans)


# --- Values over time -----------------------------------------------------------------------------


def _trace(judge: Judge, stage: StepData) -> Trace:
    begin, end = (from_unix(one) for one in (stage.split.begin, stage.split.end))
    whole = WeightSpan(stage.step, stage.weight, begin, end)
    return trace(_source(judge, stage), [whole], {stage.step: _bound(judge, whole)})


def _source(judge: Judge, stage: StepData) -> TraceSource:
    latency = _latency(judge, stage)
    if latency is not None:
        return latency
    source = source_of(judge, stage.series)
    period_s = max(source.period_s, stage.split.period_s)
    return replace(
        source,
        measure=_by_period(source.measure, period_s - source.period_s),
        period_s=period_s,
        extremes=True,
    )


def _bound(judge: Judge, span: WeightSpan) -> float | None:
    return latency_limit(judge) if _is_latency(judge) else limit_of(judge, span)


def _by_period(measure: Measure, offset_s: int) -> Measure:
    """Return a measure of whole periods, whose minute with data begins `offset_s` later."""
    return lambda start: measure(start + offset_s)


def _latency(judge: Judge, stage: StepData) -> TraceSource | None:
    """Return a latency as it is in the history; None for a criterion that judges none."""
    name = judge.criterion.window_value.metric
    if name is None or not _is_latency(judge):
        return None
    metric = judge.metrics[name]
    points = stage.split.points(name, metric.statistic)

    def measure(start: int) -> WindowCounts | None:
        value = points.get(start)
        return None if value is None else WindowCounts(Counts(1.0, value), value)

    return TraceSource(measure, stage.split.period_s, TraceForm.LEVEL, metric.unit)


def _is_latency(judge: Judge) -> bool:
    name = judge.criterion.window_value.metric
    return name is not None and judge.metrics[name].percentile is not None
