"""The frame around all verbs: help, usage errors, signals, and what is loaded for it."""

import signal
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

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: Captured) -> None:
    assert main([verb, "--help"]) == Exit.DONE
    output = capsys.readouterr().out
    assert output.startswith(f"Usage: rolloutctl {verb} ")
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


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_of_verbs_says_what_the_verb_says_of_itself(verb: str, capsys: Captured) -> None:
    _, summary = VERBS[verb]
    assert main([verb, "--help"]) == Exit.DONE
    assert summary in capsys.readouterr().out.splitlines()[2]


def test_a_verb_that_is_mistyped_is_guessed(capsys: Captured) -> None:
    assert main(["histroy"]) == Exit.USAGE
    assert "'history'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["deploy"], "No such command 'deploy'", id="an unknown verb"),
        pytest.param(["status", "--jsn"], "No such option '--jsn'", id="an unknown option"),
        pytest.param(["start"], "Missing argument 'POLICY'", id="a missing argument"),
        pytest.param(
            ["rehearse", "x.yaml", "--interval", "soon"],
            "expected a number and a unit, like 90s, 10m, 1h or 2d, not 'soon'",
            id="a length without a unit",
        ),
        pytest.param(
            ["rehearse", "x.yaml", "--interval", "0s"], "must be longer than nothing",
            id="no length at all",
        ),
        pytest.param(
            ["start", "x.yaml", "--store", "redis://host"], "write sqlite:///",
            id="an unknown kind of store",
        ),
    ],
)  # fmt: skip
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


@pytest.mark.parametrize(
    ("error", "status", "pointer"),
    [
        pytest.param(
            StoreError("it is broken"),
            Exit.INTERNAL,
            " (docs/troubleshooting.md#error-store)",
            id="1",
        ),
        pytest.param(
            RolledBackError("it is broken"),
            Exit.ROLLED_BACK,
            " (docs/troubleshooting.md#error-rolled-back)",
            id="4",
        ),
        pytest.param(
            StateConflictError("it is broken"),
            Exit.BUSY,
            " (docs/troubleshooting.md#error-state-conflict)",
            id="75",
        ),
        pytest.param(UsageError("it is broken"), Exit.USAGE, "", id="2: it says what to correct"),
        pytest.param(PolicyError("it is broken"), Exit.USAGE, "", id="2: it says where"),
    ],
)
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


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller.policy_file.loader, "load", raising(KeyboardInterrupt()))
    assert main(["start", "policy.yaml"]) == 130


def test_sigterm_ends_with_143_and_leaves_the_process_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(
        controller.policy_file.loader, "load", lambda path: signal.raise_signal(signal.SIGTERM)
    )
    assert main(["start", "policy.yaml"]) == 143
    assert signal.getsignal(signal.SIGTERM) is before


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


@pytest.mark.parametrize(
    ("statement", "kept_out"),
    [
        pytest.param(
            "import controller.cli",
            {"boto3", "botocore", "pydantic", "structlog", "sqlite3", "ruamel"},
            id="the command line alone loads nothing heavy",
        ),
        pytest.param(
            "import controller.cli; controller.cli.main(['--help'])",
            {"controller.cli.tick", "boto3", "botocore", "pydantic", "structlog", "sqlite3"},
            id="the list of verbs loads no verb",
        ),
        pytest.param(
            "import controller.cli.tick, controller.render.status",
            {
                "boto3",
                "ruamel",
                "rich",
                "jinja2",
                "controller.simulation",
                "controller.policy_file.loader",
            }
            | {"sqlite3", "controller.policy_file.check.parse", "controller.engine.direct_write"}
            | {"controller.render.outputs", "controller.ports.json_types"},
            id="a tick loads no parser, simulation or schema, and boto3 only with an account",
        ),
    ],
)
def test_start_up_stays_light(statement: str, kept_out: set[str]) -> None:
    assert not kept_out & loaded_by(statement)


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "controller", "validate", "policies/execution-api.yaml"]
    ended = subprocess.run(
        command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("policies/execution-api.yaml: ok: 10 % for 1h")
