"""Fixtures of end-to-end tests: an account, an environment, a command line, a proxy."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from controller.adapters import cloudformation
from controller.adapters.aws.clients import Clients
from controller.bootstrap import account, app
from controller.engine import time_limits
from tests.e2e import proxy, stored_items
from tests.e2e.account import Account
from tests.e2e.on_call import Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.support.emulator import UPDATE_S, Emulator
from tests.support.package import make_package
from tests.support.whole_program import import_all

# Commands import modules when they are called, and pydantic cannot build a model while the clock is
# frozen: all modules are imported before.
import_all()

# The emulator creates a stack in less time than this.
_STACK_POLL_INTERVAL = timedelta(milliseconds=200)


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0%, and 27 hours of metrics of the stable path."""
    now = datetime.now(UTC)
    shop = Account.of(ministack, account)
    shop.create()
    shop.call_directly(now - timedelta(hours=27), now - timedelta(hours=1), every=60)
    shop.call_directly(now - timedelta(hours=1), now)
    return shop


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The zip of the Lambda function."""
    return make_package(tmp_path_factory.mktemp("package")).read_bytes()


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new store that does not exist yet: a file, or a table by `ON_A_TABLE`."""
    if getattr(request, "param", "file") == "table":
        return stored_items.URL
    return f"sqlite:///{tmp_path / 'rollouts.db'}"


@pytest.fixture
def environment(shop: Account, store_url: str) -> dict[str, str]:
    """The environment of a process that acts in the shop, with a new store."""
    return {
        **shop.emulator.environment(shop.number),
        "PATH": os.environ.get("PATH", os.defpath),
        "ROLLOUTCTL_STORE": store_url,
        "ROLLOUTCTL_BY": "oncall",
    }


@pytest.fixture
def makes_clients_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all commands of a test share their clients while their credentials are the same.

    Creating them takes as long as a tick; a real process creates them once.
    """
    clients_by_caller: dict[tuple[tuple[str, str], ...], Clients] = {}

    def clients() -> Clients:
        caller = ((name, os.environ[name]) for name in os.environ if name.startswith("AWS_"))
        return clients_by_caller.setdefault(tuple(sorted(caller)), Clients())

    for module in (account, app):
        monkeypatch.setattr(module, "Clients", clients)


@pytest.fixture
def desk(
    shop: Account,
    environment: dict[str, str],
    tmp_path: Path,
    makes_clients_once: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """The command line in this process, with a clock that starts at the current time."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time_limits, "POLL_INTERVAL", timedelta(seconds=UPDATE_S))
    monkeypatch.setattr(cloudformation, "ASK_EVERY", _STACK_POLL_INTERVAL)
    now = datetime.now(UTC)  # the emulator forgets what is older than 14 days of its own clock
    with freeze_time(now, tick=True) as clock:
        yield Desk(shop, tmp_path, now, clock.move_to, capsys)


@pytest.fixture
def started(desk: Desk) -> Desk:
    """A rollout at 10%, in a store that `store init` created."""
    assert desk.run("store", "init").status == 0
    desk.start()
    return desk


@pytest.fixture
def watched(ministack: Emulator) -> Iterator[Proxy]:
    """A proxy in front of the emulator, which the processes of `program` use."""
    with proxy.running(ministack.endpoint) as running:
        yield running


@pytest.fixture
def program(environment: dict[str, str], watched: Proxy) -> Program:
    """The program in the shop, behind the proxy."""
    return Program({**environment, "AWS_ENDPOINT_URL": watched.endpoint}, forked=True)
