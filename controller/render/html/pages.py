"""The template environment of all pages: everything that a template prints is text.

Jinja2 escapes what HTML would read as markup; `printable` makes control characters and characters
that change the direction of text visible. No tick imports this module unless it writes a page.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from controller.core.units import clock_text, duration_text
from controller.safe_text import printable, printable_block

TEMPLATES: Final = Path(__file__).parent / "templates"

_INSIDE_NUMBER: Final = re.compile(r"(?<=\d) (?=%|\d{3}(?!\d))")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "block": _block,
        "clock": clock_text,
        "duration": duration_text,
    }
    return environment


def page(template: str, **values: object) -> str:
    """Return the page that `template` makes of `values`."""
    text = _environment().get_template(template).render(**values)
    return f"{text.strip()}\n"


def _printable(value: Any) -> Any:
    """Return what a template prints of `value`: markup as it is, any text as one line.

    No line ends inside of a number, or between a number and its percent sign.
    """
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _INSIDE_NUMBER.sub("\u00a0", printable(value))


def _block(text: str | Iterable[str]) -> Markup:
    """Return `text` as lines, for a block that keeps them."""
    lines = text.split("\n") if isinstance(text, str) else text
    return escape(printable_block(lines))
