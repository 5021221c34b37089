"""The composition root: stores, dry runs, authors and rehearsals."""

from pathlib import Path

import pytest

from controller.bootstrap import app as bootstrap
from controller.errors import UsageError
from controller.immutable import replace
from controller.process.settings import DynamoDbLocation, Settings, SqliteLocation
from controller.tools.store.copy import migration
from controller.tools.store.verb import make_store
from tests.support.core import Phase, State
from tests.support.emulator import Emulator
from tests.support.rollouts import NOON, a_rollout, a_state, with_entry
from tests.tools.simulation.worlds import MINUTE

TABLE = DynamoDbLocation("rollouts")


@pytest.fixture
def _signed_in(ministack: Emulator, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty account to work in."""
    for name, value in ministack.environment(account).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def file(tmp_path: Path) -> SqliteLocation:
    """A location without a store."""
    return SqliteLocation(tmp_path / "state" / "rollouts.db")


@pytest.fixture
def settings(_signed_in: None, file: SqliteLocation) -> Settings:
    """Settings of a run on an empty account, without a store yet."""
    return Settings(store=file, by="tester")


def store_rollout(settings: Settings, state: State | None = None) -> None:
    """Create a rollout in the store of `settings`."""
    rollout, entry = with_entry(a_rollout(state=state))
    with bootstrap.live_app(settings) as app:
        app.runner.store.create(rollout, [entry], rollout.locks)


# --- tables -------------------------------------------------------------------------------------


def test_rollouts_are_copied_from_a_file_into_a_table(
    settings: Settings, file: SqliteLocation
) -> None:
    make_store(file)
    make_store(TABLE)
    store_rollout(settings, a_state(Phase.SUCCEEDED, watch_until=NOON + MINUTE))
    with migration(file, TABLE) as copying:
        (copied,) = copying.run(copying.plan())
    assert copied.store == "dynamodb://rollouts"
    with bootstrap.open_store(replace(settings, store=TABLE)) as store:
        assert store.active(NOON) == ("checkout#1",)
        assert [entry.body["by"] for entry in store.history("checkout#1")] == ["tester"]


def test_a_store_is_not_copied_into_itself(settings: Settings, file: SqliteLocation) -> None:
    make_store(file)
    same = SqliteLocation(file.path.parent / ".." / "state" / file.path.name)
    with (
        pytest.raises(UsageError, match="cannot be copied to itself"),
        migration(settings.store, same),
    ):
        pass
