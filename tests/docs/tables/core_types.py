"""Every public type of the core, with the first line of its docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CORE: Final = Path(__file__).parents[3] / "controller" / "core"


# The groups of facts that sentences are made from: a form of what the other types are.
FACTS: Final = CORE / "judge" / "facts.py"


def core_types() -> list[list[str]]:
    """Return a row for each public class of `controller/core`, by name, but for groups of facts."""
    return [["type", "meaning", "module"], *sorted(_rows(), key=lambda row: row[0].lower())]


def _rows() -> Iterator[list[str]]:
    for path in CORE.rglob("*.py"):
        if path == FACTS:
            continue
        module = ".".join(path.relative_to(CORE.parent).with_suffix("").parts)
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                first, *_ = (ast.get_docstring(node) or "").splitlines() or [""]
                yield [f"`{node.name}`", first, f"`{module}`"]
