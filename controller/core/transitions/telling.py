"""What is told beside transitions: a hold that begins, how a bake goes, what is still critical.

All of it follows from the state and the moment, so a lost tick delays it and loses nothing.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from controller.core.effects import Decision, Notice, Record, Severity
from controller.core.message import Page
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.transitions.back import GUARD_ZERO, PAGE_EVERY
from controller.core.transitions.outlook import outlook, record, unanswered
from controller.core.units import clock_text, length_text

# What is critical is told again this often, until somebody acknowledges it ...
REPEAT_EVERY: Final = PAGE_EVERY
# ... or for so long after a rollback, which ticks would no longer visit otherwise.
REPEAT_FOR: Final = timedelta(days=1)

HOLDING: Final = "holding"
SUMMARY: Final = "summary"
REPEATED: Final = "repeated"
ACKNOWLEDGED: Final = "acknowledged"


def heard(before: Rollout, decision: Decision, now: datetime) -> Decision:
    """Return `decision` with what else people should hear of a tick."""
    return paged(_summed_up(before, _hold_begun(before, decision), now), now)


def _hold_begun(before: Rollout, decision: Decision) -> Decision:
    """A hold is told in the moment in which it begins."""
    after = decision.rollout
    if after.reason is not Reason.HOLDING or before.reason is Reason.HOLDING:
        return decision
    next_ = f" Next: {after.next}." if after.next else ""
    text = f"{after.id} is {_ended(after.sentence)}{next_}"
    return _with(decision, Notice(Severity.WARNING, text, HOLDING))


def _summed_up(before: Rollout, decision: Decision, now: datetime) -> Decision:
    """At 100 % a bake is long: once in every period it says how it goes."""
    after = decision.rollout
    every = after.policy.summary_period
    baking = after.phase is Phase.PROGRESSING and after.weight == 100
    if every is None or not baking or after.settled is None:
        return decision
    periods = (now - after.settled) // every
    if periods <= (before.updated - after.settled) // every or periods < 1:
        return decision
    findings = " ".join(_ended(one.sentence) for one in after.findings)
    text = (
        f"{after.id} has been at 100 % for {length_text(now - after.settled)}: "
        f"{_ended(after.sentence)} {findings}".rstrip()
    )
    return _with(decision, Notice(Severity.INFO, text, SUMMARY))


# --- what is critical ---------------------------------------------------------------------------


def paged(decision: Decision, now: datetime) -> Decision:
    """Return `decision` with what is critical in it remembered, told again, or let be.

    A page ends with the phase that it is about. One that was acknowledged is told no more, until
    something else is critical.
    """
    if not decision.rollout.policy.notify:
        return decision
    return _visited(_paged(decision, now))


def _paged(decision: Decision, now: datetime) -> Decision:
    rollout = decision.rollout
    page = standing(rollout)
    loud = [one for one in decision.notices if one.severity is Severity.CRITICAL]
    if loud:
        return _loud(decision, loud[-1], page, now)
    if page is None or page.acknowledged or now - page.told < REPEAT_EVERY:
        return decision if page == rollout.page else _remembering(decision, page)
    if rollout.final and now - page.since >= REPEAT_FOR:
        return decision  # it may still be visited, for what a channel does not take
    text = (
        f"{_ended(page.text)} Critical since {clock_text(page.since)} and not acknowledged: "
        f"rolloutctl ack {rollout.id}"
    )
    again = _with(decision, Notice(Severity.CRITICAL, text, REPEATED))
    return _remembering(again, replace(page, told=now))


def standing(rollout: Rollout) -> Page | None:
    """Return what is critical in the phase of `rollout`, acknowledged or not."""
    page = rollout.page
    return page if page is not None and page.since >= rollout.since else None


def _loud(decision: Decision, notice: Notice, page: Page | None, now: datetime) -> Decision:
    kind = notice.kind or (decision.record.kind if decision.record else "")
    if page is None or page.kind != kind:
        return _remembering(decision, Page(kind, notice.text, since=now, told=now))
    if page.acknowledged:
        quiet = tuple(one for one in decision.notices if one is not notice)
        return replace(decision, notices=quiet)
    return _remembering(decision, replace(page, text=notice.text, told=now))


def _remembering(decision: Decision, page: Page | None) -> Decision:
    return replace(decision, rollout=outlook(replace(decision.rollout, page=page)))


def _visited(decision: Decision) -> Decision:
    """Return `decision` with a rollback that ticks go on visiting while it waits for somebody.

    That begins when its drain is known, for until then it is watched in any case.
    """
    rollout = decision.rollout
    if rollout.phase is not Phase.ROLLED_BACK or rollout.drain is None:
        return decision
    page, until = unanswered(rollout), rollout.since + GUARD_ZERO
    if page is not None:
        until = max(until, page.since + REPEAT_FOR)
    if until == rollout.watch_until:
        return decision
    return replace(decision, rollout=outlook(replace(rollout, watch_until=until)))


def acknowledged(rollout: Rollout, page: Page, note: str, now: datetime) -> Decision:
    """Somebody has seen what is critical: it is not told again."""
    because = f": {note}" if note else ""
    text = f"acknowledged what was critical since {clock_text(page.since)} ({page.kind}){because}"
    quiet = _visited(_remembering(Decision(rollout), replace(page, acknowledged=True)))
    entry: Record = record(ACKNOWLEDGED, rollout, quiet.rollout, rollout.weight, now)
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return replace(quiet, notices=(notice,), record=replace(entry, sentence=text))


def _with(decision: Decision, notice: Notice) -> Decision:
    return replace(decision, notices=(*decision.notices, notice))


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
