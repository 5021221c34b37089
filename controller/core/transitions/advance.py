"""Transitions to more traffic: start, bake, hold, advance, promote and complete."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from controller.core.decision import Decision, Notice, Record, SetWeight
from controller.core.events import Started
from controller.core.history import POLICY_DIGEST, TARGET
from controller.core.judge.evidence import FixStart, RolloutEvidence
from controller.core.judge.findings import Finding, Label, weakest_label, weakest_step_text
from controller.core.judge.judgement import Checkpoint, Judgement
from controller.core.message import Severity
from controller.core.notice_rules import Condition, ConditionKind
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.policy import Policy
from controller.core.rollout import (
    Live,
    Pending,
    Position,
    Progressing,
    Reason,
    Rollout,
    Succeeded,
)
from controller.core.transitions.rollback import kept_token
from controller.core.words.next_action import baking_sentence, holding_sentence
from controller.core.words.notices import REVISION_PREFIX_LENGTH, fix_text, green_text
from controller.immutable import replace

# How long a succeeded rollout is watched for drift.
SUCCESS_WATCH = timedelta(days=7)
# Kinds of entries: of a checkpoint, and of criteria that are green since a start as a fix.
EVIDENCE: Final = "evidence"
GREEN: Final = "green"


def start_rollout(started: Started, now: datetime) -> Decision:
    """Return a new rollout with its first weight decided, or at a weight that is live already."""
    policy, reading, cause = started.policy, started.target, started.cause
    adopted = cause.adopted
    step = adopted or 0
    weight = policy.steps[step].weight
    sentence = f"started with revision {started.revision[:REVISION_PREFIX_LENGTH]}; "
    if adopted is None:
        reason, live_weight, move = Reason.STARTED, 0, SetWeight(weight, reading.token)
        position: Position = Pending(step, weight, 0, reading.token, now, tried=now)
        sentence += f"going to {weight}%"
    else:
        reason, live_weight, move = Reason.ADOPTED, weight, None
        position = Live(step, weight, now)
        sentence += f"taking over the existing weight of {weight}%"
    if cause.retry_reason is not None:
        sentence += f"; retried: {cause.retry_reason}"
    if cause.despite:
        failed = "a failed check" if len(cause.despite) == 1 else "failed checks"
        sentence += f"; despite {failed} ({', '.join(cause.despite)})"
        if cause.despite_reason != cause.retry_reason:
            sentence += f": {cause.despite_reason}"
    fix = FixStart(cause.fix) if cause.fix else None
    if fix is not None:
        known = (cause.retry_reason, cause.despite_reason)
        why = "" if cause.fix_reason in known else f": {cause.fix_reason}"
        sentence += f"; {fix_text(fix)}{why}"
    rollout = Rollout(
        id=f"{policy.name}#{started.attempt}",
        revision=started.revision,
        policy=policy,
        digest=policy.digest(),
        target=reading.identity,
        state=Progressing(since=now, reason=reason, sentence=sentence, position=position),
        created=now,
        updated=now,
        evidence=RolloutEvidence(
            baselines=started.baselines,
            label=_unjudged_label(policy, range(step), step),
            fix=fix,
        ),
        seen_weight=reading.weight,
    )
    notice = Notice(Severity.INFO, f"{rollout.id}: {sentence}")
    entry = Record.of("started", rollout, rollout, live_weight, now)
    passed = {"despite": dict(cause.despite), "despite_reason": cause.despite_reason}
    because = {
        "verb": "start",
        "retry_reason": cause.retry_reason,
        "adopted": adopted,
        **(passed if cause.despite else {}),
        **({"fix": dict(cause.fix), "fix_reason": cause.fix_reason} if fix else {}),
        POLICY_DIGEST: rollout.digest,
        TARGET: policy.target.model_dump(mode="json"),
    }
    return Decision(rollout, move, (notice,), replace(entry, cause=because))


def with_activity(
    rollout: Rollout,
    state: Progressing,
    reason: Reason,
    sentence: str,
    block: Reason | None = None,
    blocked: str = "",
) -> Rollout:
    """Return `rollout`, which is in `state`, with what it does or waits for now.

    block: what blocks the next transition, unless that is only time; blocked: the same as text.
    """
    after = replace(rollout, state=replace(state, reason=reason, sentence=sentence, block=block))
    if not blocked:
        return after.with_condition(ConditionKind.BLOCKED, None)
    before = rollout.conditions.get(ConditionKind.BLOCKED)
    goes_on = before is not None and (state.block, state.reason) == (block, reason)
    condition = replace(before, text=blocked) if before and goes_on else None
    return after.with_condition(
        ConditionKind.BLOCKED, condition or Condition(rollout.updated, blocked)
    )


def with_block_announced(rollout: Rollout, now: datetime) -> Rollout:
    """Return `rollout`, whose block is announced to operators at `now`."""
    condition = rollout.conditions[ConditionKind.BLOCKED]
    return rollout.with_condition(ConditionKind.BLOCKED, replace(condition, announced=now))


def mark_unreadable(rollout: Rollout, state: Progressing, why: str) -> Rollout:
    """Mark `rollout` as waiting for a target that cannot be read."""
    sentence = f"the target cannot be read; the weight stays as it is: {why}"
    return with_activity(rollout, state, Reason.TARGET_UNREADABLE, sentence, state.block, why)


def mark_baking(rollout: Rollout, state: Progressing) -> Rollout:
    """Mark `rollout` as baking: the bake of its weight is not over, or its data are not final."""
    return with_activity(rollout, state, Reason.BAKING, baking_sentence(rollout))


def mark_holding(
    rollout: Rollout, state: Progressing, target: TargetReading | UnreadableTarget
) -> Rollout:
    """Mark `rollout` as on hold: its gate is inconclusive after the bake, or its target busy."""
    sentence = holding_sentence(rollout, target)
    names = [finding.criterion for finding in rollout.evidence.findings if finding.blocks_advance]
    lacks = "no data" if rollout.waits_for_data else "inconclusive"
    blocked = f"{lacks}: {', '.join(names)}" if names else "target not ready"
    return with_activity(rollout, state, Reason.ON_HOLD, sentence, Reason.ON_HOLD, blocked)


def evidence_entry(rollout: Rollout, checkpoint: Checkpoint, now: datetime) -> Decision:
    """Return `rollout` in the same step, with a history entry that has the checkpoint."""
    weight = rollout.weight if rollout.live is None else rollout.live.weight
    entry = Record.of(EVIDENCE, rollout, rollout, weight, now, keeps_series=True)
    entry = replace(entry, tallies=checkpoint.tallies, fold=checkpoint.fold)
    evidence = replace(
        rollout.evidence, tallies=checkpoint.tallies, fold=checkpoint.fold, checkpoint_at=now
    )
    return Decision(replace(rollout, evidence=evidence), record=entry)


def record_green(decision: Decision, judgement: Judgement) -> Decision:
    """Return `decision` with what is green since a start as a fix: from here on it gates.

    Its evidence begins with the newest bake-length, in which it was green. A checkpoint in the same
    tick comes first: what it leads to is derived from its minutes alone.
    """
    rollout, green, record = decision.rollout, judgement.greened, decision.record
    fix = rollout.evidence.fix
    is_checkpoint = record is not None and record.kind == EVIDENCE
    if fix is None or not green or is_checkpoint or rollout.position is None:
        return decision
    tallies = {name: tally for name, tally in rollout.evidence.tallies.items() if name not in green}
    fix = replace(fix, green={**fix.green, **green})
    after = replace(rollout, evidence=replace(rollout.evidence, fix=fix, tallies=tallies))
    text = green_text(green)
    if record is None:
        weight = rollout.weight if rollout.live is None else rollout.live.weight
        record = Record.of(GREEN, rollout, after, weight, judgement.now, keeps_series=True)
        record = replace(record, sentence=text)
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}", GREEN)
    notices = (*decision.notices, notice)
    return replace(decision, rollout=after, record=record, notices=notices)


def confirm_applied(
    rollout: Rollout, state: Progressing, pending: Pending, now: datetime
) -> Decision:
    """Confirm that the weight was read back from the target: the clock of the step starts."""
    live = Live(pending.step, pending.weight, now)
    state = replace(state, reason=Reason.APPLIED, position=live, hold_from=None, block=None)
    after = replace(close_step(rollout, now), state=state)
    sentence = f"{live.weight}% is applied; {baking_sentence(after)}"
    after = with_activity(after, state, Reason.APPLIED, sentence)
    entry = Record.of("applied", rollout, after, live.weight, now, findings=())
    return Decision(after, record=entry)


def next_step(
    rollout: Rollout,
    live: Live,
    target: TargetReading,
    reason: Reason,
    now: datetime,
    why: str = "",
    note: str = "",
) -> Decision:
    """Advance from `live` as the gate or an operator allows: to the next weight, or to success.

    `live` is judged until the next weight is read back. note: the end of the sentence of the entry.
    """
    labels = [str(finding.label) for finding in rollout.evidence.findings if finding.gates]
    own = weakest_label(labels or [str(Label.NOT_JUDGED)])
    label = weakest_label((rollout.evidence.label, own))
    if rollout.is_last_step:
        why = advance_reason(rollout, reason, why)
        return _complete(rollout, live, target, label, own, why, now)
    step = live.step + 1
    weight = rollout.policy.steps[step].weight
    sentence = f"{advance_reason(rollout, reason, why)}; going to {weight}%{note}"
    state = rollout.state
    after = replace(
        rollout,
        state=Progressing(
            since=state.since if isinstance(state, Progressing) else now,
            reason=reason,
            sentence=sentence,
            position=Pending(step, weight, live.weight, target.token, now, tried=now, live=live),
        ),
        evidence=replace(
            rollout.evidence, label=label, earlier_findings=earlier_findings(rollout, step)
        ),
        approved=0,
        conditions={},
    )
    return Decision(
        after,
        SetWeight(weight, target.token),
        (Notice(Severity.INFO, f"{rollout.id}: {sentence}"),),
        Record.of("advanced", rollout, after, live.weight, now, keeps_series=True),
    )


def _complete(
    rollout: Rollout,
    live: Live,
    target: TargetReading,
    label: str,
    own: str,
    why: str,
    now: datetime,
) -> Decision:
    """Complete `rollout`. label: of its weakest step; own: of the last one."""
    earlier = "" if label == own else f"; {weakest_step_text(label)}"
    sentence = f"{why}; the rollout is complete ({own}{earlier})"
    state = Succeeded(
        since=now,
        sentence=sentence,
        position=live,
        watch_until=now + SUCCESS_WATCH,
        token=kept_token(rollout, target),
    )
    evidence = replace(rollout.evidence, label=label)
    after = replace(rollout, state=state, evidence=evidence, conditions={})
    return Decision(
        after,
        notices=(Notice(Severity.INFO, f"{rollout.id}: {sentence}", has_table=True),),
        record=Record.of("succeeded", rollout, after, live.weight, now, keeps_series=True),
    )


def advance_reason(rollout: Rollout, reason: Reason, why: str = "") -> str:
    """Return why the rollout advances, as text."""
    match reason:
        case Reason.ADVANCED_UNPROVEN:
            return f"the gate at {rollout.weight}% stayed inconclusive (on_inconclusive: advance)"
        case Reason.PROMOTED:
            return f"promoted at {rollout.weight}% by an operator: {why}"
        case _:
            return f"the gate at {rollout.weight}% passed"


def close_step(rollout: Rollout, now: datetime) -> Rollout:
    """Return `rollout` without the evidence of its live step, which is over.

    It ended when another weight was tried, or else `now`. The windows that the threshold judge
    compares belong to one step.
    """
    tried = None if rollout.pending is None else rollout.pending.tried
    checkpoint_at = rollout.evidence.checkpoint_at if rollout.policy.sequential_criteria() else None
    intervals = rollout.intervals_after(tried or now)
    evidence = replace(
        rollout.evidence, intervals=intervals, tallies={}, checkpoint_at=checkpoint_at, findings=()
    )
    return replace(rollout, evidence=evidence)


def earlier_findings(rollout: Rollout, step: int) -> tuple[Finding, ...]:
    """Return the last findings of criteria that are not in the gate of `step`, for the table.

    Their facts are left out: the history has them, and every tick saves the rollout.
    """
    evidence = rollout.evidence
    latest = {one.criterion: one for one in (*evidence.earlier_findings, *evidence.findings)}
    gate = rollout.policy.gate(step)
    return tuple(replace(one, facts={}) for name, one in latest.items() if name not in gate)


def label_after_skip(rollout: Rollout, step: int) -> str:
    """Return the label of `rollout` once it enters `step` without a pass of the steps before."""
    unjudged = _unjudged_label(rollout.policy, range(rollout.step, step), step)
    return weakest_label((rollout.evidence.label, unjudged))


def _unjudged_label(policy: Policy, skipped: Iterable[int], step: int) -> str:
    """Return `not judged` if a criterion of the `skipped` steps is in no gate from `step` on.

    No gate judges such a criterion any more, so the label lasts to the end. The label is empty when
    every criterion of the skipped steps is still to be judged.
    """
    remaining = {name for index in range(step, len(policy.steps)) for name in policy.gate(index)}
    is_unjudged = any(
        one.gating and name not in remaining
        for index in skipped
        for name, one in policy.gate(index).items()
    )
    return str(Label.NOT_JUDGED) if is_unjudged else ""
