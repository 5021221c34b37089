"""Pages: one self-contained HTML file each, without scripts and without requests to any host.

What they share is here, with charts and the status page beside it; a tool's page is in its folder.
Everything that a template prints is text.

Jinja2 escapes what HTML would read as markup; `printable` makes control characters and characters
that change the direction of text visible. No tick imports this module unless it writes a page.
"""

from collections.abc import Iterable
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from controller.core.policy import Policy
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, duration_text
from controller.immutable import Immutable
from controller.safe_text import printable, printable_block

_SHARED: Final = Path(__file__).parent / "templates"


@cache
def _environment(*folders: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([*folders, _SHARED], encoding="utf-8"),
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


def page(template: Path, base: Path | None = None, **values: object) -> str:
    """Return the page that the file `template` makes of `values`; it may extend what is shared.

    base: another template that it may extend.
    """
    folders = [one.parent for one in (template, base) if one is not None]
    text = _environment(*folders).get_template(template.name).render(**values)
    return f"{text.strip()}\n"


def _printable(value: Any) -> Any:
    """Return what a template prints of `value`: markup as it is, any text as one line.

    No line ends inside of a number, or between a number and its percent sign.
    """
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return printable(value)


def _block(text: str | Iterable[str]) -> Markup:
    """Return `text` as lines, for a block that keeps them."""
    lines = text.split("\n") if isinstance(text, str) else text
    return escape(printable_block(lines))


def tone(rollout: Rollout) -> str:
    """Return how the phase is marked: `good`, `bad`, `warn` or `plain`."""
    match rollout.phase:
        case Phase.SUCCEEDED:
            return "good"
        case Phase.ROLLED_BACK | Phase.ROLLING_BACK:
            return "bad"
        case Phase.PAUSED:
            return "warn"
        case Phase.PROGRESSING:
            return "plain"


def report_file(rollout: Rollout) -> str:
    """Return the name of a report file: that of the rollout without `#`, which a URL cuts off."""
    return f"{rollout.id.replace('#', '-')}.html"


_ONE_LINE: Final = 1_000_000


class Tile(Immutable):
    """One number of the head. note: what it is made of."""

    name: str
    value: str
    note: str = ""


def policy_text(policy: Policy) -> str:
    """Return `policy` as YAML: the stored snapshot without what is the default."""
    from ruamel.yaml import YAML

    data = policy.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    yaml, text = YAML(typ="safe", pure=True), StringIO()
    yaml.width = _ONE_LINE
    for name in ("default_flow_style", "sort_base_mapping_type_on_output"):
        setattr(yaml, name, False)  # which ruamel.yaml declares to be None
    yaml.dump(_printable_data(data), text)
    return text.getvalue().rstrip()


def _printable_data(data: Any) -> Any:
    """Return plain data whose texts are one printable line each, so that each stays in its line."""
    if isinstance(data, dict):
        return {_printable_data(key): _printable_data(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_printable_data(one) for one in data]
    return printable(data) if isinstance(data, str) else data
