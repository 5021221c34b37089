"""Copy finished rollouts from one store to another, with their histories.

The source is only read. A rollout is copied once no tick of the source can write its weight any
more, so that no two stores control one rollout. Run again, the command copies what is missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from controller.core.history import Entry, broken_link
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.rollback import ROLLBACK_GUARD
from controller.core.units import clock_text
from controller.errors import StoreError, UnknownRolloutError, UsageError, is_record_error
from controller.immutable import Immutable
from controller.ports.clock import Clock
from controller.ports.store import Store


class CopyOutcome(StrEnum):
    """What happens to a rollout: copied, in the destination already, or left out.

    DAMAGED: a record cannot be read, its own or that of another attempt of its name.
    """

    COPIED = "copied"
    ALREADY_THERE = "there"
    DAMAGED = "left"


class CopiedRollout(Immutable):
    """What became of one rollout."""

    id: str
    """Id of the rollout."""
    outcome: CopyOutcome
    """copied, in the destination already (there), or left in the source (left)."""
    store: str
    """URL of the store that has it."""
    why: str = ""
    """Why it was left; empty: it was not."""


class StoreCopy(Immutable):
    """A copy of finished rollouts to another store."""

    to: str
    """URL of the destination."""
    rollouts: Sequence[CopiedRollout]
    """Each rollout, the oldest first."""


def _name_of(item: CopiedRollout) -> str:
    return item.id.rpartition("#")[0]


class Endpoint(Immutable):
    """A store and its URL."""

    store: Store
    url: str


class _NotMovableError(Exception):
    """The reason why a rollout cannot be copied."""


class Migration(Immutable):
    """Copies finished rollouts from `source` to `destination`."""

    source: Endpoint
    destination: Endpoint
    clock: Clock

    def plan(self, names: Sequence[str] = ()) -> list[CopiedRollout]:
        """Return the outcome of all attempts of `names`, or of every rollout, oldest first.

        All attempts of a name are copied together, because the next attempt is numbered from
        them. A damaged record leaves out all attempts of its name, and no other. Changes nothing.
        Raises UsageError with every refusal, UnknownRolloutError, StoreError.
        """
        items, refusals = [], []
        for rollout_id in self._selected_ids(names):
            try:
                items.append(self._plan_rollout(*self._read(rollout_id)))
            except _NotMovableError as refusal:
                refusals.append(f"  {rollout_id}: {refusal}")
            except StoreError as error:
                if not is_record_error(error):
                    raise
                items.append(
                    CopiedRollout(rollout_id, CopyOutcome.DAMAGED, self.source.url, str(error))
                )
        if refusals:
            raise UsageError("nothing was copied:", *refusals)
        return self._keep_attempts_together(items)

    def _keep_attempts_together(self, items: Sequence[CopiedRollout]) -> list[CopiedRollout]:
        """Return `items` with all attempts of a name left out when one of them is damaged."""
        damaged = {_name_of(item): item.id for item in items if item.outcome is CopyOutcome.DAMAGED}
        return [
            CopiedRollout(
                item.id,
                CopyOutcome.DAMAGED,
                self.source.url,
                f"it stays with {damaged[_name_of(item)]}, whose record cannot be read",
            )
            if item.outcome is CopyOutcome.COPIED and _name_of(item) in damaged
            else item
            for item in items
        ]

    def run(self, items: Iterable[CopiedRollout]) -> Iterator[CopiedRollout]:
        """Copy the items that `plan` returned, and yield each when it is done.

        Raises UsageError when one can no longer be copied, and StoreError.
        """
        for item in items:
            yield self._copy(item.id) if item.outcome is CopyOutcome.COPIED else item

    def left_settings(self) -> list[str]:
        """Return what only the source has, and is not copied: `rules`, `recipients`."""
        new, old = self.destination.store, self.source.store
        of_each = {"rules": (new.rules, old.rules), "recipients": (new.recipients, old.recipients)}
        return [
            name
            for name, (of_new, of_old) in of_each.items()
            if of_new() is None and of_old() is not None
        ]

    # --- plan -----------------------------------------------------------------------------------

    def _selected_ids(self, names: Sequence[str]) -> list[str]:
        ids = list(self.source.store.all())
        known = {one.rpartition("#")[0] for one in ids}
        if missing := [name for name in names if name not in known]:
            raise UnknownRolloutError(
                f"no rollout is called {missing[0]!r} in {self.source.url}; nothing was copied"
            )
        return [one for one in ids if not names or one.rpartition("#")[0] in names]

    def _read(self, rollout_id: str) -> tuple[Rollout, Sequence[Entry]]:
        """Return a rollout of the source and its history.

        Raises StoreError, also when the hash chain of the history is broken.
        """
        rollout = self.source.store.load(rollout_id)
        entries = self.source.store.history(rollout_id)[: rollout.entries]
        broken = broken_link(entries, rollout.chain)
        if broken is not None:
            raise StoreError(
                f"{rollout_id} was not copied: its history was changed or is incomplete from "
                f"entry {broken} on; check who wrote to {self.source.url}",
                rollout=rollout_id,
            )
        return rollout, entries

    def _plan_rollout(self, rollout: Rollout, entries: Sequence[Entry]) -> CopiedRollout:
        """Return the outcome of `rollout`. Raises _NotMovableError."""
        self._check_over(rollout)
        self._check_format(rollout)
        copied = self._is_there(rollout, entries)
        return CopiedRollout(
            rollout.id,
            CopyOutcome.ALREADY_THERE if copied else CopyOutcome.COPIED,
            self.destination.url,
        )

    def _check_over(self, rollout: Rollout) -> None:
        """Raise _NotMovableError while a tick of the source may still write the weight."""
        if not rollout.final:
            raise _NotMovableError(
                f"it is {rollout.phase} at {rollout.weight}%; let it end or roll it back first, "
                "then copy"
            )
        until = rollout.since + ROLLBACK_GUARD
        if rollout.phase is Phase.ROLLED_BACK and self.clock.now() < until:
            raise _NotMovableError(f"it keeps 0% until {clock_text(until)}; copy it then")

    def _check_format(self, rollout: Rollout) -> None:
        """Raise _NotMovableError when versions that use the destination may not read it."""
        if rollout.format > (accepted := self.destination.store.format()):
            raise _NotMovableError(
                f"it has format {rollout.format}, and {self.destination.url} has format "
                f"{accepted}: rolloutctl store upgrade --store {self.destination.url}, then copy"
            )

    def _is_there(self, rollout: Rollout, entries: Sequence[Entry]) -> bool:
        """Tell whether the destination has a copy, whose history may be longer by now.

        Raises _NotMovableError when it has another rollout of this id.
        """
        store = self.destination.store
        try:
            existing = store.load(rollout.id)
        except UnknownRolloutError:
            return False
        if list(store.history(rollout.id)[: len(entries)]) == list(entries):
            return True
        raise _NotMovableError(
            f"{self.destination.url} has another history of this id, {existing.phase} since "
            f"{clock_text(existing.since)}; copy to a store that does not have it"
        )

    # --- copy -----------------------------------------------------------------------------------

    def _copy(self, rollout_id: str) -> CopiedRollout:
        """Copy a rollout, unless it was copied or may no longer be copied since the plan."""
        rollout, entries = self._read(rollout_id)
        try:
            item = self._plan_rollout(rollout, entries)
        except _NotMovableError as refusal:
            raise UsageError(f"{rollout_id} was not copied: {refusal}") from refusal
        if item.outcome is CopyOutcome.COPIED:
            locks = self._locks(rollout)
            exposures = self.source.store.exposures(rollout.target, locks) if locks else ()
            self.destination.store.receive(rollout, entries, locks, exposures)
        return item

    def _locks(self, rollout: Rollout) -> tuple[str, ...]:
        """Return the locks that `rollout` gets in the destination.

        A finished rollout is only watched. It loses its locks, as it would within one store, to the
        rollout that took over its target in the source, and to a rollout in the destination that
        is unfinished or was created later.
        """
        owner = self.source.store.owner
        owned_locks = tuple(lock for lock in rollout.locks if owner(lock) == rollout.id)
        competing = [self._competing_owner(lock, rollout) for lock in owned_locks]
        has_priority = all(
            o is None or (o.final and o.created < rollout.created) for o in competing
        )
        return owned_locks if has_priority else ()

    def _competing_owner(self, lock: str, rollout: Rollout) -> Rollout | None:
        store = self.destination.store
        owner = store.owner(lock)
        return None if owner in (None, rollout.id) else store.load(owner)
