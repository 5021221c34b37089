"""What people read, as it was last accepted: each form of a message once or twice.

    .venv/bin/python -m tests.sentences           # show what differs
    .venv/bin/python -m tests.sentences --write   # record again; git diff shows what changed

All other tests of the core are about facts. A test module has texts in `SENTENCES`, or returns them
from `texts()`, by the names of its cases; they are recorded in `sentences/` beside it.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import Any, Final, TypeAlias

from tests.support.core import Decision, Finding, next_action, sentence_of, waits_for

ROOT: Final = Path(__file__).parents[1]
INDENT: Final = "    "
# What a test file that has texts contains.
_MARKS: Final = ("\nSENTENCES", "\ndef texts()")

Sentences: TypeAlias = Mapping[str, Callable[[], Finding | str]]
"""What is said in a case, by its name."""


def decision_text(decision: Decision) -> str:
    """Return what people read of a decision: where the rollout stands, its entry and its notices.

    The entry has a text where it is another one than the sentence of the rollout. A notice that
    repeats one of these has its name in braces there.
    """
    after, record = decision.rollout, decision.record
    following = next_action(after).text
    shown = {"sentence": after.sentence, "next": following, "blocked": waits_for(after)}
    lines = [f"{name}: {text}" for name, text in shown.items() if text]
    if record is not None and record.sentence != after.sentence:
        lines.append(f"entry {record.kind}: {record.sentence}")
    repeated = {after.sentence: "{sentence}", following: "{next}"}
    if record is not None:
        repeated.setdefault(record.sentence, "{entry}")
    for notice in decision.notices:
        text = notice.text
        for part, name in repeated.items():
            text = text.replace(part, name) if part else text
        lines.append(f"{notice.severity} {notice.kind}".rstrip() + f": {text}")
    return "\n".join(lines)


def test_files() -> list[Path]:
    """Return every test file that has texts."""
    return [
        one
        for one in sorted((ROOT / "tests").rglob("test_*.py"))
        if any(mark in one.read_text(encoding="utf-8") for mark in _MARKS)
    ]


def difference(test_file: Path) -> str:
    """Return how the texts of now differ from those that are recorded; empty where they do not."""
    path = _record_of(test_file)
    accepted = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = difflib.unified_diff(accepted, _current(test_file), str(path), "now", lineterm="")
    return "\n".join(lines)


def _current(test_file: Path) -> list[str]:
    name = ".".join(test_file.relative_to(ROOT).with_suffix("").parts)
    module: Any = import_module(name)
    if not hasattr(module, "SENTENCES"):
        return _lines(module.texts().items())
    return _lines((case, _said(speak())) for case, speak in module.SENTENCES.items())


def _said(said: Finding | str) -> str:
    return said if isinstance(said, str) else sentence_of(said)


def _lines(texts: Iterable[tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    for case, text in texts:
        lines += ["", case]
        for line in text.splitlines():
            paragraph = fill(
                line, 100, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False
            )
            lines += paragraph.splitlines()
    return lines[1:]


def _record_of(test_file: Path) -> Path:
    return test_file.parent / "sentences" / f"{test_file.stem.removeprefix('test_')}.txt"


def main() -> int:
    """Show how the texts differ, and record them where that is asked for; return 1 for others."""
    parser = argparse.ArgumentParser(prog="python -m tests.sentences", description=__doc__)
    parser.add_argument("--write", action="store_true", help="record what differs")
    write, differs = parser.parse_args().write, False
    for test_file in test_files():
        if difference_of := difference(test_file):
            differs = True
            sys.stdout.write(f"{difference_of}\n")
            if write:
                record = _record_of(test_file)
                record.parent.mkdir(exist_ok=True)
                record.write_text("\n".join([*_current(test_file), ""]), encoding="utf-8")
    return int(differs and not write)


if __name__ == "__main__":
    sys.exit(main())
