"""The report of a rollout: everything that its page shows, made from the stored history. Pure.

The page is in `html`. What is read of the history is in `operations/recorded`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from controller.core.events import Verb
from controller.core.history import Entry, Links, digests
from controller.core.judge.facts import Breach, Odds
from controller.core.judge.findings import Finding
from controller.core.judge.queries import queries_for
from controller.core.judge.series import WindowCounts
from controller.core.observation import LogQuery, MetricQuery, Series, Span
from controller.core.policy.comparison import Comparisons, NotCompared
from controller.core.rollout import Phase, Rollout
from controller.core.units import MINUTE_S, floor_to
from controller.core.words.criteria_table import CriterionTexts, rows
from controller.immutable import Immutable, replace
from controller.operations.history import findings_of
from controller.operations.recorded.exposure import Exposure, exposure_of
from controller.operations.recorded.series import (
    RecordedPoints,
    RecordedSeries,
    WeightSpan,
    judge_for,
    weight_spans,
    windows_seen,
)
from controller.operations.recorded.trace import Trace, TraceForm, form_of, trace_of

# As many windows as fit on a screen, above the question why it was rolled back.
MAX_SEEN: Final = 15
_OPERATOR_VERBS: Final = frozenset({"start", *Verb})
_REASONS: Final = ("reason", "retry_reason", "despite_reason", "fix_reason")
# A page has no room for the measurements of more entries: their hashes alone fill it.
MOST_WHOLE: Final = 500
_MEASURED: Final = frozenset({"findings", "fold", "observation", "state", "tallies"})


class StepReport(Immutable):
    """One step: planned against actual.

    planned: warm-up and bake. begin, end: of its weight; None where it was not reached.
    state: `passed`, `skipped`, `current`, `rolled back`, `next` or `not reached`.
    """

    index: int
    weight: int
    planned: timedelta
    begin: datetime | None
    end: datetime | None
    state: str

    @property
    def actual(self) -> timedelta | None:
        """How long the weight was applied; None where it was not."""
        return None if self.begin is None or self.end is None else self.end - self.begin


class CriterionReport(Immutable):
    """One criterion of a rollout.

    finding: the newest with its facts, which the state keeps for the live step alone.
    demand: what it asks for. baseline: what was read before the start; empty without one.
    queries, logs: what a tick reads for it.
    trace: None where its values are no series, or none of it is recorded. why: it has none because
    it compares no values, or because its counts contradict each other; else empty.
    """

    row: CriterionTexts
    finding: Finding | None
    demand: str
    queries: tuple[MetricQuery, ...]
    logs: tuple[LogQuery, ...]
    trace: Trace | None
    why: str = ""
    baseline: str = ""


class LatencyReport(Immutable):
    """A latency of both paths, by the metric of the canary. statistic: like p95.

    trace: None where nothing could be read. problem: why something is missing; empty where nothing
    is.
    """

    metric: str
    statistic: str
    trace: Trace | None
    problem: str = ""


class Failure(Immutable):
    """The finding that rolled back, and what was seen while it did.

    begin, end: of the regression, unix seconds. windows: by their start. earlier: how many windows
    are left out before the first of them. counted: whether the value is a share of requests.
    unit: of a value that is none.
    """

    finding: Finding
    begin: int
    end: int
    windows: tuple[tuple[int, WindowCounts], ...]
    earlier: int
    counted: bool
    unit: str


class Act(Immutable):
    """What an operator did, as an entry records it.

    by: the name that was claimed. caller: the verified identity, empty where it is not known.
    note: the reason that was given. outcome: what followed.
    """

    at: datetime
    verb: str
    by: str
    caller: str
    note: str
    outcome: str


class RolloutHistory:
    """What is stored of a rollout, read once: its state, its entries, its series, its weights.

    entries: the first `MOST_WHOLE` of them whole, and of the others what a list shows.
    digests: of the policy. findings: the newest of each criterion. broken_at: the first entry that
    breaks the hash chain; None when it is valid.
    """

    def __init__(
        self, rollout: Rollout, entries: Iterable[Entry], snapshot: str | None = None
    ) -> None:
        """Read `entries`, of which one is in memory at a time.

        snapshot: the digest of the stored policy, where that is not the one of the start.
        """
        self.rollout, self.entries, self.acts = rollout, list[Entry](), list[Act]()
        self.findings: dict[str, Finding] = {}
        links, series = Links(), RecordedSeries(len(rollout.policy.steps))

        def passing() -> Iterator[Entry]:
            for entry in series.passing(links.checked(entries)):
                self.findings |= findings_of(entry)
                self.acts += acts([entry])
                body = entry.body
                if len(self.entries) >= MOST_WHOLE:
                    body = {name: part for name, part in body.items() if name not in _MEASURED}
                self.entries.append(replace(entry, body=body))
                yield entry

        self.weight_spans: Sequence[WeightSpan] = weight_spans(rollout, passing())
        self.series: dict[str, Series] = series.series()
        self.broken_at = links.first_broken(rollout.chain)
        self.digests = digests(rollout, self.entries, snapshot)

    @property
    def intact(self) -> bool:
        """True where the hash chain is valid, and the policy is the one of the start."""
        return self.broken_at is None and self.digests.consistent

    def add(self, answers: Mapping[str, Series]) -> None:
        """Add series that no entry has stored yet, by series key."""
        for key, one in answers.items():
            points, before = RecordedPoints(), self.series.get(key)
            if before is not None:
                points.update(before.points)
            points.update(one.points)
            self.series[key] = Series(points, one.status)


class RolloutReport(Immutable):
    """Everything that the page of a rollout shows.

    settled_to: end of the measurements that were final, unix seconds.
    made: when the report was made. unread: why minutes that no entry has yet are missing; or empty.
    """

    history: RolloutHistory
    settled_to: int
    steps: tuple[StepReport, ...]
    criteria: tuple[CriterionReport, ...]
    latencies: tuple[LatencyReport, ...]
    exposure: Exposure
    failures: tuple[Failure, ...]
    made: datetime
    unread: str = ""


def make_report(
    history: RolloutHistory,
    now: datetime,
    latencies: Iterable[LatencyReport] = (),
    unread: str = "",
) -> RolloutReport:
    """Return the report of a rollout at `now`; latencies, unread: as in `RolloutReport`."""
    rollout, times = history.rollout, history.weight_spans
    decided = rollout.since if rollout.final else rollout.updated
    return RolloutReport(
        history=history,
        settled_to=floor_to(decided - rollout.policy.evaluation_delay, MINUTE_S),
        steps=tuple(_step(rollout, index, times) for index in range(len(rollout.policy.steps))),
        criteria=tuple(criteria_reports(rollout, history.findings, history.series, times)),
        latencies=tuple(latencies),
        exposure=exposure_of(rollout, history.series, times),
        failures=tuple(
            _failure(history, finding) for finding in rollout.evidence.findings if finding.fails
        ),
        made=now,
        unread=unread,
    )


def _step(rollout: Rollout, index: int, times: Sequence[WeightSpan]) -> StepReport:
    step = rollout.policy.steps[index]
    own = [one for one in times if one.step == index]
    return StepReport(
        index=index,
        weight=step.weight,
        planned=rollout.policy.planned_time_of(index),
        begin=own[0].begin if own else None,
        end=own[-1].end if own else None,
        state=_step_state(rollout, index, bool(own)),
    )


def _step_state(rollout: Rollout, index: int, reached: bool) -> str:
    if rollout.phase is Phase.SUCCEEDED or index < rollout.judged_step:
        return "passed" if reached else "skipped"
    if rollout.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        return "rolled back" if index == rollout.judged_step else "not reached"
    if index == rollout.judged_step:
        return "current"
    return "next" if index == rollout.judged_step + 1 else "not reached"


def criteria_reports(
    rollout: Rollout,
    recorded: Mapping[str, Finding],
    series: Mapping[str, Series],
    times: Sequence[WeightSpan],
) -> Iterator[CriterionReport]:
    """Yield the criteria of `rollout`: those that fail first, then by id.

    recorded: the newest finding of each criterion in the history.
    """
    ranked = sorted(rows(rollout), key=lambda row: row.finding is None or not row.finding.fails)
    for row in ranked:
        judge = judge_for(rollout, row.criterion)
        found, compared = trace_of(judge, series, times), judge.criterion.compares()
        finding, newest = row.finding, recorded.get(row.criterion)
        if finding is not None and newest is not None and not finding.facts:
            finding = newest if finding.end == newest.end else finding
        yield CriterionReport(
            row=row,
            finding=finding,
            demand=judge.rule_text,
            queries=tuple(queries_for([judge]).values()),
            logs=tuple(query for _, query in judge.log_queries(0, Span(0, MINUTE_S))),
            trace=found if found.bins else None,
            baseline=judge.baseline_text(),
            why=_why_not_drawn(compared, found),
        )


def _why_not_drawn(compared: Comparisons, found: Trace) -> str:
    """Return why a criterion has no values over time; empty: it has, or none of it is recorded."""
    if found.bins:
        return ""
    if isinstance(compared, NotCompared):
        return compared.why
    return "its counts contradict each other in every window" if found.inconsistent else ""


def _failure(history: RolloutHistory, finding: Finding) -> Failure:
    """Return what was seen during the regression of `finding`, or where it does not say, in all."""
    odds, breach = Odds.find(finding), Breach.find(finding)
    begin, end = finding.start, finding.end
    if odds is not None and odds.regression_start and odds.regression_end:
        begin, end = odds.regression_start, odds.regression_end
    elif breach is not None:
        begin, end = breach.breach_start, breach.breach_end
    judge = judge_for(history.rollout, finding.criterion)
    seen = list(windows_seen(judge, history.series, begin, end))
    earlier = max(0, len(seen) - MAX_SEEN)
    counted = form_of(judge) is not TraceForm.LEVEL
    unit = "" if counted else judge.criterion.value_unit(judge.metrics)
    return Failure(finding, begin, end, tuple(seen[earlier:]), earlier, counted, unit)


def acts(entries: Iterable[Entry]) -> Iterator[Act]:
    """Yield what operators did, the earliest first."""
    for entry in entries:
        cause: Any = entry.body.get("cause")
        if not isinstance(cause, dict) or cause.get("verb") not in _OPERATOR_VERBS:
            continue
        text = {name: str(entry.body.get(name) or "") for name in ("by", "caller", "sentence")}
        reasons = (cause.get(reason) for reason in _REASONS)
        note = str(next(filter(None, reasons), ""))
        way = f"--{cause['way']}" if cause.get("way") else ""
        option = "--fix" if cause.get("fix") else "--refuse" if cause.get("refuse") else way
        words = (str(cause["verb"]), str(cause.get("criterion") or ""), option)
        verb = " ".join(filter(None, words))
        yield Act(entry.at, verb, text["by"], text["caller"], note, text["sentence"])
