"""When a tick has to visit a rollout again: at the first moment at which it may find something.

A rollout that nothing can change for a while is left alone until then: no read of its target, no
metric, no lease and no save. Wherever that is not certain, each tick visits it. `deadlines` are the
moments at which time alone changes it; `minutes_without_failure` says how long its gate cannot
fail, whatever is measured.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from math import ceil, exp
from typing import Any, Final

from controller.core.judge.criterion_judge import CriterionJudge
from controller.core.judge.findings import Finding, Verdict, gate_verdict
from controller.core.judge.gate import Evidence, judge_gate
from controller.core.judge.judgement import CHECKPOINT_EVERY, Judgement
from controller.core.judge.queries import stable_use_plan
from controller.core.judge.silence import silence_read_from
from controller.core.observation import Observation, QueryStatus, TargetReading
from controller.core.policy import Attestation
from controller.core.rollout import Live, Phase, Reason, Rollout
from controller.core.stats.combined_tests import CombinedTests, SequentialState, Test, limits
from controller.core.stats.eprocess import EProcessState
from controller.core.units import MINUTE_S, ceil_to, from_unix
from controller.core.visit_order import FARTHEST
from controller.immutable import replace

# No schedule comes to the second: of ticks that are five minutes apart, each one visits.
_LATENESS: Final = timedelta(seconds=30)
# The longest stretch that is looked ahead, in minutes.
LONGEST: Final = 60
_LARGEST_EXPONENT: Final = 700.0  # of e, in a float


def next_due(
    rollout: Rollout, observation: Observation, judgement: Judgement | None
) -> datetime | None:
    """Return when a rollout is due that was just visited; None: at the next tick.

    rollout: after the decision, with its messages. judgement: of its gate; None: none was judged.
    """
    target, now = observation.target, rollout.updated
    if rollout.outbox or rollout.conditions or not isinstance(target, TargetReading):
        return None
    latest = _whole_second(now + FARTHEST - _LATENESS)
    if rollout.phase is Phase.SUCCEEDED:
        is_watched = observation.owns_target and rollout.is_watched(now)
        is_watched = is_watched and target.has_applied(rollout.weight)
        return latest if is_watched and not stable_use_plan(rollout, latest) else None
    live, evidence = quiet_live(rollout), None if judgement is None else judgement.evidence
    if live is None or evidence is None or not target.has_applied(live.weight):
        return None
    if rollout.evidence.fix is not None or silence_read_from(rollout, now) is not None:
        return None
    if rollout.policy.target.observed:  # others move its weight at any moment
        return None
    if not _is_foreseeable(observation, evidence):
        return None
    most = FARTHEST // timedelta(minutes=1)
    quiet = minutes_without_failure(evidence, rollout.evidence.findings, most=most)
    may_fail = from_unix(evidence.closed_end + (quiet + 1) * MINUTE_S)
    sooner = min(may_fail + rollout.policy.evaluation_delay, *deadlines(rollout, live))
    return min(latest, _whole_second(sooner))


def _whole_second(moment: datetime) -> datetime:
    """Return the first whole second from `moment` on: stores keep no other."""
    return from_unix(ceil(moment.timestamp()))


def quiet_live(rollout: Rollout) -> Live | None:
    """Return the live step of a bake that needs no notice; else None."""
    quiet = rollout.reason is Reason.BAKING and rollout.pending is None
    return rollout.live if quiet and not rollout.conditions and not rollout.outbox else None


def checkpoint_due(rollout: Rollout) -> datetime:
    """Return from when on a tick stores the evidence again, which it does once an hour."""
    intervals = rollout.intervals_after_checkpoint
    begin = intervals[0].begin if intervals else rollout.judged_from or 0
    return (rollout.evidence.checkpoint_at or from_unix(begin)) + CHECKPOINT_EVERY


def deadlines(rollout: Rollout, live: Live) -> Iterator[datetime]:
    """Yield when time alone changes the rollout: the end of a bake, a checkpoint, a summary."""
    if rollout.bake_end is not None:  # also where a freeze begins then, and is over later
        yield rollout.bake_end + rollout.policy.evaluation_delay
    yield checkpoint_due(rollout)
    every = rollout.policy.summary_period
    if every is not None and live.weight == 100:
        yield live.since + ((rollout.updated - live.since) // every + 1) * every


def _is_foreseeable(observation: Observation, evidence: Evidence) -> bool:
    """Tell whether only further datapoints can fail the gate, and all queries were answered.

    An alarm fails it at any moment. So may a criterion without windows, of another package; a
    sign-off is refused by a command, which decides at once.
    """
    answers = observation.series.values()
    if not answers or any(one.status is not QueryStatus.COMPLETE for one in answers):
        return False
    return all(
        judge.has_windows or isinstance(judge.criterion, Attestation)
        for judge in evidence.judges()
        if judge.criterion.gating
    )


# --- How long a gate cannot fail ------------------------------------------------------------------


def minutes_without_failure(
    evidence: Evidence,
    findings: Iterable[Finding],
    final_until: int = 0,
    *,
    open_too: bool = False,
    most: int = LONGEST,
) -> int:
    """Return how many more minutes can close before the gate can fail; 0: the next one can.

    findings: of this evidence, whose series were all answered in full. final_until: the series no
    longer change before this moment, unix seconds, so the minutes that close until then are judged
    as they are; of later ones the worst is assumed.

    open_too: the series have open windows as they will be at their end. Without, each of them may
    fail a criterion that counts them.
    most: how many minutes are looked ahead after `final_until`.

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
    return known + min([_sequential_minutes(evidence, most), *unknown])


def _sequential_minutes(evidence: Evidence, most: int) -> int:
    """Return the minutes in which the evidence of the whole rollout stays below its limits."""
    if not evidence.sequential.intervals:  # no criterion is sequential
        return most
    fold = evidence.sequential.fold_until(evidence.closed_end)
    step = evidence.sequential.intervals[-1].step
    return minutes_without_rejection(evidence.sequential.combined, fold, step, most)


def minutes_without_rejection(
    combined: CombinedTests, fold: SequentialState, step: int, most: int
) -> int:
    """Return how many more minutes no test of `step` reaches its limit, at most `most`."""
    minutes = most
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
    that of datapoints as far apart as now, or of one in each minute, whichever is larger. After the
    first datapoint it is not known how far apart they are.
    """
    spacing = LONGEST if capital.newest and not capital.spacing else capital.spacing
    every_minute, as_now = limits(test, 1), limits(test, spacing)
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
