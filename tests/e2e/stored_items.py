"""The table of a DynamoDB store, looked at from outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.e2e.account import Account
from tests.e2e.calls import Call

NAME: Final = "rollouts"
URL: Final = f"dynamodb://{NAME}"

# For tests, and as `pytestmark` for modules: with which store the desk and the program work.
ON_A_TABLE: Final = pytest.mark.parametrize("store_url", ["table"], indirect=True)
ON_BOTH_STORES: Final = pytest.mark.parametrize("store_url", ["file", "table"], indirect=True)

# What a run writes to say that it is at work; nothing of it is about the rollout.
LEASE: Final = frozenset({"holder", "lease_until", "fence"})

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Everything in the table, as DynamoDB spells it."""

    items: Mapping[tuple[str, str], Item]

    @classmethod
    def of(cls, account: Account) -> "Table":
        """Return the table of `account` as it stands."""
        pages = account.client("dynamodb").get_paginator("scan").paginate(TableName=NAME)
        items = [item for page in pages for item in page["Items"]]
        return cls({(item["pk"]["S"], item["sk"]["S"]): item for item in items})

    @property
    def rollout(self) -> Item:
        """The one rollout in it."""
        (found,) = (item for (key, _), item in self.items.items() if key.startswith("ROLLOUT#"))
        return found

    @property
    def version(self) -> int:
        """How often the rollout was saved since it was created."""
        return int(self.rollout["version"]["N"])

    @property
    def fence(self) -> int:
        """How often a run has taken the rollout."""
        return int(self.rollout["fence"]["N"])

    @property
    def entries(self) -> list[int]:
        """The numbers of all entries of the history, in order."""
        found = (sort for key, sort in self.items if key.startswith("HISTORY#"))
        return sorted(int(sort.partition(".")[0]) for sort in found)

    def but_leases(self) -> Mapping[tuple[str, str], Item]:
        """Return everything in it that is about rollouts."""
        return {
            key: {name: value for name, value in item.items() if name not in LEASE}
            for key, item in self.items.items()
        }


def saves_a_rollout(call: Call) -> bool:
    """Tell whether `call` writes the state of a rollout, with its history or alone."""
    return call.operation in ("UpdateItem", "TransactWriteItems") and b":state" in call.body


def takes_a_rollout(call: Call) -> bool:
    """Tell whether `call` takes the lease of a rollout."""
    return call.operation == "UpdateItem" and b":now" in call.body
