"""What a tick could see: the live weight is remembered, and blindness does not stay unsaid."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.core.effects import Decision, Notice, Severity
from controller.core.judge.log_reading import LOG
from controller.core.observation import AlarmState, Answer, Observation, Reading, Unreadable
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.outlook import REMIND_EVERY, outlook, record
from controller.core.units import format_duration

# Shorter gaps are weather. This long, somebody should know that nothing guards the traffic.
BLIND_FOR = timedelta(minutes=15)

# Where traffic stands on the canary and is left there because of what is seen.
_GUARDED = frozenset({Phase.PROGRESSING, Phase.PAUSED})
_NOT_ANSWERED = frozenset({Answer.ERROR, Answer.FORBIDDEN})


def sighted(before: Rollout, decision: Decision, seen: Observation, now: datetime) -> Decision:
    """Return `decision` with the live weight it saw, or with a word that it has long seen none.

    That word is said after a quarter of an hour without sight, and then once a day.
    """
    after = decision.rollout
    if isinstance(seen.target, Reading):
        after = replace(after, seen_weight=seen.target.weight)
    blindness = _blindness(seen)
    if blindness is None or after.phase not in _GUARDED:
        return replace(decision, rollout=replace(after, blind_since=None))
    since = before.blind_since or now
    decision = replace(decision, rollout=replace(after, blind_since=since))
    return (
        _told(decision, since, blindness, now) if _due(before, decision, since, now) else decision
    )


@dataclass(frozen=True, slots=True)
class _Blindness:
    """What cannot be seen, why, and what that means for traffic."""

    what: str
    why: str
    so: str


def _blindness(seen: Observation) -> _Blindness | None:
    """Return what cannot be seen: the target, or any of the metrics that were asked for.

    Where no metric was asked for, it is any of the log events and alarms.
    """
    if isinstance(seen.target, Unreadable):
        so = "traffic is not raised meanwhile; a criterion that fails still rolls it back"
        return _Blindness("its target", seen.target.reason, so)
    metrics = [one for key, one in seen.series.items() if not key.startswith(LOG)]
    logs = [] if metrics else [*seen.series.values()]
    alarms = [] if metrics else [*seen.alarms.values()]
    read = any(one.answer not in _NOT_ANSWERED for one in (*metrics, *logs))
    read |= any(one.state is not AlarmState.UNREAD for one in alarms)
    words = {"metric": metrics, "log event": logs, "alarm": alarms}
    asked = [word for word, answers in words.items() if answers]
    if read or not asked:
        return None
    reasons = [one.message for one in (*metrics, *logs)] + [one.reason for one in alarms]
    so = "traffic stays where it is, and nothing would notice that the canary fails"
    why = next(filter(None, reasons), "no reason given")
    return _Blindness(f"any {' or '.join(asked)}", why, so)


def _due(before: Rollout, decision: Decision, since: datetime, now: datetime) -> bool:
    """Tell whether to speak: first for this gap, or a day after the last reminder of any kind."""
    if now - since < BLIND_FOR:
        return False
    if before.reminded is None or before.reminded < since + BLIND_FOR:
        return True
    return now - (decision.rollout.reminded or now) >= REMIND_EVERY


def _told(decision: Decision, since: datetime, blind: _Blindness, now: datetime) -> Decision:
    rollout = decision.rollout
    gap = format_duration(timedelta(minutes=(now - since) // timedelta(minutes=1)))
    text = (
        f"{rollout.id} has not seen {blind.what} for {gap} ({blind.why}): {blind.so}. "
        f"To end it: rolloutctl rollback {rollout.id}"
    )
    rollout = outlook(replace(rollout, reminded=now))
    entry = record("blind", rollout, rollout, None, now, keeps_series=True)
    entry = replace(entry, sentence=text)
    return replace(
        decision,
        rollout=rollout,
        notices=(*decision.notices, Notice(Severity.WARNING, text, "blind")),
        record=decision.record or entry,
    )
