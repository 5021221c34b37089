"""What was red before a start as a fix: it gates once it is green, and fails where it gets worse.

An alarm is green once it is OK. A metric is judged over the newest bake-length of the step, twice:
by its own bound, which makes it green, and by the worst value that it had before the start, beyond
which it rolls back.
"""

from typing import Final

from controller.core.judge.evidence import StepInterval
from controller.core.judge.facts import RedBefore, flat
from controller.core.judge.findings import Finding, Verdict
from controller.core.judge.gate import Evidence, judge_gate
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.policy import Policy
from controller.core.stats.combined_tests import SequentialState
from controller.immutable import replace

# No minute of a red metric is judged with those of the others before it is green.
NEVER: Final = 1 << 62


def judge_red(
    finding: Finding, worst: float | None, policy: Policy, step: int, evidence: Evidence
) -> Finding:
    """Return the finding of a criterion that failed before the start and has not been green since.

    finding: that of the gate. worst: the value before the start; None for an alarm.
    evidence: of the gate of step number `step`.
    """
    red = RedBefore(1)
    if worst is None:
        if finding.verdict is not Verdict.INCONCLUSIVE:
            return finding
        return replace(finding, gates=False, facts=flat(finding.facts, red))
    own = judge_newest(policy, finding.criterion, step, evidence)
    if own.verdict is Verdict.PASS and evidence.bake_over:
        return own
    worse = judge_newest(
        policy.relaxed(finding.criterion, worst), finding.criterion, step, evidence
    )
    if worse.fails:
        return replace(worse, facts=flat(worse.facts, replace(red, worse_than=worst)))
    return replace(own, gates=False, facts=flat(own.facts, red))


def judge_newest(policy: Policy, name: str, step: int, evidence: Evidence) -> Finding:
    """Return the finding of one criterion on the newest bake-length, without what came before."""
    start = max(evidence.start, evidence.newest_start)
    interval = StepInterval(step, start, start, max(start, evidence.closed_end))
    series, baselines = evidence.series, evidence.baselines
    alone = replace(
        evidence,
        policy=policy,
        gate={name: policy.criteria[name]},
        tallies={},
        start=start,
        sequential=SequentialEvidence(policy, SequentialState(), (interval,), series, baselines),
        judged_later=frozenset(),
        judged_since={},
        known_judges={},
        known_measures={},
    )
    return next(one for one in judge_gate(alone) if one.criterion == name)
