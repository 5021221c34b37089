"""The next action of a rollout, and the reason of a hold.

All modules of `transitions` share them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, assert_never

from controller.core.judge.findings import Finding, Label, Verdict, gate_verdict
from controller.core.notice_rules import DAY, PAUSE_REMINDER, ConditionKind
from controller.core.observation import TargetReading, UnreadableTarget, UpdateStatus
from controller.core.policy import Frozen
from controller.core.rollout import (
    Paused,
    Pending,
    Progressing,
    Reason,
    RolledBack,
    RollingBack,
    Rollout,
    Succeeded,
)
from controller.core.units import clock_text, duration_text, format_duration
from controller.core.words.criteria_table import table
from controller.core.words.findings import sentence_of
from controller.immutable import Immutable
from controller.safe_text import printable_block

# Blocks of an advance without an end in time: operators are reminded of them as often.
OPEN_ENDED_REASONS = frozenset(
    {
        Reason.AWAITING_APPROVAL,
        Reason.AWAITING_HOOK,
        Reason.KIND_MISSING,
        Reason.OVER_EXPOSURE_BUDGET,
    }
)
# What the end of a hold does, by `on_inconclusive`.
_OUTCOMES: Final = {
    "pause": "pauses",
    "rollback": "rolls back",
    "advance": "advances without a verdict",
}


class NextAction(Immutable):
    """What happens next, as text, and when; None where that depends on something else than time."""

    at: datetime | None
    text: str


def next_action(rollout: Rollout, now: datetime | None = None) -> NextAction:
    """Return what `rollout` does next, as of its last change.

    now: tells whether the watch of a final rollout is over; None: the time of the last change.
    """
    state = rollout.state
    match state:
        case Progressing(position=Pending() as pending):
            return _next_while_pending(rollout, state, pending)
        case Progressing():
            return _next_gate(rollout, state)
        case Paused() if rollout.seen_weight == 0:
            return NextAction(
                rollout.updated,
                "the next tick ends the rollout unless it reads a weight above 0%",
            )
        case Paused():
            return NextAction(
                pause_reminder_at(rollout),
                "waits for an operator to resume, promote or roll back (a criterion that fails "
                f"still rolls back){_reminder_text(rollout)}",
            )
        case RollingBack():
            limit = state.since + rollout.policy.rollback_timeout
            how = "waits" if rollout.policy.target.observed else "writes 0% at each tick"
            text = f"{how} until 0% is read back; pages from {clock_text(limit)}"
            return NextAction(limit, text)
        case RolledBack() if rollout.unacknowledged_page:
            text = f"the alert is repeated until acknowledged: rolloutctl ack {rollout.id}"
            return NextAction(state.watch_until, text)
        case RolledBack() | Succeeded():
            return _next_of_watch(rollout, state, now or rollout.updated)
        case unreachable:
            assert_never(unreachable)


def _next_of_watch(rollout: Rollout, state: RolledBack | Succeeded, now: datetime) -> NextAction:
    """Return until when ticks watch a final rollout and what they do then, or that it is over."""
    until = clock_text(state.watch_until)
    is_unchecked = isinstance(state, RolledBack) and state.leak_check is None
    if not rollout.is_watched(now):
        text = f"nothing: the watch of ticks ended at {until}"
        if is_unchecked and rollout.from_weight:
            text += (
                "; no tick ran the leak check (is the schedule running?); to watch again: "
                f"rolloutctl rollback {rollout.id} --reason TEXT"
            )
        return NextAction(None, text)
    outside = "a weight set outside rolloutctl is reported and left as it is"
    if isinstance(state, RolledBack) and not rollout.policy.target.observed and state.intended:
        outside = f"a return to {state.intended}% is lowered to 0% again, any other {outside[2:]}"
    late = "requests that still reach the canary are reported as critical, " if is_unchecked else ""
    return NextAction(state.watch_until, f"watched until {until}: {late}{outside}")


def _reminder_text(rollout: Rollout) -> str:
    """Return that operators are reminded, where a channel can tell them."""
    return "; sends a reminder once a day" if rollout.policy.notify else ""


def pause_reminder_at(rollout: Rollout) -> datetime:
    """Return when operators are reminded of the pause of `rollout` next.

    Its page, where it is critical, is repeated apart from that.
    """
    condition = rollout.conditions.get(ConditionKind.PAUSED)
    last = rollout.since if condition is None else condition.announced or condition.since
    return last + PAUSE_REMINDER


def waits_for(rollout: Rollout) -> str:
    """Return what the next transition of `rollout` waits for, as text; empty in a final phase."""
    match rollout.state:
        case Progressing(reason=Reason.BAKING):
            delay = format_duration(rollout.policy.evaluation_delay)
            return f"the bake, then {delay} until its data are final"
        case Paused():
            return "operator (resume, promote or rollback)"
        case RolledBack() | Succeeded():
            return ""
        case Progressing() | RollingBack():
            waits = rollout.conditions_of(ConditionKind.BLOCKED, ConditionKind.UNCONFIRMED)
            return next((wait.text for wait in waits.values()), "")
        case unreachable:
            assert_never(unreachable)


def reached_steps(rollout: Rollout, weight: int) -> list[int]:
    """Return the steps whose weight is not above `weight`."""
    return [index for index, step in enumerate(rollout.policy.steps) if step.weight <= weight]


def ways_out_of_drift(rollout: Rollout, live: int | None, *, may_exceed: bool) -> list[str]:
    """Return what an operator can do about a live weight that is not the expected one.

    live: percent; None where the target shows no clear weight. may_exceed: it may be above the
    expected one, so that it can be lowered to that. Each way has its whole command.
    """
    resume, ways = f"rolloutctl resume {rollout.id}", list[str]()
    if may_exceed:
        ways.append(f"to lower it to {rollout.weight}% and go on: {resume} --restore")
    if live is None:
        ways.append(f"to go on, set a clear weight in AWS, then: {resume}")
    elif reached_steps(rollout, live):
        ways.append(f"to go on at {live}%: {resume} --keep")
    else:
        ways.append(f"to go on, set {rollout.weight}% in AWS, then: {resume}")
    return [*ways, f"to roll back: rolloutctl rollback {rollout.id}"]


def _next_while_pending(rollout: Rollout, state: Progressing, pending: Pending) -> NextAction:
    """Return until when a pending weight has to be applied, and what happens otherwise."""
    frozen = rollout.policy.freeze_at(rollout.updated)
    if frozen is not None and state.block is Reason.FROZEN:
        return NextAction(frozen.until, f"{pending.weight}% {_tick_text(frozen.until)}")
    if state.block is Reason.KIND_MISSING:
        return NextAction(None, f"{pending.weight}% once the package is installed")
    if rollout.policy.target.observed:
        where = rollout.policy.target.name
        return NextAction(None, f"{pending.weight}% once it is read back from {where}")
    limit = (pending.first_look or pending.decided) + rollout.policy.shift_timeout
    otherwise = "pauses" if pending.previous == pending.weight else "rolls back"
    text = f"{otherwise} unless {pending.weight}% is applied by {clock_text(limit)}"
    return NextAction(limit, text)


def _next_gate(rollout: Rollout, state: Progressing) -> NextAction:
    bake_end, hold_end, next_step = rollout.bake_end, rollout.hold_end, _next_step_text(rollout)
    if bake_end is None or hold_end is None:
        return NextAction(None, next_step)
    judged_at = bake_end + rollout.policy.evaluation_delay
    if rollout.updated < judged_at:
        frozen = _freeze_at(rollout, judged_at)
        at, after = (judged_at, "") if frozen is None else (frozen.until, f"; {frozen.text}")
        return NextAction(at, f"{_advance_text(rollout, at, is_judged=False)}{after}")
    frozen = _freeze_at(rollout, rollout.updated)
    if state.block is Reason.FROZEN and frozen is not None:
        passes = _gate_allows_advance(rollout)
        return NextAction(frozen.until, _advance_text(rollout, frozen.until, is_judged=passes))
    if state.block in OPEN_ENDED_REASONS and state.reason is not Reason.APPROVED:
        known = rollout.conditions.get(ConditionKind.BLOCKED)
        remind_at = ((known and known.announced) or rollout.updated) + DAY
        condition = _open_ended_condition(rollout, state.block, frozen)
        return NextAction(remind_at, f"{next_step} {condition}{_reminder_text(rollout)}")
    return _next_on_hold(rollout, hold_end)


def _open_ended_condition(rollout: Rollout, block: Reason | None, frozen: Frozen | None) -> str:
    """Return what ends the block of an advance that has no end in time, as part of a sentence."""
    passes = "" if _gate_allows_advance(rollout) else " and every criterion passes"
    match block:
        case Reason.KIND_MISSING:
            return "once the package is installed"
        case Reason.AWAITING_HOOK:
            return "once its hooks allow it (called at each tick)"
        case Reason.OVER_EXPOSURE_BUDGET:
            return (
                f"once the traffic is low enough for max_bad_requests{passes}, or by hand: "
                f"rolloutctl promote {rollout.id}"
            )
        case _:
            at = f", not before {clock_text(frozen.until)}" if frozen else ""
            return f"once it is approved{passes}{at}"


def _gate_allows_advance(rollout: Rollout) -> bool:
    """Tell whether the gate allows an advance: it passed, or the policy needs no verdict."""
    unproven = rollout.policy.on_inconclusive == "advance"
    return unproven or gate_verdict(rollout.evidence.findings) is Verdict.PASS


def _advance_text(rollout: Rollout, at: datetime, *, is_judged: bool) -> str:
    """Return an advance from `at` on, and its conditions; is_judged: the gate allows it already."""
    conditions = "" if is_judged else " if every criterion of this step passes"
    conditions += _approval_suffix(rollout)
    comma = "," if conditions else ""
    return f"{_next_step_text(rollout)}{conditions}{comma} {_tick_text(at)}"


def _next_on_hold(rollout: Rollout, end: datetime) -> NextAction:
    """Return how a hold ends, of an inconclusive gate or of a target that takes no raise."""
    at, next_step = _tick_text(end), _next_step_text(rollout)
    if gate_verdict(rollout.evidence.findings) is Verdict.PASS:
        return NextAction(end, f"{next_step} as soon as the target can be updated; pauses {at}")
    outcome = _OUTCOMES[rollout.policy.on_inconclusive]
    latest = longest_hold_end(rollout)
    if latest is not None:
        text = f"{next_step} as soon as its data come and every criterion passes"
        return NextAction(latest, f"{text}; without data {outcome} {_tick_text(latest)}")
    return NextAction(end, f"{next_step} as soon as every criterion passes; {outcome} {at}")


def _tick_text(moment: datetime) -> str:
    """Return that something happens as soon as a tick runs at `moment` or later."""
    return f"at the first tick from {clock_text(moment)} on"


def _next_step_text(rollout: Rollout) -> str:
    """Return the goal of an advance from the current step: the next weight, or success."""
    following = rollout.policy.steps[rollout.step + 1 :]
    return f"{following[0].weight}%" if following else "success"


def _freeze_at(rollout: Rollout, moment: datetime) -> Frozen | None:
    """Return the freeze that blocks the next step at `moment`; no freeze blocks success."""
    return None if rollout.is_last_step else rollout.policy.freeze_at(moment)


def _approval_suffix(rollout: Rollout) -> str:
    """Return the condition of a missing approval, as part of a sentence; empty without one."""
    step = rollout.step + 1
    if rollout.is_last_step or not rollout.policy.needs_approval(step) or rollout.approved == step:
        return ""
    return f" and it is approved (rolloutctl approve {rollout.id})"


def baking_sentence(rollout: Rollout) -> str:
    """Return the sentence of a bake: until when it lasts, or when its last data are final."""
    weight, end = rollout.weight, rollout.bake_end
    if end is None:
        return f"baking at {weight}%"
    if rollout.updated < end:
        return f"baking at {weight}% until {clock_text(end)}"
    judged_at = clock_text(end + rollout.policy.evaluation_delay)
    return f"baked at {weight}% until {clock_text(end)}; its last data are final at {judged_at}"


def longest_hold_end(rollout: Rollout) -> datetime | None:
    """Return when a hold that waits for data is over if none come; None for any other hold."""
    end = rollout.data_wait_end
    if end is None or not rollout.waits_for_data:
        return None
    return end + rollout.policy.max_hold_of(rollout.step)


def holding_sentence(rollout: Rollout, target: TargetReading | UnreadableTarget) -> str:
    """Return the sentence of a hold: what it waits for, and for data until when at most."""
    latest = longest_hold_end(rollout)
    waits = "" if latest is None else f", waiting for data until {clock_text(latest)} at most"
    return f"on hold at {rollout.weight}%{waits}: {hold_reason(rollout, target)}"


def hold_expired_text(rollout: Rollout, target: TargetReading | UnreadableTarget) -> str:
    """Return the sentence of a hold that reached its time limit, with its reason."""
    end, begin = rollout.bake_end, rollout.hold_begin
    hold = rollout.policy.max_hold_of(rollout.step)
    lasted = format_duration(hold)
    if end is not None and begin is not None and end < begin:  # not all of the time counted
        lasted = duration_text(begin - end + hold)
    reason = hold_reason(rollout, target)
    return f"still on hold at {rollout.weight}% {lasted} after the bake: {reason}"


def hold_reason(rollout: Rollout, target: TargetReading | UnreadableTarget) -> str:
    """Return the reasons of a hold after the bake: the open findings, then the target."""
    open_findings = [finding for finding in rollout.evidence.findings if finding.blocks_advance]
    reasons = [_by_label(open_findings)] if open_findings else []
    if isinstance(target, UnreadableTarget):
        reasons.append(f"The target cannot be read: {target.reason}")
    elif target.update is not UpdateStatus.SUCCESSFUL:
        detail = f": {target.detail}" if target.detail else ""
        reasons.append(f"The target's last update is {target.update}{detail}.")
    return " ".join(reasons)


def _by_label(findings: Sequence[Finding]) -> str:
    """Return one finding in full, several grouped by label: `no data (latency, traffic).`"""
    if len(findings) == 1:
        return sentence_of(findings[0])
    groups = []
    for label in dict.fromkeys(finding.label for finding in findings):
        names = ", ".join(finding.criterion for finding in findings if finding.label is label)
        groups.append(f"{label}{' yet' if label is Label.NOT_JUDGED else ''} ({names})")
    return f"{', '.join(groups)}."


def with_table(text: str, rollout: Rollout) -> str:
    """Return the final message of a rollout with the table of its criteria below it."""
    lines = table(rollout)
    return printable_block([text, "", *lines]) if lines else text
