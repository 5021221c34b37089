"""`make check`: an answer in about 20 seconds, after a change.

    python -m tests.check [--against main]

Runs the tests that changed, all of the core and the engine, and those that import a module that
changed since the branch left `main`, in this order. When the time is up the rest of the last kind
is skipped, and the last lines name it. Tests that are marked slow or use the emulator are left to
`make test`.
"""

import argparse
import ast
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
SECONDS: Final = 14.0  # from the first test until none is started; before it lie three, idle
ALWAYS: Final = ("tests/core", "tests/engine")
TIME_IS_UP: Final = "the time of `make check` is up"


def main() -> int:
    """Run the tests; return the exit status of pytest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", default="main")
    options = parser.parse_args()
    os.chdir(ROOT)
    selected = selected_tests(changed_files(options.against))
    # In small parts and in order, so that what is skipped is what matters least.
    in_parts = ("-q", "-n", "auto", "--maxschedchunk", "20")
    chosen = ("-m", "not slow and not ministack", *selected)
    return pytest.main([*in_parts, "-p", "tests.check", *chosen])


class Deadline:
    """The end of a check, in one process; tests after it are skipped, but for those of `ALWAYS`."""

    def __init__(self) -> None:
        self._end: float | None = None

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a test for which there is no time left; the first one starts the time."""
        now = time.perf_counter()
        self._end = self._end or now + SECONDS
        if now > self._end and not _always_runs(item.nodeid):
            pytest.skip(TIME_IS_UP)


def pytest_configure(config: pytest.Config) -> None:
    """Give each process its deadline."""
    config.pluginmanager.register(Deadline())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run."""
    reports = terminalreporter.stats.get("skipped", [])
    skipped = [report.nodeid for report in reports if TIME_IS_UP in str(report.longrepr)]
    for line in not_run(skipped):
        terminalreporter.write_line(line)


def not_run(skipped: Iterable[str]) -> list[str]:
    """Return lines that say what was not run. skipped: ids of the tests, as the time was up."""
    by_file = Counter(one.partition("::")[0] for one in skipped)
    lines = ["not run: tests that are slow or use the emulator (make test)"]
    if by_file:
        lines += [
            f"not run, as the time was up: {by_file.total()} tests that import what changed:",
            f"  pytest {' '.join(by_file)}",
        ]
    return lines


def changed_files(against: str) -> list[str]:
    """Return the paths that differ from where this branch left `against`, new ones included."""
    base = _git("merge-base", "HEAD", against) or ["HEAD"]
    return [*_git("diff", "--name-only", *base), *_git("ls-files", "-o", "--exclude-standard")]


def _git(*arguments: str) -> list[str]:
    ended = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )
    return ended.stdout.split()


def selected_tests(changed: Iterable[str], root: Path = ROOT) -> list[str]:
    """Return the test files that `changed` concerns, and the folders that always run."""
    files = {name for name in changed if name.endswith(".py") and (root / name).exists()}
    modules = {_module_of(name) for name in files}
    tests = sorted(
        path.relative_to(root).as_posix() for path in (root / "tests").rglob("test_*.py")
    )
    themselves = [name for name in tests if name in files]
    changed_imports = {name: _imported(modules, root / name) for name in tests}
    importing = [name for name in tests if changed_imports[name]]
    importing.sort(key=lambda name: -len(changed_imports[name]))
    ordered = dict.fromkeys([*themselves, *ALWAYS, *importing])
    return [name for name in ordered if not _always_runs(name)]


def _always_runs(name: str) -> bool:
    return any(name.startswith(f"{folder}/") for folder in ALWAYS)


def _module_of(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(modules: Collection[str], path: Path) -> set[str]:
    """Return those of `modules` that the test file at `path` imports itself."""
    text = path.read_text(encoding="utf-8")
    # To parse a file takes far longer than to see that it names none of them.
    written = (name for one in modules for name in (one, f"{one.rpartition('.')[0]} import"))
    if not any(name in text for name in written):
        return set()
    return {*modules}.intersection(_imports(text))


def _imports(text: str) -> Iterator[str]:
    """Yield the modules that a program imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


if __name__ == "__main__":
    sys.exit(main())
