"""Many rollouts in one store: copies of a running one, and one whose canary fails."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.items import rollout_key
from controller.adapters.stores.sqlite import SqliteStore
from controller.errors import StoreError
from controller.immutable import Immutable, replace
from controller.ports.store import Store
from tests.e2e import stored_items
from tests.e2e.account import API, AT_0, FUNCTION, POLICY
from tests.e2e.on_call import MINUTE, Desk
from tests.support.core import Reason, RollingBack, Rollout
from tests.support.damage import DYNAMODB_DAMAGES, IN_HISTORY, SQLITE_DAMAGES
from tests.support.rollouts import with_entry

FAILING: Final = "failing"
SICK_FUNCTION: Final = "SickHandler"
SICK_API: Final = "Failing API"


class Fleet(Immutable):
    """The rollouts in the store at `url`, with ways to add, damage and remove them."""

    desk: Desk
    url: str

    @property
    def damages(self) -> Sequence[str]:
        """The names of all damages to items that a tick reads in this store."""
        all_damages = DYNAMODB_DAMAGES if self.url == stored_items.URL else SQLITE_DAMAGES
        return [how for how in all_damages if not how.startswith(IN_HISTORY)]

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Yield the store, as another process has it open."""
        if self.url == stored_items.URL:
            yield DynamoDbStore(self.desk.account.client("dynamodb"), stored_items.NAME)
        else:
            with SqliteStore(self._file) as opened:
                yield opened

    @property
    def _file(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    def add(self, number: int, name: str = "healthy") -> list[str]:
        """Add `number` copies of the rollout that the desk has started; return their ids.

        Each has its own function; that of a `healthy` one exists.
        """
        account = self.desk.account
        live = account.environment()
        with self.store() as store:
            original = store.load("execution-api#1")
            copies = [_copy(original, f"{name}-{index}") for index in range(number)]
            for one in copies:
                recorded, entry = with_entry(one)
                store.create(recorded, [entry], one.locks)
        for copy in copies if name == "healthy" else ():
            account.create(copy.name, {key: live[key] for key in AT_0}, wait=copy is copies[-1])
        return [copy.id for copy in copies]

    def add_hostile(self, number: int, *damages: str) -> None:
        """Add attempts of one name with one of `damages` each, as their writer may damage them.

        They say that they have been rolling back since the year 2000.
        """
        long_ago = datetime(2000, 1, 2, tzinfo=UTC)
        with self.store() as store:
            original = store.load("execution-api#1")
            state = RollingBack(
                since=long_ago, reason=Reason.GATE_FAILED, sentence="It fails.", step=0,
                intended=10, from_weight=10,
            )  # fmt: skip
            copies = [_copy(original, "hostile", attempt) for attempt in range(1, number + 1)]
            for one in copies:
                copy = replace(one, state=state, updated=long_ago)
                store.create(copy, [], [f"lock of {one.id}"])
        for one, how in zip(copies, cycle(damages), strict=False):
            self.damage(one.id, how)

    def add_failing(self) -> str:
        """Start a rollout of another function, which fails from then on; return its id."""
        self.desk.account.create(SICK_FUNCTION)
        yesterday = self.desk.now - 26 * 60 * MINUTE
        self.desk.account.call_directly(yesterday, self.desk.now, every=60, flag=SICK_FUNCTION)
        policy = self.desk.another_policy(
            POLICY,
            **{
                "name: execution-api": f"name: {FAILING}",
                FUNCTION: SICK_FUNCTION,
                API: SICK_API,
            },
        )
        self.desk.start(policy)
        return f"{FAILING}#1"

    def damage(self, rollout_id: str, how: str) -> None:
        """Damage a stored rollout, outside rolloutctl."""
        if self.url == stored_items.URL:
            DYNAMODB_DAMAGES[how](
                self.desk.account.client("dynamodb"), stored_items.NAME, rollout_id
            )
            return
        with closing(sqlite3.connect(self._file)) as connection, connection:
            SQLITE_DAMAGES[how](connection, rollout_id)

    def remove(self, rollout_id: str) -> None:
        """Delete a rollout from the store, outside rolloutctl."""
        if self.url != stored_items.URL:
            with closing(sqlite3.connect(self._file)) as connection, connection:
                connection.execute("DELETE FROM locks WHERE rollout = ?", (rollout_id,))
                connection.execute("DELETE FROM rollouts WHERE id = ?", (rollout_id,))
            return
        client = self.desk.account.client("dynamodb")
        key = {":pk": {"S": f"ROLLOUT#{rollout_id.rpartition('#')[0]}"}}
        matching = client.query(
            TableName=stored_items.NAME,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=key,
        )
        for item in matching["Items"]:
            keys = {name: item[name] for name in ("pk", "sk")}
            client.delete_item(TableName=stored_items.NAME, Key=keys)

    def make_due(self, ids: Sequence[str]) -> None:
        """Let the next tick visit `ids` of a table, as if their time had come."""
        client = self.desk.account.client("dynamodb")
        for one in ids:
            key = rollout_key(one)
            client.update_item(TableName=stored_items.NAME, Key=key, UpdateExpression="REMOVE due")

    def updated(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return when each of `ids` was last saved; None for one that cannot be loaded."""
        with self.store() as store:
            return {one: _updated(store, one) for one in ids}


def _copy(original: Rollout, name: str, attempt: int = 1) -> Rollout:
    target = original.policy.target.model_copy(update={"function": name})
    policy = original.policy.model_copy(update={"name": name, "target": target})
    return replace(
        original,
        id=f"{name}#{attempt}",
        target=original.target.replace(FUNCTION, name),
        policy=policy,
        digest=policy.digest(),
        entries=0,
        chain="",
        version=0,
    )


def _updated(store: Store, rollout_id: str) -> Any:
    try:
        return store.load(rollout_id).updated
    except StoreError:
        return None


def let_it_fail(desk: Desk, length_min: int) -> None:
    """Move the clock by `length_min` minutes, in which the failing rollout has errors."""
    account = desk.account
    begin, end = desk.now, desk.now + length_min * MINUTE
    account.call_gateway(begin, end, failing=3, api=SICK_API, flag=SICK_FUNCTION)
    desk.serve(length_min * MINUTE)
