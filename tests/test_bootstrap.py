"""What the composition root promises beyond its parts."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller import bootstrap
from controller.errors import UsageError
from controller.settings import Settings
from tests.emulator import Emulator


@pytest.fixture
def settings(
    ministack: Emulator, account: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Settings:
    """Settings of a run on an empty account, with a store that is not there yet."""
    for name, value in ministack.environment(account).items():
        monkeypatch.setenv(name, value)
    return Settings(store=tmp_path / "state" / "rollouts.db", by="tester")


def test_a_dry_run_makes_no_store(settings: Settings, tmp_path: Path) -> None:
    with bootstrap.live(settings, dry_run=True, create=True) as app:
        assert app.runner.store.of_name("checkout") == ()
        assert app.journal is not None
    assert list(tmp_path.iterdir()) == []


def test_looking_makes_no_store(settings: Settings, tmp_path: Path) -> None:
    with bootstrap.open_store(settings, may_be_missing=True) as (store, now):
        assert store.active(now) == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "open_",
    [
        pytest.param(bootstrap.live, id="to act"),
        pytest.param(bootstrap.open_store, id="to look"),
        pytest.param(partial(bootstrap.live, dry_run=True), id="to act dryly"),
    ],
)
def test_a_store_that_is_not_there_is_an_error_and_not_an_empty_one(
    settings: Settings, tmp_path: Path, open_: Callable[[Settings], AbstractContextManager[Any]]
) -> None:
    with pytest.raises(UsageError, match=r"there is no store at .*rollouts\.db"), open_(settings):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_start_makes_its_store(settings: Settings) -> None:
    with bootstrap.live(settings, create=True) as app:
        assert app.journal is None
    assert settings.store.exists()
