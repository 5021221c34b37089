"""Transitions to more traffic: start, bake, hold, advance, promote and complete."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.decision import Decision, Notice, Record, Severity, Shift
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.findings import Finding, Label, weakest_label
from controller.core.judge.tick_evidence import Seal
from controller.core.judged_intervals import close_interval
from controller.core.next_action import (
    baking_sentence,
    hold_reason,
    with_next_action,
    with_table,
)
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.policy import Policy
from controller.core.policy_snapshot import POLICY_DIGEST, TARGET
from controller.core.rollout import Intent, Phase, Reason, Rollout

# A CodeSha256 has 44 characters; the first 12 tell revisions apart.
REVISION_PREFIX_LENGTH = 12
# How long a succeeded rollout is watched for drift.
SUCCESS_WATCH = timedelta(days=7)


def start_rollout(
    policy: Policy,
    revision: str,
    reading: TargetReading,
    attempt: int,
    baselines: Mapping[str, BaselineMeasurement],
    retry_reason: str | None,
    now: datetime,
    adopted: int | None = None,
) -> Decision:
    """Return a new rollout with its first weight decided, for a target that stands at 0 %.

    adopted: index of the step whose weight is live already. The rollout starts in that step and
        writes nothing: the weight was read back from the target, and no limit of a raise applies.
    """
    step = 0 if adopted is None else adopted
    weight = policy.steps[step].weight
    weight_text = (
        f"going to {weight} %" if adopted is None else f"adopting the {weight} % that are live"
    )
    sentence = f"started with revision {revision[:REVISION_PREFIX_LENGTH]}; {weight_text}"
    if retry_reason is not None:
        sentence += f"; tried again: {retry_reason}"
    rollout = Rollout(
        id=f"{policy.name}#{attempt}",
        name=policy.name,
        attempt=attempt,
        revision=revision,
        policy=policy,
        digest=policy.digest(),
        target=reading.identity,
        phase=Phase.PROGRESSING,
        reason=Reason.STARTED if adopted is None else Reason.ADOPTED,
        sentence=sentence,
        step=step,
        intent=Intent(weight, 0 if adopted is None else weight, reading.token, now),
        created=now,
        since=now,
        updated=now,
        settled=None if adopted is None else now,
        seen_weight=reading.weight,
        peak=weight,
        baselines=baselines,
        label=_unjudged_label(policy, range(step), step),
        exposed_from=now,
    )
    notice = Notice(Severity.INFO, f"{rollout.id}: {sentence}")
    entry = Record.of("started", rollout, rollout, rollout.intent.previous, now)
    because = {
        "verb": "start",
        "retry_reason": retry_reason,
        "adopted": adopted,
        POLICY_DIGEST: rollout.digest,
        TARGET: policy.target.model_dump(mode="json"),
    }
    move = Shift(weight, reading.token) if adopted is None else None
    return Decision(with_next_action(rollout), move, (notice,), replace(entry, because=because))


def wait_for_target(rollout: Rollout, reason: Reason, why: str) -> Decision:
    """Wait for the target without a move; `why` says what for."""
    sentence = f"waiting for {rollout.intent.weight} % to be in force: {why}"
    if rollout.settled is not None:
        sentence = f"the target cannot be read; traffic stays where it is: {why}"
    return Decision(
        with_next_action(replace(rollout, reason=reason, sentence=sentence, blocked=why))
    )


def mark_baking(rollout: Rollout) -> Rollout:
    """Mark `rollout` as baking: the bake of its weight is not over, or its data are not final."""
    sentence = baking_sentence(rollout)
    return replace(rollout, reason=Reason.BAKING, sentence=sentence, blocked="the bake")


def mark_holding(rollout: Rollout, target: TargetReading | UnreadableTarget) -> Rollout:
    """Mark `rollout` as on hold: its gate is inconclusive after the bake, or its target busy."""
    sentence = f"holding at {rollout.intent.weight} %: {hold_reason(rollout, target)}"
    names = [one.criterion for one in rollout.findings if one.blocks_advance]
    blocked = f"inconclusive: {', '.join(names)}" if names else "the target"
    return replace(rollout, reason=Reason.HOLDING, sentence=sentence, blocked=blocked)


def evidence_entry(rollout: Rollout, seal: Seal, now: datetime) -> Decision:
    """Return `rollout` in the same step, with a history entry that seals its evidence."""
    live = rollout.weight if rollout.previous_live is None else rollout.intent.previous
    entry = Record.of("evidence", rollout, rollout, live, now, keeps_series=True)
    entry = replace(entry, tallies=seal.tallies, fold=seal.fold)
    after = replace(rollout, tallies=seal.tallies, fold=seal.fold, sealed_at=now)
    return Decision(after, record=entry)


def confirm_applied(rollout: Rollout, now: datetime) -> Decision:
    """Confirm that the weight was read back from the target: the clock of the step starts."""
    after = replace(
        drop_previous_live(rollout), settled=now, reason=Reason.SETTLED, barrier="", blocked=""
    )
    after = with_next_action(
        replace(after, sentence=f"{rollout.weight} % is in force; {baking_sentence(after)}")
    )
    return Decision(after, record=Record.of("settled", rollout, after, rollout.weight, now))


def next_step(
    rollout: Rollout, target: TargetReading, reason: Reason, now: datetime, why: str = ""
) -> Decision:
    """Advance as the gate or an operator allows: to the next weight, or to success at the end."""
    labels = [str(one.label) for one in rollout.findings if one.gates] or [str(Label.NOT_JUDGED)]
    label = weakest_label((rollout.label, *labels))
    step = rollout.step + 1
    if rollout.is_last_step:
        return _complete(rollout, label, advance_reason(rollout, reason, why), now)
    weight = rollout.policy.steps[step].weight
    sentence = f"{advance_reason(rollout, reason, why)}; going to {weight} %"
    after = replace(
        reset_step(rollout),
        phase=Phase.PROGRESSING,
        reason=reason,
        sentence=sentence,
        label=label,
        earlier=earlier_findings(rollout, step),
        step=step,
        intent=Intent(weight, rollout.intent.weight, target.token, now),
        since=rollout.since if rollout.phase is Phase.PROGRESSING else now,
        peak=weight,
        approved=None,
    )
    return Decision(
        with_next_action(after),
        Shift(weight, target.token),
        (Notice(Severity.INFO, f"{rollout.id}: {sentence}"),),
        Record.of("advanced", rollout, after, rollout.weight, now, keeps_series=True),
    )


def promote(rollout: Rollout, target: TargetReading, why: str, now: datetime) -> Decision:
    """Advance or complete by an operator's command, without a pass of the gate."""
    return next_step(rollout, target, Reason.PROMOTED, now, why)


def _complete(rollout: Rollout, label: str, why: str, now: datetime) -> Decision:
    sentence = f"{why}; the rollout is complete ({label})"
    after = replace(
        rollout,
        phase=Phase.SUCCEEDED,
        reason=Reason.COMPLETED,
        sentence=sentence,
        label=label,
        since=now,
        watch_until=now + SUCCESS_WATCH,
        blocked="",
    )
    return Decision(
        with_next_action(after),
        notices=(Notice(Severity.INFO, with_table(f"{rollout.id}: {sentence}", rollout)),),
        record=Record.of("succeeded", rollout, after, rollout.weight, now, keeps_series=True),
    )


def advance_reason(rollout: Rollout, reason: Reason, why: str = "") -> str:
    """Return why the rollout advances, as text."""
    match reason:
        case Reason.ADVANCED_UNPROVEN:
            return f"the gate at {rollout.weight} % stayed inconclusive and the policy says advance"
        case Reason.PROMOTED:
            return f"promoted at {rollout.weight} % by hand: {why}"
        case _:
            return f"the gate at {rollout.weight} % passed"


def reset_step(rollout: Rollout) -> Rollout:
    """Return `rollout` without the evidence of its step.

    The windows that the threshold judge compares belong to one step.
    """
    return replace(
        rollout,
        stretches=close_interval(rollout),
        settled=None,
        unfinished_since=None,
        tallies={},
        sealed_at=rollout.sealed_at if rollout.policy.sequential_criteria() else None,
        findings=(),
        hold_from=None,
        barrier="",
        blocked="",
    )


def drop_previous_live(rollout: Rollout) -> Rollout:
    """Return `rollout` without evidence of the previous weight, kept while a raise was pending."""
    return rollout if rollout.previous_live is None else reset_step(rollout)


def earlier_findings(rollout: Rollout, step: int) -> tuple[Finding, ...]:
    """Return the last findings of criteria that are not in the gate of `step`, for the table.

    Their facts are left out: the history has them, and every tick saves the rollout.
    """
    latest = {one.criterion: one for one in (*rollout.earlier, *rollout.findings)}
    gate = rollout.policy.gate(step)
    return tuple(replace(one, facts={}) for name, one in latest.items() if name not in gate)


def label_after_skip(rollout: Rollout, step: int) -> str:
    """Return the label of `rollout` once it enters `step` without a pass of the steps before."""
    unjudged = _unjudged_label(rollout.policy, range(rollout.step, step), step)
    return weakest_label((rollout.label, unjudged))


def _unjudged_label(policy: Policy, skipped: Iterable[int], step: int) -> str:
    """Return `not judged yet` if a criterion of the `skipped` steps is in no gate from `step` on.

    No gate judges such a criterion any more, so the label lasts to the end. The label is empty when
    every criterion of the skipped steps is still to be judged.
    """
    remaining = {name for index in range(step, len(policy.steps)) for name in policy.gate(index)}
    is_unjudged = any(
        one.gating and name not in remaining
        for index in skipped
        for name, one in policy.gate(index).items()
    )
    return str(Label.NOT_JUDGED) if is_unjudged else ""
