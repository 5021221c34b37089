"""What the composition root promises beyond its parts."""

from pathlib import Path

import pytest

from controller import bootstrap
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
    with bootstrap.live(settings, dry_run=True) as app:
        assert app.runner.store.of_name("checkout") == ()
        assert app.journal is not None
    assert list(tmp_path.iterdir()) == []


def test_looking_makes_no_store(settings: Settings, tmp_path: Path) -> None:
    with bootstrap.open_store(settings) as (store, now):
        assert store.active(now) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_run_makes_its_store(settings: Settings) -> None:
    with bootstrap.live(settings) as app:
        assert app.journal is None
    assert settings.store.exists()
