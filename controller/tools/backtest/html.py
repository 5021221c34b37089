"""A backtest as one page: the verdict, what rolled back, and the history with its starts.

A criterion is shown as the canary would have had it at the weight of the last step that judges it.
A latency is shown as it is in the history: the limit of a stored baseline differs from start to
start.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.series import WindowCounts
from controller.core.stats.counts import Counts
from controller.core.units import count_text, from_unix, number_text, with_full_stop
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
from controller.ports.json_view import document_text
from controller.render.html import Tile, page, policy_text
from controller.render.html.chart import Chart, Mark, Shading, chart, share_text
from controller.tools.backtest.faults import Fault
from controller.tools.backtest.outcome import ENDINGS, Outcome, Run, TimeSpan, rollback_events
from controller.tools.backtest.page import (
    Backtest,
    backtest_data,
    not_counted_lines,
    rate_text,
    suggestion_lines,
    suggestion_text,
)
from controller.tools.backtest.past_metrics import HistorySplit
from controller.tools.backtest.play import BacktestPlayer, BacktestSetup
from controller.tools.backtest.step_on_history import StepData

_TEMPLATE: Final = Path(__file__).with_name("backtest.html")

# As many groups of rollbacks as fit on a screen; the others have fewer starts.
MAX_EVENTS: Final = 15
# The narrowest mark on a history, as a part of it: narrower ones could not be seen.
_NARROWEST: Final = 1 / 400


def backtest_html(shown: Backtest) -> str:
    """Return the page of `shown`; the same backtest gives the same page."""
    setup, outcome, history = shown.setup, shown.outcome, shown.setup.subject.history
    events = rollback_events(outcome)
    tone, badge = _badge(shown)
    return page(
        _TEMPLATE,
        policy=shown.policy,
        headline=headline(shown),
        lead=_lead(shown),
        tone=tone,
        badge=badge,
        begin=from_unix(history.begin),
        end=from_unix(history.end),
        period=timedelta(seconds=history.period_s),
        apart=shown.apart,
        source=shown.source,
        steps=shown.policy.steps_text(),
        fault=setup.fault.text if setup.fault else "",
        tiles=list(_tiles(shown)),
        causes=list(_causes(outcome)),
        share=lambda runs: share_text(runs / len(outcome.runs)),
        events=events[:MAX_EVENTS],
        further=len(events[MAX_EVENTS:]),
        exceeded=shown.exceeded,
        suggestion_text=suggestion_text(shown.suggestion),
        suggestion_lines=list(suggestion_lines(shown.suggestion)),
        criteria=[
            (
                criterion_history,
                _chart(f"chart-{index}", criterion_history, setup.fault),
                _fault_chart(f"fault-{index}", criterion_history, shown),
            )
            for index, criterion_history in enumerate(criterion_histories(setup, outcome))
        ],
        range_text=_range_text,
        starts_text=lambda starts: count_text(starts, "start"),
        number_text=number_text,
        notes=[*not_counted_lines(outcome), *setup.subject.notes],
        policy_text=policy_text(shown.policy),
        digest=shown.policy.digest(),
        data_text=document_text("backtest", backtest_data(shown), indent=1),
    )


# --- Head -----------------------------------------------------------------------------------------


def headline(shown: Backtest) -> str:
    """Return the verdict of a backtest in one sentence."""
    name, outcome, fault = shown.policy.name, shown.outcome, shown.setup.fault
    if fault is not None:
        met = len(outcome.faulty)
        return (
            f"{name} found {fault.text} in {number_text(met - outcome.missed)} of "
            f"{count_text(met, 'start')}"
        )
    back = outcome.count("rolled_back")
    share = f" ({share_text(outcome.rolled_back_rate)})" if back else ""
    return (
        f"{name} would have rolled back {number_text(back)} of "
        f"{count_text(len(outcome.runs), 'healthy start')}{share}"
    )


def _badge(shown: Backtest) -> tuple[str, str]:
    """Return how the verdict is marked, and in which words."""
    if shown.setup.fault is not None:
        missed = shown.outcome.missed
        return ("bad", f"missed {number_text(missed)}") if missed else ("good", "always found")
    if shown.max_rate is None:
        return "plain", "no limit was asked for"
    return ("bad", "above the limit") if shown.exceeded else ("good", "within the limit")


def _lead(shown: Backtest) -> str:
    outcome = shown.outcome
    counts = ", ".join(
        f"{number_text(outcome.count(ending))} {word}" for ending, word in ENDINGS.items()
    )
    text = f"Of {count_text(len(outcome.runs), 'start')}: {counts}."
    if shown.setup.fault is None and shown.max_rate is not None:
        text += f" {with_full_stop(rate_text(shown))}"
    return text


def _tiles(shown: Backtest) -> Iterator[Tile]:
    outcome = shown.outcome
    if shown.setup.fault is not None:
        met = len(outcome.faulty)
        yield Tile(
            "Met the fault", number_text(met), f"of {count_text(len(outcome.runs), 'start')}"
        )
        share = outcome.missed / met if met else 0.0
        yield Tile("Missed it", number_text(outcome.missed), f"{share_text(share)} of those")
        yield _median_tile("Until the rollback", outcome.median_delay_minutes, "minutes")
        name = f"{shown.setup.fault.noun.capitalize()}s"
        yield _median_tile(name, outcome.median_bad_requests, "until the rollback")
    for ending, word in ENDINGS.items():
        runs = outcome.count(ending)
        share = runs / len(outcome.runs)
        yield Tile(word.capitalize(), number_text(runs), f"{share_text(share)} of the starts")


def _median_tile(name: str, value: float | None, unit: str) -> Tile:
    if value is None:
        return Tile(name, "–", "no start found it")
    return Tile(name, number_text(value), f"{unit}, median")


# --- Causes ---------------------------------------------------------------------------------------


def _causes(outcome: Outcome) -> Iterator[tuple[str, str, str, str, int]]:
    """Yield criterion, ending, tone, step and number of starts; a hold may be in several steps."""
    for place in outcome.places():
        yield place.criterion, "rolled back", "bad", f"{place.weight}%", place.runs
    for name, runs in outcome.causes("held").items():
        yield name, "held, undecided", "warn", "", runs


def _range_text(begin: int, end: int) -> str:
    """Return two moments, or one where they are the same."""
    first, last = from_unix(begin), from_unix(end)
    if first == last:
        return f"{first:%Y-%m-%d %H:%M}"
    end_format = "%H:%M" if first.date() == last.date() else "%m-%d %H:%M"
    return f"{first:%Y-%m-%d %H:%M} to {last:{end_format}}"


# --- History --------------------------------------------------------------------------------------


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
            split = HistorySplit(policy, history, weight)
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
    """Return whole periods of a criterion, of a latency as they are in the history."""
    name = judge.criterion.window_value.metric
    if name is not None and _is_latency(judge):
        metric = judge.metrics[name]
        points = stage.split.points(name, metric.statistic)

        def latency(start: int) -> WindowCounts | None:
            value = points.get(start)
            return None if value is None else WindowCounts(Counts(1.0, value), value)

        return TraceSource(latency, stage.split.period_s, TraceForm.LEVEL, metric.unit)
    source = source_of(judge, stage.series)
    period_s = max(source.period_s, stage.split.period_s)

    def measure(start: int) -> WindowCounts | None:
        return source.measure(start + period_s - source.period_s)  # its minute with data

    return replace(source, measure=measure, period_s=period_s, extremes=True)


def _bound(judge: Judge, span: WeightSpan) -> float | None:
    return latency_limit(judge) if _is_latency(judge) else limit_of(judge, span)


def _is_latency(judge: Judge) -> bool:
    name = judge.criterion.window_value.metric
    return name is not None and judge.metrics[name].percentile is not None


# --- Charts ---------------------------------------------------------------------------------------


def _chart(identity: str, one: CriterionHistory, fault: Fault | None) -> Chart | None:
    """Return the history of a criterion, with the starts that it rolled back and where it did.

    With a fault nearly all are, and none is marked.
    """
    if one.trace is None:
        return None
    shadings = (
        []
        if fault
        else [
            *(Shading(span.begin, span.end, Mark.ROLLED_BACK_START) for span in one.starts),
            *(Shading(span.begin, span.end, Mark.ROLLBACK) for span in one.rollbacks),
        ]
    )
    return chart(identity, f"{one.name} over the history", one.trace, shadings)


def _fault_chart(identity: str, one: CriterionHistory, shown: Backtest) -> Chart | None:
    """Return a criterion over one start that met the added fault; None where none did."""
    run, fault = shown.outcome.typical_fault, shown.setup.fault
    if one.with_fault is None or run is None or fault is None:
        return None
    words = f"{fault.effect}, from {from_unix(run.fault_at):%H:%M} to {from_unix(run.end):%H:%M}"
    ended = "rolled back" if run.found_fault else ENDINGS[run.ending]
    title = f"{one.name} in the start of {from_unix(run.start):%d %b %H:%M}, which was {ended}"
    mark = Shading(run.fault_at, run.end, Mark.FAULT, words)
    return chart(identity, title, one.with_fault, [mark])
