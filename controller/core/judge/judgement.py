"""The judgement of one decision: all that its observation says about the rollout. Made once.

That is the findings of the gate, what could not be read, which requests are missing, and after the
end the leak check and the use of the stable path. Transitions read no series.

A checkpoint is the stored evidence with all that can no longer change folded in, so that no later
tick has to read it again.

What was red before a start as a fix gates once it is green, and fails where it gets worse. An alarm
is green once it is OK. A metric is judged over the newest bake-length of the step, twice: by its
own bound, which makes it green, and by the worst value that it had before the start, beyond which
it rolls back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from controller.core.judge.criteria.alarms_logs_signoffs import LOG_KEY_PREFIX
from controller.core.judge.criterion_judge import Context, judge_of
from controller.core.judge.evidence import NonMetricEvidence, StepInterval, Tally
from controller.core.judge.facts import RedBefore, flat
from controller.core.judge.findings import Finding, Verdict, gate_verdict
from controller.core.judge.gate import (
    Evidence,
    awaits_log_backlog,
    checkpoint_state,
    checkpoint_tallies,
    judge_gate,
    reads_log_backlog,
)
from controller.core.judge.leak_check import leak_check_finding
from controller.core.judge.queries import JUDGED_PHASES, stable_use_of
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.judge.silence import Loss, Silence, missing_at_100, was_heard
from controller.core.observation import (
    AlarmState,
    Observation,
    QueryStatus,
    TargetReading,
    UnreadableTarget,
)
from controller.core.policy import Criterion, Policy
from controller.core.rollout import Rollout, StableUse
from controller.core.stats.combined_tests import SequentialState
from controller.core.units import MINUTE_S, floor_to, from_unix
from controller.immutable import Immutable, replace

# A checkpoint is written to state and history at most this often, and with each tick while a log
# has a backlog. An entry of a transition has the series instead.
CHECKPOINT_EVERY = timedelta(hours=1)
# No minute of a red metric is judged with those of the others before it is green.
_NEVER: Final = 1 << 62

_FAILED_STATUSES: Final = frozenset({QueryStatus.ERROR, QueryStatus.FORBIDDEN})


class Blindness(Immutable):
    """What could not be read, and why.

    sources: what was queried without any answer; empty: the target was not read.
    """

    sources: tuple[str, ...]
    why: str


class Checkpoint(Immutable):
    """The evidence that is stored: the tallies of the step, and the fold of the whole rollout."""

    tallies: Mapping[str, Tally]
    fold: SequentialState


@dataclass(frozen=True, eq=False)
class Judgement:
    """An observation of `rollout` at `now`. What a decision does not ask for is not judged.

    last_seen: when the rollout was last looked at before.
    """

    rollout: Rollout
    observation: Observation
    now: datetime
    last_seen: datetime

    @property
    def target(self) -> TargetReading | UnreadableTarget:
        return self.observation.target

    @cached_property
    def evidence(self) -> Evidence | None:
        """What its gate is judged from; None before the first minute, and where no gate is."""
        return _evidence(self.rollout, self.observation, self.now)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of the gate; before the first evidence, those of refused sign-offs."""
        if self.evidence is None:
            return refusal_findings(self.rollout)
        policy, step, red = self.rollout.policy, self.rollout.judged_step, self.red
        return tuple(
            _judge_red(one, red[one.criterion], policy, step, self.evidence)
            if one.criterion in red
            else one
            for one in judge_gate(self.evidence)
        )

    @cached_property
    def red(self) -> Mapping[str, float | None]:
        """The criteria that were red before a start as a fix, and not green at the last tick."""
        return red_of(self.rollout, self.observation)

    @property
    def greened(self) -> Mapping[str, int]:
        """The criteria that are green now for the first time, and since when they gate."""
        if self.evidence is None:
            return {}
        since = max(self.evidence.start, self.evidence.newest_start)
        return {
            finding.criterion: since
            for finding in self.findings
            if finding.criterion in self.red and finding.gates and finding.verdict is Verdict.PASS
        }

    @property
    def verdict(self) -> Verdict:
        """The verdict of the gate."""
        return gate_verdict(self.findings)

    @property
    def bake_over(self) -> bool:
        """True when the bake is over, and its data are settled to the end."""
        return self.evidence is not None and self.evidence.bake_over

    @property
    def awaits_logs(self) -> bool:
        """True when a log of the gate has a backlog that is left to further ticks."""
        return self.evidence is not None and awaits_log_backlog(self.evidence)

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        """The evidence that can no longer change; None while no checkpoint is due."""
        evidence = self.evidence
        if evidence is None:
            return None
        intervals = evidence.sequential.intervals
        first = intervals[0].begin if intervals else evidence.start
        last = self.rollout.evidence.checkpoint_at or from_unix(first)
        if self.now - last < CHECKPOINT_EVERY and not reads_log_backlog(evidence):
            return None
        return Checkpoint(
            checkpoint_tallies(evidence, self.now), checkpoint_state(evidence, self.now)
        )

    @property
    def blindness(self) -> Blindness | None:
        """What the tick could not read; None where it saw something, or queried nothing."""
        return _blindness(self.observation)

    @property
    def was_heard(self) -> bool | None:
        """True when a request was counted since the step was applied; None: that is not known."""
        return was_heard(self.rollout, self.observation.series)

    @property
    def missing(self) -> Silence | Loss | None:
        """What is missing since 100% was applied: all requests, or many; None: not known to be."""
        return missing_at_100(self.rollout, self.observation.series, self.now)

    @property
    def leak_check(self) -> Finding | None:
        """The leak check of a rollback; None while it has no result, or has none to come."""
        return leak_check_finding(self.rollout, self.target, self.observation.series, self.now)

    @property
    def stable_use(self) -> StableUse | None:
        """The use of the stable path after success; None where this tick has not read it."""
        return stable_use_of(self.rollout, self.observation.series, self.now)


def judge(
    rollout: Rollout, observation: Observation, now: datetime, last_seen: datetime | None = None
) -> Judgement:
    """Return the judgement of `observation`.

    last_seen: when the rollout was last looked at before; None: only now.
    """
    return Judgement(rollout, observation, now, last_seen or now)


def _evidence(rollout: Rollout, observation: Observation, now: datetime) -> Evidence | None:
    start, end, first = rollout.judged_from, rollout.bake_end, rollout.read_from
    if start is None or end is None or first is None:
        return None
    if rollout.phase not in JUDGED_PHASES or first >= now.timestamp():
        return None
    closed_end = rollout.policy.settled_end(now)
    since = _judged_since(rollout, observation)
    return Evidence(
        policy=rollout.policy,
        gate=_gate(rollout, observation),
        series=observation.series,
        tallies=rollout.evidence.tallies,
        start=start,
        closed_end=closed_end,
        open_end=floor_to(now, MINUTE_S) + MINUTE_S,
        bake_over=closed_end >= end.timestamp(),
        weight=_weight(rollout, observation),
        baselines=rollout.evidence.baselines,
        sequential=SequentialEvidence(
            rollout.policy,
            rollout.evidence.fold.current_version,
            rollout.intervals_after_checkpoint,
            observation.series,
            rollout.evidence.baselines,
            since,
        ),
        non_metric=NonMetricEvidence(
            observation.alarms,
            rollout.evidence.sign_offs,
            int(rollout.created.timestamp()),
            rollout.id,
        ),
        judged_later=rollout.policy.judged_after(rollout.judged_step),
        newest_start=rollout.newest_bake_from(closed_end),
        judged_since=since,
    )


def _gate(rollout: Rollout, observation: Observation) -> Mapping[str, Criterion]:
    """Return the criteria that judge the live step.

    Once the next weight is applied, its minutes are among those that were measured: only what
    both steps ask for can be judged then.
    """
    gate, pending = rollout.policy.gate(rollout.judged_step), rollout.pending
    target = observation.target
    if pending is None or isinstance(target, UnreadableTarget):
        return gate
    if not target.has_applied(pending.weight):
        return gate
    following = rollout.policy.gate(pending.step)
    return {name: criterion for name, criterion in gate.items() if name in following}


def _weight(rollout: Rollout, observation: Observation) -> int:
    """Return the weight that the canary's traffic is judged at.

    After drift it is the lower of the planned and the live weight: the evidence of the step is
    older than the drift.
    """
    weight = rollout.weight if rollout.live is None else rollout.live.weight
    if isinstance(observation.target, UnreadableTarget):
        return weight
    return min(weight, observation.target.weight or 0)


# --- Blindness ------------------------------------------------------------------------------------


def _blindness(observation: Observation) -> Blindness | None:
    """Return what cannot be read: the target, or every metric that was queried; None otherwise.

    Where no metric was queried, the log events and alarms count instead.
    """
    if isinstance(observation.target, UnreadableTarget):
        return Blindness((), observation.target.reason)
    metrics = [one for key, one in observation.series.items() if not key.startswith(LOG_KEY_PREFIX)]
    logs = [] if metrics else [*observation.series.values()]
    alarms = [] if metrics else [*observation.alarms.values()]
    can_see = any(one.status not in _FAILED_STATUSES for one in (*metrics, *logs))
    can_see |= any(alarm.state is not AlarmState.UNREAD for alarm in alarms)
    answers = {"metric": metrics, "log event": logs, "alarm": alarms}
    sources = tuple(source for source, queried in answers.items() if queried)
    if can_see or not sources:
        return None
    reasons = [one.message for one in (*metrics, *logs)] + [alarm.reason for alarm in alarms]
    return Blindness(sources, next(filter(None, reasons), "no reason given"))


# --- A start as a fix -----------------------------------------------------------------------------


def red_of(rollout: Rollout, observation: Observation) -> dict[str, float | None]:
    """Return what was red before a start as a fix, and has not been green, with its worst value.

    Only as far as the store has it apart from the rollout, where not every role may write.
    """
    fix, allowed = rollout.evidence.fix, observation.fix or {}
    red = {} if fix is None else fix.not_green
    return {name: one for name, one in red.items() if name in allowed and allowed[name] == one}


def _judged_since(rollout: Rollout, observation: Observation) -> Mapping[str, int]:
    """Return from when on criteria of a fix are judged with the others, unix seconds."""
    fix = rollout.evidence.fix
    if fix is None or observation.fix is None:
        return {}
    red = red_of(rollout, observation)
    waiting = {name: _NEVER for name, worst in red.items() if worst is not None}
    return {**fix.green, **waiting}


def _judge_red(
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
    own = _judge_newest(policy, finding.criterion, step, evidence)
    if own.verdict is Verdict.PASS and evidence.bake_over:
        return own
    worse = _judge_newest(
        policy.relaxed(finding.criterion, worst), finding.criterion, step, evidence
    )
    if worse.fails:
        return replace(worse, facts=flat(worse.facts, replace(red, worse_than=worst)))
    return replace(own, gates=False, facts=flat(own.facts, red))


def _judge_newest(policy: Policy, name: str, step: int, evidence: Evidence) -> Finding:
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


# --- Sign-offs ------------------------------------------------------------------------------------


def refusal_findings(rollout: Rollout) -> tuple[Finding, ...]:
    """Return the findings of gating attestations that an operator has refused."""
    now = int(rollout.updated.timestamp())
    refused = NonMetricEvidence(sign_offs=rollout.evidence.sign_offs).refusals()
    return tuple(
        attestation_finding(rollout, name, now, now)
        for name in refused
        if rollout.policy.criteria[name].gating
    )


def attestation_finding(rollout: Rollout, name: str, start: int, end: int) -> Finding:
    """Return the finding on the answer of an operator to criterion `name`.

    start, end: begin of the judged time of the step, and the time of the answer, unix seconds.
    """
    context = Context(
        start=start,
        closed_end=end,
        open_end=end + MINUTE_S,
        bake_over=False,
        weight=rollout.weight,
        non_metric=NonMetricEvidence(sign_offs=rollout.evidence.sign_offs),
    )
    return judge_of(name, rollout.policy.criteria[name], rollout.policy).conclude(Tally(), context)
