"""A store that logs the hash of each save, so that the hash chain has a copy outside the store."""

from collections.abc import Sequence
from datetime import datetime

from controller.core.history import Entry
from controller.core.message import RecipientList
from controller.core.rollout import Rollout
from controller.ports.store import Exposure, Store
from controller.process import logging

log = logging.logger()


class AuditLogStore:
    """`Store` that logs `rollout_saved` once after each successful save.

    The list of recipients and the rules are logged when they are set. Reads and leases are those of
    `store`. A save with an unknown outcome is not logged; the next one logs the state of the
    history by then.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.acquire, self.release = store.acquire, store.release
        self.load, self.load_all = store.load, store.load_all
        self.active, self.visits = store.active, store.visits
        self.all, self.scan = store.all, store.scan
        self.of_name, self.history, self.entries = store.of_name, store.history, store.entries
        self.newest_entry = store.newest_entry
        self.owner, self.owners, self.owns = store.owner, store.owners, store.owns
        self.holder, self.exposures = store.holder, store.exposures
        self.owners_and_requests = store.owners_and_requests
        self.request_rollback = store.request_rollback
        self.recipients, self.red_before = store.recipients, store.red_before
        self.rules = store.rules
        self.format = store.format

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
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
        self._store.receive(rollout, entries, locks, past)
        _log_saved(rollout)

    def set_recipients(self, recipients: RecipientList | None) -> None:
        self._store.set_recipients(recipients)
        log.info("recipients_set", allowed=None if recipients is None else recipients.allowed)

    def set_rules(self, rules: str | None) -> None:
        self._store.set_rules(rules)
        log.info("rules_set", rules=rules)

    def set_format(self, stored_format: int) -> None:
        self._store.set_format(stored_format)
        log.info("store_format_set", format=stored_format)


def _log_saved(rollout: Rollout) -> None:
    """Log the state of the history of `rollout`: its length, and the hash of its last entry."""
    log.info(
        "rollout_saved",
        rollout=rollout.id,
        version=rollout.version,
        entries=rollout.entries,
        chain=rollout.chain,
    )
