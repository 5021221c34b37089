"""The next action of a rollout, and the reason of a hold.

All modules of `transitions` share them.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.judge.criteria_table import table
from controller.core.judge.findings import Finding, Verdict, gate_verdict
from controller.core.judge.sentences import sentence_of
from controller.core.message import Page
from controller.core.observation import TargetReading, UnreadableTarget, UpdateStatus
from controller.core.policy import Frozen
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import clock_text, format_duration
from controller.text import printable_block

# A pause has no time limit, so operators are reminded of it.
REMIND_EVERY = timedelta(days=1)
# Blocks of an advance without an end in time: operators are reminded of them as often.
OPEN_ENDED_REASONS = frozenset(
    {Reason.AWAITING_APPROVAL, Reason.AWAITING_HOOK, Reason.KIND_MISSING}
)


def with_next_action(rollout: Rollout) -> Rollout:
    """Return `rollout` with its next action and the time of it, derived from its state."""
    next_at, text = _next_action(rollout)
    return replace(rollout, next_at=next_at, next=text)


def _next_action(rollout: Rollout) -> tuple[datetime | None, str]:
    match rollout.phase:
        case Phase.PROGRESSING if rollout.settled is None:
            return _next_while_pending(rollout)
        case Phase.PROGRESSING:
            return _next_gate(rollout)
        case Phase.PAUSED if rollout.seen_weight == 0:
            return rollout.updated, "ends with the next tick unless it finds more than 0 %"
        case Phase.PAUSED:
            return (
                pause_reminder_at(rollout),
                "waits for a person to resume, promote or roll it back (a criterion that fails "
                "still rolls it back); reminds once a day",
            )
        case Phase.ROLLING_BACK:
            limit = rollout.since + rollout.policy.rollback_timeout
            how = "waited for" if rollout.policy.target.observed else "written"
            return limit, f"0 % is {how} until it is read back; pages from {clock_text(limit)}"
        case Phase.ROLLED_BACK if unacknowledged_page(rollout):
            until = rollout.watch_until
            return until, f"told again until somebody says rolloutctl ack {rollout.id}"
        case Phase.ROLLED_BACK | Phase.SUCCEEDED:
            until = rollout.watch_until
            return until, f"watched for drift until {clock_text(until)}" if until else ""


def pause_reminder_at(rollout: Rollout) -> datetime:
    """Return when operators are reminded of the pause of `rollout` next."""
    return max(rollout.reminded or rollout.since, rollout.since) + REMIND_EVERY


def unacknowledged_page(rollout: Rollout) -> Page | None:
    """Return the page of the current phase of `rollout` that waits for an acknowledgement."""
    page = current_page(rollout)
    return None if page is None or page.acknowledged else page


def current_page(rollout: Rollout) -> Page | None:
    """Return the page of the current phase of `rollout`, acknowledged or not; None without one."""
    page = rollout.page
    return page if page is not None and page.since >= rollout.since else None


def _next_while_pending(rollout: Rollout) -> tuple[datetime | None, str]:
    """Return until when a pending weight has to be applied, and what happens otherwise."""
    frozen = rollout.policy.freeze_at(rollout.updated)
    unreadable = rollout.reason is Reason.TARGET_UNREADABLE and rollout.barrier == Reason.FROZEN
    if frozen is not None and (rollout.reason is Reason.FROZEN or unreadable):
        return frozen.until, f"{rollout.weight} % at {clock_text(frozen.until)}"
    if rollout.reason is Reason.KIND_MISSING:
        return None, f"{rollout.weight} % once the package is installed"
    if rollout.policy.target.observed:
        return None, f"{rollout.weight} % once {rollout.policy.target.name} has it"
    pending_since = rollout.unfinished_since or rollout.intent.asked
    limit = pending_since + rollout.policy.shift_timeout
    otherwise = "pauses" if rollout.intent.previous == rollout.weight else "rolls back"
    return limit, f"{otherwise} unless {rollout.weight} % is in force by {clock_text(limit)}"


def _next_gate(rollout: Rollout) -> tuple[datetime | None, str]:
    end, next_step = rollout.bake_end, _next_step_text(rollout)
    if end is None:
        return None, next_step
    judged_at = end + rollout.policy.evaluation_delay
    if rollout.updated < judged_at:
        return _next_after_bake(rollout, judged_at)
    frozen = _freeze_at(rollout, rollout.updated)
    if rollout.reason is Reason.FROZEN and frozen is not None:
        passes = "" if _gate_allows_advance(rollout) else " if every criterion passes"
        return (
            frozen.until,
            f"{next_step} at {clock_text(frozen.until)}{passes}{_approval_suffix(rollout)}",
        )
    if rollout.reason in OPEN_ENDED_REASONS:
        remind_at = (rollout.reminded or rollout.updated) + REMIND_EVERY
        condition = _open_ended_condition(rollout, frozen)
        return remind_at, f"{next_step} {condition}; reminds once a day"
    return _next_on_hold(rollout)


def _open_ended_condition(rollout: Rollout, frozen: Frozen | None) -> str:
    """Return what ends the block of an advance that has no end in time, as part of a sentence."""
    match rollout.reason:
        case Reason.KIND_MISSING:
            return "once the package is installed"
        case Reason.AWAITING_HOOK:
            return "once its hooks allow it, asked with each tick"
        case _:
            passes = "" if _gate_allows_advance(rollout) else " and every criterion passes"
            at = f", not before {clock_text(frozen.until)}" if frozen else ""
            return f"once it is approved{passes}{at}"


def _gate_allows_advance(rollout: Rollout) -> bool:
    """Tell whether the gate allows an advance: it passed, or the policy needs no verdict."""
    unproven = rollout.policy.on_inconclusive == "advance"
    return unproven or gate_verdict(rollout.findings) is Verdict.PASS


def _next_after_bake(rollout: Rollout, judged_at: datetime) -> tuple[datetime, str]:
    """Return the advance after a bake whose gate passes: when it is judged and no freeze is on."""
    frozen = _freeze_at(rollout, judged_at)
    advance_at = judged_at if frozen is None else frozen.until
    next_step = f"{_next_step_text(rollout)} at {clock_text(advance_at)}"
    text = f"{next_step} if every criterion passes{_approval_suffix(rollout)}"
    return advance_at, text if frozen is None else f"{text}; {frozen.text}"


def _next_on_hold(rollout: Rollout) -> tuple[datetime | None, str]:
    """Return how a hold ends, of an inconclusive gate or of a target that takes no raise."""
    end, next_step = rollout.hold_end, _next_step_text(rollout)
    if end is None:
        return None, next_step
    if gate_verdict(rollout.findings) is Verdict.PASS:
        return end, f"{next_step} as soon as the target takes it; pauses at {clock_text(end)}"
    outcomes = {"pause": "pauses", "rollback": "rolls back", "advance": "advances unproven"}
    outcome = outcomes[rollout.policy.on_inconclusive]
    return end, f"{next_step} as soon as every criterion passes; {outcome} at {clock_text(end)}"


def _next_step_text(rollout: Rollout) -> str:
    """Return the goal of an advance from the current step: the next weight, or success."""
    return (
        "success" if rollout.is_last_step else f"{rollout.policy.steps[rollout.step + 1].weight} %"
    )


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
    """Return the sentence of a bake: until when it lasts, or until when its last data settle."""
    weight, end = rollout.weight, rollout.bake_end
    if end is None:
        return f"baking at {weight} %"
    if rollout.updated < end:
        return f"baking at {weight} % until {clock_text(end)}"
    judged_at = clock_text(end + rollout.policy.evaluation_delay)
    return f"baked at {weight} % until {clock_text(end)}; its last data settle until {judged_at}"


def hold_expired_text(rollout: Rollout, target: TargetReading | UnreadableTarget) -> str:
    """Return the sentence of a hold that reached its time limit, with its reason."""
    limit = format_duration(rollout.policy.max_hold_of(rollout.step))
    return (
        f"still held at {rollout.weight} % {limit} after the bake: {hold_reason(rollout, target)}"
    )


def hold_reason(rollout: Rollout, target: TargetReading | UnreadableTarget) -> str:
    """Return the reasons of a hold after the bake: the open findings, then the target."""
    open_findings = [finding for finding in rollout.findings if finding.blocks_advance]
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
    labels = dict.fromkeys(one.label for one in findings)
    groups = (
        f"{label} ({', '.join(one.criterion for one in findings if one.label is label)})"
        for label in labels
    )
    return f"{', '.join(groups)}."


def with_table(text: str, rollout: Rollout) -> str:
    """Return the final message of a rollout with the table of its criteria below it."""
    lines = table(rollout)
    return printable_block([text, "", *lines]) if lines else text
