"""What blocks an advance that the gate allows: a freeze, an approval, the exposure or a hook.

A block delays advances alone: the step is still judged, and a failed criterion still rolls back.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import floor
from typing import TYPE_CHECKING, Final

from controller.core.decision import Decision, Notice, Record
from controller.core.judge.findings import Verdict, gate_verdict
from controller.core.judge.gate import Evidence
from controller.core.message import Severity
from controller.core.notice_rules import ConditionKind, is_due
from controller.core.observation import (
    Consent,
    HookAnswer,
    TargetReading,
    UnreadableTarget,
)
from controller.core.policy import Hook, Policy
from controller.core.policy.hooks import BEFORE_ADVANCE
from controller.core.rollout import Progressing, Reason, Rollout
from controller.core.transitions.advance import advance_reason, with_activity, with_block_announced
from controller.core.units import number_text
from controller.core.words.next_action import OPEN_ENDED_REASONS, hold_reason
from controller.immutable import Immutable, replace

if TYPE_CHECKING:
    from controller.core.judge.exposure import ExpectedExposure

# The longest time between two ticks in which none was missed.
_LONGEST_GAP: Final = timedelta(minutes=15)
# Longest text of the objections of hooks, in characters.
_MAX_OBJECTIONS_LENGTH: Final = 1_000


class Block(Immutable):
    """Why a rollout does not advance although its gate allows it.

    reason, text: the block for machines, and for people.
    hooks_to_call: addresses of the hooks that were not called yet.
    """

    reason: Reason
    text: str
    hooks_to_call: tuple[str, ...] = ()


class ExposureCheck(Immutable):
    """The exposure of the next step against the number of its policy.

    weight, budget: of the next step. expected: None where the traffic could not be measured.
    """

    weight: int
    budget: int
    expected: "ExpectedExposure | None"

    @property
    def block(self) -> Block | None:
        """What blocks the advance; None where the expected exposure keeps to the budget."""
        expected = self.expected
        if expected is not None and not expected.exceeds:
            return None
        return Block(Reason.OVER_EXPOSURE_BUDGET, self._objection)

    @property
    def _objection(self) -> str:
        if self.expected is None:
            return (
                f"{self.weight}% has max_bad_requests {number_text(self.budget)}, and the traffic "
                "could not be measured"
            )
        limit = self.expected.fits_at
        limit_text = number_text(floor(limit) if limit >= 10 else float(f"{limit:.2g}"))
        return (
            f"{self.weight}% needs less traffic, at most about {limit_text} requests a minute: "
            f"{self.expected.text}"
        )

    @property
    def note(self) -> str:
        """What the sentence of an advance says of it, behind its weight."""
        return f"; {self._objection if self.expected is None else self.expected.text}"


def check_exposure(rollout: Rollout, evidence: Evidence | None) -> ExposureCheck | None:
    """Return the exposure of the next step; None where no step is left, or it has no budget."""
    policy, step = rollout.policy, rollout.step + 1
    budget = None if rollout.is_last_step else policy.max_bad_requests_of(step)
    if budget is None:
        return None
    from controller.core.judge.exposure import expected_exposure, measured_rate  # not in each tick

    rate = None if evidence is None else measured_rate(evidence)
    expected = None if rate is None else expected_exposure(policy, step, rate)
    return ExposureCheck(policy.steps[step].weight, budget, expected)


def advance_block(
    rollout: Rollout, now: datetime, exposure: ExposureCheck | None = None
) -> Block | None:
    """Return what blocks the next step of `rollout`; None when nothing does, or no step is left.

    A missing approval comes first, for an operator has to give it: freezes begin and end in the
    meantime, and are not reported each time. The exposure comes last: it changes by itself.
    """
    policy, step = rollout.policy, rollout.step + 1
    if policy.missing_kinds:
        return missing_kinds_block(policy)
    if rollout.is_last_step:
        return None
    frozen = policy.freeze_at(now)
    if policy.needs_approval(step) and rollout.approved != step:
        text = f"{policy.steps[step].weight}% needs an approval: rolloutctl approve {rollout.id}"
        return Block(Reason.AWAITING_APPROVAL, f"{frozen.text}; {text}" if frozen else text)
    if frozen:
        return Block(Reason.FROZEN, frozen.text)
    return None if exposure is None else exposure.block


def missing_kinds_block(policy: Policy) -> Block:
    """Return the block of a policy with kinds that cannot be used here: it is only lowered."""
    return Block(Reason.KIND_MISSING, "; ".join(policy.missing_kinds))


def hook_block(rollout: Rollout, answers: Mapping[str, HookAnswer]) -> Block | None:
    """Return how hooks block the next step; None when all of them consent, or no step is left.

    Hooks are called last, once nothing else blocks the step, and in every tick until all consent.
    """
    if rollout.is_last_step:
        return None
    hooks = rollout.policy.hooks_at(BEFORE_ADVANCE)
    if uncalled := tuple(address for address in hooks if address not in answers):
        names = ", ".join(hooks[address].display_name for address in uncalled)
        return Block(
            Reason.AWAITING_HOOK, f"{BEFORE_ADVANCE} was not called yet: {names}", uncalled
        )
    text = objections(hooks, answers)
    return Block(Reason.AWAITING_HOOK, f"{BEFORE_ADVANCE}: {text}") if text else None


def objections(hooks: Mapping[str, Hook], answers: Mapping[str, HookAnswer]) -> str:
    """Return the objections of `hooks` as text; empty when all of them consent."""
    texts = (
        f"{hook.display_name} {_CONSENT_WORDS[answer.consent]}: {answer.message}"
        for hook, answer in ((hook, answers[address]) for address, hook in hooks.items())
        if answer.consent is not Consent.GIVEN
    )
    return "; ".join(texts)[:_MAX_OBJECTIONS_LENGTH]


_CONSENT_WORDS: Final = {
    Consent.GIVEN: "allows it",
    Consent.REFUSED: "refuses",
    Consent.FAILED: "did not answer",
}


def leave_out_missing_data(
    rollout: Rollout, state: Progressing, last_seen: datetime
) -> Progressing:
    """Return `state` of a hold that waits for data, without the time since its last tick.

    So that time does not count against `max_hold`, up to `max_wait`. Missed ticks count: no more
    than `_LONGEST_GAP` is left out of the time between two ticks. A hold that its last tick left
    open ends here only after a longer gap, or at the end of `max_wait`: a replay, which knows when
    the last entry was and not the last tick, comes to the same end.
    """
    begin, wait_end = rollout.hold_begin, rollout.data_wait_end
    if begin is None or wait_end is None:
        return state
    if state.block is not Reason.ON_HOLD or not rollout.waits_for_data:
        return state
    missing = min(rollout.updated - max(last_seen, begin), _LONGEST_GAP)
    return replace(state, hold_from=min(begin + missing, wait_end)) if missing else state


def block_advance(
    rollout: Rollout, state: Progressing, block: Block, reason: Reason, now: datetime
) -> Decision:
    """Block an advance that the gate allows for `reason`, and report the block once.

    If a gate that passed is inconclusive once the block is over, its hold begins then, and not at
    the end of the bake. A gate whose hold is over has no second one.
    """
    if reason is Reason.GATE_PASSED:
        state = replace(state, hold_from=now)
    sentence = f"{advance_reason(rollout, reason)}; {block.text}"
    return _block(rollout, state, block, sentence, now)


def was_blocked(rollout: Rollout, state: Progressing) -> bool:
    """Tell whether the last tick blocked a gate that had passed.

    An inconclusive gate whose policy says `advance` does not count: it holds, and then advances.
    """
    is_blocked = state.block in (*OPEN_ENDED_REASONS, Reason.FROZEN)
    advances = rollout.policy.on_inconclusive == "advance"
    return is_blocked and (not advances or gate_verdict(rollout.evidence.findings) is Verdict.PASS)


def stay_blocked(
    rollout: Rollout,
    state: Progressing,
    block: Block,
    target: TargetReading | UnreadableTarget,
    now: datetime,
) -> Decision:
    """Stay blocked: a gate that had passed is inconclusive now, or its target takes no raise."""
    sentence = f"{block.text}; {hold_reason(rollout, target)}"
    return _block(rollout, state, block, sentence, now)


def _block(
    rollout: Rollout, state: Progressing, block: Block, sentence: str, now: datetime
) -> Decision:
    """Report a block when it is new, and an open-ended one again once a day."""
    after = with_activity(rollout, state, block.reason, sentence, block.reason, block.text)
    condition = after.conditions[ConditionKind.BLOCKED]
    is_new = state.block is not block.reason
    is_reminder = block.reason in OPEN_ENDED_REASONS and is_due(
        ConditionKind.BLOCKED, condition, now
    )
    if not is_new and not is_reminder:
        return Decision(after, hooks_to_call=block.hooks_to_call)
    after = with_block_announced(after, now)
    kind = "blocked" if is_new else "reminded"
    entry = Record.of(kind, rollout, after, rollout.weight, now, keeps_series=True)
    severity = Severity.WARNING if block.reason in OPEN_ENDED_REASONS else Severity.INFO
    notice = Notice(severity, f"{rollout.id}: {sentence}")
    return Decision(after, notices=(notice,), record=entry, hooks_to_call=block.hooks_to_call)
