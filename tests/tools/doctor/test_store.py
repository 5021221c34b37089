"""Doctor checks of the store: damage of one rollout, and of the whole store."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from controller.adapters.clock import SystemClock
from controller.adapters.stores.sqlite import SqliteStore
from controller.errors import StoreError
from controller.operations.checks import Check
from controller.operations.live_checks import LiveChecks
from controller.ports.store import Store
from controller.tools.doctor import Doctor
from tests.adapters.contracts.store import started
from tests.support.damage import SQLITE_DAMAGES
from tests.support.rollouts import POLICY, a_rollout


def checks_of(store: Store | StoreError) -> Sequence[Check]:
    """Return the checks of the store alone."""
    unused = cast(Any, None)
    names = ("target", "metrics", "exposures", "catalogue", "alarms", "logs")
    live = LiveChecks(policy=POLICY, **dict.fromkeys(names, unused))
    others = dict.fromkeys(("alarms", "subscribers", "deployed", "permission_checks"), unused)
    doctor = Doctor(
        live=live, clock=SystemClock(), store=store, caller_checks=lambda: iter(()), **others
    )
    return list(doctor._store())


def test_a_damaged_rollout_is_named_next_to_those_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with SqliteStore(path) as store:
        started(store, a_rollout("checkout#1"))
        started(store, a_rollout("checkout#2"))
        with closing(sqlite3.connect(path)) as connection, connection:
            SQLITE_DAMAGES["step beyond the last one"](connection, "checkout#1")
        texts = {str(check) for check in checks_of(store)}
    assert any("active rollouts of this policy: checkout#2" in text for text in texts)
    assert any("the state of checkout#1 is damaged" in text for text in texts)


def test_a_store_that_cannot_be_opened_is_one_finding() -> None:
    (check,) = checks_of(StoreError("it is gone"))
    assert "it is gone" in str(check)
