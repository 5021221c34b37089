"""Read access to the rollouts in a DynamoDB table."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores import side_items
from controller.adapters.stores.dynamodb import items
from controller.adapters.stores.dynamodb.calls import DynamoDbTable
from controller.adapters.stores.dynamodb.items import Item
from controller.adapters.stores.dynamodb.locks import (
    exposures_of,
    holder_of,
    owner_of,
    owners_and_requests_of,
)
from controller.core.history import Entry
from controller.core.message import RecipientList
from controller.core.stored_formats import written_format
from controller.core.visit_order import (
    LAST_MOMENT,
    Listed,
    Visits,
    in_visit_order,
    is_visited,
    stored_order,
    visits_of,
)
from controller.ports.store import Exposure, LockHolder

NAME_INDEX: Final = "active_of_name"


class DynamoDbReader:
    """The reads of `Store` that need no lease, in the table called `table`."""

    def __init__(self, client: Any, table: str) -> None:
        self._table = DynamoDbTable(client, table)
        self._foreign: set[str] = set()  # listed ids of items whose keys are not those of a rollout

    # --- Finding rollouts -----------------------------------------------------------------------

    def active(self, now: datetime, names: Collection[str] = ()) -> Sequence[str]:
        """Return the ids; one whose target has a newer owner only while its outbox has messages."""
        return tuple(one.rollout_id for one in in_visit_order(self._listed(now, names)))

    def visits(self, now: datetime, names: Collection[str] = ()) -> Visits:
        return visits_of(self._listed(now, names), now)

    def _listed(self, now: datetime, names: Collection[str]) -> Iterator[Listed]:
        """Yield the active rollouts, without their items, whose attributes may be large."""
        for item in self._query_index("list the active rollouts", names):
            if _is_visited(item, now):
                phase = item.get("phase", {}).get("S")
                order = stored_order(
                    items.rollout_id_of(item),
                    phase=phase,
                    saved=items.moment_of(item, "updated"),
                    created=items.moment_of(item, "created"),
                    damaged=_is_damaged(item),
                )
                yield Listed(order, self._list_id(item), phase, items.due_of(item))

    def _query_index(self, doing: str, names: Collection[str]) -> Iterator[Item]:
        """Yield the items of the active rollouts, as projected by an index.

        Without names that is the index of all active rollouts, which has a single partition. With
        names it is one partition of another index for each name. That one does not project when a
        rollout was saved, which would cost a write unit with each save.
        """
        if not names:
            yield from self._table.query(doing, "active", items.ACTIVE, index="active")
        for name in dict.fromkeys(names):
            projected = self._table.query(
                doing, "pk", items.name_key(name), index=NAME_INDEX, sort=("active", items.ACTIVE)
            )
            yield from ({**item, "updated": item.get("created", {})} for item in projected)

    def all(self) -> Sequence[str]:
        scanned = self._table.scan("list all rollouts", index="by_target")
        by_age = sorted(
            (items.moment_of(item, "created") or LAST_MOMENT, self._list_id(item))
            for item in scanned
        )
        return tuple(rollout_id for _, rollout_id in by_age)

    def scan(self) -> Iterator[str]:
        for item in self._table.scan("read all rollouts", beginning=items.name_key("")):
            yield self._list_id(item)

    def of_name(self, name: str) -> Sequence[str]:
        attempts = self._table.query(
            f"list the rollouts called {name}",
            "pk",
            items.name_key(name),
            only=("pk", "sk"),
        )
        return tuple(self._list_id(item) for item in attempts)

    def newest_entry(self, rollout_id: str) -> Entry | None:
        """Return the entry, by one read unless it is in several pieces."""
        doing, key = f"read the newest entry of {rollout_id}", items.history_key(rollout_id)
        last = next(self._table.query(doing, "pk", key, newest=True), None)
        if last is None:
            return None
        earlier = (
            self._table.get(doing, earlier_piece)
            for earlier_piece in items.earlier_pieces(rollout_id, last)
        )
        pieces = [*(piece for piece in earlier if piece is not None), last]
        return next(items.entries_of(rollout_id, pieces), None)

    def history(self, rollout_id: str, most: int | None = None) -> Sequence[Entry]:
        return tuple(islice(self.entries(rollout_id), most))

    def entries(self, rollout_id: str) -> Iterator[Entry]:
        self._item(rollout_id)  # an unfinished receive has entries, but no rollout yet
        doing, key = f"read the history of {rollout_id}", items.history_key(rollout_id)
        yield from items.entries_of(rollout_id, self._table.query(doing, "pk", key))

    # --- Owners of targets ----------------------------------------------------------------------

    def owner(self, lock: str) -> str | None:
        return owner_of(self._table, lock)

    def owners(self, locks: Collection[str]) -> Mapping[str, str | None]:
        return owners_and_requests_of(self._table, locks, ())[0]

    def owners_and_requests(
        self, locks: Collection[str], ids: Collection[str]
    ) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
        return owners_and_requests_of(self._table, locks, ids)

    def holder(self, lock: str) -> LockHolder | None:
        return holder_of(self._table, lock)

    def exposures(self, target: str, locks: Sequence[str]) -> Sequence[Exposure]:
        return tuple(exposures_of(self._table, locks))

    # --- Fixes ----------------------------------------------------------------------------------

    def red_before(self, rollout_id: str) -> Mapping[str, float | None] | None:
        item = self._table.get(side_items.reading_fix(rollout_id), items.fix_key(rollout_id))
        return (
            None if item is None else side_items.load_fix(rollout_id, item.get("red", {}).get("S"))
        )

    # --- Recipients -----------------------------------------------------------------------------

    def recipients(self) -> RecipientList | None:
        item = self._table.get(side_items.READ_RECIPIENTS, items.RECIPIENTS_KEY)
        return None if item is None else side_items.load_recipients(item.get("list", {}).get("S"))

    # --- Rules ----------------------------------------------------------------------------------

    def rules(self) -> str | None:
        item = self._table.get("read the rules of the store", items.RULES_KEY)
        return None if item is None else str(item.get("rules", {}).get("S", ""))

    # --- Format ---------------------------------------------------------------------------------

    def format(self) -> int:
        stored = items.format_of(self._table.get("read the format of the store", items.FORMAT_KEY))
        refusals.check_format(self._table.place, stored)
        return written_format(stored)

    # --- helpers --------------------------------------------------------------------------------

    def _list_id(self, item: Item) -> str:
        """Return the id of a listed item, and remember it when its key is foreign."""
        rollout_id = items.rollout_id_of(item)
        if items.is_foreign(item):
            self._foreign.add(rollout_id)
        return rollout_id

    def _key(self, rollout_id: str) -> Item:
        key = items.rollout_key(rollout_id)
        if rollout_id in self._foreign:
            raise refusals.damaged_record(rollout_id, "pk, sk: they are no key of a rollout")
        if key is None:
            raise refusals.unknown_rollout(rollout_id, self._table.place)
        return key

    def _item(self, rollout_id: str) -> Item:
        item = self._table.get(f"load {rollout_id}", self._key(rollout_id))
        if item is None:
            raise refusals.unknown_rollout(rollout_id, self._table.place)
        return item


def _is_visited(item: Item, now: datetime) -> bool:
    """Tell whether a tick visits the rollout: it is open, still watched, or damaged."""
    over, until = item.get("closed") == {"BOOL": True}, items.moment_of(item, "watch_until")
    return is_visited(over=over, is_watched="watch_until" in item, until=until, now=now)


def _is_damaged(item: Item) -> bool:
    """Tell whether the projected attributes show damage; a visit reports which."""
    bad_deadline = "watch_until" in item and items.moment_of(item, "watch_until") is None
    bad_flag = item.get("closed") not in ({"BOOL": True}, {"BOOL": False})
    bad_created = items.moment_of(item, "created") is None
    return bad_flag or bad_deadline or bad_created or items.is_foreign(item)
