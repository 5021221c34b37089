"""deploy/github/install.sh: where a job gets rolloutctl from, and what it says without one."""

from pathlib import Path
from venv import EnvBuilder

import pytest

from tests.support.action import VERSION, ActionRun, RunnerSetup, run_action
from tests.support.wheels import connected, copy_action_with_wheels, index, silent_index

BY_HAND = "aws lambda update-function-configuration --function-name FUNCTION"
ANSWERS = "echo 'found on the path'"
STUB = """
import sys

def main():
    print("installed" if sys.argv[1:2] != ["--version"] else "any version")
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheels that the lock files of `action` ask for."""
    return tmp_path_factory.mktemp("packed") / "wheels"


@pytest.fixture(scope="module")
def action(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the action, with lock files of wheels that need no network."""
    return copy_action_with_wheels(wheels, tmp_path_factory.mktemp("action"), STUB)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without a policy."""
    (tmp_path / "checkout").mkdir()
    return tmp_path / "checkout"


def asks(checkout: Path, environment: dict[str, str], action: Path, cache: Path) -> ActionRun:
    """Play a job that has no rolloutctl on its path."""
    given = {"command": "status", "rollout": "checkout"}
    return run_action(checkout, environment, None, RunnerSetup(action, cache), **given)


def ran(played: ActionRun) -> str:
    """Return which program it was that ran as the last step of a job."""
    assert played.status == 0, played.log
    return played.log.splitlines()[-1]


def test_one_job_asks_the_index_and_the_next_one_asks_the_cache(
    checkout: Path, action: Path, wheels: Path, tmp_path: Path
) -> None:
    cache, home = tmp_path / "cache", tmp_path / "runner"
    with index(wheels) as reachable:
        first = asks(checkout, reachable.environment, action, cache)
    home.rename(tmp_path / "runner of another job")
    with silent_index() as (silent, listening):
        second = asks(checkout, silent.environment, action, cache)
        assert not connected(listening)

    (kept,) = cache.iterdir()
    assert (ran(first), ran(second)) == ("installed", "installed")
    names = {one.name for one in wheels.iterdir()}
    assert {one.name for one in kept.iterdir()} == names
    assert names <= {path.rpartition("/")[2] for path in reachable.requested_paths}


def test_a_wheel_that_the_lock_files_do_not_know_is_not_installed(
    checkout: Path, action: Path, wheels: Path, tmp_path: Path
) -> None:
    """Who can write into the cache cannot choose what runs: the wheels are fetched anew."""
    with index(wheels) as reachable:
        filled = asks(checkout, reachable.environment, action, tmp_path / "cache")
        (planted,) = tmp_path.glob("cache/*/click-*.whl")
        (here,) = tmp_path.glob("runner/.cache/rolloutctl/*/click-*.whl")
        for wheel in (planted, here):
            wheel.write_bytes(wheel.read_bytes() + b" ")
        asked = len(reachable.requested_paths)
        again = asks(checkout, reachable.environment, action, tmp_path / "cache")
    assert (ran(filled), ran(again)) == ("installed", "installed")
    assert len(reachable.requested_paths) == 2 * asked


@pytest.mark.parametrize("command", ["rollback", "start"])
def test_an_index_that_does_not_answer_is_given_up_in_time(
    checkout: Path, action: Path, tmp_path: Path, command: str
) -> None:
    """A rollback without a program says how 0 % is set without it."""
    with silent_index() as (silent, _):
        limited = {**silent.environment, "INDEX_LIMIT_S": "1"}
        played = run_action(
            checkout,
            limited,
            None,
            RunnerSetup(action, tmp_path),
            command=command,
            rollout="checkout",
        )
    (error,) = played.commands
    assert (played.status, BY_HAND in error) == (1, command == "rollback")
    assert not [*tmp_path.glob("runner/.cache/rolloutctl/*/*.whl"), *tmp_path.glob("rolloutctl-*")]


def test_an_index_that_cannot_be_reached_is_given_up_as_well(checkout: Path, action: Path) -> None:
    with silent_index() as (closed, _):
        pass
    played = run_action(
        checkout,
        closed.environment,
        None,
        RunnerSetup(action),
        command="rollback",
        rollout="checkout",
    )
    (error,) = played.commands
    assert (played.status, BY_HAND in error) == (1, True)


def test_a_python_without_a_pip_gets_one_of_its_own(
    checkout: Path, action: Path, wheels: Path, tmp_path: Path
) -> None:
    """Some systems have the module venv and no pip."""
    EnvBuilder(with_pip=False).create(tmp_path / "bare")
    around = RunnerSetup(action, python=tmp_path / "bare" / "bin" / "python")
    with index(wheels) as reachable:
        played = run_action(
            checkout, reachable.environment, None, around, command="status", rollout="checkout"
        )
    assert ran(played) == "installed"


def test_what_an_image_or_an_earlier_step_installed_is_taken_first(
    checkout: Path, action: Path, tmp_path: Path
) -> None:
    with silent_index() as (silent, listening):
        around = RunnerSetup(action, tmp_path / "cache")
        given = {"command": "rollback", "rollout": "checkout"}
        played = run_action(checkout, silent.environment, ANSWERS, around, **given)
        assert not connected(listening)
    assert ran(played) == "found on the path"
    assert not (tmp_path / "runner" / ".cache").exists()


def test_another_version_on_the_path_is_taken_when_nothing_else_is_left(
    checkout: Path, action: Path, wheels: Path
) -> None:
    given = {"command": "status", "rollout": "checkout"}
    around = RunnerSetup(action, version=f"{VERSION}.1")
    with silent_index() as (closed, _):
        pass
    alone = run_action(checkout, closed.environment, ANSWERS, around, **given)
    with index(wheels) as reachable:
        beside = run_action(checkout, reachable.environment, ANSWERS, around, **given)
    assert (ran(alone), ran(beside)) == ("found on the path", "installed")
    assert "::warning title=rolloutctl::" in alone.log
