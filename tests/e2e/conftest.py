"""What end-to-end tests act with: an account, an environment, and a desk."""

import os
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import freezegun
import pytest
from botocore.loaders import create_loader
from freezegun import freeze_time

import controller
from controller.adapters.aws.clients import Clients
from tests.e2e import proxy, stored_items
from tests.e2e.account import Account
from tests.e2e.on_call import Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.support.emulator import UPDATE_S, Emulator

# Commands import what they need when they are called, and pydantic cannot build a model while the
# clock is moved: everything is imported before.
for _module in pkgutil.walk_packages(controller.__path__, "controller."):
    if _module.name != "controller.__main__":
        import_module(_module.name)

_service_models = create_loader()

# A stack of the emulator takes less than this.
_MADE = timedelta(milliseconds=200)

# How long a test took is real time, also where the clock was moved: see --durations.
freezegun.configure(extend_ignore_list=["_pytest.timing"])


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0 %, and more than a day of the direct path behind it."""
    now = datetime.now(UTC)
    found = Account.of(ministack, account)
    found.create()
    found.call_directly(now - timedelta(hours=27), now - timedelta(hours=3), every=10)
    found.call_directly(now - timedelta(hours=3), now)
    return found


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of the test's own that nobody made yet: a file, or a table by `ON_A_TABLE`."""
    if getattr(request, "param", "file") == "table":
        return stored_items.URL
    return f"sqlite:///{tmp_path / 'rollouts.db'}"


@pytest.fixture
def environment(shop: Account, store_url: str) -> dict[str, str]:
    """The variables with which a process acts in the shop, with a store of its own."""
    return {
        **shop.emulator.environment(shop.number),
        "PATH": os.environ.get("PATH", os.defpath),
        "ROLLOUTCTL_STORE": store_url,
        "ROLLOUTCTL_BY": "oncall",
    }


@pytest.fixture
def loads_models_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all commands of this process share botocore's service models.

    To read them takes longer than a tick, and a process of its own reads them once.
    """
    monkeypatch.setattr("botocore.session.create_loader", lambda _paths: _service_models)


@pytest.fixture
def makes_clients_once(loads_models_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all commands of a test share their clients, as long as they are the same caller.

    To make them takes as long as what a tick does with them, and a process of its own makes its
    own.
    """
    made: dict[tuple[tuple[str, str], ...], Clients] = {}

    def clients() -> Clients:
        caller = ((name, os.environ[name]) for name in os.environ if name.startswith("AWS_"))
        return made.setdefault(tuple(sorted(caller)), Clients())

    for module in ("bootstrap", "bootstrap.bare", "bootstrap.transfer"):
        monkeypatch.setattr(f"controller.{module}.Clients", clients)


@pytest.fixture
def desk(
    shop: Account,
    environment: dict[str, str],
    tmp_path: Path,
    makes_clients_once: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """The command line in this process, at the current moment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("controller.engine.execute.POLL_INTERVAL", timedelta(seconds=UPDATE_S))
    monkeypatch.setattr("controller.adapters.cloudformation.stack.ASK_EVERY", _MADE)
    now = datetime.now(UTC)  # the emulator forgets what is older than 14 days of its own clock
    with freeze_time(now, tick=True) as clock:
        yield Desk(shop, tmp_path, now, clock.move_to, capsys)


@pytest.fixture
def started(desk: Desk) -> Desk:
    """A rollout in a store that `store init` made, with 10 % in force."""
    assert desk.run("store", "init").status == 0
    desk.start()
    return desk


@pytest.fixture
def watched(ministack: Emulator) -> Iterator[Proxy]:
    """A proxy in front of the emulator, which processes go through."""
    with proxy.running(ministack.endpoint) as running:
        yield running


@pytest.fixture
def program(environment: dict[str, str], watched: Proxy) -> Program:
    """The program in the shop, behind the proxy."""
    return Program({**environment, "AWS_ENDPOINT_URL": watched.endpoint})
