"""How long a gate cannot fail, whatever is measured: a tick before that finds nothing."""

from collections.abc import Iterable
from math import exp
from typing import Any, Final

from controller.core.judge.criterion_judge import CriterionJudge
from controller.core.judge.findings import Finding, Verdict, gate_verdict
from controller.core.judge.gate import Evidence, judge_gate
from controller.core.stats.combined_tests import CombinedTests, SequentialState, Test, limits
from controller.core.stats.eprocess import EProcessState
from controller.core.units import MINUTE_S, ceil_to
from controller.immutable import replace

# The longest stretch that is looked ahead, in minutes.
LONGEST: Final = 60
_LARGEST_EXPONENT: Final = 700.0  # of e, in a float


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
