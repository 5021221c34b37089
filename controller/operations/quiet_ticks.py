"""The pace of a rehearsal: it leaves out ticks that can change nothing but evidence.

The world of a rehearsal can be read ahead, as it will be if the weight stays: its gate is judged
minute by minute until it fails.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from math import ceil, exp
from typing import Any, Final, TypeAlias

from controller.core.judge.criterion_judge import CriterionJudge
from controller.core.judge.findings import Finding, Verdict, gate_verdict
from controller.core.judge.gate import Evidence, judge_gate
from controller.core.judge.judgement import SEAL_EVERY
from controller.core.judge.queries import aligned_span, gate_query_plan
from controller.core.judge.silence import silence_read_from
from controller.core.observation import MetricQuery, QueryStatus, Series, Span, TargetReading
from controller.core.rollout import Live, Reason, Rollout
from controller.core.stats.combined_tests import Test, limits
from controller.core.stats.eprocess import EProcessState
from controller.core.units import MINUTE_S, ceil_to, floor_to, from_unix
from controller.core.words.next_action import next_action
from controller.engine.execute import TickOutcome
from controller.immutable import replace

_MINUTE: Final = timedelta(seconds=MINUTE_S)

ReadAhead: TypeAlias = Callable[[Collection[MetricQuery], Span], Mapping[MetricQuery, Series]]
"""Returns what the metrics will show of a time to come, if the weight stays."""


def ticks_to_next_change(
    visit: TickOutcome,
    now: datetime,
    every: timedelta,
    final_after: timedelta,
    next_event: Callable[[], datetime | None],
    read_ahead: ReadAhead,
) -> int:
    """Return after how many ticks of the interval `every` something can change; at least 1.

    Only a bake without any condition is quiet. What ends the quiet: its end, the next seal or
    summary, an event of the scenario, and the first minute that fails the gate.

    final_after: the age at which a minute no longer changes. next_event: returns when the scenario
    next changes something; None: never again. The metrics are read ahead until then.
    """
    rollout, observation = visit.rollout, visit.observation
    if observation is None or visit.problem or visit.alerts or visit.busy or not visit.saved:
        return 1
    live, target = _quiet_live(rollout), observation.target
    evidence = None if visit.judgement is None else visit.judgement.evidence
    if live is None or evidence is None:
        return 1
    if not isinstance(target, TargetReading) or not target.has_applied(live.weight):
        return 1
    if any(one.status is not QueryStatus.COMPLETE for one in observation.series.values()):
        return 1
    if silence_read_from(rollout, now) is not None:
        return 1
    if final_after > rollout.policy.evaluation_delay:
        return 1
    final_until = floor_to(rollout.updated - final_after, MINUTE_S)
    event, deadlines = next_event(), list(_deadlines(rollout, live))
    until = min(deadlines if event is None else [*deadlines, event])
    if until <= now + every:
        return 1
    queries = gate_query_plan(rollout, now).queries
    span = aligned_span(queries.values(), final_until, floor_to(until, MINUTE_S))
    to_come = read_ahead(queries.values(), span)
    # A series that an earlier step alone reads is not read on once that step is sealed.
    series = dict(evidence.series) | {
        key: replace(one, points=_joined(one.points, to_come[queries[key]].points, span.start))
        for key, one in evidence.series.items()
        if key in queries
    }
    # What was folded stays: the minutes that are closed do not change.
    sequential = dataclasses.replace(evidence.sequential, series=series)
    ahead = replace(evidence, series=series, sequential=sequential)
    settled_end = rollout.policy.settled_end(until)
    quiet = minutes_without_failure(ahead, rollout.evidence.findings, settled_end, open_too=True)
    return max(1, ceil((min(until, now + (quiet + 1) * _MINUTE) - now) / every))


def _joined(seen: Mapping[int, float], to_come: Mapping[int, float], at: int) -> dict[int, float]:
    """Return the points that were seen before `at`, and those to come."""
    return {**{start: value for start, value in seen.items() if start < at}, **to_come}


def _quiet_live(rollout: Rollout) -> Live | None:
    """Return the live step of a bake that needs no notice; else None."""
    quiet = rollout.reason is Reason.BAKING and rollout.pending is None
    return rollout.live if quiet and not rollout.conditions and not rollout.outbox else None


def _deadlines(rollout: Rollout, live: Live) -> Iterator[datetime]:
    """Yield when time alone changes the rollout: the end of a bake, a seal, a summary."""
    action = next_action(rollout).at
    if action is not None:
        yield action
    intervals = rollout.unsealed_intervals
    begin = intervals[0].begin if intervals else rollout.judged_from or 0
    yield (rollout.evidence.sealed_at or from_unix(begin)) + SEAL_EVERY
    every = rollout.policy.summary_period
    if every is not None and live.weight == 100:
        yield live.since + ((rollout.updated - live.since) // every + 1) * every


# --- How long a gate cannot fail ------------------------------------------------------------------

# The longest stretch that is looked ahead, in minutes.
LONGEST: Final = 60
_LARGEST_EXPONENT: Final = 700.0  # of e, in a float


def minutes_without_failure(
    evidence: Evidence,
    findings: Iterable[Finding],
    final_until: int = 0,
    *,
    open_too: bool = False,
) -> int:
    """Return how many more minutes can close before the gate can fail; 0: the next one can.

    findings: of this evidence, whose series were all answered in full. final_until: the series no
    longer change before this moment, unix seconds, so the minutes that close until then are judged
    as they are; of later ones the worst is assumed.

    open_too: the series have open windows as they will be at their end. Without, each of them may
    fail a criterion that counts them.

    Alarms and sign-offs are left out: they change by no minute of measurements. Holds for minutes
    that no longer change once they are closed.
    """
    windowed = [
        judge
        for judge in evidence.judges()
        if judge.criterion.gating and not judge.criterion.sequential
    ]
    if any(evidence.search_span_of(judge) is not None for judge in windowed):
        return 0
    in_open_windows = {judge.name for judge in windowed if judge.counts_open_windows}
    if in_open_windows and not open_too:
        return 0
    known, measured = 0, {finding.criterion: finding for finding in findings}
    evidence.sequential.fold_until(final_until)  # once for all of them
    while evidence.closed_end + MINUTE_S <= final_until:
        closed_end = evidence.closed_end + MINUTE_S
        # A sequential criterion that fails is added to the gate; of others, a window must close.
        gate = {
            one.name: one.criterion
            for one in windowed
            if one.name in in_open_windows
            or (closed_end % one.period_s == 0 and one.can_fail_after(measured.get(one.name)))
        }
        open_end = evidence.open_end + MINUTE_S
        evidence = replace(evidence, closed_end=closed_end, open_end=open_end, gate=gate)
        closed = judge_gate(evidence)
        if gate_verdict(closed) is Verdict.FAIL:
            return known
        measured |= {one.criterion: one for one in closed}
        known += 1
    unknown = [_window_minutes(one, evidence, measured.get(one.name)) for one in windowed]
    return known + min([_sequential_minutes(evidence), *unknown])


def _sequential_minutes(evidence: Evidence) -> int:
    """Return the minutes in which the evidence of the whole rollout stays below its limits."""
    minutes = LONGEST
    if not evidence.sequential.intervals:  # no criterion is sequential
        return minutes
    fold = evidence.sequential.fold_until(evidence.closed_end)
    combined, step = evidence.sequential.combined, evidence.sequential.intervals[-1].step
    for test in combined.by_name.values():
        capital = fold.capitals.get(test.name, EProcessState())
        share = combined.prior.share(capital, step, test.block)
        minutes = minutes_below_limit(test, capital, share, minutes)
    return minutes


def minutes_below_limit(
    test: Test, capital: EProcessState, share: float, most: int = LONGEST
) -> int:
    """Return how many more minutes `test` stays below its limit, at most `most`.

    share: what the next minute adds to the bets; a later one adds less. Whatever is measured, all
    of them multiply the bets by no more than what is left of the cap and refilled between them:
    that of datapoints as far apart as now, or of one in each minute, whichever is larger.
    """
    every_minute, as_now = limits(test, 1), limits(test, capital.spacing)
    cap, refill = max(every_minute[0], as_now[0]), max(every_minute[1], as_now[1])
    bet, gain = capital.e_value - capital.unspent, cap - capital.used
    for minutes in range(most):
        bet += share
        if (capital.unspent + bet * exp(min(gain, _LARGEST_EXPONENT))) * test.part >= 1:
            return minutes
        gain += refill
    return most


def _window_minutes(judge: CriterionJudge[Any], evidence: Evidence, finding: Finding | None) -> int:
    """Return the minutes until a window closes in which the criterion can fail."""
    if not judge.has_windows or not judge.can_fail_after(finding):
        return LONGEST
    newest = max(
        ceil_to(evidence.start, judge.period_s),
        evidence.closed_end // judge.period_s * judge.period_s,
    )
    closes = newest + judge.period_s
    return max(0, min(LONGEST, (closes - evidence.closed_end) // MINUTE_S - 1))
