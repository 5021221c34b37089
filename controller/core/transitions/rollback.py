"""Going back to 0 %, and guarding it afterwards."""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.decision import Alert, Decision, Lower, Notice, Record, Severity
from controller.core.judge.findings import Finding, Verdict
from controller.core.next_action import transition_record, with_next_action, with_table
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.core.units import clock_text

# Rule 5 of the design: how long a finished rollback guards zero.
ROLLBACK_GUARD = timedelta(minutes=15)
# One tick tries no longer than this; the next goes on.
LOWER_TIMEOUT_PER_TICK = timedelta(minutes=1)
# A rollback that is not confirmed pages again this often; every tick ends with its alert.
PAGE_EVERY = timedelta(minutes=15)

ROLLBACK_PHASES = frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK})
# What a rollout says of a 0 % that it has not set itself.
EXTERNAL_ZERO_REASONS = frozenset({Reason.FOUND_AT_ZERO, Reason.RAISE_UNCERTAIN})

UNCONFIRMED = "rollback_unconfirmed"
GUARDING = "guarding_zero"


def roll_back(
    rollout: Rollout, reason: Reason, why: str, weight: int | None, now: datetime
) -> Decision:
    """All traffic back to stable, now. Asked for twice, it is late as early as asked for once.

    The first cause of a rollback stays its reason, but for a 0 % that was merely found.
    """
    again = rollout.phase is Phase.ROLLING_BACK
    first = (reason, why)
    if rollout.phase in ROLLBACK_PHASES and rollout.reason not in EXTERNAL_ZERO_REASONS:
        first = (rollout.reason, rollout.sentence)
    after = replace(
        rollout,
        phase=Phase.ROLLING_BACK,
        reason=first[0],
        sentence=first[1],
        since=rollout.since if again else now,
        intent=Intent(0, _last_live_weight(rollout, weight), "", now),
        watch_until=None,
        exposed_to=rollout.exposed_to if weight == 0 else None,
        drain=None,
        drift_told=False,
        unconfirmed=again and rollout.unconfirmed,
        reminded=rollout.reminded if again else None,
        blocked="",
    )
    notice = Notice(Severity.WARNING, f"{rollout.id} is rolling back to 0 %: {why}")
    entry = transition_record("rolling_back", rollout, after, weight, now, keeps_series=True)
    entry = replace(entry, reason=reason, sentence=why)
    return Decision(with_next_action(after), lower_move(rollout), (notice,), entry)


def _last_live_weight(rollout: Rollout, live: int | None) -> int:
    """Return the weight above 0 that callers had last, as far as is known; 0 when they had none.

    Of a move that was not seen in force it is the lower one of both: silence afterwards is held
    against it, and must not be held against requests that were never due.
    """
    intent = rollout.intent
    if intent.weight == 0:  # on its way back already
        return live or intent.previous
    if rollout.first_raise_pending and live == 0:
        return 0
    if rollout.settled is None and (rollout.phase is Phase.PROGRESSING or live == intent.weight):
        return min(intent.previous, intent.weight) or intent.weight
    return live or rollout.seen_weight or intent.weight


def lower_move(rollout: Rollout) -> Lower:
    """The move to 0 %, limited to what one tick may take; the next tick goes on.

    A first raise that was not seen yet may be on its way in another run: 0 % stands, so lowering
    would write nothing, and that raise would fit afterwards.
    """
    intent = rollout.intent
    first = intent.previous == 0 < intent.weight
    within = min(rollout.policy.rollback_timeout, LOWER_TIMEOUT_PER_TICK)
    return Lower(within, void=intent.token if first and rollout.in_flight else "")


def keep_lowering(
    rollout: Rollout, move: Lower | None, why: str, critical: bool, now: datetime
) -> Decision:
    """0 % is not in force yet: try again. When that is critical it pages, and goes on trying."""
    if rollout.write_error:
        why = f"{why}; the last write failed: {rollout.write_error}"
    decision = Decision(with_next_action(replace(rollout, blocked=why)), move)
    return with_unconfirmed_rollback(decision, why, now) if critical else decision


def with_unconfirmed_rollback(decision: Decision, why: str, now: datetime) -> Decision:
    """Return `decision` with what people must know of it: 0 % could not be written, and why.

    It ends the tick in alarm always, pages now and then, and is in the history once. A page or an
    entry that `decision` has already for that reason is told again in these words.
    """
    rollout = replace(decision.rollout, blocked=why)
    text = _unconfirmed_text(rollout, why)
    notices = tuple(one for one in decision.notices if one.severity is not Severity.CRITICAL)
    if len(notices) < len(decision.notices) or _is_page_due(rollout, now):
        notices += (Notice(Severity.CRITICAL, text, UNCONFIRMED),)
        rollout = replace(rollout, reminded=now)
    entry = decision.record
    told_already = entry is not None and entry.kind == UNCONFIRMED
    if told_already or (not rollout.unconfirmed and _is_replaceable(entry)):
        rollout = replace(rollout, unconfirmed=True)
        entry = replace(transition_record(UNCONFIRMED, rollout, rollout, None, now), sentence=text)
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
    """Tell whether a tick has room for the entry: what begins a rollback is worth more."""
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
    """Return what a person has to write, like `PERCENTAGE=0 and BOOLEAN=false`."""
    target = rollout.policy.target
    boolean = f" and {target.boolean}=false" if target.boolean else ""
    return f"{target.percentage}=0{boolean}"


def confirm_rollback(rollout: Rollout, now: datetime) -> Decision:
    """0 % was read back in force."""
    return _complete_rollback(rollout, rollout.reason, rollout.sentence, now)


def end_found_at_zero(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """0 % is set already: the rollout is over, whoever set it, once 0 % is in force."""
    if rollout.first_raise_pending:
        return end_unraised(rollout, target, now)
    why = f"the weight was found at 0 % where {rollout.weight} % was asked for; that ends a rollout"
    return end_at_zero(rollout, target, Reason.FOUND_AT_ZERO, why, now)


def end_unraised(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """The first raise left no trace and will not be written any more: there is nothing to go on."""
    how = "the function was changed by another hand between the decision and its write"
    if rollout.phase is Phase.PAUSED:
        how = "the rollout was paused before that was in force"
    why = (
        f"no traffic was seen to move to {rollout.weight} %: {how}; to try it again: rolloutctl "
        f"retry {rollout.id} --reason TEXT"
    )
    return end_at_zero(rollout, target, Reason.RAISE_UNCERTAIN, why, now)


def end_at_zero(
    rollout: Rollout, target: TargetReading, reason: Reason, why: str, now: datetime
) -> Decision:
    """The rollout goes back to 0 % for `reason`, and the target shows 0 % already."""
    if target.has_applied(0):
        return _complete_rollback(rollout, reason, why, now)
    back = roll_back(rollout, reason, why, 0, now)
    return replace(back, move=None) if target.update is UpdateStatus.IN_PROGRESS else back


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
    entry = transition_record("rolled_back", rollout, after, 0, now, keeps_series=True)
    return Decision(with_next_action(after), notices=(notice,), record=entry)


def lower_again(rollout: Rollout, now: datetime) -> Decision:
    """A late write of our own raised the weight after the rollback: lower it again."""
    move = replace(lower_move(rollout), must_succeed=True, only=rollout.peak)
    text = f"{rollout.id}: {rollout.peak} % came back after the rollback; lowering it again"
    entry = transition_record(GUARDING, rollout, rollout, rollout.peak, now)
    entry = replace(entry, reason=Reason.GUARDING_ZERO, sentence=text)
    return Decision(rollout, move, (Notice(Severity.WARNING, text),), entry)


def record_drain(rollout: Rollout, drain: Finding | None, now: datetime) -> Decision:
    """What became of the requests after the rollback is known: said once. None: not known yet."""
    if drain is None:
        return Decision(rollout)
    refuted = drain.verdict is Verdict.FAIL
    after = replace(rollout, drain=drain)
    entry = transition_record("drained", rollout, after, 0, now, keeps_series=True)
    entry = replace(entry, reason=Reason.WATCHING, sentence=drain.sentence, findings=(drain,))
    severity = Severity.CRITICAL if refuted else Severity.INFO
    return Decision(
        after,
        notices=(Notice(severity, f"{rollout.id}: {drain.sentence}"),),
        record=entry,
        alert=Alert.ROLLBACK_UNCONFIRMED if refuted else None,
    )
