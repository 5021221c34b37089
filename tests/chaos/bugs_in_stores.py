"""Planted bugs of what is stored: versions, locks, history, time."""

from collections.abc import Sequence
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

import pytest

from controller.adapters.stores.sqlite import queries, rows
from controller.core import codec
from controller.core import decide as deciding
from controller.core import transitions as to
from controller.core.history import Entry, append
from controller.core.observation import Observation
from controller.core.rollout import Rollout
from controller.engine import execute, observe, tick
from controller.engine.execute import Acting
from controller.operations.start import start
from tests.chaos.fault_plan import Act, Skew
from tests.chaos.invariants.record import (
    OneOwner,
    SoundHistory,
    TimeForward,
    VersionsRise,
)
from tests.chaos.sample_plans import SAVE, WRITE, meanwhile, plot


def leases_and_versions_ignored(patch: pytest.MonkeyPatch) -> None:
    """A save writes whatever it has, and every run gets a lease."""
    patch.setattr(queries, "UPDATE", queries.UPDATE.split("WHERE")[0] + "WHERE id = :id")
    patch.setattr(queries, "ACQUIRE", queries.ACQUIRE.split("WHERE")[0] + "WHERE id = :id")


def chain_left_behind(patch: pytest.MonkeyPatch) -> None:
    """The state counts its entries, and keeps the hash of the first."""

    def forgetful(rollout: Rollout, *args: Any, **named: Any) -> tuple[Rollout, Entry]:
        after, entry = append(rollout, *args, **named)
        return replace(after, chain=rollout.chain or after.chain), entry

    patch.setattr(execute, "append", forgetful)


def entry_repeated(patch: pytest.MonkeyPatch) -> None:
    """An entry is appended once more, for the first time may have been lost."""
    recorded = Acting.recorded

    def doubled(
        self: Acting, before: Rollout, seen: Observation, decision: Any
    ) -> tuple[Rollout, list[Entry]]:
        after, entries = recorded(self, before, seen, decision)
        if not entries or decision.record is None or before.entries == 0:
            return after, entries
        again = {"by": self.author().by, "seen": entries[0].body["seen"]}
        after, second = append(after, decision.record, **again)
        return after, [*entries, second]

    patch.setattr(Acting, "recorded", doubled)


def state_without_entry(patch: pytest.MonkeyPatch) -> None:
    """What a tick decides is saved, and its entry is left out to save room."""
    recorded = Acting.recorded

    def bare(
        self: Acting, before: Rollout, seen: Observation, decision: Any
    ) -> tuple[Rollout, list[Entry]]:
        if before.entries:
            return decision.rollout, []
        return recorded(self, before, seen, decision)

    patch.setattr(Acting, "recorded", bare)


def clock_believed(patch: pytest.MonkeyPatch) -> None:
    """A tick takes its own clock for the time, whatever was recorded."""

    def decide(rollout: Rollout, seen: Observation, now: Any) -> Any:
        decision = deciding._next(replace(rollout, updated=now), seen, now)
        return to.sighted(rollout, decision, seen, now)

    look = observe.Looking.look
    patch.setattr(codec, "problem_of", lambda _: "")  # or the next load would refuse the state
    patch.setattr(tick, "decide", decide)
    patch.setattr(
        observe.Looking,
        "look",
        lambda self, rollout: replace(look(self, rollout), now=self.clock.now()),
    )


def locks_not_asked(patch: pytest.MonkeyPatch) -> None:
    """A start takes the target from whoever has it, and does not see what runs already."""

    def free(connection: Connection, _: str, locks: Sequence[str], *_read: Any) -> None:
        connection.executemany("DELETE FROM locks WHERE lock = ?", [(one,) for one in locks])

    patch.setattr(rows, "free", free)
    patch.setattr(start, "_known", lambda *_: None)


PLANTS = (
    (
        "a save asks for no version, and every run gets a lease",
        VersionsRise,
        "another tick comes before a save",
        lambda: plot(meanwhile(2, SAVE, Act.TICK, waits=70)), leases_and_versions_ignored,
    ),
    (
        "the hash in the state is left behind",
        SoundHistory, "all is well", plot, chain_left_behind,
    ),
    (
        "an entry is appended once more, for it may have been lost",
        SoundHistory, "all is well", plot, entry_repeated,
    ),
    (
        "a transition is saved without its entry",
        SoundHistory, "all is well", plot, state_without_entry,
    ),
    (
        "a tick takes its own clock for the time",
        TimeForward,
        "the clock of one tick is three minutes slow",
        lambda: plot(Skew(3, -170)), clock_believed,
    ),
    (
        "a start takes the target from whoever has it",
        OneOwner,
        "CI starts the policy a second time while the first raise is written",
        lambda: plot(meanwhile(0, WRITE, Act.START)), locks_not_asked,
    ),
)  # fmt: skip
