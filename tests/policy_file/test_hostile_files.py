"""A policy or a scenario is data: it executes, includes, fetches and waits for nothing.

Every file is read in a process in which Python itself tells what it opens, starts and connects to.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 60.0

POLICY: Final = (ROOT / "policies" / "quiet-service.yaml").read_text(encoding="utf-8")
SCENARIO: Final = (ROOT / "controller/simulation/scenarios/console-up.yaml").read_text("utf-8")

# Prints what was said of each file, and what the process did for it. Each is read twice: imports
# and caches are the first time's, and not the file's doing.
WATCHING: Final = """
import json, sys
from pathlib import Path
from controller.errors import PolicyError
from controller.policy_file.loader import load
from controller.simulation.scenario.scenario import load_scenario

QUIET = {"builtins.id", "compile", "object.__getattr__", "sys._getframe"}
kind, *paths = sys.argv[1:]
did = None

def watch(event, arguments):
    if did is not None and event not in QUIET:
        did.append([event, str(arguments[0])[:200] if arguments else ""])

def tried(path):
    try:
        load(Path(path)) if kind == "policy" else load_scenario(path)
    except PolicyError as error:
        return str(error)
    return ""

sys.addaudithook(watch)
found = []
for path in paths:
    tried(path)
    did = []
    said = tried(path)
    done, did = did, None
    found.append([said, done])
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Read:
    """What was said of a file, and what a process did to read it: events, and what they are of."""

    path: Path
    said: str
    did: frozenset[tuple[str, str]]

    @property
    def beside_itself(self) -> frozenset[tuple[str, str]]:
        """What was done that is not about the file itself."""
        return frozenset(one for one in self.did if one[1] != str(self.path))


def read(kind: str, *paths: Path) -> list[Read]:
    """Read `paths` in a watched process, as policies or as scenarios."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHING, kind, *map(str, paths)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=LIMIT_S,
    )  # fmt: skip
    found = zip(paths, json.loads(done.stdout), strict=True)
    return [
        Read(path, said, frozenset((event, about) for event, about in did))
        for path, (said, did) in found
    ]


@pytest.fixture
def plain(kind: str, tmp_path: Path) -> Path:
    """A sound file of this kind; to read it costs what it costs to read any."""
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
    kind: str, plain: Path, tmp_path: Path
) -> None:
    text, place = PLACES[kind]
    assert place in text
    secret, mark = tmp_path / "secret.txt", tmp_path / "mark"
    secret.write_text("hunter2")
    hostile: dict[str, Path] = {}
    for name, value in HOSTILE.items():
        said = value.format(secret=secret, mark=mark)
        hostile[name] = tmp_path / f"{len(hostile)}.yaml"
        hostile[name].write_text(text.replace(place, f"{place.partition(':')[0]}: {said}"))

    usual, *found = read(kind, plain, *hostile.values())

    assert usual.said == ""
    assert {one.path.name: one.beside_itself - usual.did for one in found if one.did} == {
        one.path.name: frozenset() for one in found
    }
    assert not mark.exists()
    assert [one for one in found if "hunter2" in one.said] == []
    accepted = {name for name, one in zip(HOSTILE, found, strict=True) if not one.said}
    # A summary is free text: there, what is text is shown as it stands.
    free = {name for name, value in HOSTILE.items() if not value.startswith("!")}
    assert accepted == (free if kind == "scenario" else set())


# --- what only looks like a file ----------------------------------------------------------------


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


def _itself(path: Path) -> None:
    path.symlink_to(path)


# What it is, how it is made, and what is said of it.
NO_FILES: Final[Mapping[str, tuple[Callable[[Path], None], str]]] = {
    "a pipe that nobody writes into": (_pipe, "is no file, but a pipe"),
    "a device that never ends": (_link("/dev/zero"), "is no file, but a pipe"),
    "a device that is empty": (_link("/dev/null"), "is no file, but a pipe"),
    "what somebody types": (_link("/dev/stdin"), "is no file, but a pipe"),
    "a directory": (_link("/"), "Is a directory"),
    "a link to nothing": (_link("nowhere"), "No such file"),
    "a link to itself": (_itself, "Too many levels of symbolic links"),
}


@pytest.fixture(scope="module")
def no_files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Path, str, str]]:
    """Where each of them is, and what was said of it as a policy and as a scenario."""
    folder = tmp_path_factory.mktemp("no-files")
    paths = [folder / f"{number}.yaml" for number in range(len(NO_FILES))]
    for path, (make, _) in zip(paths, NO_FILES.values(), strict=True):
        make(path)
    policies, scenarios = read("policy", *paths), read("scenario", *paths)
    both = zip(NO_FILES, policies, scenarios, strict=True)
    return {name: (policy.path, policy.said, scenario.said) for name, policy, scenario in both}


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_file_is_refused_and_not_waited_for(
    name: str, no_files: Mapping[str, tuple[Path, str, str]]
) -> None:
    path, policy, scenario = no_files[name]
    assert policy.startswith(f"{path}: cannot be read: {NO_FILES[name][1]}")
    assert scenario.startswith(f"no scenario is called '{path}', and no file either")


@pytest.mark.parametrize("kind", list(PLACES))
def test_a_link_to_a_file_is_that_file(kind: str, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").symlink_to(plain.name)
    assert [one.said for one in read(kind, tmp_path / "x.yaml")] == [""]


# --- what is too much ---------------------------------------------------------------------------

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


@pytest.mark.parametrize("kind", list(PLACES))
def test_what_is_too_much_is_refused_in_few_words(kind: str, plain: Path, tmp_path: Path) -> None:
    paths: list[Path] = []
    for content, _ in TOO_MUCH.values():
        paths.append(tmp_path / f"{len(paths)}.yaml")
        paths[-1].write_text(content)

    usual, *found = read(kind, plain, *paths)

    said = {name: one.said for name, one in zip(TOO_MUCH, found, strict=True)}
    assert {name for name, (_, told) in TOO_MUCH.items() if told not in said[name]} == set()
    assert {name for name, text in said.items() if len(text) > 3_000} == set()
    assert [one.path for one in found if one.beside_itself - usual.did] == []
