"""What people ask for, carried out: to stop, to go on, to go up now, to let a step be entered."""

from dataclasses import replace
from datetime import datetime

from controller.core.effects import Decision, Notice, Severity, Shift
from controller.core.observation import Reading
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.core.transitions.climb import cleared
from controller.core.transitions.outlook import outlook, record

# Pauses in which traffic stayed as the rollout had set it: what was measured since is of the step.
_UNDISTURBED = frozenset({Reason.PAUSED_BY_HAND, Reason.INCONCLUSIVE})


def paused_by_hand(rollout: Rollout, weight: int | None, why: str, now: datetime) -> Decision:
    """Nothing goes up any more until somebody says so; a criterion that fails still goes back."""
    after = replace(
        rollout,
        phase=Phase.PAUSED,
        reason=Reason.PAUSED_BY_HAND,
        sentence=why,
        since=now,
        settled=rollout.settled or now,
        blocked="a person",
    )
    return _told("paused", rollout, after, weight, now)


def resumed(rollout: Rollout, target: Reading, why: str, now: datetime) -> Decision:
    """Go on at the weight that the rollout had asked for, and that is live.

    After a pause in which nobody moved the weight the bake goes on; otherwise it begins anew. The
    time in which an inconclusive gate holds begins anew in any case.
    """
    undisturbed = rollout.reason in _UNDISTURBED and rollout.settled != rollout.since
    kept = rollout if undisturbed else cleared(rollout)
    after = replace(_going_on(kept, now), sentence=f"going on at {rollout.weight} %{_because(why)}")
    return _told("resumed", rollout, after, target.weight, now)


def restored(rollout: Rollout, target: Reading, why: str, now: datetime) -> Decision:
    """Take the weight back to what the rollout had asked for: one shot, and the step anew."""
    live = 100 if target.weight is None else target.weight
    sentence = f"going back from {target.shown} to {rollout.weight} %, and on{_because(why)}"
    after = replace(
        _going_on(cleared(rollout), now),
        sentence=sentence,
        intent=Intent(rollout.weight, live, target.token, now),
    )
    move = Shift(rollout.weight, target.token)
    return replace(_told("resumed", rollout, after, target.weight, now), move=move)


def kept(rollout: Rollout, step: int, weight: int, token: str, why: str, now: datetime) -> Decision:
    """Go on with the live `weight` that another hand had set, in the step that it has reached."""
    sentence = f"going on with the {weight} % that another hand had set{_because(why)}"
    after = replace(
        _going_on(cleared(rollout), now),
        sentence=sentence,
        step=step,
        intent=Intent(weight, weight, token, now),
        peak=weight,
        approved=None,
    )
    return _told("resumed", rollout, after, weight, now)


def approved(rollout: Rollout, step: int, why: str, now: datetime) -> Decision:
    """Let the next step be entered once its turn comes."""
    weight = rollout.policy.steps[step].weight
    after = replace(rollout, approved=step, barrier="")
    entry = record("approved", rollout, after, rollout.weight, now)
    text = f"{weight} % may be entered once the gate at {rollout.weight} % passes{_because(why)}"
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return Decision(outlook(after), notices=(notice,), record=replace(entry, sentence=text))


def _going_on(rollout: Rollout, now: datetime) -> Rollout:
    return replace(
        rollout,
        phase=Phase.PROGRESSING,
        reason=Reason.RESUMED,
        since=now,
        hold_from=now,
        barrier="",
        blocked="",
    )


def _told(
    kind: str, before: Rollout, after: Rollout, weight: int | None, now: datetime
) -> Decision:
    entry = record(kind, before, after, weight, now, keeps_series=True)
    notice = Notice(Severity.INFO, f"{before.id} is {after.phase}: {after.sentence}")
    return Decision(outlook(after), notices=(notice,), record=entry)


def _because(why: str) -> str:
    return f": {why}" if why else ""
