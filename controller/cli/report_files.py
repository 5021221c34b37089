"""Reports for CI: the options --markdown and --junit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from controller.cli import options
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.errors import UsageError


def report_options(command: options.Command) -> options.Command:
    """Add --markdown and --junit."""
    markdown = click.option(
        "--markdown", is_flag=True, help="Print Markdown: for the summary of a CI job."
    )
    junit = click.option(
        "--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
        help="Write the gates to FILE, too: a suite for each step, a case for each criterion.",
    )  # fmt: skip
    return markdown(junit(command))


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """The output format of a result: text, JSON or Markdown.

    junit: the file that also gets the gates, as JUnit test cases.
    """

    as_json: bool = False
    markdown: bool = False
    junit: Path | None = None

    @property
    def is_document(self) -> bool:
        """Whether stdout carries one document, without lines before it."""
        return self.as_json or self.markdown

    @property
    def needs_history(self) -> bool:
        """Whether the report needs the history of the rollout, not only its state."""
        return self.markdown or self.junit is not None

    def check(self) -> None:
        """Raise UsageError when both --json and --markdown were given."""
        if self.as_json and self.markdown:
            raise UsageError("--json and --markdown are two forms of one result: give one of them")


def write_junit_file(
    path: Path, rollout: Rollout, entries: Sequence[Entry], expected: str | None = None
) -> None:
    """Write the gates of `rollout` to `path`. Raises UsageError when the file cannot be written."""
    from controller.render.junit import junit_text

    try:
        path.write_text(junit_text(rollout, entries, expected), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: the report cannot be written: {error.strerror}") from error
