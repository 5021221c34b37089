"""Every folder of the program says in its `__init__.py` what is in it, and what is not."""

import ast
from pathlib import Path

import pytest

CONTROLLER = Path(__file__).parents[1] / "controller"
FOLDERS = sorted(CONTROLLER.rglob("__init__.py"))


@pytest.mark.parametrize("file", FOLDERS, ids=lambda file: str(file.parent.name))
def test_a_folder_says_what_is_in_it_and_what_is_not(file: Path) -> None:
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    paragraphs = [one for one in said.split("\n\n") if one.strip()]
    assert len(paragraphs) >= 2 or said.count(". ") + said.endswith(".") >= 2
