"""A policy or a scenario is data: it executes, includes, fetches and waits for nothing.

Every file is read in a process whose audit events show what it opens, starts and connects to.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from controller.immutable import Immutable
from tests.support.deep_rows import deep_after

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 60.0

POLICY: Final = (ROOT / "policies" / "quiet-service.yaml").read_text(encoding="utf-8")
_SCENARIOS: Final = ROOT / "controller/tools/simulation/scenarios"
SCENARIO: Final = (_SCENARIOS / "console-up.yaml").read_text(encoding="utf-8")

# Prints the message about each file and the audit events of reading it. Each is read twice: imports
# and caches belong to the first time, and not to the file.
AUDIT_PROGRAM: Final = """
import json, sys
from pathlib import Path
from controller.errors import PolicyError
from controller.policy_file.loader import load
from controller.tools.simulation.scenario.scenario import load_scenario

IGNORED = {"builtins.id", "compile", "object.__getattr__", "sys._getframe"}
kind, *paths = sys.argv[1:]
events = None

def record(event, arguments):
    if events is not None and event not in IGNORED:
        events.append([event, str(arguments[0])[:200] if arguments else ""])

def read_message(path):
    try:
        load(Path(path)) if kind == "policy" else load_scenario(path)
    except PolicyError as error:
        return str(error)
    return ""

sys.addaudithook(record)
results = []
for path in paths:
    read_message(path)
    events = []
    message = read_message(path)
    recorded, events = events, None
    results.append([message, recorded])
print(json.dumps(results))
"""


class ReadResult(Immutable):
    """The message about a file, and the audit events of reading it: each with its subject."""

    path: Path
    message: str
    events: frozenset[tuple[str, str]]

    @property
    def foreign_events(self) -> frozenset[tuple[str, str]]:
        """The audit events whose subject is not the file itself."""
        return frozenset(event for event in self.events if event[1] != str(self.path))


def read(kind: str, *paths: Path) -> list[ReadResult]:
    """ReadResult `paths` in a watched process, as policies or as scenarios."""
    process = subprocess.run(
        [sys.executable, "-c", AUDIT_PROGRAM, kind, *map(str, paths)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=LIMIT_S,
    )  # fmt: skip
    results = zip(paths, json.loads(process.stdout), strict=True)
    return [
        ReadResult(path, message, frozenset((event, subject) for event, subject in events))
        for path, (message, events) in results
    ]


@pytest.fixture
def valid_file(kind: str, tmp_path: Path) -> Path:
    """A valid file of this kind; its audit events are those of any file."""
    path = tmp_path / "plain.yaml"
    path.write_text(PLACES[kind][0])
    return path


# What other readers of YAML, and of configuration, would run, fetch, include or expand.
HOSTILE: Final = {
    "calls a function": "!!python/object/apply:os.system ['touch {mark}']",
    "makes an object": "!!python/object:subprocess.Popen {{args: [touch, {mark}]}}",
    "makes a new object": "!!python/object/new:os.system ['touch {mark}']",
    "names a function": "!!python/name:os.system",
    "imports a module": "!!python/module:antigravity",
    "a tag in full": "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch {mark}']",
    "reads a file": "!include {secret}",
    "reads a variable": "!ENV ${{HOME}}",
    "holds bytes": "!!binary dG91Y2g=",
    "is a file's URL": "file://{secret}",
    "is an address": "http://127.0.0.1:9/policy.yaml",
    "is a path": "{secret}",
    "is a shell's command": "$(touch {mark})",
    "is a shell's variable": "${{HOME}}",
    "is a template": '\'{{{{ lookup("pipe", "touch {mark}") }}}}\'',
    "is a format string": "'{{0.__class__.__mro__}}'",
}

PLACES: Final = {
    "policy": (POLICY, "  function: SlackBedrockStack-SlackEventHandler898FE80E-TJUkrbzJtXGK"),
    "scenario": (SCENARIO, SCENARIO.splitlines()[1]),
}


@pytest.mark.parametrize("kind", list(PLACES))
def test_what_a_file_says_is_never_run_fetched_included_or_expanded(
    kind: str, valid_file: Path, tmp_path: Path
) -> None:
    text, line = PLACES[kind]
    assert line in text
    secret, mark = tmp_path / "secret.txt", tmp_path / "mark"
    secret.write_text("hunter2")
    hostile: dict[str, Path] = {}
    for name, value in HOSTILE.items():
        hostile_value = value.format(secret=secret, mark=mark)
        hostile[name] = tmp_path / f"{len(hostile)}.yaml"
        hostile[name].write_text(text.replace(line, f"{line.partition(':')[0]}: {hostile_value}"))

    baseline, *results = read(kind, valid_file, *hostile.values())

    assert baseline.message == ""
    assert {
        result.path.name: result.foreign_events - baseline.events
        for result in results
        if result.events
    } == {result.path.name: frozenset() for result in results}
    assert not mark.exists()
    assert [result for result in results if "hunter2" in result.message] == []
    accepted = {name for name, one in zip(HOSTILE, results, strict=True) if not one.message}
    # A summary is free text: any text is valid there.
    free = {name for name, value in HOSTILE.items() if not value.startswith("!")}
    assert accepted == (free if kind == "scenario" else set())


# --- not regular files --------------------------------------------------------------------------


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


def _itself(path: Path) -> None:
    path.symlink_to(path)


# What it is, how it is made, and the message about it.
NO_FILES: Final[Mapping[str, tuple[Callable[[Path], None], str]]] = {
    "a pipe without a writer": (_pipe, "is no file, but a pipe"),
    "a device that never ends": (_link("/dev/zero"), "is no file, but a pipe"),
    "a device that is empty": (_link("/dev/null"), "is no file, but a pipe"),
    "what somebody types": (_link("/dev/stdin"), "is no file, but a pipe"),
    "a directory": (_link("/"), "Is a directory"),
    "a link to nothing": (_link("nowhere"), "No such file"),
    "a link to itself": (_itself, "Too many levels of symbolic links"),
}


@pytest.fixture(scope="module")
def no_files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Path, str, str]]:
    """The path of each, and the messages about it as a policy and as a scenario."""
    folder = tmp_path_factory.mktemp("no-files")
    paths = [folder / f"{number}.yaml" for number in range(len(NO_FILES))]
    for path, (make, _) in zip(paths, NO_FILES.values(), strict=True):
        make(path)
    policies, scenarios = read("policy", *paths), read("scenario", *paths)
    both = zip(NO_FILES, policies, scenarios, strict=True)
    return {
        name: (policy.path, policy.message, scenario.message) for name, policy, scenario in both
    }


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_file_is_refused_and_not_waited_for(
    name: str, no_files: Mapping[str, tuple[Path, str, str]]
) -> None:
    path, policy, scenario = no_files[name]
    assert policy.startswith(f"{path}: cannot be read: {NO_FILES[name][1]}")
    assert scenario.startswith(f"no scenario is called '{path}', and no file either")


# --- size limits --------------------------------------------------------------------------------

_LAUGHS: Final = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n"
    for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)
)


TOO_MUCH: Final = {
    "aliases that multiply": (_LAUGHS, "more than 20,000 values"),
    "an alias of itself": ("a: &a [*a]\n", "stands inside what it stands for"),
    "brackets": ("[" * 200_000, "nested more than 32 levels deep"),
    "a large file": ("#" * 2_000_000, "is larger than 1 MiB"),
    "a long number": ("a: " + "9" * 300_000, "unknown key"),
    "a long key": ("? " + "a" * 300_000 + "\n: 1", "unknown key"),
    "a long text": ("a: " + "x" * 300_000, "unknown key"),
    "a NUL": ("a: 1\x00b\n", "U+0000 is not allowed"),
    "a merge key": ("x: &x {a: 1}\nb: {<<: *x}\n", "merge keys are not part"),
}


@pytest.mark.parametrize("kind", deep_after(1, PLACES))  # the same reader of YAML
def test_what_is_too_much_is_refused_in_few_words(
    kind: str, valid_file: Path, tmp_path: Path
) -> None:
    paths: list[Path] = []
    for content, _ in TOO_MUCH.values():
        paths.append(tmp_path / f"{len(paths)}.yaml")
        paths[-1].write_text(content)

    baseline, *results = read(kind, valid_file, *paths)

    messages = {name: one.message for name, one in zip(TOO_MUCH, results, strict=True)}
    assert {
        name for name, (_, expected) in TOO_MUCH.items() if expected not in messages[name]
    } == set()
    assert {name for name, text in messages.items() if len(text) > 3_000} == set()
    assert [result.path for result in results if result.foreign_events - baseline.events] == []
