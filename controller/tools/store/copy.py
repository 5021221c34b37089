"""Copy finished rollouts from one store to another, with their histories.

The source is only read. A rollout is copied once no tick of the source can write its weight any
more, so that no two stores control one rollout. Run again, the command copies what is missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

import click

from controller.bootstrap.account import real_account, store_at
from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, policy_name
from controller.core.history import Entry, broken_link
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.rollback import ROLLBACK_GUARD
from controller.core.units import clock_text, count_text
from controller.errors import Exit, StoreError, UnknownRolloutError, UsageError, is_record_error
from controller.immutable import Immutable
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process import settings
from controller.process.settings import StoreLocation
from controller.render.page import lines_page


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


@click.command()
@click.argument("source_url", metavar="FROM")
@click.argument("destination_url", metavar="TO")
@click.argument("rollouts", nargs=-1, metavar="[ROLLOUT]...")
@options.call_options("dry-run", "json")
def copy(
    call: CommandContext, source_url: str, destination_url: str, rollouts: tuple[str, ...]
) -> Result:
    """Copy finished rollouts with their history from the store FROM to the store TO.

    All of them, or those that are named; all attempts of a name go together. Nothing is copied
    while one of them is not finished, or guards 0% after its rollback. FROM stays as it is. What
    was interrupted is finished by the same command.
    """
    call.configure_logs(dry_run=call.dry_run)
    source, destination = map(settings.parse_store_url, (source_url, destination_url))
    names = [policy_name(reference).partition("#")[0] for reference in rollouts]
    finished: list[CopiedRollout] = []
    with migration(source, destination, dry_run=call.dry_run) as migrator:
        left = migrator.left_settings()
        planned = migrator.plan(names)
        if copied := _copied(planned):
            count = count_text(len(copied), "finished rollout")
            streams.note(f"copying {count} to {destination.url}; {source.url} stays as it is")
        for item in [] if call.dry_run else migrator.run(planned):
            finished.append(item)
            if not call.as_json:
                streams.print_page(lines_page([_item_line(item)]))
    items = planned if call.dry_run else finished
    damaged = [one.id for one in planned if one.outcome is CopyOutcome.DAMAGED]
    notes = list[str]()
    if damaged:
        notes.append(f"left in {source.url}: {', '.join(damaged)}; a record cannot be read")
    if "rules" in left:
        notes.append(
            f"note: {destination.url} has no rules, so every valid policy may start there; set "
            f"those of {source.url} there: rolloutctl store rules FILE"
        )
    if "recipients" in left:
        notes.append(
            f"note: {destination.url} has no list of recipients, so its policies may use any "
            f"resource; set that of {source.url} there: rolloutctl store recipients --set FILE"
        )
    copied = _copied(items)
    would = [f"copy {one.id} to {one.store}" for one in copied]
    summary = [] if items else ["no rollout to copy"]
    if copied:
        url = destination.url
        summary = [f"now point every run at it, the schedule too: ROLLOUTCTL_STORE={url}"]
    return Result(
        "store-copy",
        data=lambda: StoreCopy(destination.url, items),
        page=lambda: () if call.dry_run else lines_page(summary),
        would=would if call.dry_run else None,
        notes=notes,
        status=Exit.INTERNAL if damaged else Exit.DONE,
    )


def _copied(items: Sequence[CopiedRollout]) -> list[CopiedRollout]:
    return [item for item in items if item.outcome is CopyOutcome.COPIED]


def _item_line(item: CopiedRollout) -> str:
    match item.outcome:
        case CopyOutcome.COPIED:
            return f"{item.id}: copied to {item.store}"
        case CopyOutcome.ALREADY_THERE:
            return f"{item.id}: was in {item.store} already"
        case CopyOutcome.DAMAGED:
            return f"{item.id}: left in {item.store}: {item.why}"


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
        return list(self._kept_together(items))

    def _kept_together(self, items: Sequence[CopiedRollout]) -> Iterator[CopiedRollout]:
        """Yield `items` with all attempts of a name left out when one of them is damaged."""
        found = [one.id for one in items if one.outcome is CopyOutcome.DAMAGED]
        damaged = {one.rpartition("#")[0]: one for one in found}
        for item in items:
            first = damaged.get(item.id.rpartition("#")[0])
            if first is None or item.outcome is not CopyOutcome.COPIED:
                yield item
                continue
            why = f"it stays with {first}, whose record cannot be read"
            yield CopiedRollout(item.id, CopyOutcome.DAMAGED, self.source.url, why)

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
        # While a tick of the source may still write the weight, it stays there.
        if not rollout.final:
            raise _NotMovableError(
                f"it is {rollout.phase} at {rollout.weight}%; let it end or roll it back first, "
                "then copy"
            )
        until = rollout.since + ROLLBACK_GUARD
        if rollout.phase is Phase.ROLLED_BACK and self.clock.now() < until:
            raise _NotMovableError(f"it keeps 0% until {clock_text(until)}; copy it then")
        store, url = self.destination.store, self.destination.url
        # Versions that use the destination may not read a newer format.
        if rollout.format > (accepted := store.format()):
            raise _NotMovableError(
                f"it has format {rollout.format}, and {url} has format {accepted}: rolloutctl "
                f"store upgrade --store {url}, then copy"
            )
        try:
            existing = store.load(rollout.id)
        except UnknownRolloutError:
            return CopiedRollout(rollout.id, CopyOutcome.COPIED, url)
        # The history of a copy may be longer by now.
        if list(store.history(rollout.id)[: len(entries)]) == list(entries):
            return CopiedRollout(rollout.id, CopyOutcome.ALREADY_THERE, url)
        raise _NotMovableError(
            f"{url} has another history of this id, {existing.phase} since "
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
        owner, store = self.source.store.owner, self.destination.store
        owned_locks = tuple(lock for lock in rollout.locks if owner(lock) == rollout.id)
        competing = [
            store.load(one)
            for one in map(store.owner, owned_locks)
            if one is not None and one != rollout.id
        ]
        is_taken = any(not one.final or one.created >= rollout.created for one in competing)
        return () if is_taken else owned_locks


@contextmanager
def migration(
    source: StoreLocation, destination: StoreLocation, *, dry_run: bool = False
) -> Iterator[Migration]:
    """Yield a migration of rollouts from `source` to `destination`; both must exist.

    Raises UsageError when both are the same store, NoStoreError.
    """
    if source.url == destination.url:
        raise UsageError(f"{source.url} cannot be copied to itself: name another store")
    account = real_account()
    with (
        store_at(source, account, must_exist=True, writes=False) as source_store,
        store_at(destination, account, must_exist=True, writes=not dry_run) as destination_store,
    ):
        yield Migration(
            Endpoint(source_store, source.url),
            Endpoint(destination_store, destination.url),
            account.clock,
        )
