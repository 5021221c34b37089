"""The desk that end-to-end tests sit at."""

import os
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
from freezegun import freeze_time

import controller
from tests.e2e.account import Account
from tests.e2e.desk import Desk
from tests.emulator import Emulator

# Commands import what they need when they are called, and pydantic cannot build a model while the
# clock is moved: everything is imported before.
for _module in pkgutil.walk_packages(controller.__path__, "controller."):
    if not _module.name.endswith("__main__"):
        import_module(_module.name)


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0 %, and a day of the direct path behind it."""
    now = datetime.now(UTC)
    found = Account.of(ministack, account)
    found.create()
    found.call_directly(now - timedelta(hours=25), now)
    return found


@pytest.fixture
def environment(shop: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a command needs to act in the shop, with a store of its own; set in this process too."""
    wanted = {
        **shop.emulator.environment(shop.number),
        "ROLLOUTCTL_STORE": f"sqlite:///{tmp_path / 'rollouts.db'}",
        "ROLLOUTCTL_BY": "oncall",
    }
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    return {**wanted, "PATH": os.environ["PATH"]}


@pytest.fixture
def desk(
    shop: Account,
    environment: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """The command line in this process. Its clock runs on from where a test moves it."""
    now = datetime.now(UTC)  # the emulator forgets what is older than 14 days of its own clock
    with freeze_time(now, tick=True) as clock:
        yield Desk(shop, tmp_path / "rollouts.db", now, clock, capsys)
