"""Planted bugs in the Lambda adapter, and in the order of write and save."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from controller.adapters.targets.lambda_env import Configuration, LambdaEnvTarget, LambdaFunction
from controller.adapters.targets.weight_variables import Pair
from controller.engine.execute import Executor
from controller.errors import TargetError
from controller.immutable import replace
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
    OtherSettingsUnchanged,
)
from tests.chaos.planted_bug import breaks
from tests.chaos.sample_plans import CANARY_ERRORS, READ, WRITE, interleaving, sample_plan
from tests.support.core import SetWeight, SetZero, TargetReading, UpdateStatus

SECOND = timedelta(seconds=1)


@breaks(KnownWeight, "a healthy rollout", sample_plan)
def raises_half_way_first(patch: pytest.MonkeyPatch) -> None:
    """A raise writes half the weight first."""
    shift_to = LambdaEnvTarget.shift_to
    patch.setattr(
        LambdaEnvTarget,
        "shift_to",
        lambda self, weight, token: shift_to(self, (weight + 1) // 2, token),
    )


@breaks(KnownWeight, "a healthy rollout", sample_plan)
def omits_boolean(patch: pytest.MonkeyPatch) -> None:
    """The boolean is not written with the percentage."""
    patch.setattr(
        Pair,
        "merged",
        lambda self, configuration, weight: {**configuration, self.percentage: str(weight)},
    )


@breaks(OtherSettingsUnchanged, "a healthy rollout", sample_plan)
def overwrites_environment(patch: pytest.MonkeyPatch) -> None:
    """A write sends only its two variables instead of the whole environment."""
    merged = Pair.merged

    def only_pair(self: Pair, configuration: Mapping[str, str], weight: int) -> dict[str, str]:
        variables = merged(self, configuration, weight)
        return {name: variables[name] for name in self._names()}

    patch.setattr(Pair, "merged", only_pair)


def _write_unconditionally(self: LambdaFunction, configuration: Configuration, weight: int) -> None:
    variables = self._pair.merged(configuration.variables, weight)
    self._client.update_function_configuration(
        FunctionName=self.name, Environment={"Variables": variables}
    )


@breaks(
    NoStaleRaise,
    "an operator rolls back just before the write of the first raise",
    lambda: sample_plan(interleaving(0, WRITE, ActorAction.ROLLBACK)),
)
def omits_revision_id(patch: pytest.MonkeyPatch) -> None:
    """A write names no RevisionId."""
    patch.setattr(LambdaFunction, "write", _write_unconditionally)


@breaks(
    NoStaleRaise,
    "an operator rolls back between the save of the first raise and its write",
    lambda: sample_plan(interleaving(0, READ, ActorAction.ROLLBACK, number=3)),
)
def rereads_token(patch: pytest.MonkeyPatch) -> None:
    """A raise uses the newest RevisionId instead of the one that its decision saw."""
    patch.setattr(LambdaEnvTarget, "_check_token", lambda *_: None)


@breaks(
    OneRaisePerAdvance,
    "two ticks write one raise, and 5% is set outside between them",
    lambda: sample_plan(
        interleaving(5, READ, ActorAction.TICK, number=1, waits=130),
        interleaving(5, READ, ActorAction.SET_WEIGHT, number=1, weight=5),
    ),
)
def retries_raise(patch: pytest.MonkeyPatch) -> None:
    """A raise is retried with a new RevisionId after a conflict, as a lowering is."""

    def shift_until_shown(self: LambdaEnvTarget, weight: int, token: str) -> None:
        while (configuration := self._function.read()).reading.weight != weight:
            if configuration.reading.update is UpdateStatus.SUCCESSFUL:
                _write_unconditionally(self._function, configuration, weight)
            self._clock.sleep(SECOND)

    patch.setattr(LambdaEnvTarget, "shift_to", shift_until_shown)


@breaks(RecordedRaise, "a healthy rollout", sample_plan)
def shift_before_save(patch: pytest.MonkeyPatch) -> None:
    """A raise is written before it is saved."""
    execute = Executor.execute

    def write_first(
        self: Executor, before: Any, observation: Any, decision: Any, *more: Any
    ) -> Any:
        if isinstance(decision.move, SetWeight):
            move = decision.move
            with suppress(TargetError):
                self.observer.target_of(decision.rollout).port.shift_to(move.weight, move.token)
        return execute(self, before, observation, decision, *more)

    patch.setattr(Executor, "execute", write_first)


@breaks(
    FailureRollsBack,
    "the canary fails while the store takes no writes",
    lambda: sample_plan(DegradationWindow(4, 300, Degradation.FULL), events=[CANARY_ERRORS]),
)
def save_before_lower(patch: pytest.MonkeyPatch) -> None:
    """A rollback is saved before it is written."""
    execute = Executor.execute

    def save_first(self: Executor, before: Any, observation: Any, decision: Any, *more: Any) -> Any:
        if isinstance(decision.move, SetZero):
            self.observer.store.save(before, [])
            before = replace(before, version=before.version + 1)
            after = replace(decision.rollout, version=before.version)
            decision = replace(decision, rollout=after)
        return execute(self, before, observation, decision, *more)

    patch.setattr(Executor, "execute", save_first)


@breaks(BakeFromServed, "each update takes 40 s", lambda: sample_plan(takes="40s"))
def write_counts_as_applied(patch: pytest.MonkeyPatch) -> None:
    """A written weight counts as applied before it is read back."""
    patch.setattr(TargetReading, "has_applied", lambda self, weight: self.weight == weight)


@breaks(NotifyOnce, "a healthy rollout", sample_plan)
def notifies_twice(patch: pytest.MonkeyPatch) -> None:
    """A notice is sent twice for one save."""
    notify = Executor._announce_all

    def notify_again(self: Executor, rollout: Any, decision: Any) -> None:
        notify(self, rollout, decision)
        notify(self, rollout, decision)

    patch.setattr(Executor, "_announce_all", notify_again)
