"""How long a gate cannot fail, whatever is measured: a rehearsal need not look before that."""

from collections.abc import Iterable
from math import ceil, log
from typing import Any, Final

from controller.core.judge.criterion_judge import CriterionJudge
from controller.core.judge.findings import Finding
from controller.core.judge.gate import Evidence
from controller.core.judge.sequential_evidence import tests_of
from controller.core.stats.combined_tests import Fold, Test, limits
from controller.core.units import MINUTE_S, ceil_to

# The longest stretch that is looked ahead, in minutes.
_MAX: Final = 60
_LEAST: Final = 1e-300  # evidence that has all but vanished


def minutes_without_failure(evidence: Evidence, findings: Iterable[Finding]) -> int:
    """Return how many more minutes can close before the gate can fail; 0: the next one can.

    findings: of this evidence, whose series were all answered in full. Alarms and sign-offs are
    left out: they change by no minute of measurements. Holds for minutes that no longer change once
    they are closed.
    """
    minutes, measured = _sequential_minutes(evidence), {one.criterion: one for one in findings}
    for judge in evidence.judges():
        if judge.criterion.gating and not judge.criterion.sequential and minutes:
            minutes = min(minutes, _window_minutes(judge, evidence, measured.get(judge.name)))
    return minutes


def _sequential_minutes(evidence: Evidence) -> int:
    """Return the minutes in which the evidence of the whole rollout stays below its limit."""
    if not evidence.policy.sequential_criteria():
        return _MAX
    fold = evidence.sequential_evidence.fold_until(evidence.closed_end)
    tests = tests_of(evidence.policy).values()
    return min((_minutes_below_limit(one, fold) for one in tests), default=_MAX)


def _minutes_below_limit(test: Test, fold: Fold) -> int:
    """Return the minutes in which `test` stays below its limit.

    It gains its cap in the first of them, and what is refilled in each of the others, at most.
    Both are the larger ones of datapoints as far apart as now, and of one in each minute.
    """
    capital = fold.capitals.get(test.name)
    missing = -log(test.part) - (0.0 if capital is None else log(max(capital.e_value, _LEAST)))
    spacing = 0 if capital is None else capital.spacing
    cap, refill = map(max, zip(limits(test, spacing), limits(test, 1), strict=True))
    if missing <= cap:
        return 0
    return _MAX if refill <= 0 else min(_MAX, ceil((missing - cap) / refill))


def _window_minutes(judge: CriterionJudge[Any], evidence: Evidence, finding: Finding | None) -> int:
    """Return the minutes until a window closes in which the criterion can fail."""
    if evidence.search_span_of(judge) is not None or judge.counts_open_windows:
        return 0
    if not judge.has_windows or not judge.can_fail_after(finding):
        return _MAX
    newest = max(
        ceil_to(evidence.start, judge.period_s),
        evidence.closed_end // judge.period_s * judge.period_s,
    )
    closes = newest + judge.period_s
    return max(0, min(_MAX, (closes - evidence.closed_end) // MINUTE_S - 1))
