"""Going back to 0 %, and guarding it afterwards."""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.effects import Alert, Decision, Lower, Notice, Severity
from controller.core.observation import Reading, Update
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.core.transitions.outlook import outlook, record
from controller.core.units import clock_text

# Rule 5 of the design: how long a finished rollback guards zero.
GUARD_ZERO = timedelta(minutes=15)
# One tick tries no longer than this; the next goes on.
LOWER_IN_ONE_TICK = timedelta(minutes=1)
# A rollback that is not confirmed pages again this often; every tick ends with its alert.
PAGE_EVERY = timedelta(minutes=15)


def rolling_back(
    rollout: Rollout, reason: Reason, why: str, weight: int | None, now: datetime
) -> Decision:
    """All traffic back to stable, now. Asked for twice, it is late as early as asked for once."""
    again = rollout.phase is Phase.ROLLING_BACK
    after = replace(
        rollout,
        phase=Phase.ROLLING_BACK,
        reason=reason,
        sentence=why,
        since=rollout.since if again else now,
        intent=Intent(0, rollout.intent.weight, "", now),
        watch_until=None,
        drift_told=False,
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
    """0 % is not in force yet: try again. When that is critical it pages, and goes on trying."""
    after = outlook(replace(rollout, blocked=why))
    if not critical:
        return Decision(after, move)
    paged = max(rollout.reminded or rollout.since, rollout.since)
    first = paged == rollout.since
    if not first and now - paged < PAGE_EVERY:
        return Decision(after, move, alert=Alert.ROLLBACK_UNCONFIRMED)
    text = (
        f"{rollout.id} is NOT rolled back: {why}. Rolling back since {clock_text(rollout.since)}; "
        f"set {_variables(rollout)} by hand on {rollout.target}."
    )
    after = replace(after, reminded=now)
    entry = replace(record("rollback_unconfirmed", rollout, after, None, now), sentence=text)
    return Decision(
        after,
        move,
        (Notice(Severity.CRITICAL, text),),
        entry if first else None,
        Alert.ROLLBACK_UNCONFIRMED,
    )


def _variables(rollout: Rollout) -> str:
    """Return what a person has to write, like `PERCENTAGE=0 and BOOLEAN=false`."""
    target = rollout.policy.target
    boolean = f" and {target.boolean}=false" if target.boolean else ""
    return f"{target.percentage}=0{boolean}"


def rolled_back(rollout: Rollout, now: datetime) -> Decision:
    """0 % was read back in force."""
    return _at_zero(rollout, rollout.reason, rollout.sentence, now)


def found_at_zero(rollout: Rollout, target: Reading, now: datetime) -> Decision:
    """0 % is set already: the rollout is over, whoever set it, once 0 % is in force."""
    why = f"the weight was found at 0 % where {rollout.weight} % was asked for; that ends a rollout"
    if target.stands_at(0):
        return _at_zero(rollout, Reason.FOUND_AT_ZERO, why, now)
    back = rolling_back(rollout, Reason.FOUND_AT_ZERO, why, 0, now)
    return replace(back, move=None) if target.update is Update.IN_PROGRESS else back


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


def guarding_zero(rollout: Rollout, now: datetime) -> Decision:
    """A late write of our own raised the weight after the rollback: lower it again."""
    move = replace(lower(rollout), must_succeed=True)
    text = f"{rollout.id}: {rollout.peak} % came back after the rollback; lowering it again"
    entry = record("guarding_zero", rollout, rollout, rollout.peak, now)
    entry = replace(entry, reason=Reason.GUARDING_ZERO, sentence=text)
    return Decision(rollout, move, (Notice(Severity.WARNING, text),), entry)
