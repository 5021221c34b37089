"""Reading rollouts from a DynamoDB table; what only looks needs no more than this."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from controller.adapters import store_refusals as refusals
from controller.adapters.dynamodb import items as items
from controller.adapters.dynamodb.calls import Table
from controller.adapters.dynamodb.items import Item, text
from controller.adapters.dynamodb.locks import owner_of
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.errors import StoreError


class DynamoDbReader:
    """`Catalogue` and `Ownership` in the DynamoDB table called `table`, and `load`."""

    def __init__(self, client: Any, table: str) -> None:
        self._table = Table(client, table)

    def load(self, rollout_id: str) -> Rollout:
        """Return the rollout. Raises UnknownRolloutError, StoreError."""
        return items.rollout_of(self._item(rollout_id))

    # --- Catalogue ------------------------------------------------------------------------------

    def active(self, now: datetime) -> Sequence[str]:
        """Return the ids that a tick must visit, oldest first.

        Not closed; or closed and still watched. One that a newer owner of its target has replaced
        is visited while it has messages to bring, which its state alone tells.
        """
        doing = "list the active rollouts"
        found = self._table.query(doing, "active", items.ACTIVE, index="active")
        return tuple(
            items.rollout_id_of(item)
            for item in found
            if _is_visited(item, now) and ("locks" in item or self._has_word(doing, item))
        )

    def _has_word(self, doing: str, item: Item) -> bool:
        """Tell whether a rollout goes on, or has messages to bring; or is damaged: a visit says."""
        if not item["closed"]["BOOL"]:
            return True
        whole = self._table.get(doing, {"pk": item["pk"], "sk": item["sk"]})
        try:
            return whole is not None and bool(items.rollout_of(whole).outbox)
        except StoreError:
            return True

    def retired(self) -> Sequence[str]:
        """Return the ids of unfinished rollouts that another store drives now, oldest first."""
        doing = "list the retired rollouts"
        found = self._table.query(doing, "active", items.RETIRED, index="active")
        return tuple(items.rollout_id_of(item) for item in found)

    def all(self) -> Sequence[str]:
        """Return the ids of all rollouts, oldest first."""
        found = self._table.scan("list all rollouts", "by_target")
        aged = sorted((item["created"]["S"], items.rollout_id_of(item)) for item in found)
        return tuple(rollout_id for _, rollout_id in aged)

    def of_name(self, name: str) -> Sequence[str]:
        """Return the ids of all rollouts called `name`, first attempt first."""
        found = self._table.query(
            f"list the rollouts called {name}",
            "pk",
            items.name_key(name),
            only=("pk", "sk"),
        )
        return tuple(items.rollout_id_of(item) for item in found)

    def history(self, rollout_id: str) -> Sequence[Entry]:
        """Return all entries of a rollout, first one first. Raises UnknownRolloutError."""
        self._item(rollout_id)  # what is being received has entries, but is not there yet
        doing, key = f"read the history of {rollout_id}", items.history_key(rollout_id)
        found = self._table.query(doing, "pk", key)
        return tuple(items.entries_of(rollout_id, found))

    # --- Ownership ------------------------------------------------------------------------------

    def owner(self, lock: str) -> str | None:
        """Return the id of the rollout that holds `lock`."""
        return owner_of(self._table, lock)

    def exposures(self, target: str) -> Sequence[tuple[str, datetime, datetime | None]]:
        """Return id, begin and end (None: still) of weight above 0 of each rollout of `target`.

        The earliest comes first.
        """
        doing = f"look up who moved {target}"
        found = [
            (items.rollout_id_of(item), begin, items.moment_of(item, "exposed_to"))
            for item in self._table.query(doing, "target", text(target), index="by_target")
            if (begin := items.moment_of(item, "exposed_from")) is not None
        ]
        return tuple(sorted(found, key=lambda exposure: exposure[1]))

    # --- inside ---------------------------------------------------------------------------------

    def _key(self, rollout_id: str) -> Item:
        key = items.rollout_key(rollout_id)
        if key is None:
            raise refusals.unknown(rollout_id, self._table.place)
        return key

    def _item(self, rollout_id: str) -> Item:
        item = self._table.get(f"load {rollout_id}", self._key(rollout_id))
        if item is None:
            raise refusals.unknown(rollout_id, self._table.place)
        return item


def _is_visited(item: Item, now: datetime) -> bool:
    if not item["closed"]["BOOL"]:
        return True
    until = items.moment_of(item, "watch_until")
    return until is not None and until > now
