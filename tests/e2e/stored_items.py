"""The table of a DynamoDB store, read without rolloutctl."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from controller.immutable import Immutable
from tests.e2e.account import Account
from tests.e2e.calls import Call

NAME: Final = "rollouts"
URL: Final = f"dynamodb://{NAME}"

# Markers for tests and modules: the store of the desk and the program. What holds on both stores is
# shown on a file by default: each call of a table has tests of its own.
ON_A_TABLE: Final = pytest.mark.parametrize("store_url", ["table"], indirect=True)
ON_BOTH_STORES: Final = pytest.mark.parametrize(
    "store_url", ["file", pytest.param("table", marks=pytest.mark.deep)], indirect=True
)

# The attributes of a lease; all others are about the rollout.
LEASE: Final = frozenset({"holder", "lease_until", "fence"})

Item = Mapping[str, Any]


class Table(Immutable):
    """All items of the table, in the form of DynamoDB."""

    items: Mapping[tuple[str, str], Item]

    @classmethod
    def of(cls, account: Account) -> "Table":
        """Return the current table of `account`."""
        pages = account.client("dynamodb").get_paginator("scan").paginate(TableName=NAME)
        items = [item for page in pages for item in page["Items"]]
        return cls({(item["pk"]["S"], item["sk"]["S"]): item for item in items})

    @property
    def rollout(self) -> Item:
        """The item of the only rollout."""
        (rollout_item,) = (
            item for (key, _), item in self.items.items() if key.startswith("ROLLOUT#")
        )
        return rollout_item

    @property
    def version(self) -> int:
        """The number of saves of the rollout since it was created."""
        return int(self.rollout["version"]["N"])

    @property
    def fence(self) -> int:
        """The number of times that a lease of the rollout was acquired."""
        return int(self.rollout["fence"]["N"])

    @property
    def entries(self) -> list[int]:
        """The numbers of all entries of the history, in order."""
        sort_keys = (sort for key, sort in self.items if key.startswith("HISTORY#"))
        return sorted(int(sort.partition(".")[0]) for sort in sort_keys)

    def but_leases(self) -> Mapping[tuple[str, str], Item]:
        """Return all items without the attributes of leases."""
        return {
            key: {name: value for name, value in item.items() if name not in LEASE}
            for key, item in self.items.items()
        }


def saves_a_rollout(call: Call) -> bool:
    """Tell whether `call` saves a rollout, with or without history entries."""
    return call.operation in ("UpdateItem", "TransactWriteItems") and b":state" in call.body


def takes_a_rollout(call: Call) -> bool:
    """Tell whether `call` acquires the lease of a rollout."""
    return call.operation == "UpdateItem" and b":now" in call.body
