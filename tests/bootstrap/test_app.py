"""The composition root: stores, dry runs, authors and rehearsals."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.bootstrap import app as bootstrap
from controller.bootstrap.copy_store import migration
from controller.bootstrap.rehearse import rehearsal
from controller.core.history import Author
from controller.core.rollout import Phase, State
from controller.errors import NoStoreError, UsageError
from controller.immutable import replace
from controller.operations.rehearse import rehearse
from controller.process.settings import DynamoDbLocation, Settings, SqliteLocation, StoreLocation
from tests.simulation.worlds import MINUTE
from tests.support.emulator import Emulator
from tests.support.rollouts import NOON, a_rollout, a_state, with_entry
from tests.support.stage import short_policy

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


# --- missing files ------------------------------------------------------------------------------


def test_a_dry_run_makes_no_store(settings: Settings, tmp_path: Path) -> None:
    with bootstrap.live_app(settings, dry_run=True, create=True) as app:
        assert app.runner.store.of_name("checkout") == ()
        assert app.journal is not None
    assert list(tmp_path.iterdir()) == []


def migrate_from(settings: Settings) -> AbstractContextManager[Any]:
    return migration(settings.store, TABLE)


def migrate_to(settings: Settings) -> AbstractContextManager[Any]:
    return migration(TABLE, settings.store)


OPENED = [
    pytest.param(bootstrap.live_app, id="to act"),
    pytest.param(bootstrap.open_store, id="to look"),
    pytest.param(partial(bootstrap.live_app, dry_run=True), id="to act dryly"),
    pytest.param(migrate_from, id="to copy rollouts from it"),
    pytest.param(migrate_to, id="to copy rollouts to it"),
]


@pytest.mark.parametrize("open_", OPENED)
def test_a_store_that_is_not_there_is_an_error_and_not_an_empty_one(
    settings: Settings, tmp_path: Path, open_: Callable[[Settings], AbstractContextManager[Any]]
) -> None:
    with (
        pytest.raises(NoStoreError, match=r"there is no store at .*rollouts\.db.*store init"),
        open_(settings),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


# --- tables -------------------------------------------------------------------------------------


def first_call(settings: Settings, **how: Any) -> None:
    with bootstrap.live_app(settings, **how) as app:
        app.runner.store.of_name("checkout")


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"create": True}, id="a start"),
        pytest.param({"create": True, "dry_run": True}, id="a dry start"),
        pytest.param({}, id="a tick"),
    ],
)
def test_a_table_is_made_by_no_run_and_missed_with_the_first_call(
    settings: Settings, how: dict[str, bool]
) -> None:
    on_table = replace(settings, store=TABLE)
    with bootstrap.live_app(on_table, **how):
        pass
    with pytest.raises(NoStoreError, match=r"rolloutctl store init --store dynamodb://rollouts"):
        first_call(on_table, **how)


@pytest.mark.parametrize("kind", ["file", "table"])
def test_a_store_is_made_once(settings: Settings, file: SqliteLocation, kind: str) -> None:
    place: StoreLocation = file if kind == "file" else TABLE
    assert bootstrap.make_store(place)
    store_rollout(replace(settings, store=place))
    assert not bootstrap.make_store(place)
    with bootstrap.open_store(replace(settings, store=place)) as (store, _):
        assert store.all() == ("checkout#1",)


@pytest.mark.parametrize("kind", ["file", "table"])
def test_a_dry_run_writes_nothing(settings: Settings, file: SqliteLocation, kind: str) -> None:
    place: StoreLocation = file if kind == "file" else TABLE
    bootstrap.make_store(place)
    rollout, entry = with_entry(a_rollout())
    with bootstrap.live_app(replace(settings, store=place), dry_run=True) as app:
        app.runner.store.create(rollout, [entry], rollout.locks)
    with bootstrap.open_store(replace(settings, store=place)) as (store, _):
        assert store.all() == ()


def test_rollouts_are_copied_from_a_file_into_a_table(
    settings: Settings, file: SqliteLocation
) -> None:
    bootstrap.make_store(file)
    bootstrap.make_store(TABLE)
    store_rollout(settings, a_state(Phase.SUCCEEDED, watch_until=NOON + MINUTE))
    with migration(file, TABLE) as copying:
        (copied,) = copying.run(copying.plan())
    assert copied.url == "dynamodb://rollouts"
    with bootstrap.open_store(replace(settings, store=TABLE)) as (store, _):
        assert store.active(NOON) == ("checkout#1",)
        assert [entry.body["by"] for entry in store.history("checkout#1")] == ["tester"]


def test_a_store_is_not_copied_into_itself(settings: Settings, file: SqliteLocation) -> None:
    bootstrap.make_store(file)
    same = SqliteLocation(file.path.parent / ".." / "state" / file.path.name)
    with (
        pytest.raises(UsageError, match="cannot be copied to itself"),
        migration(settings.store, same),
    ):
        pass


ARN = "arn:aws:iam::{account}:"

# --- authors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by_login", "person", "by", "caller"),
    [
        pytest.param(True, True, ARN, ARN, id="a person: the AWS caller"),
        pytest.param(True, False, "root", None, id="a tick asks AWS for no name"),
        pytest.param(False, True, "jo", ARN, id="a person who gave a name: that, and the caller"),
        pytest.param(False, False, "jo", None, id="a tick with a name: that"),
    ],
)
def test_the_author_is(
    settings: Settings, account: str, by_login: bool, person: bool, by: str, caller: str | None
) -> None:
    own_settings = replace(settings, by="root" if by_login else "jo", by_login=by_login)
    with bootstrap.live_app(own_settings, create=True, ask_caller=person) as app:
        author = app.runner.author(app.runner.by)
    assert author.by.startswith(by.format(account=account))
    assert (author.caller or "").startswith((caller or "").format(account=account))
    assert (author.caller is None) == (caller is None)


@pytest.mark.parametrize("by_login", [True, False])
def test_the_author_is_unverified_when_aws_does_not_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, by_login: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    own_settings = replace(settings, by="root", by_login=by_login)
    with bootstrap.live_app(own_settings, create=True, ask_caller=True) as app:
        assert app.runner.author(app.runner.by) == Author("root", "")


# --- rehearsals ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("_signed_in")
@pytest.mark.parametrize("kind", ["file", "table"])
def test_a_rehearsal_leaves_its_rollout_in_the_store_that_was_named(
    file: SqliteLocation, kind: str
) -> None:
    place: StoreLocation = file if kind == "file" else TABLE
    if place is TABLE:
        bootstrap.make_store(TABLE)
    with rehearsal(short_policy(), "healthy", 1, store=place) as stage:
        played = rehearse(
            stage.runner, stage.world, stage.policy, every=MINUTE, on_tick=lambda _: None
        )
    with bootstrap.open_store(Settings(place, "tester")) as (store, _):
        rollout = store.load("orders#1")
        assert (rollout.phase, rollout) == (Phase.SUCCEEDED, played.rollout)
        assert tuple(store.history("orders#1")) == tuple(played.entries)


@pytest.mark.parametrize("kind", ["file", "table"])
def test_a_rehearsal_goes_into_no_store_that_has_rollouts(
    settings: Settings, file: SqliteLocation, kind: str
) -> None:
    """Those rollouts may be of a real account."""
    place: StoreLocation = file if kind == "file" else TABLE
    bootstrap.make_store(place)
    store_rollout(replace(settings, store=place))
    with (
        pytest.raises(UsageError, match=r"needs an empty store, and .* has checkout#1 \(arn:"),
        rehearsal(short_policy(), "healthy", 1, store=place),
    ):
        pass
    with bootstrap.open_store(replace(settings, store=place)) as (store, _):
        assert store.all() == ("checkout#1",)
