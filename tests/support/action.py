"""Runs the steps of deploy/github/action.yml as a GitHub runner does, with bash."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from controller.immutable import Immutable

ROOT: Final = Path(__file__).parents[2]
ACTION_FOLDER: Final = ROOT / "deploy" / "github"
LIMIT_S: Final = 120.0
COMMIT: Final = "8f74223d1b10e8888abcd995cf7c6d8d3c4b5a69"

_EXPRESSION: Final = re.compile(r"\$\{\{ *([a-z.-]+) *\}\}")
_CONDITION: Final = re.compile(r"(always\(\) && )?([a-z.-]+) (==|!=) '([a-z]*)'")
_SHA: Final = "${{ github.sha }}"
TOKEN: Final = "token-of-the-workflow"


def yaml(text: str) -> Any:
    """Parse YAML as GitHub does: `on` is a string."""
    return YAML(typ="safe", pure=True).load(text)


README: Final = (ACTION_FOLDER / "README.md").read_text(encoding="utf-8")
_MORE: Final = (ROOT / "docs/contributors/github-action.md").read_text(encoding="utf-8")
_BLOCK: Final = re.compile(
    r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)$", re.S | re.M
)
BLOCKS: Final = {match["info"]: match["body"] for match in _BLOCK.finditer(README + _MORE)}
VALID: Final = "policies/checkout.yaml"
INVALID: Final = "policies/search.yaml"


def make_checkout(parent: Path) -> Path:
    """Make a checkout with the policies of the example."""
    folder = parent / "checkout"
    (folder / "policies").mkdir(parents=True)
    for policy in (VALID, INVALID):
        (folder / policy).write_text(BLOCKS[f"yaml policy={policy}"], encoding="utf-8")
    return folder


# Names of modules that Python, pip or rolloutctl import by themselves.
PLANTED: Final = (
    "hashlib",
    "json",
    "logging",
    "multiprocessing",
    "pip",
    "re",
    "subprocess",
    "venv",
)


def plant_modules(folder: Path) -> Path:
    """Add modules to a checkout that take the place of Python's own where the checkout is searched.

    Each fails when it is imported. Returns a file that then has its name, and is missing otherwise.
    """
    imported = folder.parent / "imported"
    code = f"open({str(imported)!r}, 'a').write(__name__ + '\\n')\nraise ImportError(__file__)\n"
    for name in PLANTED:
        (folder / name).mkdir()
        for file in ("__init__.py", "__main__.py"):
            (folder / name / file).write_text(code, encoding="utf-8")
    return imported


ACTION: Final = yaml((ACTION_FOLDER / "action.yml").read_text(encoding="utf-8"))


class ActionRun(Immutable):
    """The result of one `uses:`: the exit status, the log, and the files of the runner."""

    status: int
    log: str
    summary: str
    outputs: str

    @property
    def commands(self) -> list[str]:
        """The lines of the log that GitHub reads as error commands."""
        return [line for line in _command_lines(self.log) if line.startswith("::error ")]


def _command_lines(log: str) -> Iterator[str]:
    """Yield the lines in which GitHub looks for commands, which `::stop-commands::` suspends."""
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


class RunnerSetup(Immutable):
    """The environment of a job.

    action: the folder of the action. version: of the rolloutctl on the path. python: the program
    that is python3. cache: a folder as the cache of the workflow; None: the cache does not answer.
    docker: the bash code of the docker on the path; None: there is none.
    """

    action: Path = ACTION_FOLDER
    cache: Path | None = None
    version: str = VERSION
    python: Path = Path(sys.executable)
    docker: str | None = None


DEFAULT_SETUP: Final = RunnerSetup()


def run_action(
    folder: Path,
    environment: Mapping[str, str],
    program: str | None = PROGRAM,
    setup: RunnerSetup = DEFAULT_SETUP,
    /,
    **inputs: str,
) -> ActionRun:
    """Run the action in a checkout at `folder`. inputs: its inputs, with _ for -.

    environment: additional variables of the job. program: the bash code of the rolloutctl on the
    path; None: there is none.
    """
    context = {f"inputs.{name}": str(one["default"]) for name, one in ACTION["inputs"].items()}
    for name, value in inputs.items():
        assert f"inputs.{name.replace('_', '-')}" in context
        context[f"inputs.{name.replace('_', '-')}"] = value
    runner = _runner(folder, environment, setup.action)
    context["github.token"] = TOKEN
    context["runner.temp"] = runner["RUNNER_TEMP"]
    _install_programs(Path(runner["HOME"]), program, setup)
    result = ActionRun(0, "", "", "")
    for step in ACTION["runs"]["steps"]:
        if not _condition_holds(step.get("if", ""), context, result.status):
            continue
        if "uses" in step:
            if "upload-artifact" in step["uses"]:
                context |= _attach(step, context)
            else:
                _run_cache_step(step, context, setup.cache)
            continue
        env = {name: _expand(value, context) for name, value in step.get("env", {}).items()}
        outputs, path = Path(runner["GITHUB_OUTPUT"]), Path(runner["GITHUB_PATH"])
        outputs.write_text("")
        process = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=folder, env={**runner, **env}, text=True, timeout=LIMIT_S, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        written = outputs.read_text()
        for name, _, value in (line.partition("=") for line in written.splitlines()):
            context[f"steps.{step.get('id')}.outputs.{name}"] = value
        runner["PATH"] = ":".join([*path.read_text().splitlines(), runner["PATH"]])
        path.write_text("")
        status = 0 if step.get("continue-on-error") else process.returncode
        result = ActionRun(
            result.status or status,
            result.log + process.stdout,
            Path(runner["GITHUB_STEP_SUMMARY"]).read_text(),
            written,
        )
    return result


def _runner(folder: Path, environment: Mapping[str, str], action: Path) -> dict[str, str]:
    """Return the variables of the runner, with empty files and an empty temporary folder."""
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
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_ACTOR": "octocat",
        **{f"GITHUB_{name}": str(file) for name, file in files.items()},
    }


def _install_programs(home: Path, program: str | None, setup: RunnerSetup) -> None:
    """Install a Python on the path, a rolloutctl and a docker; each may be missing."""
    (home / "bin").mkdir(exist_ok=True)
    says = f'[ "$1" != --version ] || {{ echo "rolloutctl, version {setup.version}"; exit; }}'
    scripts = {
        "python3": f'exec {shlex.quote(str(setup.python))} "$@"',
        "rolloutctl": None if program is None else f"{says}\n{program}",
        "docker": setup.docker,
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
    """Do what a step of actions/cache does; it never fails a job."""
    assert step["continue-on-error"] is True
    if cache is None:
        return
    here, key = (_expand(step["with"][name], context) for name in ("path", "key"))
    job, _ = step["uses"].removeprefix("actions/cache/").split("@")
    source, sink = {"restore": (cache / key, Path(here)), "save": (Path(here), cache / key)}[job]
    if source.exists():
        shutil.copytree(source, sink, dirs_exist_ok=True)


def _attach(step: Mapping[str, Any], context: Mapping[str, str]) -> dict[str, str]:
    """Return the outputs of a step of actions/upload-artifact; none without a file."""
    assert step["continue-on-error"] is True
    folder = Path(_expand(step["with"]["path"], context))
    if not folder.is_dir() or not any(folder.iterdir()):
        return {}
    name = _expand(step["with"]["name"], context)
    return {f"steps.{step['id']}.outputs.artifact-url": f"https://github.invalid/{name}"}


def _condition_holds(condition: str, context: Mapping[str, str], status: int) -> bool:
    if not condition:
        return status == 0
    match = _CONDITION.fullmatch(condition)
    assert match is not None, condition
    always, name, sign, word = match.groups()
    return (status == 0 or bool(always)) and (context.get(name, "") == word) == (sign == "==")


def _expand(text: str, known: Mapping[str, str]) -> str:
    known = {"github.sha": COMMIT, **known}
    # Values of inputs and defaults are expanded once, and not recursively.
    return _EXPRESSION.sub(lambda found: _value(found[1], known).replace(_SHA, COMMIT), text)


def _value(name: str, known: Mapping[str, str]) -> str:
    """Return the value of a name; an output that no step has written is empty."""
    return known.get(name, "") if name.startswith("steps.") else known[name]
