"""Starting, baking, holding, and going up: every way that leads to more traffic."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.decision import Decision, Notice, Severity, Shift
from controller.core.judge.evidence import FrozenValue
from controller.core.judge.findings import Finding, Label, weakest
from controller.core.judge.sealing import Seal
from controller.core.judged_intervals import close_interval
from controller.core.next_action import (
    baking_sentence,
    hold_reason,
    transition_record,
    with_next_action,
    with_table,
)
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.policy import Policy
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.core.snapshot import POLICY_DIGEST, TARGET

# A CodeSha256 has 44 characters; twelve tell one from another.
REVISION_PREFIX_LENGTH = 12
# How long a success is watched for drift.
SUCCESS_WATCH = timedelta(days=7)


def start_rollout(
    policy: Policy,
    revision: str,
    reading: TargetReading,
    attempt: int,
    baselines: Mapping[str, FrozenValue],
    retry_reason: str | None,
    now: datetime,
    adopted: int | None = None,
) -> Decision:
    """A new rollout with its first weight decided, from a target that stands at 0 %.

    adopted: the step whose weight is live already. The rollout begins there and moves nothing: its
        weight was read back in force, and none of the limits of a raise is about it.
    """
    step = 0 if adopted is None else adopted
    weight = policy.steps[step].weight
    going = f"going to {weight} %" if adopted is None else f"adopting the {weight} % that are live"
    sentence = f"started with revision {revision[:REVISION_PREFIX_LENGTH]}; {going}"
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
    entry = transition_record("started", rollout, rollout, rollout.intent.previous, now)
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
    """Nothing changes; `why` is what is waited for."""
    sentence = f"waiting for {rollout.intent.weight} % to be in force: {why}"
    if rollout.settled is not None:
        sentence = f"the target cannot be read; traffic stays where it is: {why}"
    return Decision(
        with_next_action(replace(rollout, reason=reason, sentence=sentence, blocked=why))
    )


def mark_baking(rollout: Rollout) -> Rollout:
    """The weight is in force and its time is not over, or its data are not settled yet."""
    sentence = baking_sentence(rollout)
    return replace(rollout, reason=Reason.BAKING, sentence=sentence, blocked="the bake")


def mark_holding(rollout: Rollout, target: TargetReading | UnreadableTarget) -> Rollout:
    """The bake is over, and the gate has no verdict yet, or the target takes no raise."""
    sentence = f"holding at {rollout.intent.weight} %: {hold_reason(rollout, target)}"
    names = [one.criterion for one in rollout.findings if one.holds_up]
    blocked = f"inconclusive: {', '.join(names)}" if names else "the target"
    return replace(rollout, reason=Reason.HOLDING, sentence=sentence, blocked=blocked)


def evidence_entry(rollout: Rollout, seal: Seal, now: datetime) -> Decision:
    """Stay, with the sealed evidence written down."""
    live = rollout.weight if rollout.previous_live is None else rollout.intent.previous
    entry = transition_record("evidence", rollout, rollout, live, now, keeps_series=True)
    entry = replace(entry, tallies=seal.tallies, fold=seal.fold)
    after = replace(rollout, tallies=seal.tallies, fold=seal.fold, sealed_at=now)
    return Decision(after, record=entry)


def confirm_applied(rollout: Rollout, now: datetime) -> Decision:
    """The weight was seen in force: the step's clock starts."""
    after = replace(
        drop_previous_live(rollout), settled=now, reason=Reason.SETTLED, barrier="", blocked=""
    )
    after = with_next_action(
        replace(after, sentence=f"{rollout.weight} % is in force; {baking_sentence(after)}")
    )
    return Decision(after, record=transition_record("settled", rollout, after, rollout.weight, now))


def next_step(
    rollout: Rollout, target: TargetReading, reason: Reason, now: datetime, why: str = ""
) -> Decision:
    """The gate, or a person, lets the rollout go on: the next weight, or success after the last."""
    labels = [str(one.label) for one in rollout.findings if one.gates] or [str(Label.NOT_YET)]
    label = weakest((rollout.label, *labels))
    step = rollout.step + 1
    if step == len(rollout.policy.steps):
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
        transition_record("advanced", rollout, after, rollout.weight, now, keeps_series=True),
    )


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
        record=transition_record(
            "succeeded", rollout, after, rollout.weight, now, keeps_series=True
        ),
    )


def advance_reason(rollout: Rollout, reason: Reason, why: str = "") -> str:
    """Return what let the rollout go on."""
    match reason:
        case Reason.ADVANCED_UNPROVEN:
            return f"the gate at {rollout.weight} % stayed inconclusive and the policy says advance"
        case Reason.PROMOTED:
            return f"promoted at {rollout.weight} % by hand: {why}"
        case _:
            return f"the gate at {rollout.weight} % passed"


def reset_step(rollout: Rollout) -> Rollout:
    """A step starts without evidence of its own: literal windows belong to one step."""
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
    """Return `rollout` without the evidence of the weight before, where a raise from it waited."""
    return rollout if rollout.previous_live is None else reset_step(rollout)


def earlier_findings(rollout: Rollout, step: int) -> tuple[Finding, ...]:
    """Return the last findings of the criteria that the gate of `step` has not, for the table.

    Without their sentences: those are in the history, and this is saved with every tick.
    """
    known = {one.criterion: one for one in (*rollout.earlier, *rollout.findings)}
    gate = rollout.policy.gate(step)
    return tuple(replace(one, sentence="") for name, one in known.items() if name not in gate)


def label_after_skip(rollout: Rollout, step: int) -> str:
    """Return the label of `rollout` when it goes on in `step` without a pass of those before."""
    unjudged = _unjudged_label(rollout.policy, range(rollout.step, step), step)
    return weakest((rollout.label, unjudged))


def _unjudged_label(policy: Policy, skipped: Iterable[int], step: int) -> str:
    """Return `not judged yet` where `skipped` steps have a criterion that none has from `step` on.

    That is claimed until the end, for nothing judges it any more; empty where every one is judged.
    """
    to_come = {name for index in range(step, len(policy.steps)) for name in policy.gate(index)}
    lost = any(
        one.gating and name not in to_come
        for index in skipped
        for name, one in policy.gate(index).items()
    )
    return str(Label.NOT_YET) if lost else ""


def promote(rollout: Rollout, target: TargetReading, why: str, now: datetime) -> Decision:
    """A person lets the rollout go up, or be done, without the pass of its gate."""
    return next_step(rollout, target, Reason.PROMOTED, now, why)
