"""The rollback to 0 %: write it, confirm it, keep it, and record the drain."""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.decision import Alert, Decision, Lower, Notice, Record, Severity
from controller.core.judge.findings import Finding, Verdict
from controller.core.judge.sentences import sentence_of
from controller.core.next_action import with_next_action, with_table
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.core.units import clock_text

# How long after a rollback a weight that comes back is lowered again (rule 5 of the design).
ROLLBACK_GUARD = timedelta(minutes=15)
# How long one tick tries to lower the weight; the next tick continues.
LOWER_TIMEOUT_PER_TICK = timedelta(minutes=1)
# How often an unconfirmed rollback pages; every tick ends with its alert.
PAGE_EVERY = timedelta(minutes=15)

ROLLBACK_PHASES = frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK})
# Reasons of a rollout that ended at a 0 % which it did not set.
EXTERNAL_ZERO_REASONS = frozenset({Reason.FOUND_AT_ZERO, Reason.RAISE_UNCERTAIN})

UNCONFIRMED = "rollback_unconfirmed"
GUARDING = "guarding_zero"


def roll_back(
    rollout: Rollout, reason: Reason, why: str, weight: int | None, now: datetime
) -> Decision:
    """Move all traffic back to stable, now. A second request does not extend the time limit.

    The first cause of a rollback stays its reason, unless that was a 0 % set outside rolloutctl.
    """
    is_repeated = rollout.phase is Phase.ROLLING_BACK
    first_reason, first_why = reason, why
    if rollout.phase in ROLLBACK_PHASES and rollout.reason not in EXTERNAL_ZERO_REASONS:
        first_reason, first_why = rollout.reason, rollout.sentence
    after = replace(
        rollout,
        phase=Phase.ROLLING_BACK,
        reason=first_reason,
        sentence=first_why,
        since=rollout.since if is_repeated else now,
        intent=Intent(0, _last_live_weight(rollout, weight), "", now),
        watch_until=None,
        exposed_to=rollout.exposed_to if weight == 0 else None,
        drain=None,
        drift_told=False,
        unconfirmed=is_repeated and rollout.unconfirmed,
        reminded=rollout.reminded if is_repeated else None,
        blocked="",
    )
    notice = Notice(Severity.WARNING, f"{rollout.id} is rolling back to 0 %: {why}")
    entry = Record.of(
        "rolling_back", rollout, after, weight, now,
        reason=reason, sentence=why, keeps_series=True,
    )  # fmt: skip
    return Decision(with_next_action(after), lower_move(rollout), (notice,), entry)


def _last_live_weight(rollout: Rollout, live: int | None) -> int:
    """Return the last weight above 0 that callers had, as far as known; 0 when they had none.

    For a write that was not read back, it is the lower of its two weights: missing requests after
    the rollback are judged against it, and requests that were never due must not count as missing.
    """
    intent = rollout.intent
    if intent.weight == 0:  # a rollback is in progress already
        return live or intent.previous
    if rollout.first_raise_pending and live == 0:
        return 0
    if rollout.settled is None and (rollout.phase is Phase.PROGRESSING or live == intent.weight):
        return min(intent.previous, intent.weight) or intent.weight
    return live or rollout.seen_weight or intent.weight


def lower_move(rollout: Rollout) -> Lower:
    """Return the move to 0 %, limited to the time of one tick; the next tick continues.

    A pending first raise may still be written by another run. The weight is 0 % until then, so
    lowering would write nothing, and the token of that raise would stay valid: `void` names it.
    """
    intent = rollout.intent
    first = intent.previous == 0 < intent.weight
    within = min(rollout.policy.rollback_timeout, LOWER_TIMEOUT_PER_TICK)
    return Lower(within, void=intent.token if first and rollout.in_flight else "")


def keep_lowering(
    rollout: Rollout, move: Lower | None, why: str, critical: bool, now: datetime
) -> Decision:
    """Try again to apply 0 %; when that is critical, the tick pages as well."""
    if rollout.write_error:
        why = f"{why}; the last write failed: {rollout.write_error}"
    decision = Decision(with_next_action(replace(rollout, blocked=why)), move)
    return with_unconfirmed_rollback(decision, why, now) if critical else decision


def with_unconfirmed_rollback(decision: Decision, why: str, now: datetime) -> Decision:
    """Return `decision` with the alert, page and history entry of a rollback that failed so far.

    The alert ends every tick, the page repeats every 15 minutes, and the history has one entry. A
    page or an entry that `decision` has already for that reason is replaced by one with this `why`.
    """
    rollout = replace(decision.rollout, blocked=why)
    text = _unconfirmed_text(rollout, why)
    notices = tuple(one for one in decision.notices if one.severity is not Severity.CRITICAL)
    if len(notices) < len(decision.notices) or _is_page_due(rollout, now):
        notices += (Notice(Severity.CRITICAL, text, UNCONFIRMED),)
        rollout = replace(rollout, reminded=now)
    entry = decision.record
    is_recorded = entry is not None and entry.kind == UNCONFIRMED
    if is_recorded or (not rollout.unconfirmed and _is_replaceable(entry)):
        rollout = replace(rollout, unconfirmed=True)
        entry = Record.of(UNCONFIRMED, rollout, rollout, None, now, sentence=text)
    return replace(
        decision,
        rollout=with_next_action(rollout),
        notices=notices,
        record=entry,
        alert=Alert.ROLLBACK_UNCONFIRMED,
    )


def _is_page_due(rollout: Rollout, now: datetime) -> bool:
    return rollout.reminded is None or now - rollout.reminded >= PAGE_EVERY


def _is_replaceable(entry: Record | None) -> bool:
    """Tell whether the entry of a tick may be replaced: one that begins a rollback may not."""
    return entry is None or entry.kind == GUARDING


def _unconfirmed_text(rollout: Rollout, why: str) -> str:
    by_hand = f"set {_zero_assignments(rollout)} by hand on {rollout.target}."
    if rollout.phase is Phase.ROLLED_BACK:
        return (
            f"{rollout.id} is NOT at 0 % any more: {rollout.peak} % came back after the rollback "
            f"and could not be lowered: {why}; {by_hand}"
        )
    return (
        f"{rollout.id} is NOT rolled back: {why}. "
        f"Rolling back since {clock_text(rollout.since)}; {by_hand}"
    )


def _zero_assignments(rollout: Rollout) -> str:
    """Return what an operator has to set, like `PERCENTAGE=0 and BOOLEAN=false`."""
    settings = rollout.policy.target.settings(0)
    return " and ".join(f"{name}={value}" for name, value in settings.items())


def confirm_rollback(rollout: Rollout, now: datetime) -> Decision:
    """Complete a rollback: 0 % was read back from the target."""
    return _complete_rollback(rollout, rollout.reason, rollout.sentence, now)


def end_found_at_zero(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """End a rollout whose target was found at 0 %, once 0 % is applied."""
    if rollout.first_raise_pending:
        return end_unraised(rollout, target, now)
    why = f"the weight was found at 0 % where {rollout.weight} % was asked for; that ends a rollout"
    return end_at_zero(rollout, target, Reason.FOUND_AT_ZERO, why, now)


def end_unraised(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """End a rollout whose first raise left no trace and will not be written any more."""
    cause = "the function was changed by another hand between the decision and its write"
    if rollout.phase is Phase.PAUSED:
        cause = "the rollout was paused before that was in force"
    why = (
        f"no traffic was seen to move to {rollout.weight} %: {cause}; to try it again: rolloutctl "
        f"retry {rollout.id} --reason TEXT"
    )
    return end_at_zero(rollout, target, Reason.RAISE_UNCERTAIN, why, now)


def end_at_zero(
    rollout: Rollout, target: TargetReading, reason: Reason, why: str, now: datetime
) -> Decision:
    """Roll back for `reason` where the target shows 0 % already; done if 0 % is applied."""
    if target.has_applied(0):
        return _complete_rollback(rollout, reason, why, now)
    rolling_back = roll_back(rollout, reason, why, 0, now)
    if target.update is UpdateStatus.IN_PROGRESS:
        return replace(rolling_back, move=None)
    return rolling_back


def _complete_rollback(rollout: Rollout, reason: Reason, why: str, now: datetime) -> Decision:
    after = replace(
        rollout,
        phase=Phase.ROLLED_BACK,
        reason=reason,
        sentence=why,
        since=now,
        intent=replace(rollout.intent, weight=0, previous=_last_live_weight(rollout, 0)),
        watch_until=now + ROLLBACK_GUARD,
        exposed_to=rollout.exposed_to or now,
        unconfirmed=False,
        reminded=None,
        blocked="",
    )
    text = with_table(f"{rollout.id} is rolled back, 0 % is in force: {why}", rollout)
    notice = Notice(Severity.WARNING, text)
    entry = Record.of("rolled_back", rollout, after, 0, now, keeps_series=True)
    return Decision(with_next_action(after), notices=(notice,), record=entry)


def lower_again(rollout: Rollout, now: datetime) -> Decision:
    """Lower the weight again that a late write of this rollout raised after its rollback."""
    move = replace(lower_move(rollout), must_succeed=True, only=rollout.peak)
    text = f"{rollout.id}: {rollout.peak} % came back after the rollback; lowering it again"
    reason = Reason.GUARDING_ZERO
    entry = Record.of(GUARDING, rollout, rollout, rollout.peak, now, reason=reason, sentence=text)
    return Decision(rollout, move, (Notice(Severity.WARNING, text),), entry)


def record_drain(rollout: Rollout, drain: Finding | None, now: datetime) -> Decision:
    """Record once what became of the requests after the rollback; None: not known yet."""
    if drain is None:
        return Decision(rollout)
    is_failed = drain.verdict is Verdict.FAIL
    after = replace(rollout, drain=drain)
    entry = Record.of(
        "drained", rollout, after, 0, now,
        reason=Reason.WATCHING, sentence=sentence_of(drain), findings=(drain,), keeps_series=True,
    )  # fmt: skip
    severity = Severity.CRITICAL if is_failed else Severity.INFO
    return Decision(
        after,
        notices=(Notice(severity, f"{rollout.id}: {sentence_of(drain)}"),),
        record=entry,
        alert=Alert.ROLLBACK_UNCONFIRMED if is_failed else None,
    )
