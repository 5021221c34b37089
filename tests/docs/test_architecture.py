"""architecture.md and glossary.md name what there is, and the picture is current."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.architecture import PICTURE, PURPOSE, ROOT, layers, picture

PAGE: Final = (ROOT / "docs" / "contributors" / "architecture.md").read_text(encoding="utf-8")
GLOSSARY: Final = (ROOT / "docs" / "contributors" / "glossary.md").read_text(encoding="utf-8")
STEP: Final = re.compile(r"\]\(\.\./\.\./(controller/[\w/]+\.py)\) `([\w.]+)`")
PLACE: Final = re.compile(r"`([\w/]+(?:\.py|/))`")


def test_the_picture_is_that_of_the_imports() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), (
        "run: python -m tests.docs.architecture"
    )


def test_every_room_has_a_layer_and_a_purpose() -> None:
    found = {path.stem for path in (ROOT / "controller").iterdir() if path.suffix in ("", ".py")}
    rooms = {room for layer in layers() for room in layer}
    assert rooms == set(PURPOSE) == found - {"__init__", "__pycache__"}


@pytest.mark.parametrize(("path", "name"), STEP.findall(PAGE))
def test_a_step_of_a_walk_names_what_there_is(path: str, name: str) -> None:
    assert name in set(_defined(ROOT / path))


def _defined(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            methods = (one.name for one in node.body if isinstance(one, ast.FunctionDef))
            yield from (f"{node.name}.{method}" for method in methods)
        elif isinstance(node, ast.FunctionDef):
            yield node.name


@pytest.mark.parametrize("place", PLACE.findall(PAGE.partition("## Where to put what")[2]))
def test_a_place_to_put_something_exists(place: str) -> None:
    assert (ROOT / "controller" / place).exists()


def _words() -> list[str]:
    table = GLOSSARY.partition("## Words")[2].partition("## Types of the core")[0]
    return [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("| ")][1:]


@pytest.mark.parametrize("word", _words())
def test_a_word_of_the_glossary_is_used(word: str) -> None:
    """In the code, or on another page for users."""
    docs = ROOT / "docs"
    pages = [*docs.glob("*.md"), *docs.glob("contributors/*.md"), ROOT / "README.md"]
    others = [page for page in pages if page.name != "glossary.md"]
    code = (ROOT / "controller").rglob("*.py")
    assert any(word in one.read_text(encoding="utf-8").lower() for one in (*others, *code))


def test_the_words_are_sorted_and_each_stands_once() -> None:
    assert _words() == sorted(set(_words()))
