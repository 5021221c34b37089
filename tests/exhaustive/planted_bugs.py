"""Bugs that are planted in the product, to test that the search of small worlds finds them."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import pytest

from controller.adapters.stores.sqlite import rows
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.adapters.targets.resource_target import LoweringLoop
from controller.core import decide
from controller.core.judge.findings import gate_verdict
from controller.core.judge.judgement import Judgement
from controller.core.transitions import advance, pending_raise
from controller.engine.execute import Executor, TickOutcome
from controller.errors import TargetError
from controller.immutable import replace
from tests.exhaustive.start_states import (
    JUST_STARTED,
    PASS_DUE,
    PAUSED,
    UNWRITTEN_RAISE,
    UNWRITTEN_START,
    StartState,
)
from tests.support.core import (
    Decision,
    Live,
    Observation,
    Paused,
    Progressing,
    Reason,
    Rollout,
    SetWeight,
    TargetReading,
    Verdict,
)

Plant: TypeAlias = Callable[[pytest.MonkeyPatch], None]


class PlantedBug(NamedTuple):
    """A bug, the start state and world in which it is found, and the invariant that it breaks.

    plant: patches the product; its docstring says what the bug does.
    """

    plant: Plant
    start: StartState
    world: str
    invariant: str


def found_in(start: StartState, world: str, invariant: str) -> Callable[[Plant], PlantedBug]:
    """Return a decorator: the patch breaks `invariant` in that world."""
    return lambda plant: PlantedBug(plant, start, world, invariant)


@found_in(JUST_STARTED, "a tick and a rollback", "versions-rise")
def save_ignores_version(patch: pytest.MonkeyPatch) -> None:
    """A save ignores the version."""
    patch.setattr(rows, "UPDATE", rows.UPDATE.replace("version = :read AND ", "", 1))


@found_in(JUST_STARTED, "two ticks", "versions-rise")
def save_ignores_version_and_fence(patch: pytest.MonkeyPatch) -> None:
    """A save ignores the version and who has the lease."""
    statement, _, _ = rows.UPDATE.partition("WHERE")
    patch.setattr(rows, "UPDATE", f"{statement} WHERE id = :id")


@found_in(PASS_DUE, "a tick and a person sets 5%", "no-stale-raise")
def raise_ignores_token(patch: pytest.MonkeyPatch) -> None:
    """A raise ignores the token that it was decided under."""

    def shift_to(self: LambdaEnvTarget, weight: int, token: str) -> None:
        self._write_once(self._function.read(), weight, self._function.write)

    patch.setattr(LambdaEnvTarget, "shift_to", shift_to)


def write_once(executor: Executor, rollout: Rollout, move: SetWeight) -> None:
    """Write the weight of `move`. Raises TargetError."""
    executor.observer.target_of(rollout).port.shift_to(move.weight, move.token)


@found_in(PASS_DUE, "two ticks", "recorded-raise")
def acts_before_it_saves(patch: pytest.MonkeyPatch) -> None:
    """More traffic is written before it is saved."""
    real_execute = Executor.execute

    def write_first(
        self: Executor,
        before: Rollout | None,
        observation: Observation,
        decision: Decision,
        patience: timedelta = timedelta(seconds=30),
    ) -> TickOutcome:
        if before is not None and isinstance(decision.move, SetWeight):
            with suppress(TargetError):
                write_once(self, decision.rollout, decision.move)
        return real_execute(self, before, observation, decision, patience)

    patch.setattr(Executor, "execute", write_first)


@found_in(UNWRITTEN_START, "a tick and a rollback", "no-stale-raise")
def a_late_raise_stays(patch: pytest.MonkeyPatch) -> None:
    """A rollback at 0% writes nothing, and no run takes back a raise that comes late."""

    def shift(
        self: Executor, rollout: Rollout, move: SetWeight, patience: timedelta
    ) -> TickOutcome:
        try:
            write_once(self, rollout, move)
        except TargetError:
            return TickOutcome(rollout)
        return self.confirm_weight(rollout, move.weight, patience)

    def is_done(self: LoweringLoop[Any], reading: TargetReading) -> bool:
        return reading.weight == 0

    patch.setattr(Executor, "_shift", shift)
    patch.setattr(LoweringLoop, "_is_done", is_done)


@found_in(UNWRITTEN_RAISE, "a tick and a person sets 10%", "drift-is-kept")
def a_raise_without_trace_is_written_again(patch: pytest.MonkeyPatch) -> None:
    """A raise that left no trace is written again."""

    def retry(
        rollout: Rollout, state: Progressing, target: TargetReading, now: datetime
    ) -> Decision:
        assert rollout.pending is not None
        pending = replace(rollout.pending, token=target.token)
        return pending_raise.retry_raise(rollout, state, pending, target, now)

    patch.setattr(pending_raise, "resolve_lost_raise", retry)


@found_in(PAUSED, "two ticks", "pause-holds")
def a_pause_ends_by_itself(patch: pytest.MonkeyPatch) -> None:
    """A pause ends by itself when the gate passes."""
    decide_paused = decide._decide_paused

    def go_on_after_pass(rollout: Rollout, state: Paused, judgement: Judgement) -> Decision:
        decision = decide_paused(rollout, state, judgement)
        judged, live, target = decision.rollout, state.position, judgement.target
        if gate_verdict(judged.evidence.findings) is not Verdict.PASS or not isinstance(live, Live):
            return decision
        assert isinstance(target, TargetReading)
        return advance.next_step(judged, live, target, Reason.GATE_PASSED, judgement.now)

    patch.setattr(decide, "_decide_paused", go_on_after_pass)


PLANTED_BUGS: Final = [one for one in vars().values() if isinstance(one, PlantedBug)]
