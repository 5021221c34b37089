"""The verbs `validate` and `explain`: policy files and their fields, offline."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import click

from controller.cli import options, streams
from controller.cli.call import CommandContext, Result
from controller.core.units import count_text
from controller.errors import Exit, Flaw, PolicyError, UsageError, flaw_lines
from controller.immutable import Immutable
from controller.policy_file.loader import load_with_sources
from controller.policy_file.rules import Rules, ask_text, flaws_of, rules_of
from controller.policy_file.schema import FieldHelp, explain_field
from controller.policy_file.template import Inherited
from controller.ports.json_view import whole
from controller.render.page import (
    EMPTY_LINE,
    Block,
    Page,
    PageTable,
    TextSpan,
    Tone,
    lines_page,
    paragraph,
)
from controller.safe_text import printable


class Problem(Immutable):
    """One mistake in a policy file."""

    file: str
    """The file, as the command line named it."""
    line: Annotated[int, whole(1)]
    """Line of the mistake, from 1; 1 for a mistake of the file as a whole."""
    column: Annotated[int, whole(1)]
    """Column of the mistake, from 1; 1 for a mistake of the file as a whole."""
    path: str
    """Path of the value in the policy, such as steps[1].weight; empty: the whole document."""
    message: str
    """What is wrong."""


class FileCheck(Immutable):
    """The result for one policy file."""

    file: str
    """The file, as the command line named it."""
    ok: bool
    """Whether the file is a valid policy."""
    problems: list[Problem]
    """Every mistake in it, in the order of the file."""
    warnings: list[Problem]
    """What is valid and probably a mistake, in the order of the file."""
    ladder: str | None
    """The steps for people; null: the file is not valid."""
    inherited: list[Inherited]
    """Each part that the template has which the policy `extends`, and the policy has not."""


class ValidateData(Immutable):
    """The result for each policy file."""

    ok: bool
    """Whether every file is a valid policy."""
    files: list[FileCheck]
    """Each file, in the order of the command line."""


@click.command()
@click.argument(
    "policies", nargs=-1, required=True, metavar="POLICY...", type=click.Path(path_type=Path)
)
@click.option(
    "--format", "form", type=click.Choice(["text", "github"]), default="text", show_default=True,
    help="github: mistakes are annotations on stdout, which a pull request shows at their lines.",
)  # fmt: skip
@options.call_options("store", "json")
def validate(call: CommandContext, policies: tuple[Path, ...], form: str) -> Result:
    """Check policy files, offline.

    Every mistake is one line on stderr, all of them at once: file:line:column: path: problem. A
    warning is such a line on stdout, and does not change the exit status. With --store, what
    breaks the rules of that store is a mistake, too.
    """
    if call.as_json and form != "text":
        raise UsageError("--json and --format are two forms of one result: give one of them")
    rules = None
    if call.store_url is not None:
        with call.store_session() as store:
            rules = rules_of(store)
    checked = [_check_file(path, rules) for path in policies]
    valid = not any(one.flaws for one in checked)
    for one in [] if call.as_json else checked:
        if form == "github":
            commands = [annotation(flaw) for flaw in one.flaws]
            commands += [annotation(warning, "warning") for warning in one.warnings]
            for command in commands:
                click.echo(command, file=streams.unfiltered_stream(sys.stdout))
        elif one.flaws:
            streams.print_page(lines_page(flaw_lines(one.flaws)), sys.stderr)
        if not one.flaws:
            streams.print_page(one.page())

    return Result(
        "validate",
        data=lambda: ValidateData(valid, [one.data() for one in checked]),
        notes=[ask_text(rules)] if rules and any(one.breaks_rules for one in checked) else [],
        status=Exit.DONE if valid else Exit.USAGE,
    )


class _CheckedFile(NamedTuple):
    """One policy file: its mistakes and its warnings, and of a valid one also its steps.

    inherited: what it takes from the template that it extends. breaks_rules: whether the mistakes
    are what breaks the rules of the store.
    """

    path: Path
    flaws: Sequence[Flaw] = ()
    warnings: Sequence[Flaw] = ()
    ladder: str | None = None
    inherited: Sequence[Inherited] = ()
    breaks_rules: bool = False

    def data(self) -> FileCheck:
        problems, warnings = map(_problem, self.flaws), map(_problem, self.warnings)
        return FileCheck(
            str(self.path), not self.flaws, [*problems], [*warnings], self.ladder, [*self.inherited]
        )

    def page(self) -> Page:
        """Return the page of a valid file."""
        count = count_text(len(self.warnings), "warning")
        result = f"valid, with {count}" if self.warnings else "ok"
        return [
            paragraph(f"{self.path}: {result}: {self.ladder}"),
            *(paragraph(f"  {one.path}: from {one.file}:{one.line}") for one in self.inherited),
            *(paragraph(f"warning: {warning}", Tone.WAITING) for warning in self.warnings),
        ]


def _check_file(path: Path, rules: Rules | None) -> _CheckedFile:
    try:
        policy, warnings, parts = load_with_sources(path)
    except PolicyError as error:
        return _CheckedFile(path, error.flaws)
    if rules is not None and (flaws := flaws_of(rules, policy, path)):
        return _CheckedFile(path, flaws, breaks_rules=True)
    return _CheckedFile(path, (), warnings, policy.steps_text(), parts)


def _problem(flaw: Flaw) -> Problem:
    """Return a mistake of a file; one of the file as a whole is at line 1, column 1."""
    return Problem(flaw.file, flaw.line or 1, flaw.column or 1, flaw.path, flaw.message)


_TITLE: Final = "rolloutctl"


def annotation(flaw: Flaw, level: Literal["error", "warning"] = "error") -> str:
    """Return the command that makes GitHub show `flaw` at its place in the file.

    GitHub finds the file when its path starts at the root of the repository. It shows ten errors of
    a step; the log has all of them.
    """
    location = {"file": flaw.file, "line": flaw.line, "col": flaw.column, "title": _TITLE}
    properties = ",".join(
        f"{name}={_escape_data(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for name, value in location.items()
        if value
    )
    return f"::{level} {properties}::{_escape_data(flaw.text)}"


def _escape_data(text: str) -> str:
    return printable(text).replace("%", "%25")  # printable text has no `\r` and `\n` to escape


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
    default = "none: it is required" if field.required else field.default
    facts = [("form", field.form), ("default", default), ("example", field.example)]
    if field.is_kind:
        facts = [("example", field.example)]
    if field.fields:
        facts.append(("holds", ", ".join(field.fields)))
    yield paragraph(field.path, Tone.TITLE)
    yield paragraph(field.text, indent=2, hang=2)
    shown = [(TextSpan(name, Tone.QUIET), text) for name, text in facts if text]
    yield PageTable(shown, indent=2)
    yield EMPTY_LINE
