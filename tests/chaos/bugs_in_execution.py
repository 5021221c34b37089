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
from controller.core.observation import Reading, Update
from controller.engine.execute import Carrying
from tests.chaos.fault_plan import Act, Spell, Trouble
from tests.chaos.invariants.raising import (
    KnownWeight,
    NoStaleRaise,
    OneRaise,
    RecordedRaise,
)
from tests.chaos.invariants.record import ToldOnce
from tests.chaos.invariants.target import (
    BakedFromSight,
    FailureGoesBack,
    OtherVariables,
)
from tests.chaos.sample_plans import READ, SICK, WRITE, meanwhile, plot

SECOND = timedelta(seconds=1)


def half_way_first(patch: pytest.MonkeyPatch) -> None:
    """A raise goes half the way, to be gentle."""
    shift_to = LambdaEnvTarget.shift_to
    patch.setattr(
        LambdaEnvTarget,
        "shift_to",
        lambda self, weight, token: shift_to(self, (weight + 1) // 2, token),
    )


def no_boolean(patch: pytest.MonkeyPatch) -> None:
    """The boolean is not written with the percentage."""
    patch.setattr(
        Pair, "merged", lambda self, found, weight: {**found, self.percentage: str(weight)}
    )


def only_the_pair(patch: pytest.MonkeyPatch) -> None:
    """The environment is not merged."""
    merged = Pair.merged

    def alone(self: Pair, found: Mapping[str, str], weight: int) -> dict[str, str]:
        whole = merged(self, found, weight)
        return {name: whole[name] for name in self._names()}

    patch.setattr(Pair, "merged", alone)


def _write_over(self: LambdaFunction, found: Configuration, weight: int) -> None:
    whole = self._pair.merged(found.variables, weight)
    self._client.update_function_configuration(
        FunctionName=self.name, Environment={"Variables": whole}
    )


def no_revision(patch: pytest.MonkeyPatch) -> None:
    """A write names no RevisionId, so it goes over whatever came in between."""
    patch.setattr(LambdaFunction, "write", _write_over)


def token_read_again(patch: pytest.MonkeyPatch) -> None:
    """A raise takes the token of the moment for the one that its decision saw."""
    patch.setattr(LambdaEnvTarget, "_check_shift", lambda *_: None)


def raise_insists(patch: pytest.MonkeyPatch) -> None:
    """A raise is made like a lowering: read, merge, write, until it stands."""

    def insist(self: LambdaEnvTarget, weight: int, token: str) -> None:
        while (found := self._function.read()).reading.weight != weight:
            if found.reading.update is Update.SUCCESSFUL:
                _write_over(self._function, found, weight)
            self._clock.sleep(SECOND)

    patch.setattr(LambdaEnvTarget, "shift_to", insist)


def shift_before_save(patch: pytest.MonkeyPatch) -> None:
    """More traffic is acted on first and saved then."""
    out = Carrying.out

    def hasty(self: Carrying, before: Any, seen: Any, decision: Any, *more: Any) -> Any:
        if isinstance(decision.move, Shift):
            self.acting.shift_once(decision.rollout, decision.move)
        return out(self, before, seen, decision, *more)

    patch.setattr(Carrying, "out", hasty)


def save_before_lower(patch: pytest.MonkeyPatch) -> None:
    """A rollback is saved first: a store that is full keeps traffic where it is."""
    out = Carrying.out

    def careful(self: Carrying, before: Any, seen: Any, decision: Any, *more: Any) -> Any:
        if isinstance(decision.move, Lower):
            self.looking.store.save(before, [])
            before = replace(before, version=before.version + 1)
            after = replace(decision.rollout, version=before.version)
            decision = replace(decision, rollout=after)
        return out(self, before, seen, decision, *more)

    patch.setattr(Carrying, "out", careful)


def written_is_in_force(patch: pytest.MonkeyPatch) -> None:
    """A weight that is written counts as seen, while its update is in progress."""
    patch.setattr(Reading, "stands_at", lambda self, weight: self.weight == weight)


def told_before_and_after(patch: pytest.MonkeyPatch) -> None:
    """People are told when a decision is saved, and when its move is done."""
    after_save = Carrying.after_save

    def twice(self: Carrying, rollout: Any, decision: Any, patience: timedelta) -> Any:
        self.acting.tell(rollout, decision.notices)
        return after_save(self, rollout, decision, patience)

    patch.setattr(Carrying, "after_save", twice)


PLANTS = (
    (
        "a raise goes half the way first",
        KnownWeight, "all is well", plot, half_way_first,
    ),
    (
        "the boolean is not written with the percentage",
        KnownWeight, "all is well", plot, no_boolean,
    ),
    (
        "a raise is written before it is saved",
        RecordedRaise, "all is well", plot, shift_before_save,
    ),
    (
        "a raise takes the token of the moment for the one that its decision saw",
        NoStaleRaise,
        "somebody rolls back between the save of the first raise and its write",
        lambda: plot(meanwhile(0, READ, Act.ROLLBACK, number=2)), token_read_again,
    ),
    (
        "a raise insists, as a lowering does",
        OneRaise,
        "a raise is carried out by two runs, and somebody sets 5 % between them",
        lambda: plot(
            meanwhile(5, READ, Act.TICK, number=1, waits=130),
            meanwhile(5, READ, Act.SET, number=1, weight=5),
        ),
        raise_insists,
    ),
    (
        "a write sends the pair alone, and not merged into the environment",
        OtherVariables, "all is well", plot, only_the_pair,
    ),
    (
        "a write names no RevisionId",
        NoStaleRaise,
        "somebody rolls back just before the write of the first raise",
        lambda: plot(meanwhile(0, WRITE, Act.ROLLBACK)), no_revision,
    ),
    (
        "a rollback is saved before it is acted on",
        FailureGoesBack,
        "the canary fails while the store takes no writes",
        lambda: plot(Spell(4, 300, Trouble.FULL), events=[SICK]), save_before_lower,
    ),
    (
        "a weight that is written counts as in force",
        BakedFromSight,
        "each update takes 40 s",
        lambda: plot(takes="40s"), written_is_in_force,
    ),
    (
        "people are told at the save, and again after the move",
        ToldOnce, "all is well", plot, told_before_and_after,
    ),
)  # fmt: skip
