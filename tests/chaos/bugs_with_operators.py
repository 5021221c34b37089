"""Planted bugs of what is done beside people: drift, pauses, and what comes after an end."""

from dataclasses import replace
from datetime import datetime

import pytest

from controller.core import commands
from controller.core import decide as deciding
from controller.core import transitions as to
from controller.core.decision import Decision, Shift
from controller.core.observation import Observation, Reading, Unreadable
from controller.core.rollout import Intent, Rollout
from controller.core.transitions import rollback, watch
from controller.engine import tick as running
from controller.operations.start import start as starting
from tests.chaos.fault_plan import Act, Broken, Crash, Spot, When
from tests.chaos.invariants.hands import (
    NobodyFought,
    NoReturn,
    OwnWeightOnly,
    PauseHolds,
)
from tests.chaos.invariants.raising import NoStaleRaise, RecordedRaise
from tests.chaos.invariants.target import FailureGoesBack
from tests.chaos.sample_plans import MEASURE, READ, SICK, WRITE, meanwhile, plot
from tests.support.stage import short

THREE_STEPS = [{"weight": weight, "bake": "2m"} for weight in (10, 50, 100)]


def drift_is_put_right(patch: pytest.MonkeyPatch) -> None:
    """A weight that another hand has moved is written again, as a reconciler would."""
    moved = deciding._moved

    def reconciled(rollout: Rollout, target: Reading, now: datetime) -> Decision:
        if not target.weight:
            return moved(rollout, target, now)
        intent = Intent(rollout.weight, target.weight, target.token, now)
        after = replace(rollout, intent=intent, settled=None)
        return Decision(after, Shift(rollout.weight, target.token))

    patch.setattr(deciding, "_moved", reconciled)


def restore_goes_up(patch: pytest.MonkeyPatch) -> None:
    """`resume --restore` restores a weight that was lowered, too."""
    patch.setattr(commands, "_higher", lambda *_: True)


def pause_ends_itself(patch: pytest.MonkeyPatch) -> None:
    """A pause ends when the target shows what was asked for."""
    paused = deciding._paused

    def restless(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        target = seen.target
        if isinstance(target, Reading) and target.stands_at(rollout.weight):
            return to.resumed(rollout, target, "", now)
        return paused(rollout, seen, now)

    patch.setattr(deciding, "_paused", restless)


def guards_every_weight(patch: pytest.MonkeyPatch) -> None:
    """What is rolled back takes any weight for its own."""

    def jealous(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        if isinstance(seen.target, Reading) and seen.target.weight:
            return replace(to.guarding_zero(rollout, now), move=to.lower(rollout))
        return Decision(rollout)

    patch.setattr(watch, "rolled_back", jealous)


def guard_raises_back(patch: pytest.MonkeyPatch) -> None:
    """What is rolled back writes its last weight where it finds another."""

    def confused(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
        target = seen.target
        if isinstance(target, Unreadable) or target.weight == rollout.peak:
            return Decision(rollout)
        return Decision(rollout, Shift(rollout.peak, target.token))

    patch.setattr(watch, "rolled_back", confused)


def guards_nothing(patch: pytest.MonkeyPatch) -> None:
    """What is rolled back does not look after its 0 %."""
    patch.setattr(watch, "rolled_back", lambda rollout, seen, now: Decision(rollout))


def back_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A start does not ask whether the revision was rolled back."""
    patch.setattr(starting, "_check_not_back", lambda *_: None)


def guards_what_stands(patch: pytest.MonkeyPatch) -> None:
    """What is rolled back and found its weight lowers what stands there by then."""
    guarding_zero = to.guarding_zero

    def careless(rollout: Rollout, now: datetime) -> Decision:
        return replace(guarding_zero(rollout, now), move=to.lower(rollout))

    patch.setattr(to, "guarding_zero", careless)


def token_left(patch: pytest.MonkeyPatch) -> None:
    """A rollback that finds 0 % writes nothing, and a first raise on its way still fits."""
    lower = rollback.lower
    patch.setattr(rollback, "lower", lambda rollout: replace(lower(rollout), void=""))
    patch.setattr(to, "lower", rollback.lower)
    patch.setattr(running, "lower", rollback.lower)


PLANTS = (
    (
        "a rollback that finds 0 % leaves the token of a first raise as it is",
        NoStaleRaise,
        "somebody rolls back just before the write of the first raise",
        lambda: plot(meanwhile(0, WRITE, Act.ROLLBACK)), token_left,
    ),
    (
        "a late raise after a rollback is left alone",
        FailureGoesBack,
        "a raise arrives five minutes late, when every other try was refused and its rollout over",
        lambda: plot(
            Crash(Spot(0, WRITE), When.DURING, late=300),
            *(Broken(Spot(tick, WRITE), "429") for tick in (2, 3)),
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
        "guarding zero lowers whatever stands by the time it writes",
        OwnWeightOnly,
        "a raise comes back after the rollback, and somebody sets 70 % before it is lowered",
        lambda: plot(
            Crash(Spot(0, WRITE), When.DURING, late=285),
            *(Broken(Spot(tick, WRITE), "429") for tick in (2, 3)),
            meanwhile(5, READ, Act.SET, number=1, weight=70),
            policy=short(shift_timeout="1m"),
        ),
        guards_what_stands,
    ),
)  # fmt: skip
