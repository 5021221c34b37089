"""deploy/github/install.sh: the sources of rolloutctl in a job, and the error without one."""

import os
import shlex
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from venv import EnvBuilder

import pytest

from tests.support.action import VERSION, ActionRun, RunnerSetup, plant_modules, run_action
from tests.support.cases import cases
from tests.support.wheels import connected, copy_action_with_wheels, index, silent_index

BY_HAND = "aws lambda update-function-configuration --function-name FUNCTION"
PROGRAM_ON_PATH = "echo 'found on the path'"
STUB = """
import hashlib, json, logging, multiprocessing, re, subprocess, sys

def main():
    print("installed" if sys.argv[1:2] != ["--version"] else "any version")
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheels in the lock files of `action`."""
    return tmp_path_factory.mktemp("packed") / "wheels"


@pytest.fixture(scope="module")
def action(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the action, with lock files of locally packed wheels."""
    return copy_action_with_wheels(wheels, tmp_path_factory.mktemp("action"), STUB)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without a policy."""
    (tmp_path / "checkout").mkdir()
    return tmp_path / "checkout"


def run_without_program(
    checkout: Path, environment: dict[str, str], action: Path, cache: Path
) -> ActionRun:
    """Run a job that has no rolloutctl on its path."""
    inputs = {"command": "status", "rollout": "checkout"}
    return run_action(checkout, environment, None, RunnerSetup(action, cache), **inputs)


def last_program(run: ActionRun) -> str:
    """Return the name of the program that the last step of a job ran."""
    assert run.status == 0, run.log
    return run.log.splitlines()[-1]


@pytest.mark.deep  # pip installs for seconds
def test_one_job_asks_the_index_and_the_next_one_asks_the_cache(
    checkout: Path, action: Path, wheels: Path, tmp_path: Path
) -> None:
    cache, home = tmp_path / "cache", tmp_path / "runner"
    with index(wheels) as reachable:
        first = run_without_program(checkout, reachable.environment, action, cache)
    home.rename(tmp_path / "runner of another job")
    with silent_index() as (silent, listening):
        second = run_without_program(checkout, silent.environment, action, cache)
        assert not connected(listening)

    (cached,) = cache.iterdir()
    assert (last_program(first), last_program(second)) == ("installed", "installed")
    names = {one.name for one in wheels.iterdir()}
    assert {one.name for one in cached.iterdir()} == names
    assert names <= {path.rpartition("/")[2] for path in reachable.requested_paths}


@pytest.mark.deep  # pip installs for seconds
def test_a_wheel_that_the_lock_files_do_not_know_is_not_installed(
    checkout: Path, action: Path, wheels: Path, tmp_path: Path
) -> None:
    """A modified wheel in the cache is not run: the wheels are downloaded again."""
    with index(wheels) as reachable:
        filled = run_without_program(checkout, reachable.environment, action, tmp_path / "cache")
        (planted,) = tmp_path.glob("cache/*/click-*.whl")
        (here,) = tmp_path.glob("runner/.cache/rolloutctl/*/click-*.whl")
        for wheel in (planted, here):
            wheel.write_bytes(wheel.read_bytes() + b" ")
        requests_before = len(reachable.requested_paths)
        repeated = run_without_program(checkout, reachable.environment, action, tmp_path / "cache")
    assert (last_program(filled), last_program(repeated)) == ("installed", "installed")
    assert len(reachable.requested_paths) == 2 * requests_before


@cases("closes, command", {
    "does not answer: a rollback is told how to set 0% by hand": (False, "rollback"),
    "cannot be reached: a start is not": (True, "start"),
})  # fmt: skip
def test_an_index_is_given_up_in_time_that(
    checkout: Path, action: Path, tmp_path: Path, closes: bool, command: str
) -> None:
    setup, inputs = RunnerSetup(action, tmp_path), {"command": command, "rollout": "checkout"}
    with ExitStack() as listening:
        silent, _ = listening.enter_context(silent_index())
        if closes:
            listening.close()
        limited = {**silent.environment, "INDEX_LIMIT_S": "1"}
        run = run_action(checkout, limited, None, setup, **inputs)
    (error,) = run.commands
    assert (run.status, BY_HAND in error) == (1, command == "rollback")
    assert not [*tmp_path.glob("runner/.cache/rolloutctl/*/*.whl"), *tmp_path.glob("rolloutctl-*")]


@pytest.mark.deep  # pip installs for seconds
def test_a_python_without_a_pip_gets_one_of_its_own(
    checkout: Path, action: Path, wheels: Path, tmp_path: Path
) -> None:
    """Some systems have the module venv, but no pip."""
    EnvBuilder(with_pip=False).create(tmp_path / "bare")
    setup = RunnerSetup(action, python=tmp_path / "bare" / "bin" / "python")
    with index(wheels) as reachable:
        run = run_action(
            checkout, reachable.environment, None, setup, command="status", rollout="checkout"
        )
    assert last_program(run) == "installed"


def test_what_an_image_or_an_earlier_step_installed_is_taken_first(
    checkout: Path, action: Path, tmp_path: Path
) -> None:
    with silent_index() as (silent, listening):
        setup = RunnerSetup(action, tmp_path / "cache")
        inputs = {"command": "rollback", "rollout": "checkout"}
        run = run_action(checkout, silent.environment, PROGRAM_ON_PATH, setup, **inputs)
        assert not connected(listening)
    assert last_program(run) == "found on the path"
    assert not (tmp_path / "runner" / ".cache").exists()


@pytest.mark.deep  # pip installs for seconds
def test_another_version_on_the_path_is_taken_when_nothing_else_is_left(
    checkout: Path, action: Path, wheels: Path
) -> None:
    inputs = {"command": "status", "rollout": "checkout"}
    setup = RunnerSetup(action, version=f"{VERSION}.1")
    with silent_index() as (closed, _):
        pass
    without_index = run_action(checkout, closed.environment, PROGRAM_ON_PATH, setup, **inputs)
    with index(wheels) as reachable:
        with_index = run_action(checkout, reachable.environment, PROGRAM_ON_PATH, setup, **inputs)
    assert (last_program(without_index), last_program(with_index)) == (
        "found on the path",
        "installed",
    )
    assert "::warning title=rolloutctl::" in without_index.log


# --- a checkout with modules of Python's names --------------------------------------------------


@cases("variables", {
    "as the current folder": {},
    "as PYTHONPATH": {"PYTHONPATH": "."},
})  # fmt: skip
def test_no_module_of_the_checkout_is_imported_which_python_finds(
    checkout: Path, action: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    """Each Python that the action starts is isolated, and gets as far as the package index."""
    imported = plant_modules(checkout)
    python = tmp_path / "python"
    python.write_text(
        f"""#!/bin/bash
        [ "$1" = -I ] || echo "$*" >>"$HOME/not isolated"
        exec {shlex.quote(sys.executable)} "$@"
        """
    )
    python.chmod(0o755)
    setup = RunnerSetup(action, version=f"{VERSION}.1", python=python)
    with silent_index() as (closed, _):
        pass
    run = run_action(
        checkout, {**closed.environment, **variables}, PROGRAM_ON_PATH, setup,
        command="rollback", rollout="checkout",
    )  # fmt: skip
    assert last_program(run) == "found on the path"
    assert "none from the package index" in run.log
    assert not (tmp_path / "runner" / "not isolated").exists()
    assert not imported.exists()


@pytest.mark.deep  # pip installs for seconds
def test_neither_pip_nor_rolloutctl_imports_a_module_of_the_checkout(
    checkout: Path, action: Path, wheels: Path
) -> None:
    imported = plant_modules(checkout)
    for path in (str(checkout), f"{os.pathsep}."):
        with index(wheels) as reachable:
            variables = {**reachable.environment, "PYTHONPATH": path}
            run = run_without_program(checkout, variables, action, checkout.parent / "cache")
        assert last_program(run) == "installed"
    assert not imported.exists()


@pytest.mark.deep  # pip installs for seconds
def test_a_python_without_a_pip_gets_one_of_its_own_beside_such_a_checkout(
    checkout: Path, action: Path, wheels: Path, tmp_path: Path
) -> None:
    imported = plant_modules(checkout)
    EnvBuilder(with_pip=False).create(tmp_path / "bare")
    setup = RunnerSetup(action, python=tmp_path / "bare" / "bin" / "python")
    with index(wheels) as reachable:
        variables = {**reachable.environment, "PYTHONPATH": "."}
        run = run_action(checkout, variables, None, setup, command="status", rollout="checkout")
    assert last_program(run) == "installed"
    assert not imported.exists()


@pytest.mark.deep  # pip installs for seconds
def test_wheels_of_the_runner_are_found_by_the_variables_of_pip(
    checkout: Path, action: Path, wheels: Path, tmp_path: Path
) -> None:
    """A path in such a variable begins where the job stands."""
    shutil.copytree(wheels, checkout / "vendor")
    variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "vendor"}
    run = run_without_program(checkout, variables, action, tmp_path / "cache")
    assert last_program(run) == "installed"
