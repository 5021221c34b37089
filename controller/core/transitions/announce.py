"""Notices that are not transitions: blindness, holds, summaries of a long bake, repeated pages.

Each follows from the state and the time, so a lost tick delays a notice and loses none.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from controller.core.decision import Decision, Notice, Record, Severity
from controller.core.judge.kinds.log_events import LOG_KEY_PREFIX
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.judge.sentences import sentence_of
from controller.core.message import Page
from controller.core.next_action import (
    REMIND_EVERY,
    current_page,
    unacknowledged_page,
    with_next_action,
)
from controller.core.observation import (
    AlarmState,
    Observation,
    QueryStatus,
    TargetReading,
    UnreadableTarget,
)
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.transitions.rollback import PAGE_EVERY, ROLLBACK_GUARD
from controller.core.units import clock_text, duration_text, format_duration, with_full_stop

# --- Blindness ------------------------------------------------------------------------------------

# Shorter gaps are normal. After this long, people must know that nothing guards the traffic.
BLIND_AFTER = timedelta(minutes=15)

_FAILED_STATUSES = frozenset({QueryStatus.ERROR, QueryStatus.FORBIDDEN})


def with_visibility(
    before: Rollout, decision: Decision, observation: Observation, now: datetime
) -> Decision:
    """Return `decision` with the live weight that the tick read, and a notice of long blindness.

    The notice comes after 15 minutes in which nothing could be read, and then once a day.
    """
    after = decision.rollout
    if isinstance(observation.target, TargetReading):
        after = replace(after, seen_weight=observation.target.weight)
    blindness = _blindness(observation)
    if blindness is None or after.phase not in JUDGED_PHASES:
        return replace(decision, rollout=replace(after, blind_since=None))
    since = before.blind_since or now
    decision = replace(decision, rollout=replace(after, blind_since=since))
    return (
        _with_blind_notice(decision, since, blindness, now)
        if _is_blind_notice_due(before, decision, since, now)
        else decision
    )


@dataclass(frozen=True, slots=True)
class _Blindness:
    """What cannot be read, why, and the consequence for traffic."""

    what: str
    why: str
    consequence: str


def _blindness(observation: Observation) -> _Blindness | None:
    """Return what cannot be read: the target, or every metric that was queried; None otherwise.

    Where no metric was queried, the log events and alarms count instead.
    """
    if isinstance(observation.target, UnreadableTarget):
        consequence = "traffic is not raised meanwhile; a criterion that fails still rolls it back"
        return _Blindness("its target", observation.target.reason, consequence)
    metrics = [one for key, one in observation.series.items() if not key.startswith(LOG_KEY_PREFIX)]
    logs = [] if metrics else [*observation.series.values()]
    alarms = [] if metrics else [*observation.alarms.values()]
    can_see = any(one.answer not in _FAILED_STATUSES for one in (*metrics, *logs))
    can_see |= any(one.state is not AlarmState.UNREAD for one in alarms)
    sources = {"metric": metrics, "log event": logs, "alarm": alarms}
    queried = [source for source, answers in sources.items() if answers]
    if can_see or not queried:
        return None
    reasons = [one.message for one in (*metrics, *logs)] + [one.reason for one in alarms]
    consequence = "traffic stays where it is, and nothing would notice that the canary fails"
    why = next(filter(None, reasons), "no reason given")
    return _Blindness(f"any {' or '.join(queried)}", why, consequence)


def _is_blind_notice_due(
    before: Rollout, decision: Decision, since: datetime, now: datetime
) -> bool:
    """Tell whether a notice is due: the first of this gap, or one a day after any reminder."""
    if now - since < BLIND_AFTER:
        return False
    if before.reminded is None or before.reminded < since + BLIND_AFTER:
        return True
    return now - (decision.rollout.reminded or now) >= REMIND_EVERY


def _with_blind_notice(
    decision: Decision, since: datetime, blindness: _Blindness, now: datetime
) -> Decision:
    rollout = decision.rollout
    gap = format_duration(timedelta(minutes=(now - since) // timedelta(minutes=1)))
    text = (
        f"{rollout.id} has not seen {blindness.what} for {gap} ({blindness.why}): "
        f"{blindness.consequence}. "
        f"To end it: rolloutctl rollback {rollout.id}"
    )
    rollout = with_next_action(replace(rollout, reminded=now))
    entry = Record.of("blind", rollout, rollout, None, now, sentence=text, keeps_series=True)
    return replace(
        decision,
        rollout=rollout,
        notices=(*decision.notices, Notice(Severity.WARNING, text, "blind")),
        record=decision.record or entry,
    )


# --- Holds and summaries --------------------------------------------------------------------------

HOLDING: Final = "holding"
SUMMARY: Final = "summary"


def with_announcements(before: Rollout, decision: Decision, now: datetime) -> Decision:
    """Return `decision` with the notices of a new hold, a due summary and a page."""
    return with_page(_with_summary(before, _with_hold_notice(before, decision), now), now)


def _with_hold_notice(before: Rollout, decision: Decision) -> Decision:
    """Return `decision` with a notice if a hold begins in this tick."""
    after = decision.rollout
    if after.reason is not Reason.HOLDING or before.reason is Reason.HOLDING:
        return decision
    next_ = f" Next: {after.next}." if after.next else ""
    text = f"{after.id} is {with_full_stop(after.sentence)}{next_}"
    return _with_notice(decision, Notice(Severity.WARNING, text, HOLDING))


def _with_summary(before: Rollout, decision: Decision, now: datetime) -> Decision:
    """Return `decision` with a summary of the bake at 100 %, once in every `summary_period`."""
    after = decision.rollout
    every = after.policy.summary_period
    baking = after.phase is Phase.PROGRESSING and after.weight == 100
    if every is None or not baking or after.settled is None:
        return decision
    periods = (now - after.settled) // every
    if periods <= (before.updated - after.settled) // every or periods < 1:
        return decision
    findings = " ".join(with_full_stop(sentence_of(one)) for one in after.findings)
    text = (
        f"{after.id} has been at 100 % for {duration_text(now - after.settled)}: "
        f"{with_full_stop(after.sentence)} {findings}".rstrip()
    )
    return _with_notice(decision, Notice(Severity.INFO, text, SUMMARY))


# --- Pages ----------------------------------------------------------------------------------------

# How often a page is repeated until an operator acknowledges it.
REPEAT_EVERY: Final = PAGE_EVERY
# For how long a page of a final rollout is repeated; ticks would stop visiting it earlier.
REPEAT_FOR: Final = timedelta(days=1)

REPEATED: Final = "repeated"
ACKNOWLEDGED: Final = "acknowledged"


def with_page(decision: Decision, now: datetime) -> Decision:
    """Return `decision` with its page: stored when new, repeated when due, dropped when over.

    A page ends with the phase that it is about. An acknowledged page is not repeated, until
    something else is critical.
    """
    if not decision.rollout.policy.notify:
        return decision
    return _extend_watch(_update_page(decision, now))


def _update_page(decision: Decision, now: datetime) -> Decision:
    rollout = decision.rollout
    page = current_page(rollout)
    critical = [one for one in decision.notices if one.severity is Severity.CRITICAL]
    if critical:
        return _page_critical_notice(decision, critical[-1], page, now)
    if page is None or page.acknowledged or now - page.told < REPEAT_EVERY:
        return decision if page == rollout.page else _with_stored_page(decision, page)
    if rollout.final and now - page.since >= REPEAT_FOR:
        return decision  # ticks may visit it longer, to deliver its outbox
    text = (
        f"{with_full_stop(page.text)} Critical since {clock_text(page.since)} and not "
        f"acknowledged: rolloutctl ack {rollout.id}"
    )
    repeated = _with_notice(decision, Notice(Severity.CRITICAL, text, REPEATED))
    return _with_stored_page(repeated, replace(page, told=now))


def _page_critical_notice(
    decision: Decision, notice: Notice, page: Page | None, now: datetime
) -> Decision:
    kind = notice.kind or (decision.record.kind if decision.record else "")
    if page is None or page.kind != kind:
        return _with_stored_page(decision, Page(kind, notice.text, since=now, told=now))
    if page.acknowledged:
        other_notices = tuple(one for one in decision.notices if one is not notice)
        return replace(decision, notices=other_notices)
    return _with_stored_page(decision, replace(page, text=notice.text, told=now))


def _with_stored_page(decision: Decision, page: Page | None) -> Decision:
    return replace(decision, rollout=with_next_action(replace(decision.rollout, page=page)))


def _extend_watch(decision: Decision) -> Decision:
    """Return `decision` with a longer watch of a rollback whose page is not acknowledged.

    The extension starts once the drain is known; until then the rollback is watched in any case.
    """
    rollout = decision.rollout
    if rollout.phase is not Phase.ROLLED_BACK or rollout.drain is None:
        return decision
    page, until = unacknowledged_page(rollout), rollout.since + ROLLBACK_GUARD
    if page is not None:
        until = max(until, page.since + REPEAT_FOR)
    if until == rollout.watch_until:
        return decision
    return replace(decision, rollout=with_next_action(replace(rollout, watch_until=until)))


def acknowledge(rollout: Rollout, page: Page, note: str, now: datetime) -> Decision:
    """Acknowledge `page` by an operator's command: it is not repeated."""
    note_suffix = f": {note}" if note else ""
    text = (
        f"acknowledged what was critical since {clock_text(page.since)} ({page.kind}){note_suffix}"
    )
    decision = _extend_watch(_with_stored_page(Decision(rollout), replace(page, acknowledged=True)))
    after = decision.rollout
    entry = Record.of(ACKNOWLEDGED, rollout, after, rollout.weight, now, sentence=text)
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return replace(decision, notices=(notice,), record=entry)


def _with_notice(decision: Decision, notice: Notice) -> Decision:
    return replace(decision, notices=(*decision.notices, notice))
