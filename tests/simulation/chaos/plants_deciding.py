"""Planted bugs of what is decided, by a tick and for a person."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from pytest import MonkeyPatch

from controller import start as starting
from controller.core import aftermath, asked
from controller.core import decide as deciding
from controller.core import transitions as to
from controller.core.effects import Decision, Shift
from controller.core.findings import Label, Verdict
from controller.core.judge import threshold
from controller.core.observation import Observation, Reading, Unreadable
from controller.core.rollout import Intent, Reason, Rollout
from controller.core.transitions import climb, pause
from controller.runner import Runner
from controller.simulation.chaos.invariants.ending import EndsWithReason, SilenceStays
from controller.simulation.chaos.invariants.hands import (
    NobodyFought,
    NoReturn,
    OwnWeightOnly,
    PauseHolds,
)
from controller.simulation.chaos.invariants.raising import NoStaleRaise, RecordedRaise
from controller.simulation.chaos.invariants.record import OneTransition, StepByStep
from controller.simulation.chaos.invariants.target import FailureGoesBack
from controller.simulation.chaos.plot import Act, Broken, Crash, Spell, Spot, Trouble, When
from tests.simulation.chaos.plots import MEASURE, QUIET, SICK, WRITE, meanwhile, plot
from tests.simulation.worlds import MINUTE
from tests.stage import short

THREE_STEPS = [{"weight": weight, "bake": "2m"} for weight in (10, 50, 100)]


def rollback_waits_for_metrics(patch: MonkeyPatch) -> None:
    """A criterion that failed has to fail again before the next try to lower."""

    def patient(rollout: Rollout, target: Any, now: datetime) -> Decision:
        if isinstance(target, Reading) and target.weight == 0:
            return to.rolled_back(rollout, now)
        return Decision(rollout)  # the next tick measures again

    patch.setattr(deciding, "_rolling_back", patient)


def fail_waits_for_the_bake(patch: MonkeyPatch) -> None:
    """A gate is only asked when its bake is over."""
    climbing = deciding._climbing

    def late(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        if rollout.bake_end is not None and now < rollout.bake_end:
            return Decision(rollout)
        return climbing(rollout, seen, now)

    patch.setattr(deciding, "_climbing", late)


def drift_is_put_right(patch: MonkeyPatch) -> None:
    """A weight that another hand has moved is written again, as a reconciler would."""
    moved = deciding._moved

    def reconciled(rollout: Rollout, target: Reading, now: datetime) -> Decision:
        if not target.weight:
            return moved(rollout, target, now)
        intent = Intent(rollout.weight, target.weight, target.token, now)
        after = replace(rollout, intent=intent, settled=None)
        return Decision(after, Shift(rollout.weight, target.token))

    patch.setattr(deciding, "_moved", reconciled)


def restore_goes_up(patch: MonkeyPatch) -> None:
    """`resume --restore` restores a weight that was lowered, too."""
    patch.setattr(asked, "_higher", lambda *_: True)


def pause_ends_itself(patch: MonkeyPatch) -> None:
    """A pause ends when the target shows what was asked for."""
    paused = deciding._paused

    def restless(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        target = seen.target
        if isinstance(target, Reading) and target.stands_at(rollout.weight):
            return to.resumed(rollout, target, "", now)
        return paused(rollout, seen, now)

    patch.setattr(deciding, "_paused", restless)


def guards_every_weight(patch: MonkeyPatch) -> None:
    """What is rolled back takes any weight for its own."""

    def jealous(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        if isinstance(seen.target, Reading) and seen.target.weight:
            return replace(to.guarding_zero(rollout, now), move=to.lower(rollout))
        return Decision(rollout)

    patch.setattr(aftermath, "rolled_back", jealous)


def guard_raises_back(patch: MonkeyPatch) -> None:
    """What is rolled back writes its last weight where it finds another."""

    def confused(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        target = seen.target
        if isinstance(target, Unreadable) or target.weight == rollout.peak:
            return Decision(rollout)
        return Decision(rollout, Shift(rollout.peak, target.token))

    patch.setattr(aftermath, "rolled_back", confused)


def guards_nothing(patch: MonkeyPatch) -> None:
    """What is rolled back does not look after its 0 %."""
    patch.setattr(aftermath, "rolled_back", lambda rollout, seen, now: Decision(rollout))


def back_is_forgotten(patch: MonkeyPatch) -> None:
    """A start does not ask whether the revision was rolled back."""
    patch.setattr(starting, "_check_not_back", lambda *_: None)


def advances_without_verdict(patch: MonkeyPatch) -> None:
    """A hold that is over leads on, whatever the policy says."""

    def on(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        target = seen.target
        assert isinstance(target, Reading)
        return deciding._upward(rollout, seen, target, Reason.GATE_PASSED, now)

    patch.setattr(deciding, "_inconclusive", on)


def silence_passes(patch: MonkeyPatch) -> None:
    """No breach is a pass, also where there was nothing."""
    windows = threshold._windows

    def trusting(*facts: Any) -> Any:
        finding = windows(*facts)
        if finding.label in (Label.NO_DATA, Label.TOO_FEW):
            return replace(finding, verdict=Verdict.PASS, label=Label.NOT_REFUTED)
        return finding

    patch.setattr(threshold, "_windows", trusting)


def hold_never_ends(patch: MonkeyPatch) -> None:
    """An inconclusive gate is waited for without a limit."""

    def held(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        return deciding._keep(to.holding(rollout, seen.target), seen, now)

    patch.setattr(deciding, "_held", held)


def pause_without_reason(patch: MonkeyPatch) -> None:
    """A pause says nothing."""
    paused = pause._paused

    def wordless(*facts: Any) -> Decision:
        decision = paused(*facts)
        return replace(decision, rollout=replace(decision.rollout, sentence=""))

    patch.setattr(pause, "_paused", wordless)


def skips_a_step(patch: MonkeyPatch) -> None:
    """A gate that passed well lets the rollout go two steps up."""
    next_step = climb.next_step

    def bold(rollout: Rollout, *more: Any) -> Decision:
        if rollout.step + 2 < len(rollout.policy.steps):
            rollout = replace(rollout, step=rollout.step + 1)
        return next_step(rollout, *more)

    patch.setattr(to, "next_step", bold)


def goes_on_while_it_may(patch: MonkeyPatch) -> None:
    """A tick that did something looks again a minute later, as long as its lease lasts."""
    tick_active = Runner.tick_active

    def eager(self: Runner) -> Any:
        for _ in range(12):
            ticked = tick_active(self)
            self.clock.sleep(MINUTE)
        return ticked

    patch.setattr(Runner, "tick_active", eager)


PLANTS = (
    (
        "a rollback that was refused once waits for the metrics before it tries again",
        FailureGoesBack,
        "the canary fails while Lambda does not answer",
        lambda: plot(Spell(5, 90, Trouble.LAMBDA), events=[SICK]), rollback_waits_for_metrics,
    ),
    (
        "a gate is only asked when its bake is over",
        FailureGoesBack,
        "the canary fails in a bake of half an hour",
        lambda: plot(
            events=[SICK],
            policy=short(steps=[{"weight": 10, "bake": "30m"}, {"weight": 100, "bake": "2m"}]),
        ),
        fail_waits_for_the_bake,
    ),
    (
        "a late raise after a rollback is left alone",
        FailureGoesBack,
        "a raise arrives five minutes late, when every other try was refused and its rollout over",
        lambda: plot(
            Crash(Spot(0, WRITE), When.DURING, late=300),
            *(Broken(Spot(tick, WRITE), "429") for tick in range(1, 5)),
            policy=short(shift_timeout="1m"),
        ),
        guards_nothing,
    ),
    (
        "drift is put right, as a reconciler would",
        NobodyFought,
        "somebody sets 5 % while 10 % bakes",
        lambda: plot(meanwhile(2, MEASURE, Act.SET, weight=5, when=When.AFTER)),
        drift_is_put_right,
    ),
    (
        "`resume --restore` restores a weight that was lowered, too",
        RecordedRaise,
        "somebody sets 5 % while 10 % bakes, and somebody else restores",
        lambda: plot(
            meanwhile(2, MEASURE, Act.SET, weight=5, when=When.AFTER),
            meanwhile(4, MEASURE, Act.RESTORE, when=When.AFTER, waits=130),
        ),
        restore_goes_up,
    ),
    (
        "a pause ends when the target shows what was asked for",
        PauseHolds,
        "somebody pauses",
        lambda: plot(meanwhile(2, MEASURE, Act.PAUSE, waits=130)), pause_ends_itself,
    ),
    (
        "what is rolled back takes any weight for its own",
        OwnWeightOnly,
        "the canary fails, and somebody sets 70 % afterwards",
        lambda: plot(
            meanwhile(8, "store:active", Act.SET, weight=70), events=[SICK]
        ),
        guards_every_weight,
    ),
    (
        "what is rolled back writes its last weight again",
        NoStaleRaise,
        "the canary fails",
        lambda: plot(events=[SICK]), guard_raises_back,
    ),
    (
        "a start does not ask whether its revision was rolled back",
        NoReturn,
        "somebody rolls back by hand, and CI starts the same revision again",
        lambda: plot(
            meanwhile(2, MEASURE, Act.ROLLBACK), meanwhile(8, "store:active", Act.START)
        ),
        back_is_forgotten,
    ),
    (
        "a gate without a verdict leads on, whatever the policy says",
        SilenceStays,
        "nobody asks for anything",
        lambda: plot(events=[QUIET]), advances_without_verdict,
    ),
    (
        "no breach is a pass, also in silence",
        SilenceStays,
        "nobody asks for anything",
        lambda: plot(events=[QUIET]), silence_passes,
    ),
    (
        "a gate without a verdict is waited for without a limit",
        EndsWithReason,
        "nobody asks for anything",
        lambda: plot(events=[QUIET]), hold_never_ends,
    ),
    (
        "a pause says no word",
        EndsWithReason,
        "nobody asks for anything",
        lambda: plot(events=[QUIET]), pause_without_reason,
    ),
    (
        "a step is skipped where the next one passes anyway",
        StepByStep,
        "all is well, on three steps",
        lambda: plot(policy=short(steps=THREE_STEPS)), skips_a_step,
    ),
    (
        "a tick goes on as long as there is something to do",
        OneTransition,
        "all is well, on three steps",
        lambda: plot(policy=short(steps=THREE_STEPS)), goes_on_while_it_may,
    ),
)  # fmt: skip
