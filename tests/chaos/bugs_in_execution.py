"""Planted bugs of the way to Lambda: the adapter, and the order of acting and saving."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.adapters.targets.lambda_function import Configuration, LambdaFunction
from controller.adapters.targets.weight_variables import Pair
from controller.core.decision import Lower, Shift
from controller.core.observation import TargetReading, UpdateStatus
from controller.engine.execute import Executor
from tests.chaos.fault_plan import ActorAction, Degradation, DegradationWindow
from tests.chaos.invariants.persistence import NotifyOnce
from tests.chaos.invariants.raises import (
    KnownWeight,
    NoStaleRaise,
    OneRaisePerAdvance,
    RecordedRaise,
)
from tests.chaos.invariants.target import (
    BakeFromServed,
    FailureRollsBack,
    OtherVariablesUnchanged,
)
from tests.chaos.sample_plans import CANARY_ERRORS, READ, WRITE, interleaving, sample_plan

SECOND = timedelta(seconds=1)


def raises_half_way_first(patch: pytest.MonkeyPatch) -> None:
    """A raise goes half the way, to be gentle."""
    shift_to = LambdaEnvTarget.shift_to
    patch.setattr(
        LambdaEnvTarget,
        "shift_to",
        lambda self, weight, token: shift_to(self, (weight + 1) // 2, token),
    )


def omits_boolean(patch: pytest.MonkeyPatch) -> None:
    """The boolean is not written with the percentage."""
    patch.setattr(
        Pair, "merged", lambda self, found, weight: {**found, self.percentage: str(weight)}
    )


def overwrites_environment(patch: pytest.MonkeyPatch) -> None:
    """The environment is not merged."""
    merged = Pair.merged

    def alone(self: Pair, found: Mapping[str, str], weight: int) -> dict[str, str]:
        whole = merged(self, found, weight)
        return {name: whole[name] for name in self._names()}

    patch.setattr(Pair, "merged", alone)


def _write_unconditionally(self: LambdaFunction, found: Configuration, weight: int) -> None:
    whole = self._pair.merged(found.variables, weight)
    self._client.update_function_configuration(
        FunctionName=self.name, Environment={"Variables": whole}
    )


def omits_revision_id(patch: pytest.MonkeyPatch) -> None:
    """A write names no RevisionId, so it goes over whatever came in between."""
    patch.setattr(LambdaFunction, "write", _write_unconditionally)


def rereads_token(patch: pytest.MonkeyPatch) -> None:
    """A raise takes the token of the moment for the one that its decision saw."""
    patch.setattr(LambdaEnvTarget, "_check_shift", lambda *_: None)


def retries_raise(patch: pytest.MonkeyPatch) -> None:
    """A raise is made like a lowering: read, merge, write, until it stands."""

    def insist(self: LambdaEnvTarget, weight: int, token: str) -> None:
        while (found := self._function.read()).reading.weight != weight:
            if found.reading.update is UpdateStatus.SUCCESSFUL:
                _write_unconditionally(self._function, found, weight)
            self._clock.sleep(SECOND)

    patch.setattr(LambdaEnvTarget, "shift_to", insist)


def shift_before_save(patch: pytest.MonkeyPatch) -> None:
    """More traffic is acted on first and saved then."""
    out = Executor.execute

    def hasty(self: Executor, before: Any, seen: Any, decision: Any, *more: Any) -> Any:
        if isinstance(decision.move, Shift):
            self.actuator.shift_once(decision.rollout, decision.move)
        return out(self, before, seen, decision, *more)

    patch.setattr(Executor, "out", hasty)


def save_before_lower(patch: pytest.MonkeyPatch) -> None:
    """A rollback is saved first: a store that is full keeps traffic where it is."""
    out = Executor.execute

    def careful(self: Executor, before: Any, seen: Any, decision: Any, *more: Any) -> Any:
        if isinstance(decision.move, Lower):
            self.observer.store.save(before, [])
            before = replace(before, version=before.version + 1)
            after = replace(decision.rollout, version=before.version)
            decision = replace(decision, rollout=after)
        return out(self, before, seen, decision, *more)

    patch.setattr(Executor, "out", careful)


def write_counts_as_applied(patch: pytest.MonkeyPatch) -> None:
    """A weight that is written counts as seen, while its update is in progress."""
    patch.setattr(TargetReading, "has_applied", lambda self, weight: self.weight == weight)


def notifies_twice(patch: pytest.MonkeyPatch) -> None:
    """People are told when a decision is saved, and when its move is done."""
    after_save = Executor.after_save

    def twice(self: Executor, rollout: Any, decision: Any, patience: timedelta) -> Any:
        self.actuator.notify(rollout, decision.notices)
        return after_save(self, rollout, decision, patience)

    patch.setattr(Executor, "after_save", twice)


BUGS = (
    (
        "a raise goes half the way first",
        KnownWeight, "all is well", sample_plan, raises_half_way_first,
    ),
    (
        "the boolean is not written with the percentage",
        KnownWeight, "all is well", sample_plan, omits_boolean,
    ),
    (
        "a raise is written before it is saved",
        RecordedRaise, "all is well", sample_plan, shift_before_save,
    ),
    (
        "a raise takes the token of the moment for the one that its decision saw",
        NoStaleRaise,
        "somebody rolls back between the save of the first raise and its write",
        lambda: sample_plan(interleaving(0, READ, ActorAction.ROLLBACK, number=2)), rereads_token,
    ),
    (
        "a raise insists, as a lowering does",
        OneRaisePerAdvance,
        "a raise is carried out by two runs, and somebody sets 5 % between them",
        lambda: sample_plan(
            interleaving(5, READ, ActorAction.TICK, number=1, waits=130),
            interleaving(5, READ, ActorAction.SET_WEIGHT, number=1, weight=5),
        ),
        retries_raise,
    ),
    (
        "a write sends the pair alone, and not merged into the environment",
        OtherVariablesUnchanged, "all is well", sample_plan, overwrites_environment,
    ),
    (
        "a write names no RevisionId",
        NoStaleRaise,
        "somebody rolls back just before the write of the first raise",
        lambda: sample_plan(interleaving(0, WRITE, ActorAction.ROLLBACK)), omits_revision_id,
    ),
    (
        "a rollback is saved before it is acted on",
        FailureRollsBack,
        "the canary fails while the store takes no writes",
        lambda: sample_plan(DegradationWindow(4, 300, Degradation.FULL), events=[CANARY_ERRORS]), save_before_lower,
    ),
    (
        "a weight that is written counts as in force",
        BakeFromServed,
        "each update takes 40 s",
        lambda: sample_plan(takes="40s"), write_counts_as_applied,
    ),
    (
        "people are told at the save, and again after the move",
        NotifyOnce, "all is well", sample_plan, notifies_twice,
    ),
)  # fmt: skip
