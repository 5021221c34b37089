"""The verb `explain`: what a field of a policy is, with its form, default and an example."""

from collections.abc import Iterator, Sequence

import click

from controller.cli import options
from controller.cli.call import CommandContext
from controller.cli.result import Result
from controller.immutable import Immutable
from controller.policy_file.schema import FieldHelp, explain_field
from controller.render.page import EMPTY_LINE, Block, Page, PageTable, TextSpan, Tone, paragraph

# More fields than this are listed in a line each.
_IN_FULL = 3


class ExplainData(Immutable):
    """Fields of a policy."""

    fields: list[FieldHelp]
    """Each field that was named."""


@click.command()
@click.argument("field", default="")
@options.call_options("json")
def explain(_call: CommandContext, field: str) -> Result:
    """Explain a field of a policy, with an example.

    FIELD is a path (steps.bake), one from a message (criteria.SC-004.min), or a name (bake).
    Without it, the fields of the policy are listed.
    """
    found = explain_field(field)
    return Result("explain", lambda: ExplainData(found), page=lambda: _page(found))


def _page(found: Sequence[FieldHelp]) -> Page:
    if len(found) > _IN_FULL:
        return [PageTable([(one.path, one.form, one.text) for one in found])]
    return [block for one in found for block in _blocks(one)][:-1]


def _blocks(field: FieldHelp) -> Iterator[Block]:
    """Yield a field in full, and an empty line."""
    default = field.default or ("none: it is required" if field.required else "none")
    facts = [("form", field.form), ("default", default), ("example", field.example)]
    if field.is_kind:
        facts = [("example", field.example)]
    if field.fields:
        facts.append(("holds", ", ".join(field.fields)))
    yield paragraph(field.path, Tone.TITLE)
    yield paragraph(field.text, indent=2, hang=2)
    yield PageTable([(TextSpan(name, Tone.QUIET), text) for name, text in facts], indent=2)
    yield EMPTY_LINE
