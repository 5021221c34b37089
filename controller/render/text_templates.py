"""Texts that templates make: the changes that `permanent` prints, and the drafts of `init`."""

import re
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from controller.safe_text import printable

_WIDTH: Final = 110


def text_of(template: Path, **values: object) -> str:
    """Return the text that the file `template` makes of `values`, without a line end behind it."""
    return _environment(template.parent).get_template(template.name).render(**values).rstrip("\n")


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        autoescape=False,  # noqa: S701 - the texts are no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["comment"] = _comment
    return environment


def _comment(text: str, indent: int = 0) -> str:
    """Return `text` as comment lines, whatever lines the template has; none for an empty text."""
    joined = printable(re.sub(r"\s*\n\s*", " ", text.strip()))
    lines = wrap(joined, _WIDTH - indent, break_long_words=False)
    return "".join(f"{' ' * indent}# {line}\n" for line in lines)
