"""Planted bugs in decisions: of a tick, and of an operator command."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.core import decide as deciding
from controller.core.judge.criteria.success_rate import SuccessRateSequentialJudge
from controller.core.judge.judgement import Judgement
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.transitions import (
    advance,
    by_operator,
    pause,
    pending_raise,
    rollback,
)
from controller.engine.tick import Runner
from controller.immutable import replace
from tests.chaos.fault_plan import (
    ActorAction,
    Crash,
    Degradation,
    DegradationWindow,
    InjectionPoint,
    Timing,
)
from tests.chaos.invariants.ending import EndsWithReason, FixAdvances, NoPassWithoutData
from tests.chaos.invariants.persistence import OneTransition, StepByStep
from tests.chaos.invariants.target import FailureRollsBack, TrafficJudged
from tests.chaos.planted_bug import breaks
from tests.chaos.sample_plans import (
    CANARY_ERRORS,
    NO_TRAFFIC,
    WRITE,
    fix_plan,
    freeze_before_write,
    interleaving,
    sample_plan,
)
from tests.support.core import (
    Decision,
    Label,
    Live,
    Pending,
    Policy,
    Position,
    Progressing,
    Reason,
    Rollout,
    TargetReading,
    Verdict,
)
from tests.support.rollouts import with_state
from tests.support.stage import short_policy
from tests.tools.simulation.worlds import MINUTE

THREE_STEPS = [{"weight": weight, "bake": "2m"} for weight in (10, 50, 100)]


@breaks(
    FailureRollsBack,
    "the canary fails while Lambda does not answer",
    lambda: sample_plan(DegradationWindow(5, 90, Degradation.TARGET), events=[CANARY_ERRORS]),
)
def rollback_waits_for_metrics(patch: pytest.MonkeyPatch) -> None:
    """A rollback whose write was refused waits for the metrics before it is written again."""

    def wait_for_metrics(rollout: Rollout, target: Any, now: datetime) -> Decision:
        if isinstance(target, TargetReading) and target.weight == 0:
            why = rollout.sentence
            return rollback._complete_rollback(rollout, target, rollout.reason, why, now)
        return Decision(rollout)  # the next tick measures again

    patch.setattr(rollback, "continue_rollback", wait_for_metrics)


@breaks(
    FailureRollsBack,
    "the canary fails in a bake of half an hour",
    lambda: sample_plan(
        events=[CANARY_ERRORS],
        policy=short_policy(steps=[{"weight": 10, "bake": "30m"}, {"weight": 100, "bake": "2m"}]),
    ),
)
def fail_waits_for_the_bake(patch: pytest.MonkeyPatch) -> None:
    """A gate is judged only after its bake."""
    decide_applied = deciding._decide_applied

    def decide_after_bake(
        rollout: Rollout, state: Progressing, live: Live, judgement: Judgement
    ) -> Decision:
        if rollout.bake_end is not None and judgement.now < rollout.bake_end:
            return Decision(rollout)
        return decide_applied(rollout, state, live, judgement)

    patch.setattr(deciding, "_decide_applied", decide_after_bake)


@breaks(NoPassWithoutData, "no requests arrive", lambda: sample_plan(events=[NO_TRAFFIC]))
def advances_without_verdict(patch: pytest.MonkeyPatch) -> None:
    """An inconclusive gate advances, whatever the policy says."""

    def advance_anyway(
        rollout: Rollout, state: Progressing, live: Live, judgement: Judgement
    ) -> Decision:
        target, reason = judgement.target, Reason.GATE_PASSED
        assert isinstance(target, TargetReading)
        return deciding._advance_unless_blocked(rollout, state, live, judgement, target, reason)

    patch.setattr(deciding, "_decide_inconclusive", advance_anyway)


@breaks(NoPassWithoutData, "no requests arrive", lambda: sample_plan(events=[NO_TRAFFIC]))
def silence_passes(patch: pytest.MonkeyPatch) -> None:
    """A window without data passes."""
    judge_windows = WindowJudge.conclude

    def pass_without_data(*facts: Any) -> Any:
        finding = judge_windows(*facts)
        if finding.label in (Label.NO_DATA, Label.NO_RECENT_DATA, Label.TOO_FEW):
            return replace(finding, verdict=Verdict.PASS, label=Label.NO_REGRESSION)
        return finding

    patch.setattr(WindowJudge, "conclude", pass_without_data)


@breaks(EndsWithReason, "no requests arrive", lambda: sample_plan(events=[NO_TRAFFIC]))
def hold_never_ends(patch: pytest.MonkeyPatch) -> None:
    """A hold never ends."""

    def hold_forever(rollout: Rollout, state: Progressing, judgement: Judgement) -> Decision:
        held = advance.mark_holding(rollout, state, judgement.target)
        return deciding._stay_with_checkpoint(held, judgement)

    patch.setattr(deciding, "_hold", hold_forever)


@breaks(FixAdvances, "the stable path fails before the start", fix_plan)
def fix_is_held(patch: pytest.MonkeyPatch) -> None:
    """A canary waits for the end of an outage of the stable path, whenever it began."""
    patch.setattr(SuccessRateSequentialJudge, "beside_outage", lambda *_: None)


@breaks(
    EndsWithReason,
    "no requests arrive",
    lambda: sample_plan(events=[NO_TRAFFIC], policy=short_policy(max_hold="5m", max_wait="5m")),
)
def wait_for_data_has_no_limit(patch: pytest.MonkeyPatch) -> None:
    """A hold waits for data without a limit."""
    patch.setattr(Policy, "data_wait", timedelta(days=1))


@breaks(EndsWithReason, "no requests arrive", lambda: sample_plan(events=[NO_TRAFFIC]))
def pause_without_reason(patch: pytest.MonkeyPatch) -> None:
    """A pause is saved without its reason."""
    pause_rollout = pause.pause_rollout

    def pause_silently(*facts: Any) -> Decision:
        decision = pause_rollout(*facts)
        return replace(decision, rollout=with_state(decision.rollout, sentence=""))

    patch.setattr(pause, "pause_rollout", pause_silently)


@breaks(
    StepByStep,
    "a healthy rollout with three steps",
    lambda: sample_plan(policy=short_policy(steps=THREE_STEPS)),
)
def skips_a_step(patch: pytest.MonkeyPatch) -> None:
    """A step is skipped if the next one would pass."""
    next_step = advance.next_step

    def skip_one_step(rollout: Rollout, live: Live, *more: Any, **named: Any) -> Decision:
        if live.step + 2 < len(rollout.policy.steps):
            live = replace(live, step=live.step + 1)
        return next_step(rollout, live, *more, **named)

    patch.setattr(advance, "next_step", skip_one_step)


@breaks(
    OneTransition,
    "a healthy rollout with three steps",
    lambda: sample_plan(policy=short_policy(steps=THREE_STEPS)),
)
def ticks_until_lease_ends(patch: pytest.MonkeyPatch) -> None:
    """A tick makes more than one transition."""
    tick_active = Runner.tick_active

    def tick_repeatedly(self: Runner) -> Any:
        for _ in range(11):
            tick_active(self)
            self.clock.sleep(MINUTE)
        return tick_active(self)

    patch.setattr(Runner, "tick_active", tick_repeatedly)


@breaks(
    TrafficJudged,
    "a raise is saved and not written, a freeze begins, and the canary fails in it",
    freeze_before_write,
)
def no_measurement_in_a_freeze(patch: pytest.MonkeyPatch) -> None:
    """The live step is not judged while the next raise waits for the end of a freeze."""
    delay_raise = pending_raise._delay

    def forget_live_step(rollout: Rollout, state: Progressing, pending: Pending, *more: Any) -> Any:
        return delay_raise(rollout, state, replace(pending, live=None), *more)

    patch.setattr(pending_raise, "_delay", forget_live_step)


@breaks(
    TrafficJudged,
    "a raise is saved and not written, and an operator pauses",
    lambda: sample_plan(
        Crash(InjectionPoint(4, WRITE), Timing.BEFORE),
        interleaving(6, "store:visits", ActorAction.PAUSE),
    ),
)
def pause_assumes_raise_applied(patch: pytest.MonkeyPatch) -> None:
    """A pause takes an unwritten raise for applied and judges by the gate of the next step."""

    def assume_applied(position: Position, target: TargetReading) -> Live:
        applied = position.since if isinstance(position, Live) else position.decided
        return Live(position.step, position.weight, applied)

    for module in (pause, by_operator):
        patch.setattr(module, "position_in_pause", assume_applied)
