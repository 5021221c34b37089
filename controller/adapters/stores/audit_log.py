"""A store that logs the hash of each save, so that the hash chain has a copy outside the store."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from controller.core.history import Entry
from controller.core.recipients import RecipientList
from controller.core.rollout import Rollout
from controller.ports.store import Exposure, LockHolder, Store
from controller.process import logging

log = logging.logger()


class AuditLogStore:
    """`Store` that logs `rollout_saved` once after each successful save.

    The list of recipients is logged when it is set. Reads and leases are passed through. A save
    with an unknown outcome is not logged; the next one logs the state of the history by then.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- logged writes --------------------------------------------------------------------------

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
        """Add a rollout, as `StateStore.create` says."""
        self._store.create(rollout, entries, locks, hold=hold)
        _log_saved(rollout)

    def save(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        *,
        hold: datetime | None = None,
        locks: Sequence[str] = (),
    ) -> Rollout:
        """Write `rollout` and append `entries`, as `StateStore.save` says."""
        saved = self._store.save(rollout, entries, hold=hold, locks=locks)
        _log_saved(saved)
        return saved

    def receive(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        past: Sequence[Exposure] = (),
    ) -> None:
        """Add a rollout with its whole history, as `Archive.receive` says."""
        self._store.receive(rollout, entries, locks, past)
        _log_saved(rollout)

    def set_recipients(self, recipients: RecipientList | None) -> None:
        """Replace the list of recipients, and log the new one as `recipients_set`."""
        self._store.set_recipients(recipients)
        log.info("recipients_set", allowed=None if recipients is None else recipients.allowed)

    # --- passed through -------------------------------------------------------------------------

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        """Return the rollout, as `StateStore.acquire` says."""
        return self._store.acquire(rollout_id, now, until)

    def release(self, rollout_id: str) -> None:
        """Release the lease of a rollout."""
        self._store.release(rollout_id)

    def load(self, rollout_id: str) -> Rollout:
        """Return the rollout, with or without a lease."""
        return self._store.load(rollout_id)

    def active(self, now: datetime, names: Collection[str] = ()) -> Sequence[str]:
        """Return the ids that a tick must visit."""
        return self._store.active(now, names)

    def all(self) -> Sequence[str]:
        """Return the ids of all rollouts."""
        return self._store.all()

    def scan(self) -> Iterator[str]:
        """Return the ids of all records, page by page."""
        return self._store.scan()

    def of_name(self, name: str) -> Sequence[str]:
        """Return the ids of all rollouts called `name`."""
        return self._store.of_name(name)

    def newest_entry(self, rollout_id: str) -> Entry | None:
        """Return the last entry of a history."""
        return self._store.newest_entry(rollout_id)

    def history(self, rollout_id: str, most: int | None = None) -> Sequence[Entry]:
        """Return the entries of a rollout."""
        return self._store.history(rollout_id, most)

    def owner(self, lock: str) -> str | None:
        """Return the id of the rollout that holds `lock`."""
        return self._store.owner(lock)

    def holder(self, lock: str) -> LockHolder | None:
        """Return the rollout that holds `lock`, and whether it is final."""
        return self._store.holder(lock)

    def owners(self, locks: Collection[str]) -> Mapping[str, str | None]:
        """Return which rollout owns each of `locks`."""
        return self._store.owners(locks)

    def owns(self, rollout_id: str, locks: Sequence[str]) -> bool:
        """Tell whether a rollout owns all of `locks`."""
        return self._store.owns(rollout_id, locks)

    def exposures(self, target: str, locks: Sequence[str]) -> Sequence[Exposure]:
        """Return when rollouts had weight above 0."""
        return self._store.exposures(target, locks)

    def recipients(self) -> RecipientList | None:
        """Return the list of recipients; None: there is none."""
        return self._store.recipients()


def _log_saved(rollout: Rollout) -> None:
    """Log the state of the history of `rollout`: its length, and the hash of its last entry."""
    log.info(
        "rollout_saved",
        rollout=rollout.id,
        version=rollout.version,
        entries=rollout.entries,
        chain=rollout.chain,
    )
