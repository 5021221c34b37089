"""Plays the steps of deploy/github/action.yml as a runner of GitHub does, with bash."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parents[1]
HERE: Final = ROOT / "deploy" / "github"
LIMIT_S: Final = 120.0
COMMIT: Final = "8f74223d1b10e8888abcd995cf7c6d8d3c4b5a69"

_EXPRESSION: Final = re.compile(r"\$\{\{ *([a-z.-]+) *\}\}")
_CONDITION: Final = re.compile(r"inputs\.([a-z-]+) (==|!=) '([a-z]*)'")


def yaml(text: str) -> Any:
    """Return what YAML `text` says, as GitHub reads it: `on` is a word."""
    return YAML(typ="safe", pure=True).load(text)


ACTION: Final = yaml((HERE / "action.yml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Played:
    """What the steps of one `uses:` did: the last exit status, the log, the files of the runner."""

    status: int
    log: str
    summary: str
    outputs: str

    @property
    def commands(self) -> list[str]:
        """The lines of the log that GitHub takes for errors."""
        return [line for line in _heard(self.log) if line.startswith("::error ")]


def _heard(log: str) -> Iterator[str]:
    """Yield the lines in which GitHub looks for commands: between stop and go, there are none."""
    token = ""
    for line in log.splitlines():
        if token:
            token = "" if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        else:
            yield line


PROGRAM: Final = f'exec {shlex.quote(sys.executable)} -m controller "$@"'


def play(
    folder: Path, environment: Mapping[str, str], program: str = PROGRAM, **given: str
) -> Played:
    """Play the action in a checkout at `folder`; `given`: its inputs, with _ for -.

    environment: what the job has beside that. program: what bash does for rolloutctl.
    """
    inputs = {name: str(one["default"]) for name, one in ACTION["inputs"].items()}
    for name, value in given.items():
        assert name.replace("_", "-") in inputs
        inputs[name.replace("_", "-")] = value
    runner = _runner(folder, environment, program)
    log, status = "", 0
    for step in ACTION["runs"]["steps"]:
        if status == 0 and _wanted(step.get("if", ""), inputs):
            env = {name: _filled(value, inputs) for name, value in step.get("env", {}).items()}
            ended = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
                cwd=folder, env={**runner, **env}, text=True, timeout=LIMIT_S, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            log, status = log + ended.stdout, ended.returncode
    written = [Path(runner[f"GITHUB_{name}"]).read_text() for name in ("STEP_SUMMARY", "OUTPUT")]
    return Played(status, log, *written)


def _runner(folder: Path, environment: Mapping[str, str], program: str) -> dict[str, str]:
    """Return the variables of the runner; its files are empty, and `program` is installed."""
    temp = folder.parent / "runner"
    (temp / "bin").mkdir(parents=True, exist_ok=True)
    installed = temp / "bin" / "rolloutctl"
    installed.write_text(f"#!/bin/bash\n{program}\n")
    installed.chmod(0o755)
    files = {name: temp / name.lower() for name in ("STEP_SUMMARY", "OUTPUT", "PATH")}
    for file in files.values():
        file.write_text("")
    return {
        **environment,
        "HOME": str(temp),
        "PATH": f"{temp / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "RUNNER_TEMP": str(temp),
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(HERE),
        "GITHUB_ACTOR": "octocat",
        **{f"GITHUB_{name}": str(file) for name, file in files.items()},
    }


def _wanted(condition: str, inputs: Mapping[str, str]) -> bool:
    if not condition:
        return True
    match = _CONDITION.fullmatch(condition)
    assert match is not None, condition
    return (inputs[match[1]] == match[3]) == (match[2] == "==")


def _filled(text: str, inputs: Mapping[str, str]) -> str:
    known = {"github.sha": COMMIT, **{f"inputs.{name}": value for name, value in inputs.items()}}
    # What an input says is filled in as the default of another does: once, and no further.
    return _EXPRESSION.sub(lambda found: known[found[1]].replace("${{ github.sha }}", COMMIT), text)
