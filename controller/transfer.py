"""Rollouts moved from one store to another, so that at no moment both drive the same one.

A rollout is retired in the one store first and received by the other then. In between nothing
drives it, and the same command run again finishes what was begun.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.core.effects import Record
from controller.core.history import Author, Entry, append, broken_link
from controller.core.rollout import Rollout
from controller.errors import (
    MovedError,
    StateConflictError,
    StoreError,
    UnknownRolloutError,
    UsageError,
    is_of_one_record,
)
from controller.leasing import Leasing
from controller.ports import Clock, Store

_MOVED = "moved"


class Outcome(StrEnum):
    """What becomes of a rollout: moved, moved the rest of the way, or left where it is.

    `left`: a record is damaged, its own or that of another attempt of its name.
    """

    MOVED = "moved"
    FINISHED = "finished"
    THERE = "there"
    ELSEWHERE = "elsewhere"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Item:
    """One rollout, what becomes of it, and the store in which it lives afterwards.

    why: what keeps it where it is, where a record is damaged.
    """

    rollout_id: str
    outcome: Outcome
    url: str
    why: str = ""


def _name_of(item: Item) -> str:
    return item.rollout_id.rpartition("#")[0]


@dataclass(frozen=True, slots=True)
class End:
    """A store, and the URL that people call it by."""

    store: Store
    url: str


class _RefusedError(Exception):
    """Why a rollout cannot be moved, in words."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moves rollouts from `source` to `destination`.

    by: who does, as somebody claims; author: says of that who is written into the history.
    """

    source: End
    destination: End
    clock: Clock
    by: str
    author: Callable[[str], Author] = Author

    def survey(self, names: Sequence[str] = ()) -> list[Item]:
        """Return what becomes of all attempts of `names`, or of every rollout, oldest first.

        All attempts of a name go together: the next one is counted from them. One whose record is
        damaged is left with all of its name, and hinders no other name. Nothing is changed.
        Raises UsageError with every refusal, UnknownRolloutError, StoreError.
        """
        items, refusals = [], []
        for rollout_id in self._chosen(names):
            try:
                rollout = self.source.store.load(rollout_id)
                self.source.store.history(rollout_id)  # whether it can be read to its end
                items.append(self._item(rollout, named=bool(names)))
            except _RefusedError as refusal:
                refusals.append(f"  {rollout_id}: {refusal}")
            except StoreError as error:
                if not is_of_one_record(error):
                    raise
                items.append(Item(rollout_id, Outcome.LEFT, self.source.url, str(error)))
        if refusals:
            raise UsageError("nothing was moved:", *refusals)
        return self._left_together(items)

    def _left_together(self, items: Sequence[Item]) -> list[Item]:
        """Return `items` with all attempts of a name left where one of them is."""
        damaged = {_name_of(one): one.rollout_id for one in items if one.outcome is Outcome.LEFT}
        return [
            Item(
                one.rollout_id,
                Outcome.LEFT,
                self.source.url,
                f"it stays with {damaged[_name_of(one)]}, whose record is damaged",
            )
            if one.outcome is Outcome.MOVED and _name_of(one) in damaged
            else one
            for one in items
        ]

    def carry_out(self, items: Iterable[Item]) -> Iterator[Item]:
        """Move what `survey` returned, and yield each rollout once that is done.

        Raises LeaseHeldError while another run keeps a rollout, UsageError when one can no longer
        be moved, and StoreError; a message says so when a rollout is retired and not received.
        """
        for item in items:
            if item.outcome is Outcome.MOVED:
                item = self._retire(item)
            if item.outcome in (Outcome.MOVED, Outcome.FINISHED):
                self._receive(item.rollout_id)
            yield item

    # --- what becomes of a rollout --------------------------------------------------------------

    def _chosen(self, names: Sequence[str]) -> list[str]:
        ids = list(self.source.store.all())
        known = {one.rpartition("#")[0] for one in ids}
        if missing := [name for name in names if name not in known]:
            raise UnknownRolloutError(
                f"no rollout is called {missing[0]!r} in {self.source.url}; nothing was moved"
            )
        return [one for one in ids if not names or one.rpartition("#")[0] in names]

    def _item(self, rollout: Rollout, *, named: bool) -> Item:
        """Return what becomes of `rollout`; one that lives elsewhere is only refused when named."""
        if rollout.moved_to not in ("", self.destination.url):
            if named:
                raise _RefusedError(f"it was moved to {rollout.moved_to}; move it on from there")
            return Item(rollout.id, Outcome.ELSEWHERE, rollout.moved_to)
        outcome = Outcome.FINISHED if rollout.moved_to else Outcome.MOVED
        if self._arrived(rollout):
            outcome = Outcome.THERE
        else:
            self._check_locks(rollout)
        return Item(rollout.id, outcome, self.destination.url)

    def _arrived(self, rollout: Rollout) -> bool:
        """Tell whether the destination has what was retired, which may have gone on since."""
        store = self.destination.store
        try:
            there = store.load(rollout.id)
        except UnknownRolloutError:
            return False
        if rollout.moved_to and self._move_of(rollout) in store.history(rollout.id):
            return True
        if there.moved_to:
            raise _RefusedError(
                f"it was moved from {self.destination.url} to {there.moved_to} before, and does "
                "not move back; move it to a store that never had it"
            )
        raise _RefusedError(
            f"{self.destination.url} has another rollout of this id, {there.phase} since "
            f"{there.since:%Y-%m-%d %H:%M} UTC"
        )

    def _move_of(self, rollout: Rollout) -> Entry | None:
        """Return the entry that retired `rollout`; a rollback by hand may have followed it."""
        entries = self.source.store.history(rollout.id)
        return next((one for one in reversed(entries) if one.kind == _MOVED), None)

    def _check_locks(self, rollout: Rollout) -> None:
        """Refuse an unfinished rollout whose target another drives in either store."""
        if rollout.final:
            return
        for end in (self.destination, self.source):
            for lock in rollout.locks:
                owner = self._other_owner(end, lock, rollout)
                if owner is None or owner.final:
                    continue
                what_now = f"let {owner.id} finish or roll it back first"
                if owner.moved_to:
                    what_now = f"that was moved to {owner.moved_to} before its end: move it there"
                retired = "; until then nothing drives it" if rollout.moved_to else ""
                raise _RefusedError(f"{owner.id} owns {lock} in {end.url}; {what_now}{retired}")

    def _locks(self, rollout: Rollout) -> tuple[str, ...]:
        """Return what the rollout owns from now on.

        A finished one is only watched, and gives way as it would in one store: to who took over its
        target in the source, who drives it in the destination, or came later there.
        """
        if not rollout.final:
            return rollout.locks
        owner = self.source.store.owner
        held = tuple(lock for lock in rollout.locks if owner(lock) == rollout.id)
        others = [self._other_owner(self.destination, lock, rollout) for lock in held]
        before = all(o is None or (o.final and o.created < rollout.created) for o in others)
        return held if before else ()

    def _other_owner(self, end: End, lock: str, rollout: Rollout) -> Rollout | None:
        owner = end.store.owner(lock)
        return None if owner in (None, rollout.id) else end.store.load(owner)

    # --- moving it ------------------------------------------------------------------------------

    def _retire(self, item: Item) -> Item:
        """Say in the source that a rollout lives elsewhere; return what becomes of it then.

        That is something else than was planned when another run has moved it since the survey.
        """
        store = self.source.store
        try:
            with Leasing(store, self.clock).held(item.rollout_id) as rollout:
                self._planned(rollout)
                retired, entry = self._retired(rollout)
                store.save(retired, [entry])
        except MovedError:
            return self._planned(store.load(item.rollout_id))
        return item

    def _planned(self, rollout: Rollout) -> Item:
        """Return what becomes of `rollout`. Raises UsageError when it cannot be moved."""
        try:
            return self._item(rollout, named=True)
        except _RefusedError as refusal:
            raise UsageError(f"{rollout.id} was not moved: {refusal}") from refusal

    def _retired(self, rollout: Rollout) -> tuple[Rollout, Entry]:
        broken = broken_link(self.source.store.history(rollout.id), rollout.chain)
        if broken is not None:
            raise StoreError(
                f"{rollout.id} was not moved: its history was changed or is incomplete from "
                f"entry {broken} on; look who wrote to {self.source.url}",
                rollout=rollout.id,
            )
        now = max(self.clock.now(), rollout.updated)
        sentence = f"moved from {self.source.url} to {self.destination.url}"
        moved = Record.beside(rollout, _MOVED, sentence, now)
        retired = replace(rollout, moved_to=self.destination.url, updated=now)
        who = self.author(self.by)
        return append(retired, moved, by=who.by, caller=who.caller, seen={})

    def _receive(self, rollout_id: str) -> None:
        """Bring a retired rollout to the destination, unless another run was faster."""
        retired = self.source.store.load(rollout_id)
        entries = self.source.store.history(rollout_id)
        arriving = replace(retired, moved_to="")
        try:
            locks = self._locks(retired)
            past = self.source.store.exposures(retired.target, locks) if locks else ()
            self.destination.store.receive(arriving, entries, locks, past)
        except StoreError as error:
            if isinstance(error, StateConflictError) and self._has_arrived(retired):
                return
            raise StoreError(
                f"{retired.id} is retired in {self.source.url} and not in {self.destination.url} "
                f"yet, so nothing drives it; run the same command again: {error}",
                rollout=retired.id,
            ) from error

    def _has_arrived(self, retired: Rollout) -> bool:
        try:
            return self._arrived(retired)
        except _RefusedError:
            return False
