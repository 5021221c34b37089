"""The rollback to 0%: write it, confirm it, and lower a weight again that came back."""

from datetime import datetime, timedelta
from typing import assert_never

from controller.core.decision import Alert, Decision, Notice, Record, SetZero
from controller.core.message import Severity
from controller.core.notice_rules import Condition, ConditionKind, is_due
from controller.core.observation import TargetReading, UnreadableTarget, UpdateStatus
from controller.core.rollout import (
    Paused,
    Pending,
    Phase,
    Progressing,
    Reason,
    RolledBack,
    RollingBack,
    Rollout,
    Succeeded,
)
from controller.core.units import clock_text
from controller.core.words.next_action import with_table
from controller.immutable import replace

# How long after a rollback a weight that comes back is lowered again (rule 5 of the design).
ROLLBACK_GUARD = timedelta(minutes=15)
# How long one tick tries to lower the weight; the next tick continues.
LOWER_TIMEOUT_PER_TICK = timedelta(minutes=1)

ROLLBACK_PHASES = frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK})
# Reasons of a rollout that ended at a 0% which it did not set.
EXTERNAL_ZERO_REASONS = frozenset({Reason.FOUND_AT_ZERO, Reason.RAISE_UNCERTAIN})

UNCONFIRMED = "rollback_unconfirmed"
LEAK_CHECKED = "leak_checked"
GUARDING = "lowered_again"


def roll_back(
    rollout: Rollout, reason: Reason, why: str, weight: int | None, now: datetime
) -> Decision:
    """Move all traffic back to stable, now. A second request does not extend the time limit.

    The first cause of a rollback stays its reason, unless that was a 0% set outside rolloutctl.
    """
    state = rollout.state
    is_repeated = isinstance(state, RollingBack)
    first_reason, first_why = reason, why
    if has_own_rollback(rollout):
        first_reason, first_why = state.reason, state.sentence
    rolling_back = RollingBack(
        since=state.since if is_repeated else now,
        reason=first_reason,
        sentence=first_why,
        step=rollout.step,
        intended=_intended_weight(rollout),
        from_weight=_last_live_weight(rollout, weight),
        void=_voidable_token(rollout),
    )
    after = replace(
        rollout,
        state=rolling_back,
        exposed_to=rollout.exposed_to if weight == 0 else None,
        conditions=rollout.conditions_of(ConditionKind.UNCONFIRMED) if is_repeated else {},
    )
    notice = Notice(Severity.WARNING, f"{rollout.id} is rolling back to 0%: {why}")
    entry = Record.of(
        "rolling_back", rollout, after, weight, now,
        reason=reason, sentence=why, keeps_series=True,
    )  # fmt: skip
    return Decision(after, lower_move(after), (notice,), entry)


def has_own_rollback(rollout: Rollout) -> bool:
    """Tell whether `rollout` decided a rollback itself: a 0% that it only found is none."""
    state = rollout.state
    return isinstance(state, RollingBack | RolledBack) and state.reason not in EXTERNAL_ZERO_REASONS


def _intended_weight(rollout: Rollout) -> int:
    """Return the last weight above 0% that the rollout intended."""
    state = rollout.state
    return state.intended if isinstance(state, RollingBack | RolledBack) else rollout.weight


def _last_live_weight(rollout: Rollout, live: int | None) -> int:
    """Return the last weight above 0 that callers had, as far as known; 0 when they had none.

    For a write that was not read back, it is the lower of its two weights: missing requests after
    the rollback are judged against it, and requests that were never due must not count as missing.
    """
    match rollout.state:
        case RollingBack(from_weight=weight) | RolledBack(from_weight=weight):
            return live or weight
        case Progressing(position=Pending() as pending) | Paused(position=Pending() as pending):
            if live == 0 and is_first_raise_unseen(rollout):
                return 0
            if rollout.phase is Phase.PROGRESSING or live == pending.weight:
                return min(pending.previous, pending.weight) or pending.weight
            return live or rollout.seen_weight or pending.weight
        case Progressing() | Paused() | Succeeded():
            return live or rollout.seen_weight or rollout.weight
        case unreachable:
            assert_never(unreachable)


def _voidable_token(rollout: Rollout) -> str:
    """Return the token of a first raise that another run may still write; empty for none.

    The weight is 0% until then, so lowering would write nothing, and that token would stay valid.
    """
    if isinstance(rollout.state, RollingBack):
        return rollout.state.void
    pending = rollout.pending
    return pending.token if pending is not None and pending.is_first_raise else ""


def lower_move(rollout: Rollout) -> SetZero:
    """Return the move to 0%, limited to the time of one tick; the next tick continues."""
    within = min(rollout.policy.rollback_timeout, LOWER_TIMEOUT_PER_TICK)
    void = rollout.state.void if isinstance(rollout.state, RollingBack) else ""
    return SetZero(within, outdated_token=void)


def continue_rollback(
    rollout: Rollout, target: TargetReading | UnreadableTarget, now: datetime
) -> Decision:
    """Lower the weight until 0% is read back; after the policy's `rollback_timeout` that pages."""
    late = now - rollout.since > rollout.policy.rollback_timeout
    if isinstance(target, UnreadableTarget):
        move = None if target.permanent else lower_move(rollout)
        return _keep_lowering(rollout, move, target.reason, late or target.permanent, now)
    if target.has_applied(0):
        return _complete_rollback(rollout, target, rollout.reason, rollout.sentence, now)
    if target.weight == 0 and target.update is UpdateStatus.IN_PROGRESS:
        why = "0% is written, and the update is still in progress"
        return _keep_lowering(rollout, None, why, late, now)
    why = f"the target shows {target.variables}"
    if target.update is UpdateStatus.FAILED:
        why += f", and its last update failed: {target.detail or 'no reason given'}"
    return _keep_lowering(rollout, lower_move(rollout), why, late, now)


def _keep_lowering(
    rollout: Rollout, move: SetZero | None, why: str, critical: bool, now: datetime
) -> Decision:
    """Try again to apply 0%; when that is critical, the tick pages as well."""
    if rollout.write_error:
        why = f"{why}; the last write failed: {rollout.write_error}"
    if critical:
        return with_unconfirmed_rollback(Decision(rollout, move), why, now)
    condition = rollout.conditions.get(ConditionKind.UNCONFIRMED)
    if condition is not None and condition.critical:
        condition = replace(condition, text=_unconfirmed_text(rollout, why))
    else:
        condition = Condition(rollout.since, why)
    return Decision(rollout.with_condition(ConditionKind.UNCONFIRMED, condition), move)


def with_unconfirmed_rollback(decision: Decision, why: str, now: datetime) -> Decision:
    """Return `decision` with the alert, page and history entry of a rollback that failed so far.

    The alert ends every tick, the page repeats every 15 minutes, and the history has one entry. A
    page or an entry that `decision` has already for that reason is replaced by one with this `why`.
    """
    rollout = decision.rollout
    text = _unconfirmed_text(rollout, why)
    condition = rollout.conditions.get(ConditionKind.UNCONFIRMED)
    if condition is None or not condition.critical or condition.entry == LEAK_CHECKED:
        condition = Condition(now, text, critical=True)
    condition = replace(condition, text=text)
    notices = tuple(
        notice for notice in decision.notices if notice.severity is not Severity.CRITICAL
    )
    was_paged = len(notices) < len(decision.notices)
    if was_paged or is_due(ConditionKind.UNCONFIRMED, condition, now):
        notices += (Notice(Severity.CRITICAL, text, UNCONFIRMED),)
        condition = replace(condition, announced=now)
    entry = decision.record
    is_recorded = entry is not None and entry.kind == UNCONFIRMED
    is_replaceable = entry is None or entry.kind == GUARDING  # one that begins a rollback is not
    if is_recorded or (condition.entry != UNCONFIRMED and is_replaceable):
        condition = replace(condition, entry=UNCONFIRMED)
        entry = Record.of(UNCONFIRMED, rollout, rollout, None, now, sentence=text)
    return replace(
        decision,
        rollout=rollout.with_condition(ConditionKind.UNCONFIRMED, condition),
        notices=notices,
        record=entry,
        alert=Alert.ROLLBACK_UNCONFIRMED,
    )


def _unconfirmed_text(rollout: Rollout, why: str) -> str:
    by_hand = rollout.policy.target.by_hand(0, rollout.target)
    remedy = f"to set 0% in AWS: {by_hand}."
    if isinstance(rollout.state, RolledBack):
        return (
            f"{rollout.id} is NOT at 0% any more: {rollout.state.intended}% was applied after "
            f"the rollback and could not be lowered: {why}; {remedy}"
        )
    return (
        f"{rollout.id} is NOT rolled back: {why}. "
        f"Rolling back since {clock_text(rollout.since)}; {remedy}"
    )


def end_found_at_zero(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """End a rollout whose target was found at 0%, once 0% is applied."""
    if is_first_raise_unseen(rollout):
        return end_unraised(rollout, target, now)
    why = f"the weight was found at 0% (expected {rollout.weight}%), which ends the rollout"
    return end_at_zero(rollout, target, Reason.FOUND_AT_ZERO, why, now)


def is_first_raise_unseen(rollout: Rollout) -> bool:
    """Tell whether the first raise is pending, and no weight above 0% was observed or accepted."""
    pending = rollout.pending
    if pending is None or not pending.is_first_raise or pending.accepted is not None:
        return False
    return not rollout.seen_weight


def end_unraised(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """End a rollout whose first raise left no trace and will not be written any more."""
    noun = rollout.policy.target.resource_word
    cause = f"the {noun} was changed outside rolloutctl between the decision and its write"
    if rollout.phase is Phase.PAUSED:
        cause = "the rollout was paused before it was applied"
    why = (
        f"{rollout.weight}% was never seen applied: {cause}; to try again: rolloutctl "
        f"retry {rollout.id} --reason TEXT"
    )
    return end_at_zero(rollout, target, Reason.RAISE_UNCERTAIN, why, now)


def kept_token(rollout: Rollout, target: TargetReading) -> str:
    """Return the token that shows a later release; empty where the weight shows that."""
    return target.token if rollout.policy.target.runs_code else ""


def end_at_zero(
    rollout: Rollout, target: TargetReading, reason: Reason, why: str, now: datetime
) -> Decision:
    """Roll back for `reason` where the target shows 0% already; done if 0% is applied."""
    if target.has_applied(0):
        return _complete_rollback(rollout, target, reason, why, now)
    rolling_back = roll_back(rollout, reason, why, 0, now)
    if target.update is UpdateStatus.IN_PROGRESS:
        return replace(rolling_back, move=None)
    return rolling_back


def _complete_rollback(
    rollout: Rollout, target: TargetReading, reason: Reason, why: str, now: datetime
) -> Decision:
    """Complete a rollback for `reason`: 0% was read back from the target."""
    rolled_back = RolledBack(
        since=now,
        reason=reason,
        sentence=why,
        step=rollout.step,
        intended=_intended_weight(rollout),
        from_weight=_last_live_weight(rollout, 0),
        watch_until=now + ROLLBACK_GUARD,
        token=kept_token(rollout, target),
    )
    after = replace(
        rollout,
        state=rolled_back,
        exposed_to=rollout.exposed_to or now,
        conditions={},
    )
    text = with_table(f"{rollout.id} is rolled back, 0% is applied: {why}", rollout)
    notice = Notice(Severity.WARNING, text)
    entry = Record.of("rolled_back", rollout, after, 0, now, keeps_series=True)
    return Decision(after, notices=(notice,), record=entry)


def lower_again(rollout: Rollout, state: RolledBack, now: datetime) -> Decision:
    """Lower the weight again that a late write of this rollout raised after its rollback."""
    weight = state.intended
    move = replace(lower_move(rollout), must_succeed=True, only=weight)
    text = f"{rollout.id}: {weight}% was applied after the rollback; lowering it again"
    reason = Reason.LOWERED_AGAIN
    after = replace(rollout, state=replace(state, token=""))  # the write gives it another one
    entry = Record.of(GUARDING, rollout, after, weight, now, reason=reason, sentence=text)
    return Decision(after, move, (Notice(Severity.WARNING, text),), entry)
