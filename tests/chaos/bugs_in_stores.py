"""Planted bugs in what is stored: versions, locks, history, time."""

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

import pytest

from controller.adapters.stores.sqlite import rows
from controller.core import decide as deciding
from controller.core.judge.judgement import judge
from controller.core.transitions import announce
from controller.engine import execute, observe, visitor
from controller.engine.execute import Executor
from controller.immutable import replace
from controller.operations import start
from tests.chaos.fault_plan import ActorAction, ClockSkew
from tests.chaos.invariants.persistence import (
    MonotonicTime,
    OneOwner,
    SoundHistory,
    VersionIncrements,
)
from tests.chaos.planted_bug import breaks
from tests.chaos.sample_plans import SAVE, WRITE, interleaving, sample_plan
from tests.support.core import Entry, Observation, Rollout, append, codec


@breaks(
    VersionIncrements,
    "another tick runs before a save",
    lambda: sample_plan(interleaving(2, SAVE, ActorAction.TICK, waits=70)),
)
def ignores_leases_and_versions(patch: pytest.MonkeyPatch) -> None:
    """A save does not compare the version, and every process gets the lease."""
    patch.setattr(rows, "UPDATE", rows.UPDATE.split("WHERE")[0] + "WHERE id = :id")
    patch.setattr(rows, "ACQUIRE", rows.ACQUIRE.split("WHERE")[0] + "WHERE id = :id")


@breaks(SoundHistory, "a healthy rollout", sample_plan)
def stale_chain_hash(patch: pytest.MonkeyPatch) -> None:
    """The state keeps the hash of the entry before."""

    def append_with_old_chain(rollout: Rollout, *args: Any, **named: Any) -> tuple[Rollout, Entry]:
        after, entry = append(rollout, *args, **named)
        return replace(after, chain=rollout.chain or after.chain), entry

    patch.setattr(execute, "append", append_with_old_chain)


@breaks(SoundHistory, "a healthy rollout", sample_plan)
def repeats_entry(patch: pytest.MonkeyPatch) -> None:
    """A history entry is appended twice."""
    append_record = Executor.append_record

    def append_twice(
        self: Executor, before: Rollout, observation: Observation, decision: Any, recorded: Any
    ) -> tuple[Rollout, list[Entry]]:
        after, entries = append_record(self, before, observation, decision, recorded)
        if not entries or decision.record is None or before.entries == 0:
            return after, entries
        arguments = {name: entries[0].body[name] for name in ("by", "observation", "state")}
        after, second = append(after, decision.record, **arguments)
        return after, [*entries, second]

    patch.setattr(Executor, "append_record", append_twice)


@breaks(SoundHistory, "a healthy rollout", sample_plan)
def omits_entry(patch: pytest.MonkeyPatch) -> None:
    """A transition is saved without its history entry."""
    append_record = Executor.append_record

    def append_nothing(
        self: Executor, before: Rollout, observation: Observation, decision: Any, recorded: Any
    ) -> tuple[Rollout, list[Entry]]:
        if before.entries:
            return decision.rollout, []
        return append_record(self, before, observation, decision, recorded)

    patch.setattr(Executor, "append_record", append_nothing)


@breaks(
    MonotonicTime,
    "the clock of one tick is three minutes slow",
    lambda: sample_plan(ClockSkew(3, -170)),
)
def trusts_local_clock(patch: pytest.MonkeyPatch) -> None:
    """A tick records the time of its own clock although the store has a later one."""

    def decide(rollout: Rollout, event: Any, now: Any) -> Any:
        observation = event.observation
        current = replace(rollout, updated=now)
        judgement = judge(current, observation, now, rollout.updated)
        decision = deciding._decide_in_phase(current, judgement)
        return announce.with_visibility(decision, judgement)

    observe_target = observe.Observer.observe_target
    # Without this the next load refuses the state.
    patch.setattr(codec, "first_contradiction", lambda _: "")
    patch.setattr(visitor, "decide", decide)
    patch.setattr(
        observe.Observer,
        "observe_target",
        lambda self, rollout: replace(observe_target(self, rollout), now=self.clock.now()),
    )


@breaks(
    OneOwner,
    "CI starts the policy a second time while the first raise is written",
    lambda: sample_plan(interleaving(0, WRITE, ActorAction.START)),
)
def ignores_locks(patch: pytest.MonkeyPatch) -> None:
    """A start takes the target's lock from another rollout."""

    def evict_all(connection: Connection, _: str, locks: Sequence[str], *_read: Any) -> None:
        connection.executemany("DELETE FROM locks WHERE lock = ?", [(lock,) for lock in locks])

    patch.setattr(rows, "evict_owners", evict_all)
    patch.setattr(start, "_existing_rollout", lambda *_: None)
