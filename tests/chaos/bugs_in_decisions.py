"""Planted bugs of what is decided, by a tick and for a person."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from controller.core import decide as deciding
from controller.core import transitions as to
from controller.core.decision import Decision
from controller.core.judge.findings import Label, Verdict
from controller.core.judge.kinds import threshold
from controller.core.observation import Observation, TargetReading
from controller.core.rollout import Reason, Rollout
from controller.core.transitions import advance, pause, resume, shift
from controller.engine.tick import Runner
from tests.chaos.fault_plan import (
    ActorAction,
    Crash,
    Degradation,
    DegradationWindow,
    InjectionPoint,
    Timing,
)
from tests.chaos.invariants.ending import EndsWithReason, NoPassWithoutData
from tests.chaos.invariants.persistence import OneTransition, StepByStep
from tests.chaos.invariants.target import FailureRollsBack, TrafficJudged
from tests.chaos.sample_plans import (
    CANARY_ERRORS,
    NO_TRAFFIC,
    WRITE,
    freeze_before_write,
    interleaving,
    sample_plan,
)
from tests.simulation.worlds import MINUTE
from tests.support.stage import short_policy

THREE_STEPS = [{"weight": weight, "bake": "2m"} for weight in (10, 50, 100)]


def rollback_waits_for_metrics(patch: pytest.MonkeyPatch) -> None:
    """A criterion that failed has to fail again before the next try to lower."""

    def patient(rollout: Rollout, target: Any, now: datetime) -> Decision:
        if isinstance(target, TargetReading) and target.weight == 0:
            return to.confirm_rollback(rollout, now)
        return Decision(rollout)  # the next tick measures again

    patch.setattr(deciding, "_decide_rolling_back", patient)


def fail_waits_for_the_bake(patch: pytest.MonkeyPatch) -> None:
    """A gate is only asked when its bake is over."""
    climbing = deciding._decide_applied

    def late(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        if rollout.bake_end is not None and now < rollout.bake_end:
            return Decision(rollout)
        return climbing(rollout, seen, now)

    patch.setattr(deciding, "_decide_applied", late)


def advances_without_verdict(patch: pytest.MonkeyPatch) -> None:
    """A hold that is over leads on, whatever the policy says."""

    def on(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        target = seen.target
        assert isinstance(target, TargetReading)
        return deciding._advance_unless_blocked(rollout, seen, target, Reason.GATE_PASSED, now)

    patch.setattr(deciding, "_decide_inconclusive", on)


def silence_passes(patch: pytest.MonkeyPatch) -> None:
    """No breach is a pass, also where there was nothing."""
    windows = threshold._windows

    def trusting(*facts: Any) -> Any:
        finding = windows(*facts)
        if finding.label in (Label.NO_DATA, Label.TOO_FEW):
            return replace(finding, verdict=Verdict.PASS, label=Label.NOT_REFUTED)
        return finding

    patch.setattr(threshold, "_windows", trusting)


def hold_never_ends(patch: pytest.MonkeyPatch) -> None:
    """An inconclusive gate is waited for without a limit."""

    def held(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        return deciding._stay_and_seal(to.mark_holding(rollout, seen.target), seen, now)

    patch.setattr(deciding, "_hold", held)


def pause_without_reason(patch: pytest.MonkeyPatch) -> None:
    """A pause says nothing."""
    paused = pause._pause

    def wordless(*facts: Any) -> Decision:
        decision = paused(*facts)
        return replace(decision, rollout=replace(decision.rollout, sentence=""))

    patch.setattr(pause, "_pause", wordless)


def skips_a_step(patch: pytest.MonkeyPatch) -> None:
    """A gate that passed well lets the rollout go two steps up."""
    next_step = advance.next_step

    def bold(rollout: Rollout, *more: Any) -> Decision:
        if rollout.step + 2 < len(rollout.policy.steps):
            rollout = replace(rollout, step=rollout.step + 1)
        return next_step(rollout, *more)

    patch.setattr(to, "next_step", bold)


def ticks_until_lease_ends(patch: pytest.MonkeyPatch) -> None:
    """A tick that did something looks again a minute later, as long as its lease lasts."""
    tick_active = Runner.tick_active

    def eager(self: Runner) -> Any:
        for _ in range(11):
            tick_active(self)
            self.clock.sleep(MINUTE)
        return tick_active(self)

    patch.setattr(Runner, "tick_active", eager)


def no_measurement_in_a_freeze(patch: pytest.MonkeyPatch) -> None:
    """A raise that waits for the end of a freeze is not in force, so nothing is measured."""
    patch.setattr(shift, "reopen", lambda rollout, since: rollout.stretches)


def pause_assumes_raise_applied(patch: pytest.MonkeyPatch) -> None:
    """What is paused stands at the weight that was asked for, whoever has seen it."""

    def settled(rollout: Rollout, target: Any, now: datetime) -> Rollout:
        return replace(advance.drop_previous_live(rollout), settled=rollout.settled or now)

    for module in (pause, resume):
        patch.setattr(module, "handed_over", settled)


BUGS = (
    (
        "a rollback that was refused once waits for the metrics before it tries again",
        FailureRollsBack,
        "the canary fails while Lambda does not answer",
        lambda: sample_plan(DegradationWindow(5, 90, Degradation.LAMBDA), events=[CANARY_ERRORS]), rollback_waits_for_metrics,
    ),
    (
        "a gate is only asked when its bake is over",
        FailureRollsBack,
        "the canary fails in a bake of half an hour",
        lambda: sample_plan(
            events=[CANARY_ERRORS],
            policy=short_policy(steps=[{"weight": 10, "bake": "30m"}, {"weight": 100, "bake": "2m"}]),
        ),
        fail_waits_for_the_bake,
    ),
    (
        "what is live is not judged while a raise from it waits for the end of a freeze",
        TrafficJudged,
        "a raise was saved and not written when a freeze begins, in which the canary fails",
        freeze_before_write, no_measurement_in_a_freeze,
    ),
    (
        "a pause takes a raise that was not written for done, and judges what is live by its gate",
        TrafficJudged,
        "a raise was saved and not written when somebody pauses",
        lambda: sample_plan(
            Crash(InjectionPoint(4, WRITE), Timing.BEFORE), interleaving(6, "store:active", ActorAction.PAUSE)
        ),
        pause_assumes_raise_applied,
    ),
    (
        "a gate without a verdict leads on, whatever the policy says",
        NoPassWithoutData,
        "nobody asks for anything",
        lambda: sample_plan(events=[NO_TRAFFIC]), advances_without_verdict,
    ),
    (
        "no breach is a pass, also in silence",
        NoPassWithoutData,
        "nobody asks for anything",
        lambda: sample_plan(events=[NO_TRAFFIC]), silence_passes,
    ),
    (
        "a gate without a verdict is waited for without a limit",
        EndsWithReason,
        "nobody asks for anything",
        lambda: sample_plan(events=[NO_TRAFFIC]), hold_never_ends,
    ),
    (
        "a pause says no word",
        EndsWithReason,
        "nobody asks for anything",
        lambda: sample_plan(events=[NO_TRAFFIC]), pause_without_reason,
    ),
    (
        "a step is skipped where the next one passes anyway",
        StepByStep,
        "all is well, on three steps",
        lambda: sample_plan(policy=short_policy(steps=THREE_STEPS)), skips_a_step,
    ),
    (
        "a tick goes on as long as there is something to do",
        OneTransition,
        "all is well, on three steps",
        lambda: sample_plan(policy=short_policy(steps=THREE_STEPS)), ticks_until_lease_ends,
    ),
)  # fmt: skip
