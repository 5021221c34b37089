"""Texts that templates make: the changes that `permanent` prints, and the drafts of `init`."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def text_of(template: str, **values: object) -> str:
    """Return the text that `template` makes of `values`, without a line end behind it."""
    return _environment().get_template(template).render(**values).rstrip("\n")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=False,  # noqa: S701 - the texts are no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
