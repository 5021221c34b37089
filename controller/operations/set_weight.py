"""A weight that a person sets, beside rollouts or over the head of one.

Over the head of one means: it is paused and that is recorded, and then the weight is written once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from controller.core.commands import ALLOWED_PHASES, Command, Verb
from controller.core.observation import TargetReading
from controller.core.policy import Policy
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text
from controller.engine.direct_write import exceeds, shift_and_confirm, wait_for_update
from controller.engine.tick import Runner
from controller.errors import TargetError, UsageError
from controller.ports.clock import Clock
from controller.ports.target import Target


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a weight by hand.

    before, live: what the target showed first, and shows now. written: False when nothing was to
    do. paused: the rollout that was paused for it. notes: what somebody should know.
    """

    before: TargetReading
    live: TargetReading
    written: bool
    paused: Rollout | None = None
    notes: tuple[str, ...] = ()


def set_weight(runner: Runner, policy: Policy, weight: int, *, force: bool, reason: str) -> Outcome:
    """Set the target of `policy` to a `weight` above 0.

    force: pauses the active rollout that owns the target; without it, such a rollout is left alone.
    Raises UsageError with what fits instead, when nothing is to be written, and TargetError when it
    is not written or nobody can say.
    """
    target = runner.observer.targets(policy.target)
    before = target.read()
    if before.has_applied(weight):
        return Outcome(before, before, written=False)
    owners = list(_owners(runner, policy, before))
    active = next((one for one in owners if not one.final), None)
    if active is None:
        now = runner.clock.now()
        _check_guard(owners, weight, now)
        notes = tuple(_drift_note(one) for one in owners if _is_watched(one, now))
        live = shift_and_confirm(target, before, weight, runner.clock)
        return Outcome(before, live, written=True, notes=notes)
    if not force or active.phase not in ALLOWED_PHASES[Verb.SET_WEIGHT]:
        raise UsageError(_refusal(active, weight))
    return _override(runner, active, before, weight, reason)


def set_without_store(target: Target, weight: int, clock: Clock) -> Outcome:
    """Set `target` to a `weight` above 0 where there is no store, and so no rollout to ask.

    Raises TargetError when it is not written or nobody can say.
    """
    before = target.read()
    if before.has_applied(weight):
        return Outcome(before, before, written=False)
    return Outcome(before, shift_and_confirm(target, before, weight, clock), written=True)


def _override(
    runner: Runner, active: Rollout, before: TargetReading, weight: int, reason: str
) -> Outcome:
    """Pause `active`, write, and read back. A lower weight that was not accepted is insisted on."""
    visit = runner.run_command(active.id, Command(Verb.SET_WEIGHT, reason, weight=weight))
    target = runner.observer.targets(active.policy.target)
    try:
        live = wait_for_update(target, runner.clock)
    except TargetError as error:
        raise TargetError(
            f"{active.id} is paused for {weight} %, and nobody can say whether that is in force: "
            f"{error}",
            **error.context,
        ) from error
    if exceeds(live, weight) and live.token != before.token:
        live = shift_and_confirm(target, live, weight, runner.clock)
    return Outcome(before, live, written=True, paused=visit.rollout)


def _owners(runner: Runner, policy: Policy, reading: TargetReading) -> Iterator[Rollout]:
    """Yield the rollouts that hold the variables of the target. Raises StoreError."""
    for one in dict.fromkeys(map(runner.store.owner, policy.target.locks(reading.identity))):
        if one is not None:
            yield runner.store.load(one)


def _refusal(active: Rollout, weight: int) -> str:
    text = (
        f"{weight} % was not set: {active.id} is {active.phase}, asks for {active.weight} % and "
        f"owns {active.target}"
    )
    if active.phase is Phase.ROLLING_BACK:
        return f"{text}; wait until 0 % is in force: rolloutctl status {active.id}"
    pause = (
        "" if active.phase is Phase.PAUSED else f"; to stop it there: rolloutctl pause {active.id}"
    )
    return (
        f"{text}{pause}; to go back: rolloutctl rollback {active.id}; to set the weight all the "
        "same: --force, which pauses it first and writes down who did it"
    )


def _is_watched(rollout: Rollout, now: datetime) -> bool:
    return rollout.watch_until is not None and now < rollout.watch_until


def _check_guard(owners: list[Rollout], weight: int, now: datetime) -> None:
    """Raise UsageError where the next tick would take the weight back, and rightly."""
    for one in owners:
        until = one.watch_until
        if one.phase is Phase.ROLLED_BACK and until and now < until and weight == one.peak:
            raise UsageError(
                f"{weight} % was not set: {one.id} was rolled back from it and guards 0 % until "
                f"{clock_text(until)}, so the next tick would lower it again; wait until then, or "
                f"try again with a rollout: rolloutctl retry {one.id} --reason TEXT"
            )


def _drift_note(rollout: Rollout) -> str:
    return (
        f"{rollout.id} has ended and is still watched: the next tick tells this weight as drift, "
        "once, and leaves it alone"
    )
