"""The verb `validate`: checks policy files, offline."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from controller.cli import options, streams
from controller.cli.call import Call
from controller.cli.result import Result
from controller.core.units import count_text
from controller.errors import Exit, Flaw, PolicyError, UsageError, flaw_lines
from controller.policy_file.loader import load_with_warnings
from controller.render.github import annotation
from controller.render.page import Page, Tone, lines_page, paragraph

if TYPE_CHECKING:
    from controller.render.outputs.policies import FileCheck, Problem, ValidateData


@click.command()
@click.argument(
    "policies", nargs=-1, required=True, metavar="POLICY...", type=click.Path(path_type=Path)
)
@click.option(
    "--format", "form", type=click.Choice(["text", "github"]), default="text", show_default=True,
    help="github: mistakes are annotations on stdout, which a pull request shows at their lines.",
)  # fmt: skip
@options.call_options("json")
def validate(call: Call, policies: tuple[Path, ...], form: str) -> Result:
    """Check policy files, offline.

    Every mistake is one line on stderr, all of them at once: file:line:column: path: problem. A
    warning is such a line on stdout, and does not change the exit status.
    """
    if call.as_json and form != "text":
        raise UsageError("--json and --format are two forms of one result: give one of them")
    file_checks = [_check_file(path) for path in policies]
    valid = not any(one.flaws for one in file_checks)
    for one in [] if call.as_json else file_checks:
        if form == "github":
            _annotate(one)
        if form != "github" or not one.flaws:
            streams.print_page(one.page, sys.stderr if one.flaws else sys.stdout)

    def data() -> "ValidateData":
        return {"ok": valid, "files": [one.data for one in file_checks]}

    return Result(
        "validate",
        data=data,
        status=Exit.DONE if valid else Exit.USAGE,
    )


class _FileCheck(NamedTuple):
    """The result for one policy file: as data, as a page, its mistakes and its warnings."""

    data: "FileCheck"
    page: Page
    flaws: Sequence[Flaw] = ()
    warnings: Sequence[Flaw] = ()


def _check_file(path: Path) -> _FileCheck:
    try:
        policy, warnings = load_with_warnings(path)
    except PolicyError as error:
        problems = list(map(_problem_data, error.flaws))
        invalid: FileCheck = {
            "file": str(path),
            "ok": False,
            "problems": problems,
            "warnings": [],
            "ladder": None,
        }
        return _FileCheck(invalid, lines_page(flaw_lines(error.flaws)), error.flaws)
    ladder = policy.steps_text()
    data: FileCheck = {
        "file": str(path),
        "ok": True,
        "problems": [],
        "warnings": list(map(_problem_data, warnings)),
        "ladder": ladder,
    }
    result = f"valid, with {count_text(len(warnings), 'warning')}" if warnings else "ok"
    page: Page = [
        paragraph(f"{path}: {result}: {ladder}"),
        *(paragraph(f"warning: {one}", Tone.WAITING) for one in warnings),
    ]
    return _FileCheck(data, page, warnings=warnings)


def _problem_data(flaw: Flaw) -> "Problem":
    """Return a mistake as JSON data. A mistake of the file as a whole is at line 1, column 1."""
    return {
        "file": flaw.file,
        "line": flaw.line or 1,
        "column": flaw.column or 1,
        "path": flaw.path,
        "message": flaw.message,
    }


def _annotate(check: _FileCheck) -> None:
    annotations = [
        *(annotation(one) for one in check.flaws),
        *(annotation(one, "warning") for one in check.warnings),
    ]
    for one in annotations:
        click.echo(one, file=streams.unfiltered_stream(sys.stdout))
