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
from controller.operations.feasibility import power_of
from controller.policy_file.loader import load
from controller.render.feasibility import power_data, power_page
from controller.render.github import annotation
from controller.render.page import Page, lines_page, paragraph

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
@click.option(
    "--requests-per-minute", "per_minute", type=options.RequestRate(), metavar="N",
    help="Show the gate power at this request rate, both paths together.",
)  # fmt: skip
@options.call_options("json")
def validate(call: Call, policies: tuple[Path, ...], form: str, per_minute: float | None) -> Result:
    """Check policy files, offline.

    Every mistake is one line on stderr, all of them at once: file:line:column: path: problem.
    """
    if call.as_json and form != "text":
        raise UsageError("--json and --format are two forms of one result: give one of them")
    file_checks = [_check_file(path, per_minute) for path in policies]
    valid = not any(one.flaws for one in file_checks)
    for one in [] if call.as_json else file_checks:
        if one.flaws and form == "github":
            _annotate(one.flaws)
        else:
            streams.print_page(one.page, sys.stderr if one.flaws else sys.stdout)

    def data() -> "ValidateData":
        return {"ok": valid, "files": [one.data for one in file_checks]}

    return Result(
        "validate",
        data=data,
        status=Exit.DONE if valid else Exit.USAGE,
    )


class _FileCheck(NamedTuple):
    """The result for one policy file: as data, as a page, and its mistakes."""

    data: "FileCheck"
    page: Page
    flaws: Sequence[Flaw] = ()


def _check_file(path: Path, per_minute: float | None) -> _FileCheck:
    try:
        policy = load(path)
    except PolicyError as error:
        problems = list(map(_problem_data, error.flaws))
        invalid: FileCheck = {
            "file": str(path),
            "ok": False,
            "problems": problems,
            "ladder": None,
            "power": None,
        }
        return _FileCheck(invalid, lines_page(flaw_lines(error.flaws)), error.flaws)
    ladder = policy.steps_text()
    data: FileCheck = {
        "file": str(path),
        "ok": True,
        "problems": [],
        "ladder": ladder,
        "power": None,
    }
    if per_minute is None:
        return _FileCheck(data, lines_page([f"{path}: ok: {ladder}"]))
    steps = power_of(policy, per_minute)
    data["power"] = power_data(policy, per_minute, "given", steps)
    warnings = sum(one.warnings for one in steps)
    result = f"valid, with {count_text(warnings, 'warning')}" if warnings else "ok"
    head = paragraph(f"{path}: {result}: {ladder}")
    return _FileCheck(data, [head, *power_page(policy, per_minute, "given", steps)])


def _problem_data(flaw: Flaw) -> "Problem":
    """Return a mistake as JSON data. A mistake of the file as a whole is at line 1, column 1."""
    return {
        "file": flaw.file,
        "line": flaw.line or 1,
        "column": flaw.column or 1,
        "path": flaw.path,
        "message": flaw.message,
    }


def _annotate(flaws: Sequence[Flaw]) -> None:
    for flaw in flaws:
        click.echo(annotation(flaw), file=streams.unfiltered_stream(sys.stdout))
