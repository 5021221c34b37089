"""Notices that are not transitions: blindness, holds, summaries of a long bake, repeated pages.

Each follows from the state and the time, so a lost tick delays a notice and loses none.
"""

from datetime import datetime, timedelta
from typing import Final

from controller.core.decision import Decision, Notice, Record
from controller.core.judge.judgement import Judgement
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.judge.silence import Silence
from controller.core.message import Severity
from controller.core.notice_rules import Condition, ConditionKind, is_due
from controller.core.observation import TargetReading, weight_of
from controller.core.rollout import Phase, Progressing, Reason, RolledBack, Rollout
from controller.core.transitions.advance import with_block_announced
from controller.core.transitions.final_watch import RELEASED
from controller.core.transitions.rollback import ROLLBACK_GUARD
from controller.core.words.notices import (
    acknowledged_text,
    blind_text,
    deployed_text,
    hold_text,
    loss_text,
    repeated_page_text,
    silence_text,
    summary_text,
)
from controller.immutable import replace

# --- Blindness ------------------------------------------------------------------------------------


def with_visibility(decision: Decision, judgement: Judgement) -> Decision:
    """Return `decision` with the live weight that the tick read, and what operators must see.

    That is a notice of long blindness, one of silence at 100%, and one of other code. Their
    conditions go on from the judged rollout: no transition has to carry them over.
    """
    seeing = _with_blindness(decision, judgement)
    heard = _with_silence(seeing, judgement)
    return _with_other_code(heard, judgement)


def _with_blindness(decision: Decision, judgement: Judgement) -> Decision:
    after, kind, now = decision.rollout, ConditionKind.BLIND, judgement.now
    if isinstance(judgement.target, TargetReading):
        after = replace(after, seen_weight=judgement.target.weight)
    blindness = judgement.blindness
    if blindness is None or after.phase not in JUDGED_PHASES:
        return replace(decision, rollout=after.with_condition(kind, None))
    known = judgement.rollout.conditions.get(kind)
    since = now if known is None else known.since
    announced = None if known is None else known.announced
    condition = Condition(since, blind_text(after, blindness, now - since), announced=announced)
    if not is_due(kind, condition, now):
        return replace(decision, rollout=after.with_condition(kind, condition))
    after = after.with_condition(kind, replace(condition, announced=now))
    return _reported(decision, after, Severity.WARNING, "blind", condition.text, now)


# --- Silence at 100% -----------------------------------------------------------------------------

SILENT: Final = "silent"
LOST: Final = "lost_requests"


def _with_silence(decision: Decision, judgement: Judgement) -> Decision:
    """Return `decision` with a critical notice once all or many requests are missing at 100%.

    The condition goes on until a request is counted or the weight is lower; where only some are
    missing, until the weight is lower or the rollout ends.
    """
    before, after = judgement.rollout, decision.rollout
    kind, now = ConditionKind.SILENT, judgement.now
    live, seen = after.live, weight_of(judgement.target)
    has_all = live is not None and {live.weight, seen} <= {100, None}
    if after.phase not in JUDGED_PHASES or not has_all:
        return replace(decision, rollout=after.with_condition(kind, None))
    is_measured = live == before.live  # a step that is applied only now is not
    known = before.conditions.get(kind)
    if known and known.entry != LOST and is_measured and judgement.was_heard:
        known = None
    missing = judgement.missing if is_measured and known is None else None
    if missing is None:
        return replace(decision, rollout=after.with_condition(kind, known))
    if isinstance(missing, Silence):
        text, name = silence_text(after, missing), SILENT
    else:
        text, name = loss_text(after, missing), LOST
    condition = Condition(now, text, announced=now, critical=True, entry=name)
    after = after.with_condition(kind, condition)
    return _reported(decision, after, Severity.CRITICAL, name, text, now)


# --- Other code -----------------------------------------------------------------------------------


def _with_other_code(decision: Decision, judgement: Judgement) -> Decision:
    """Return `decision` with a notice of code that was deployed during the rollout: each once."""
    after, kind, target = decision.rollout, ConditionKind.CHANGED, judgement.target
    if after.phase not in JUDGED_PHASES:
        return decision
    known = judgement.rollout.conditions.get(kind)
    if isinstance(target, TargetReading):
        text = deployed_text(after, target)
        if not text:
            known = None
        elif known is None or known.text != text:
            condition = Condition(judgement.now, text, announced=judgement.now)
            after = after.with_condition(kind, condition)
            return _reported(decision, after, Severity.WARNING, RELEASED, text, judgement.now)
    return replace(decision, rollout=after.with_condition(kind, known))


# --- Holds and summaries --------------------------------------------------------------------------

HOLDING: Final = "on_hold"
SUMMARY: Final = "summary"


def with_announcements(decision: Decision, judgement: Judgement) -> Decision:
    """Return `decision` with the notices of a new hold, a due summary and a page."""
    held = _with_hold_notice(decision, judgement)
    return with_page(_with_summary(held, judgement), judgement.now)


def _with_hold_notice(decision: Decision, judgement: Judgement) -> Decision:
    """Return `decision` with a notice if a hold begins in this tick."""
    after = decision.rollout
    if not _is_on_hold(after) or _is_on_hold(judgement.rollout):
        return decision
    announced = replace(decision, rollout=with_block_announced(after, judgement.now))
    return _with_notice(announced, Notice(Severity.WARNING, hold_text(after), HOLDING))


def _is_on_hold(rollout: Rollout) -> bool:
    return isinstance(rollout.state, Progressing) and rollout.state.block is Reason.ON_HOLD


def _with_summary(decision: Decision, judgement: Judgement) -> Decision:
    """Return `decision` with a summary of the bake at 100%, once in every `summary_period`."""
    after, now = decision.rollout, judgement.now
    every = after.policy.summary_period
    live = after.live if after.phase is Phase.PROGRESSING else None
    if every is None or live is None or live.weight != 100:
        return decision
    periods = (now - live.since) // every
    if periods <= (judgement.last_seen - live.since) // every or periods < 1:
        return decision
    text = summary_text(after, now - live.since)
    return _with_notice(decision, Notice(Severity.INFO, text, SUMMARY))


# --- Pages ----------------------------------------------------------------------------------------

# For how long a page of a final rollout is repeated; ticks would stop visiting it earlier.
REPEAT_FOR: Final = timedelta(days=1)

REPEATED: Final = "repeated"
ACKNOWLEDGED: Final = "acknowledged"


def with_page(decision: Decision, now: datetime) -> Decision:
    """Return `decision` with the repeated page of a critical condition, if it is due.

    A page ends with its condition. An acknowledged page is not repeated.
    """
    return _extend_watch(_repeat_page(decision, now))


def _repeat_page(decision: Decision, now: datetime) -> Decision:
    rollout = decision.rollout
    page = rollout.unacknowledged_page
    if page is None or not is_due(page, condition := rollout.conditions[page], now):
        return decision
    if rollout.final and now - condition.since >= REPEAT_FOR:
        return decision  # ticks may visit it longer, to deliver its outbox
    notice = Notice(Severity.CRITICAL, repeated_page_text(rollout, condition), REPEATED)
    rollout = rollout.with_condition(page, replace(condition, announced=now))
    return _with_notice(replace(decision, rollout=rollout), notice)


def _extend_watch(decision: Decision) -> Decision:
    """Return `decision` with a longer watch of a rollback whose page is not acknowledged.

    The extension starts once the leak check has ended; until then the rollback is watched anyway.
    """
    rollout, state = decision.rollout, decision.rollout.state
    if not isinstance(state, RolledBack) or state.leak_check is None:
        return decision
    page, until = rollout.unacknowledged_page, state.since + ROLLBACK_GUARD
    if page is not None:
        until = max(until, rollout.conditions[page].since + REPEAT_FOR)
    if until == state.watch_until:
        return decision
    return replace(decision, rollout=replace(rollout, state=replace(state, watch_until=until)))


def acknowledge(rollout: Rollout, page: ConditionKind, note: str, now: datetime) -> Decision:
    """Acknowledge the condition `page` by an operator's command: its page is not repeated."""
    condition = rollout.conditions[page]
    text = acknowledged_text(page, condition, note)
    after = rollout.with_condition(page, replace(condition, acknowledged=True))
    decision = _extend_watch(Decision(after))
    entry = Record.of(ACKNOWLEDGED, rollout, decision.rollout, rollout.weight, now, sentence=text)
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return replace(decision, notices=(notice,), record=entry)


def _reported(
    decision: Decision, after: Rollout, severity: Severity, kind: str, text: str, now: datetime
) -> Decision:
    """Return `decision` with `after`, with a notice, and with an entry where it has none."""
    entry = Record.of(kind, after, after, None, now, sentence=text, keeps_series=True)
    decision = replace(decision, rollout=after, record=decision.record or entry)
    return _with_notice(decision, Notice(severity, text, kind))


def _with_notice(decision: Decision, notice: Notice) -> Decision:
    return replace(decision, notices=(*decision.notices, notice))
