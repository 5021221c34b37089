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
from controller.engine.execute import Actuator
from controller.operations.start import start
from tests.chaos.fault_plan import ActorAction, ClockSkew
from tests.chaos.invariants.persistence import (
    MonotonicTime,
    OneOwner,
    SoundHistory,
    VersionIncrements,
)
from tests.chaos.sample_plans import SAVE, WRITE, interleaving, sample_plan


def ignores_leases_and_versions(patch: pytest.MonkeyPatch) -> None:
    """A save writes whatever it has, and every run gets a lease."""
    patch.setattr(queries, "UPDATE", queries.UPDATE.split("WHERE")[0] + "WHERE id = :id")
    patch.setattr(queries, "ACQUIRE", queries.ACQUIRE.split("WHERE")[0] + "WHERE id = :id")


def stale_chain_hash(patch: pytest.MonkeyPatch) -> None:
    """The state counts its entries, and keeps the hash of the first."""

    def forgetful(rollout: Rollout, *args: Any, **named: Any) -> tuple[Rollout, Entry]:
        after, entry = append(rollout, *args, **named)
        return replace(after, chain=rollout.chain or after.chain), entry

    patch.setattr(execute, "append", forgetful)


def repeats_entry(patch: pytest.MonkeyPatch) -> None:
    """An entry is appended once more, for the first time may have been lost."""
    recorded = Actuator.append_record

    def doubled(
        self: Actuator, before: Rollout, seen: Observation, decision: Any
    ) -> tuple[Rollout, list[Entry]]:
        after, entries = recorded(self, before, seen, decision)
        if not entries or decision.record is None or before.entries == 0:
            return after, entries
        again = {"by": self.author().by, "seen": entries[0].body["seen"]}
        after, second = append(after, decision.record, **again)
        return after, [*entries, second]

    patch.setattr(Actuator, "recorded", doubled)


def omits_entry(patch: pytest.MonkeyPatch) -> None:
    """What a tick decides is saved, and its entry is left out to save room."""
    recorded = Actuator.append_record

    def bare(
        self: Actuator, before: Rollout, seen: Observation, decision: Any
    ) -> tuple[Rollout, list[Entry]]:
        if before.entries:
            return decision.rollout, []
        return recorded(self, before, seen, decision)

    patch.setattr(Actuator, "recorded", bare)


def trusts_local_clock(patch: pytest.MonkeyPatch) -> None:
    """A tick takes its own clock for the time, whatever was recorded."""

    def decide(rollout: Rollout, seen: Observation, now: Any) -> Any:
        decision = deciding._decide_in_phase(replace(rollout, updated=now), seen, now)
        return to.with_visibility(rollout, decision, seen, now)

    look = observe.Observer.observe_target
    patch.setattr(
        codec, "first_contradiction", lambda _: ""
    )  # or the next load would refuse the state
    patch.setattr(tick, "decide", decide)
    patch.setattr(
        observe.Observer,
        "look",
        lambda self, rollout: replace(look(self, rollout), now=self.clock.now()),
    )


def ignores_locks(patch: pytest.MonkeyPatch) -> None:
    """A start takes the target from whoever has it, and does not see what runs already."""

    def free(connection: Connection, _: str, locks: Sequence[str], *_read: Any) -> None:
        connection.executemany("DELETE FROM locks WHERE lock = ?", [(one,) for one in locks])

    patch.setattr(rows, "evict_owners", free)
    patch.setattr(start, "_existing_rollout", lambda *_: None)


BUGS = (
    (
        "a save asks for no version, and every run gets a lease",
        VersionIncrements,
        "another tick comes before a save",
        lambda: sample_plan(interleaving(2, SAVE, ActorAction.TICK, waits=70)), ignores_leases_and_versions,
    ),
    (
        "the hash in the state is left behind",
        SoundHistory, "all is well", sample_plan, stale_chain_hash,
    ),
    (
        "an entry is appended once more, for it may have been lost",
        SoundHistory, "all is well", sample_plan, repeats_entry,
    ),
    (
        "a transition is saved without its entry",
        SoundHistory, "all is well", sample_plan, omits_entry,
    ),
    (
        "a tick takes its own clock for the time",
        MonotonicTime,
        "the clock of one tick is three minutes slow",
        lambda: sample_plan(ClockSkew(3, -170)), trusts_local_clock,
    ),
    (
        "a start takes the target from whoever has it",
        OneOwner,
        "CI starts the policy a second time while the first raise is written",
        lambda: sample_plan(interleaving(0, WRITE, ActorAction.START)), ignores_locks,
    ),
)  # fmt: skip
