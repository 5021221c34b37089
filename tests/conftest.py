"""Fixtures of all tests: the emulator, one per test process, and an account per test."""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from functools import lru_cache
from itertools import count
from operator import attrgetter

import freezegun
import pytest
import structlog
from botocore.loaders import create_loader
from hypothesis import settings

from controller.policy_file import strict_yaml, yaml_file
from controller.tools.simulation import request_draws as traffic
from tests.support import emulator, folders
from tests.support.emulator import Emulator
from tests.support.order import spread_out

# The time of an example depends on the load of the machine. `make test` draws a quarter of them.
settings.register_profile("sample", deadline=None, max_examples=25)
settings.register_profile("deep", deadline=None, max_examples=100)

# pytest measures the duration of a test in real time, even when the clock is frozen. freezegun
# reads each attribute of each module, and scipy imports all of itself when that is done.
freezegun.configure(extend_ignore_list=["_pytest.timing", "numpy", "scipy"])

# moto makes a thousand images of machines for each empty account in which something asks EC2.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

# In a background job of a shell the tests ignore Ctrl-C, and so do all processes that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pytest makes its temporary folders there, and so do rehearsals and all processes of tests.
os.environ.setdefault("TMPDIR", str(folders.root()))

# Collection makes tens of thousands of objects that stay: to search them for cycles again and again
# takes a quarter of its time.
gc.disable()

_service_models = create_loader()
_build_yaml = lru_cache(maxsize=1_000)(strict_yaml.build)
# The week before a start has 10,000 minutes.
_draw_latencies = lru_cache(maxsize=20_000)(traffic.draw_latencies.__wrapped__)
_accounts = count(100_000_000_001)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An AWS emulator, started for the first test that uses it."""
    with emulator.running_emulator(tmp_path_factory.mktemp("ministack")) as running:
        yield running


@pytest.fixture(scope="session")
def enforcing_ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator in which a role may do what its policy allows, and nothing else."""
    with emulator.running_emulator(tmp_path_factory.mktemp("enforcing"), enforcing=True) as running:
        yield running


@pytest.fixture
def account() -> str:
    """The id of an empty account of the emulator, which no other test uses."""
    return str(next(_accounts))


@pytest.fixture(autouse=True, scope="session")
def _makes_once() -> Iterator[None]:
    """Let all tests of a process share what takes longer to make than most tests take with it.

    The models of services, which the sessions of a real process share as well; the nodes of each
    YAML text, since most tests read one of a few policies; and the latencies of a simulated minute.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda _paths: _service_models)
        patch.setattr(yaml_file, "build", _build_yaml)
        patch.setattr(traffic, "draw_latencies", _draw_latencies)
        yield


@pytest.fixture(autouse=True)
def _no_user_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own profiles, credentials and endpoints out of every test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in emulator.NO_CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _reset_logs() -> Iterator[None]:
    """Reset the logs that a command configured: their stream is closed after the test."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def pytest_collection_finish() -> None:
    """Keep the garbage collector from scanning imported modules again and again."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `make test-deep` runs with."""
    parser.addoption("--deep", action="store_true", help="run the tests marked deep as well")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many random cases a property is tried with."""
    settings.load_profile("deep" if config.getoption("--deep") else "sample")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that use the emulator, and leave the deep ones out unless they are asked for.

    `-m "not ministack"` runs all that need no emulator.
    """
    if not config.getoption("--deep"):
        _leave_out_the_deep(config, items)
    for item in items:
        if "ministack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.ministack)
    if hasattr(config, "workerinput"):  # one of several processes
        items[:] = spread_out(items, attrgetter("path"), _uses_emulator)


def _leave_out_the_deep(config: pytest.Config, items: list[pytest.Item]) -> None:
    deep = {item for item in items if item.get_closest_marker("deep")}
    items[:] = [item for item in items if item not in deep]
    config.hook.pytest_deselected(items=[*deep])


def _uses_emulator(item: pytest.Item) -> bool:
    return item.get_closest_marker("ministack") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the log of the emulator to the report of a failed test that used it."""
    report = yield
    used_emulator = getattr(item, "funcargs", {}).get("ministack")
    if report.failed and isinstance(used_emulator, Emulator):
        report.sections.append(("ministack log", used_emulator.log()))
    return report
