"""The vocabulary: retired phrases stand on no page and in no text."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

# A retired phrase, and what stands for it. `docs/contributors/glossary.md` has the words.
RETIRED: Final = {
    r"nobody|whoever|somebody": "the thing or the role with its name",
    r"another hand|by any hand|\bhands? (that|which)": "outside rolloutctl",
    r"(is|are|were|was|be) (not )?told|told again|told once": "notified, reported, repeated",
    r"in force": "applied",
    r"not.refuted|\bunshown\b": "no regression detected",
    r"what (came|comes|becomes) of it": "the result",
    r"another hour's weather|\bweather\b": "other load",
    r"a process without a memory|memory of its own": "stateless",
    r"looks?, decides?, acts?": "one reconcile pass",
    r"red before the start": "already in ALARM before the start",
    r"does anything tick": "is the schedule running?",
    r"signs what no": "records a manual sign-off",
    r"check said no": "a check failed",
    r"it does not come back by itself": "this revision is blocked",
    r"target (un)?touched": "RevisionId unchanged / changed",
    r"silence is told": "missing data is shown as no data",
    r"guard(s|ing) zero|zero is guarded": "the watch after a rollback",
    r"never fight": "drift is kept",
    r"\bdrain(s|ed)?\b": "leak check; connection draining of a load balancer is AWS's word",
    r"\b(un)?seal(s|ed|ing)?\b": "checkpoint; stored",
}


@cache
def pages_and_modules() -> list[tuple[str, str]]:
    """Return each page that people read and each module of the program, with its path."""
    docs = ROOT / "docs"
    pages = [*docs.glob("*.md"), *docs.glob("contributors/*.md")]
    paths = (
        *pages, ROOT / "README.md", ROOT / "CONTRIBUTING.md",
        ROOT / "deploy" / "README.md", ROOT / "deploy" / "github" / "README.md",
        *(ROOT / "policies").glob("*.yaml"),
        *(ROOT / "controller").rglob("*.py"), *(ROOT / "controller").rglob("*.yaml"),
    )  # fmt: skip
    return [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in paths]


@pytest.mark.parametrize("phrase", RETIRED)
def test_a_retired_phrase_stands_nowhere(phrase: str) -> None:
    found = [
        f"{path}: {' '.join(text[match.start() - 40 : match.end() + 40].split())}"
        for path, text in pages_and_modules()
        for match in re.finditer(phrase.replace(" ", r"\s+(?:#\s+)?"), text, re.IGNORECASE)
    ]
    assert found == [], f"write instead: {RETIRED[phrase]}"
