"""Set a weight by command, outside of a rollout or overriding an active one.

An override pauses the active rollout, records that, and then writes the weight once.
"""

from datetime import datetime

from controller.core.commands import ALLOWED_PHASES
from controller.core.events import Command, Verb
from controller.core.observation import TargetReading
from controller.core.policy import Policy
from controller.core.rollout import Phase, RolledBack, Rollout
from controller.core.units import clock_text
from controller.engine.direct_write import shift_and_confirm, wait_for_update
from controller.engine.tick import Runner
from controller.errors import TargetError, UsageError
from controller.immutable import Immutable
from controller.operations.start import load_attempt
from controller.policy_file.rules import check_act
from controller.ports.clock import Clock
from controller.ports.target import Target


class SetWeightOutcome(Immutable):
    """The outcome of setting a weight.

    before, live: the target before and after. written: False when the weight was applied already.
    paused: the rollout that was paused for it. notes: remarks for the operator.
    """

    before: TargetReading
    live: TargetReading
    written: bool
    paused: Rollout | None = None
    notes: tuple[str, ...] = ()


def set_weight(
    runner: Runner, policy: Policy, weight: int, *, force: bool, reason: str
) -> SetWeightOutcome:
    """Set the target of `policy` to a `weight` above 0.

    force: pause the active rollout that owns the target; without it, such a rollout refuses the
        write.
    Raises UsageError with the alternatives when the weight may not be written, or rises without a
    `reason` on a revision that was rolled back or against the rules of the store, and TargetError
    when it was not written or that is unknown.
    """
    target = runner.observer.targets(policy.target)
    before = target.read()
    if before.has_applied(weight):
        return SetWeightOutcome(before, before, written=False)
    if before.weight is None or weight > before.weight:
        check_act(runner.store, "set-weight", f"set-weight {weight}")
    held_by = dict.fromkeys(map(runner.store.owner, policy.target.locks(before.identity)))
    owners = [runner.store.load(one) for one in held_by if one is not None]
    active = next((owner for owner in owners if not owner.final), None)
    if active is None:
        now = runner.clock.now()
        _check_guard(owners, weight, now)
        notes = tuple(
            f"{owner.id} has ended and is still watched: the next tick reports this weight as "
            "drift, once, and leaves it as it is"
            for owner in owners
            if owner.is_watched(now)
        )
        rolled_back = None if before.may_exceed(weight) else _rollback_of(runner, policy, before)
        if rolled_back is not None:
            command = Command(Verb.SET_WEIGHT, reason, weight=weight, retry=True)
            runner.run_command(rolled_back.id, command)
            notes += (f"the reason is recorded in the history of {rolled_back.id}",)
        reading = shift_and_confirm(target, before, weight, runner.clock)
        return SetWeightOutcome(before, reading, written=True, notes=notes)
    if not force or active.phase not in ALLOWED_PHASES[Verb.SET_WEIGHT]:
        raise UsageError(_refusal(active, weight))
    return _override(runner, active, before, weight, reason)


def set_without_store(target: Target, weight: int, clock: Clock) -> SetWeightOutcome:
    """Set `target` to a `weight` above 0 without a store, so without a check for a rollout.

    Raises TargetError when it was not written or that is unknown.
    """
    before = target.read()
    if before.has_applied(weight):
        return SetWeightOutcome(before, before, written=False)
    return SetWeightOutcome(before, shift_and_confirm(target, before, weight, clock), written=True)


def _override(
    runner: Runner, active: Rollout, before: TargetReading, weight: int, reason: str
) -> SetWeightOutcome:
    """Pause `active`, write, and read back; lower the weight again if that was not applied."""
    visit = runner.run_command(active.id, Command(Verb.SET_WEIGHT, reason, weight=weight))
    target = runner.observer.targets(active.policy.target)
    try:
        reading = wait_for_update(target, runner.clock)
    except TargetError as error:
        raise TargetError(
            f"{active.id} is paused, {weight}% was written; whether it is applied is unknown: "
            f"{error}",
            **error.context,
        ) from error
    if reading.may_exceed(weight) and reading.token != before.token:
        reading = shift_and_confirm(target, reading, weight, runner.clock)
    return SetWeightOutcome(before, reading, written=True, paused=visit.rollout)


def _rollback_of(runner: Runner, policy: Policy, reading: TargetReading) -> Rollout | None:
    """Return the rollout that rolled the live revision back at its newest attempt; None: none."""
    owners = map(runner.store.owner, policy.target.locks(reading.identity))
    ids = dict.fromkeys([*owners, *reversed(runner.store.of_name(policy.name))])
    attempts = (load_attempt(runner, one) for one in ids if one is not None)
    newest = next(
        (attempt for attempt in attempts if _may_be_revision(attempt, reading.code)), None
    )
    return newest if newest is not None and newest.phase is Phase.ROLLED_BACK else None


def _may_be_revision(attempt: Rollout, code: str) -> bool:
    """Tell whether `code` may be the revision of `attempt`.

    A named revision is no digest, and cannot be compared with the code.
    """
    version = attempt.policy.target.values.get("canary")
    if version is not None:
        return version == code
    return attempt.revision == code or len(attempt.revision) != len(code)


def _refusal(active: Rollout, weight: int) -> str:
    text = (
        f"{weight}% was not set: {active.id} owns {active.target}, is "
        f"{active.phase} and expects {active.weight}%"
    )
    if active.phase is Phase.ROLLING_BACK:
        return f"{text}; wait until 0% is applied: rolloutctl status {active.id}"
    pause = "" if active.phase is Phase.PAUSED else f"; to pause it: rolloutctl pause {active.id}"
    return (
        f"{text}{pause}; to roll back: rolloutctl rollback {active.id}; to pause it and set the "
        "weight: --force (recorded in the history)"
    )


def _check_guard(owners: list[Rollout], weight: int, now: datetime) -> None:
    """Raise UsageError where the next tick would lower `weight` to 0% after a rollback."""
    for owner in owners:
        state = owner.state
        if isinstance(state, RolledBack) and now < state.watch_until and weight == state.intended:
            raise UsageError(
                f"{weight}% was not set: {owner.id} was rolled back from it and keeps 0% until "
                f"{clock_text(state.watch_until)}, so the next tick would lower it again; run "
                "this again after that"
            )
