"""The texts of the core as they were last accepted: one file for each vocabulary.

Tests of the core assert facts. What people read is compared here, each form of a message once or
twice. After a deliberate change, this records the new texts, for a review of the difference:

    python -m tests.core.golden_text --write

A module that has texts returns them from its function `texts`, by the names of its cases.
"""

import difflib
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from tests.support.core import Decision

FOLDER: Final = Path(__file__).parent / "sentences"
SOURCES: Final[Mapping[str, str]] = {
    "announcements": "tests.core.transitions.test_announce",
    "attestations": "tests.core.test_attest",
    "blindness": "tests.core.transitions.test_blind",
    "blocks": "tests.core.transitions.test_block",
    "commands": "tests.core.test_commands",
    "damage": "tests.core.test_codec",
    "freezes": "tests.core.policy.test_freeze",
    "hooks": "tests.core.transitions.test_hooks",
    "late_raises": "tests.core.transitions.test_paused_raise",
    "missing_kinds": "tests.core.policy.test_missing_kinds",
    "mistakes": "tests.core.policy.test_mistakes",
    "rollbacks": "tests.core.transitions.test_rollback",
    "transitions": "tests.core.transitions.test_messages",
}


def decision_text(decision: Decision) -> str:
    """Return what people read of a decision: where the rollout stands, its entry and its notices.

    The entry has a text where it is another one than the sentence of the rollout. A notice that
    repeats one of these has its name in braces there.
    """
    after, record = decision.rollout, decision.record
    shown = {"sentence": after.sentence, "next": after.next, "blocked": after.blocked}
    lines = [f"{name}: {text}" for name, text in shown.items() if text]
    if record is not None and record.sentence != after.sentence:
        lines.append(f"entry {record.kind}: {record.sentence}")
    repeated = {after.sentence: "{sentence}", after.next: "{next}"}
    if record is not None:
        repeated.setdefault(record.sentence, "{entry}")
    for notice in decision.notices:
        text = notice.text
        for part, name in repeated.items():
            text = text.replace(part, name) if part else text
        lines.append(f"{notice.severity} {notice.kind}".rstrip() + f": {text}")
    return "\n".join(lines)


def current(name: str) -> str:
    """Return the content of the golden file `name` as the core writes its texts now."""
    texts: Mapping[str, str] = import_module(SOURCES[name]).texts()
    return "\n".join(f"== {case}\n{text}\n" for case, text in texts.items())


def difference(name: str) -> str:
    """Return how the texts of now differ from the golden file `name`; empty where they do not."""
    lines = difflib.unified_diff(
        _file(name).read_text(encoding="utf-8").splitlines(),
        current(name).splitlines(),
        "accepted",
        "now",
        lineterm="",
    )
    return "\n".join(lines)


def _file(name: str) -> Path:
    return FOLDER / f"{name}.txt"


def main(write: bool) -> int:
    """Record the texts of now, or else show how they differ; return 1 when they do."""
    if write:
        FOLDER.mkdir(exist_ok=True)
        for name in SOURCES:
            _file(name).write_text(current(name), encoding="utf-8")
        return 0
    differences = [text for name in SOURCES if (text := difference(name))]
    sys.stdout.writelines(f"{text}\n" for text in differences)
    return int(bool(differences))


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv[1:]))
