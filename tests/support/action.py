"""Plays the steps of deploy/github/action.yml as a runner of GitHub does, with bash."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parents[2]
ACTION_FOLDER: Final = ROOT / "deploy" / "github"
LIMIT_S: Final = 120.0
COMMIT: Final = "8f74223d1b10e8888abcd995cf7c6d8d3c4b5a69"

_EXPRESSION: Final = re.compile(r"\$\{\{ *([a-z.-]+) *\}\}")
_CONDITION: Final = re.compile(r"(always\(\) && )?([a-z.-]+) (==|!=) '([a-z]*)'")


def yaml(text: str) -> Any:
    """Return what YAML `text` says, as GitHub reads it: `on` is a word."""
    return YAML(typ="safe", pure=True).load(text)


ACTION: Final = yaml((ACTION_FOLDER / "action.yml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class ActionRun:
    """What the steps of one `uses:` did: the last exit status, the log, the files of the runner."""

    status: int
    log: str
    summary: str
    outputs: str

    @property
    def commands(self) -> list[str]:
        """The lines of the log that GitHub takes for errors."""
        return [line for line in _command_lines(self.log) if line.startswith("::error ")]


def _command_lines(log: str) -> Iterator[str]:
    """Yield the lines in which GitHub looks for commands: between stop and go, there are none."""
    token = ""
    for line in log.splitlines():
        if token:
            token = "" if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        else:
            yield line


VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PROGRAM: Final = (
    f'PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m controller "$@"'
)


@dataclass(frozen=True, slots=True)
class RunnerSetup:
    """What is around a job. action: where the action lies. version: of the rolloutctl on the path.

    python: the one that is python3.
    cache: a folder that stands for the cache of the workflow; None: it does not answer.
    """

    action: Path = ACTION_FOLDER
    cache: Path | None = None
    version: str = VERSION
    python: Path = Path(sys.executable)


DEFAULT_SETUP: Final = RunnerSetup()


def run_action(
    folder: Path,
    environment: Mapping[str, str],
    program: str | None = PROGRAM,
    setup: RunnerSetup = DEFAULT_SETUP,
    /,
    **inputs: str,
) -> ActionRun:
    """Play the action in a checkout at `folder`; `inputs`: its inputs, with _ for -.

    environment: what the job has beside that. program: what bash does for the rolloutctl on the
    path; None: there is none.
    """
    known = {f"inputs.{name}": str(one["default"]) for name, one in ACTION["inputs"].items()}
    for name, value in inputs.items():
        assert f"inputs.{name.replace('_', '-')}" in known
        known[f"inputs.{name.replace('_', '-')}"] = value
    runner = _runner(folder, environment, setup.action)
    _install_programs(Path(runner["HOME"]), program, setup)
    played = ActionRun(0, "", "", "")
    for step in ACTION["runs"]["steps"]:
        if not _condition_holds(step.get("if", ""), known, played.status):
            continue
        if "uses" in step:
            _run_cache_step(step, known, setup.cache)
            continue
        env = {name: _expand(value, known) for name, value in step.get("env", {}).items()}
        outputs, path = Path(runner["GITHUB_OUTPUT"]), Path(runner["GITHUB_PATH"])
        outputs.write_text("")
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=folder, env={**runner, **env}, text=True, timeout=LIMIT_S, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said = outputs.read_text()
        for name, _, value in (line.partition("=") for line in said.splitlines()):
            known[f"steps.{step.get('id')}.outputs.{name}"] = value
        runner["PATH"] = ":".join([*path.read_text().splitlines(), runner["PATH"]])
        path.write_text("")
        played = ActionRun(
            played.status or ended.returncode,
            played.log + ended.stdout,
            Path(runner["GITHUB_STEP_SUMMARY"]).read_text(),
            said,
        )
    return played


def _runner(folder: Path, environment: Mapping[str, str], action: Path) -> dict[str, str]:
    """Return the variables of the runner. Its files and its temporary folder are empty."""
    home = folder.parent / "runner"
    temp = home / "temp"
    shutil.rmtree(temp, ignore_errors=True)
    temp.mkdir(parents=True)
    files = {name: temp / name.lower() for name in ("STEP_SUMMARY", "OUTPUT", "PATH")}
    for file in files.values():
        file.write_text("")
    return {
        **environment,
        "HOME": str(home),
        "PATH": f"{home / 'bin'}:/usr/bin:/bin",
        "RUNNER_TEMP": str(temp),
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(action),
        "GITHUB_ACTOR": "octocat",
        **{f"GITHUB_{name}": str(file) for name, file in files.items()},
    }


def _install_programs(home: Path, program: str | None, setup: RunnerSetup) -> None:
    """Put a Python on the path and, unless it is None, a rolloutctl."""
    (home / "bin").mkdir(exist_ok=True)
    says = f'[ "$1" != --version ] || {{ echo "rolloutctl, version {setup.version}"; exit; }}'
    scripts = {
        "python3": f'exec {shlex.quote(str(setup.python))} "$@"',
        "rolloutctl": None if program is None else f"{says}\n{program}",
    }
    for name, text in scripts.items():
        script = home / "bin" / name
        script.unlink(missing_ok=True)
        if text is not None:
            script.write_text(f"#!/bin/bash\n{text}\n")
            script.chmod(0o755)


def _run_cache_step(
    step: Mapping[str, Any], context: Mapping[str, str], cache: Path | None
) -> None:
    """Do what a step of actions/cache does, which never ends a job."""
    assert step["continue-on-error"] is True
    if cache is None:
        return
    here, kept = (_expand(step["with"][name], context) for name in ("path", "key"))
    job, _ = step["uses"].removeprefix("actions/cache/").split("@")
    source, sink = {"restore": (cache / kept, Path(here)), "save": (Path(here), cache / kept)}[job]
    if source.exists():
        shutil.copytree(source, sink, dirs_exist_ok=True)


def _condition_holds(condition: str, context: Mapping[str, str], status: int) -> bool:
    if not condition:
        return status == 0
    match = _CONDITION.fullmatch(condition)
    assert match is not None, condition
    whatever, name, sign, word = match.groups()
    return (status == 0 or bool(whatever)) and (context.get(name, "") == word) == (sign == "==")


def _expand(text: str, known: Mapping[str, str]) -> str:
    known = {"github.sha": COMMIT, **known}
    # What an input says is filled in as the default of another does: once, and no further.
    return _EXPRESSION.sub(lambda found: known[found[1]].replace("${{ github.sha }}", COMMIT), text)
