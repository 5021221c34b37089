"""The frame around all verbs: help, usage errors, signals, and what is loaded for it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import controller.policy_file.loader
from controller.cli import VERBS, main
from controller.errors import (
    Exit,
    PolicyError,
    RolledBackError,
    RolloutError,
    StateConflictError,
    StoreError,
    UsageError,
)
from tests.support.cases import cases

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_as_the_list_of_verbs_does(verb: str, capsys: Captured) -> None:
    _, summary = VERBS[verb]
    assert main([verb, "--help"]) == Exit.DONE
    output = capsys.readouterr().out
    assert output.startswith(f"Usage: rolloutctl {verb} ")
    assert summary in output.splitlines()[2]
    assert "\n  -h, --help" in output


def test_the_list_of_verbs_says_each_in_one_whole_line(capsys: Captured) -> None:
    assert main(["--help"]) == Exit.DONE
    groups = capsys.readouterr().out.split("\n\n")[3:]
    assert [group.partition(",")[0].partition(":")[0] for group in groups] == [
        "Try", "Run", "Steer", "Look", "Set up",
    ]  # fmt: skip
    lines = [line for group in groups for line in group.splitlines()[1:]]
    assert [line.split()[0] for line in lines] == list(VERBS)
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


@cases("arguments, words", {
    "a missing argument": (["start"], "Missing argument 'POLICY'"),
    "a length without a unit": (
        ["rehearse", "x.yaml", "--interval", "soon"],
        "expected a number and a unit, like 90s, 10m, 1h or 2d, not 'soon'",
    ),
    "no length at all": (["rehearse", "x.yaml", "--interval", "0s"], "must be longer than nothing"),
    "a length beyond any date": (
        ["status", "shop#1", "--wait", "--timeout", "999999999d"], "must be at most 365d",
    ),
})  # fmt: skip
def test_a_mistake_on_the_command_line_ends_with_2(
    arguments: list[str], words: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller.policy_file.loader, "load", lambda path: None)
    assert main(arguments) == Exit.USAGE
    assert words in " ".join(capsys.readouterr().err.split())


def raising(error: BaseException) -> Callable[[Path], None]:
    def load(path: Path) -> None:
        raise error

    return load


@cases("error, status, pointer", {
    "1": (StoreError("it is broken"), Exit.INTERNAL, " (docs/troubleshooting.md#error-store)"),
    "4": (
        RolledBackError("it is broken"), Exit.ROLLED_BACK,
        " (docs/troubleshooting.md#error-rolled-back)",
    ),
    "75": (
        StateConflictError("it is broken"), Exit.BUSY,
        " (docs/troubleshooting.md#error-state-conflict)",
    ),
    "2: it says what to correct": (UsageError("it is broken"), Exit.USAGE, ""),
    "2: it says where": (PolicyError("it is broken"), Exit.USAGE, ""),
})  # fmt: skip
def test_an_error_is_one_line_with_its_code_and_its_exit_status(
    error: RolloutError,
    status: Exit,
    pointer: str,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controller.policy_file.loader, "load", raising(error))
    assert main(["start", "policy.yaml"]) == status
    assert capsys.readouterr() == ("", f"rolloutctl: it is broken{pointer}\n")


def test_a_fault_of_the_program_is_named_with_its_place_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(controller.policy_file.loader, "load", raising(ZeroDivisionError()))
    assert main(["start", "policy.yaml"]) == 1
    output = capsys.readouterr().err
    assert "unexpected ZeroDivisionError at __init__.py:" in output
    assert "Traceback" not in output


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh process has after `statement`, without AWS in its reach."""
    code = f"import sys; {statement}; print(*sys.modules, sep='\\n')"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return set(ended.stdout.split())


@cases("statement, kept_out", {
    "the command line alone loads nothing heavy": (
        "import controller.cli",
        {"boto3", "botocore", "pydantic", "structlog", "sqlite3", "ruamel"},
    ),
    "the list of verbs loads no verb": (
        "import controller.cli; controller.cli.main(['--help'])",
        {"controller.cli.tick", "boto3", "botocore", "pydantic", "structlog", "sqlite3"},
    ),
    "a tick loads no parser, simulation or schema, and boto3 only with an account": (
        "import controller.cli.tick, controller.render.rollout_texts",
        {
            "boto3",
            "ruamel",
            "rich",
            "jinja2",
            "controller.tools.simulation",
            "controller.policy_file.loader",
        }
        | {"sqlite3", "controller.policy_file.shape", "controller.engine.direct_write"},
    ),
})  # fmt: skip
def test_start_up_stays_light(statement: str, kept_out: set[str]) -> None:
    assert not kept_out & loaded_by(statement)
