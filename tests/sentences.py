"""Sentences of findings, as they are recorded: each form of each kind once or twice.

    .venv/bin/python -m tests.sentences           # say which files differ
    .venv/bin/python -m tests.sentences --write   # record again; git diff shows what changed

A test module that has `SENTENCES` (case -> what says a sentence) is recorded in a file of its own,
`sentences/` beside it, and checks it in one test. All other tests are about facts.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import Any, Final, TypeAlias

from controller.core.judge.findings import Finding
from controller.core.judge.sentences import sentence_of

ROOT: Final = Path(__file__).parents[1]
INDENT: Final = "    "


Sentences: TypeAlias = Mapping[str, Callable[[], Finding | str]]
"""What is said in a case, by its name."""


def spoken(sentences: Sentences) -> list[str]:
    """Return the lines of the file that records `sentences`."""
    lines: list[str] = []
    for case, speak in sentences.items():
        said = speak()
        text = said if isinstance(said, str) else sentence_of(said)
        paragraph = fill(
            text, 100, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False
        )
        lines += ["", case, *paragraph.splitlines()]
    return lines[1:]


def recorded(test_file: str) -> list[str]:
    """Return the lines that are recorded for a test module, by its `__file__`."""
    path = file_of(Path(test_file))
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def file_of(test_file: Path) -> Path:
    """Return the file with the sentences of a test module."""
    return test_file.parent / "sentences" / f"{test_file.stem.removeprefix('test_')}.txt"


def main() -> int:
    """Check or record all sentences; return 1 when some differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.sentences", description=__doc__)
    parser.add_argument("--write", action="store_true", help="record what differs")
    write, differs = parser.parse_args().write, 0
    for test_file in sorted((ROOT / "tests").rglob("test_*.py")):
        if "\nSENTENCES" not in test_file.read_text(encoding="utf-8"):
            continue
        name = ".".join(test_file.relative_to(ROOT).with_suffix("").parts)
        module: Any = import_module(name)
        lines = spoken(module.SENTENCES)
        if lines != recorded(str(test_file)):
            differs += 1
            sys.stdout.write(f"{file_of(test_file).relative_to(ROOT)} differs\n")
            if write:
                file_of(test_file).parent.mkdir(exist_ok=True)
                file_of(test_file).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return int(differs > 0 and not write)


if __name__ == "__main__":
    sys.exit(main())
