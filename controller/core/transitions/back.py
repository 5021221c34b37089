"""Going back to 0 %, and guarding it afterwards."""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.effects import Alert, Decision, Lower, Notice, Severity
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.core.transitions.outlook import outlook, record
from controller.core.units import clock_text

# Rule 5 of the design: how long a finished rollback guards zero.
GUARD_ZERO = timedelta(minutes=15)
# One tick tries no longer than this; the next goes on.
LOWER_IN_ONE_TICK = timedelta(minutes=1)


def rolling_back(
    rollout: Rollout, reason: Reason, why: str, weight: int | None, now: datetime
) -> Decision:
    """All traffic back to stable, now."""
    after = replace(
        rollout,
        phase=Phase.ROLLING_BACK,
        reason=reason,
        sentence=why,
        since=now,
        intent=Intent(0, rollout.intent.weight, "", now),
        watch_until=None,
        blocked="",
    )
    notice = Notice(Severity.WARNING, f"{rollout.id} is rolling back to 0 %: {why}")
    return Decision(
        outlook(after),
        lower(rollout),
        (notice,),
        record("rolling_back", rollout, after, weight, now, keeps_series=True),
    )


def lower(rollout: Rollout) -> Lower:
    """The move to 0 %, limited to what one tick may take; the next tick goes on."""
    return Lower(min(rollout.policy.rollback_timeout, LOWER_IN_ONE_TICK))


def lowering(
    rollout: Rollout, move: Lower | None, why: str, critical: bool, now: datetime
) -> Decision:
    """0 % is not in force yet: try again; past the policy's limit it pages, and goes on trying."""
    after = outlook(replace(rollout, blocked=why))
    if not critical:
        return Decision(after, move)
    since = clock_text(rollout.since)
    text = (
        f"{rollout.id} is NOT rolled back: {why}. Rolling back since {since}; "
        f"set the weight to 0 by hand on {rollout.target}."
    )
    entry = None
    if rollout.reminded is None or rollout.reminded < rollout.since:
        after = replace(after, reminded=now)
        entry = record("rollback_unconfirmed", rollout, after, None, now)
    notices = (Notice(Severity.CRITICAL, text),)
    return Decision(after, move, notices, entry, Alert.ROLLBACK_UNCONFIRMED)


def rolled_back(rollout: Rollout, now: datetime) -> Decision:
    """0 % was read back in force."""
    return _at_zero(rollout, rollout.reason, rollout.sentence, now)


def found_at_zero(rollout: Rollout, now: datetime) -> Decision:
    """Somebody set 0 already: the rollout is over, whoever it was."""
    why = f"the weight was found at 0 % where {rollout.weight} % was set: ended by another hand"
    return _at_zero(rollout, Reason.FOUND_AT_ZERO, why, now)


def _at_zero(rollout: Rollout, reason: Reason, why: str, now: datetime) -> Decision:
    after = replace(
        rollout,
        phase=Phase.ROLLED_BACK,
        reason=reason,
        sentence=why,
        since=now,
        intent=replace(rollout.intent, weight=0),
        watch_until=now + GUARD_ZERO,
        exposed_to=now,
        blocked="",
    )
    notice = Notice(Severity.WARNING, f"{rollout.id} is rolled back, 0 % is in force: {why}")
    entry = record("rolled_back", rollout, after, 0, now, keeps_series=True)
    return Decision(outlook(after), notices=(notice,), record=entry)


def guarding_zero(rollout: Rollout, move: Lower, now: datetime) -> Decision:
    """A late write of our own raised the weight after the rollback: lower it again."""
    text = f"{rollout.id}: {rollout.peak} % came back after the rollback; lowering it again"
    entry = record("guarding_zero", rollout, rollout, rollout.peak, now)
    return Decision(rollout, move, (Notice(Severity.WARNING, text),), replace(entry, sentence=text))
