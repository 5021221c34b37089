"""What holds up a step whose gate has passed: a freeze, an approval nobody gave yet, a hook.

They delay advances only: the step is judged on, and goes back as ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from controller.core.decision import Decision, Notice, Severity
from controller.core.judge.findings import Verdict, gate
from controller.core.next_action import (
    REMIND_EVERY,
    hold_reason,
    transition_record,
    with_next_action,
)
from controller.core.observation import Consent, HookAnswer, TargetReading, UnreadableTarget
from controller.core.policy import Hook
from controller.core.policy.hooks import BEFORE_ADVANCE
from controller.core.rollout import Reason, Rollout
from controller.core.transitions.advance import advance_reason

# Waits that no clock ends: they are remembered once a day.
_OPEN_ENDED_REASONS: Final = frozenset({Reason.AWAITING_APPROVAL, Reason.AWAITING_HOOK})
# So much of what hooks say is told.
_MAX_OBJECTIONS_LENGTH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Block:
    """Why a rollout does not go up although it could, for machines and for people.

    asks: addresses of hooks that nobody has asked yet.
    """

    reason: Reason
    text: str
    hooks_to_call: tuple[str, ...] = ()


def advance_block(rollout: Rollout, now: datetime) -> Block | None:
    """Return what keeps `rollout` from its next step; None when nothing does, or none is left.

    A missing approval comes first, for it takes a person: freezes come and go while it is waited
    for, and are not told each time.
    """
    policy, step = rollout.policy, rollout.step + 1
    if step == len(policy.steps):
        return None
    frozen = policy.freeze_at(now)
    if policy.needs_approval(step) and rollout.approved != step:
        text = f"{policy.steps[step].weight} % needs an approval: rolloutctl approve {rollout.id}"
        return Block(Reason.AWAITING_APPROVAL, f"{frozen.text}; {text}" if frozen else text)
    return Block(Reason.FROZEN, frozen.text) if frozen else None


def hook_block(rollout: Rollout, answers: Mapping[str, HookAnswer]) -> Block | None:
    """Return what the hooks of the policy have against the next step; None when nothing, or none.

    They are asked last, once nothing else is in the way, and with every tick until all allow it.
    """
    if rollout.step + 1 == len(rollout.policy.steps):
        return None
    hooks = rollout.policy.hooks_at(BEFORE_ADVANCE)
    if unasked := tuple(address for address in hooks if address not in answers):
        shown = ", ".join(hooks[address].display_name for address in unasked)
        return Block(Reason.AWAITING_HOOK, f"{BEFORE_ADVANCE} was not asked: {shown}", unasked)
    against = objections(hooks, answers)
    return Block(Reason.AWAITING_HOOK, f"{BEFORE_ADVANCE}: {against}") if against else None


def objections(hooks: Mapping[str, Hook], answers: Mapping[str, HookAnswer]) -> str:
    """Return in words what `hooks` have against it; empty when all of them allow it."""
    against = (
        f"{hook.display_name} {_CONSENT_WORDS[answers[address].consent]}: {answers[address].said}"
        for address, hook in hooks.items()
        if answers[address].consent is not Consent.GIVEN
    )
    return "; ".join(against)[:_MAX_OBJECTIONS_LENGTH]


_CONSENT_WORDS: Final = {
    Consent.GIVEN: "allows it",
    Consent.REFUSED: "refuses",
    Consent.FAILED: "did not answer",
}


def block_advance(rollout: Rollout, block: Block, reason: Reason, now: datetime) -> Decision:
    """Stay although the gate lets the rollout go on for `reason`, and say so once.

    Should a gate that passed lose its verdict when nothing holds it up any more, its hold begins
    then, and not when the bake ended; one whose hold is over has none left.
    """
    if reason is Reason.GATE_PASSED:
        rollout = replace(rollout, hold_from=now)
    return _block(rollout, block, f"{advance_reason(rollout, reason)}; {block.text}", now)


def was_blocked(rollout: Rollout) -> bool:
    """Tell whether the last tick left a gate that had passed waiting for a freeze or an approval.

    A gate without a verdict that the policy lets advance goes on as it says, and holds until then.
    """
    kept = rollout.reason in (*_OPEN_ENDED_REASONS, Reason.FROZEN, Reason.APPROVED)
    advances = rollout.policy.on_inconclusive == "advance"
    return kept and (not advances or gate(rollout.findings) is Verdict.PASS)


def stay_blocked(
    rollout: Rollout, block: Block, target: TargetReading | UnreadableTarget, now: datetime
) -> Decision:
    """Go on waiting: a gate that had passed has no verdict now, or its target takes no raise."""
    return _block(rollout, block, f"{block.text}; meanwhile: {hold_reason(rollout, target)}", now)


def _block(rollout: Rollout, block: Block, sentence: str, now: datetime) -> Decision:
    """Say once what is waited for, and once a day where no clock ends that wait."""
    new = rollout.barrier != block.reason
    due = new or (
        block.reason in _OPEN_ENDED_REASONS and now - (rollout.reminded or now) >= REMIND_EVERY
    )
    after = replace(
        rollout,
        reason=block.reason,
        sentence=sentence,
        blocked=block.text,
        barrier=str(block.reason),
        reminded=now if due else rollout.reminded,
    )
    after = with_next_action(after)
    if not due:
        return Decision(after, hooks_to_call=block.hooks_to_call)
    kind = "held_up" if new else "reminded"
    entry = transition_record(kind, rollout, after, rollout.weight, now, keeps_series=True)
    severity = Severity.WARNING if block.reason in _OPEN_ENDED_REASONS else Severity.INFO
    notice = Notice(severity, f"{rollout.id}: {sentence}")
    return Decision(after, notices=(notice,), record=entry, hooks_to_call=block.hooks_to_call)
