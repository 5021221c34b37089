"""What tests of every kind share: the emulator, one per test process, and an account per test."""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from itertools import count

import pytest
import structlog
from hypothesis import settings

from tests.support import emulator
from tests.support.emulator import Emulator

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A shell that runs the tests in the background has them ignore Ctrl-C, and all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_accounts = count(100_000_000_001)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An AWS emulator, started with the first test that asks for it."""
    with emulator.running_emulator(tmp_path_factory.mktemp("ministack")) as running:
        yield running


@pytest.fixture
def account() -> str:
    """An account of the emulator in which nothing is yet, and nobody else is."""
    return str(next(_accounts))


@pytest.fixture(autouse=True)
def _nobodys_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a person's own profiles, credentials and endpoints out of every test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in emulator.NO_CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """Undo what a command set up: its logs go to a stream that is closed when its test is over."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def pytest_collection_finish() -> None:
    """Keep the collector from looking again and again at what was imported and stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the emulator, so that `-m "not ministack"` runs everything else."""
    for item in items:
        if "ministack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.ministack)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the emulator printed beside the failure of a test that used it."""
    report = yield
    used = getattr(item, "funcargs", {}).get("ministack")
    if report.failed and isinstance(used, Emulator):
        report.sections.append(("ministack log", used.log()))
    return report
