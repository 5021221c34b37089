"""What end-to-end tests act with: an account, an environment, and a desk."""

import os
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
from botocore.loaders import create_loader
from freezegun import freeze_time

import controller
from tests.e2e.account import Account
from tests.e2e.desk import Desk
from tests.emulator import Emulator

# Commands import what they need when they are called, and pydantic cannot build a model while the
# clock is moved: everything is imported before.
for _module in pkgutil.walk_packages(controller.__path__, "controller."):
    if _module.name != "controller.__main__":
        import_module(_module.name)

_service_models = create_loader()


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0 %, and more than a day of the direct path behind it."""
    now = datetime.now(UTC)
    found = Account.of(ministack, account)
    found.create()
    found.call_directly(now - timedelta(hours=27), now)
    return found


@pytest.fixture
def environment(shop: Account, tmp_path: Path) -> dict[str, str]:
    """The variables with which a process acts in the shop, with a store of its own."""
    return {
        **shop.emulator.environment(shop.number),
        "PATH": os.environ.get("PATH", os.defpath),
        "ROLLOUTCTL_STORE": f"sqlite:///{tmp_path / 'rollouts.db'}",
        "ROLLOUTCTL_BY": "oncall",
    }


@pytest.fixture
def desk(
    shop: Account,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """The command line in this process, at the current moment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # A process reads botocore's service models once, and that takes longer than a tick.
    monkeypatch.setattr("botocore.session.create_loader", lambda _paths: _service_models)
    # An update of the emulator is done after half a second.
    monkeypatch.setattr("controller.acting.LOOK_EVERY", timedelta(milliseconds=100))
    now = datetime.now(UTC)  # the emulator forgets what is older than 14 days of its own clock
    with freeze_time(now, tick=True) as clock:
        yield Desk(shop, tmp_path, now, clock.move_to, capsys)
