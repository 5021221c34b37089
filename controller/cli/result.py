"""The result of a verb, printed in one place in each of its forms."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from controller.cli import streams
from controller.cli.call import CommandContext
from controller.errors import Exit, UsageError
from controller.immutable import Immutable
from controller.ports.json_view import Count, document_parts
from controller.render.page import Page, paragraph
from controller.safe_text import escaped_lines


class ErrorData(Immutable):
    """A command that failed before it had a result."""

    error: str
    """What is wrong, in one line."""
    details: list[str]
    """Further lines: each mistake of a policy file, or where to read on."""
    status: Count
    """The exit status of the command."""


class Result(Immutable):
    """What a verb found or did, in its forms, and the exit status. Only one form is rendered.

    kind: names the JSON document, whose schema is `kind/1`.
    page: what people read; empty where the verb has printed its lines already.
    text: a document that is printed as it is, such as a template; instead of a page.
    junit: the text of the report file.
    would: the writes that a dry run left out; None without a dry run.
    notes: what to know about it; they follow the result, on stderr.
    """

    kind: str = ""
    data: Callable[[], Immutable] = Immutable
    page: Callable[[], Page] = tuple
    text: Callable[[], str] = str
    markdown: Callable[[], str] = str
    junit: Callable[[], str] = str
    would: Sequence[str] | None = None
    notes: Iterable[str] = ()
    status: Exit = Exit.DONE


def report(result: Result, call: CommandContext) -> Exit:
    """Print `result` in the form that `call` asks for, and return its exit status.

    Raises UsageError when the JUnit file cannot be written.
    """
    if call.junit is not None:
        _write_junit(call.junit, result.junit())
    if call.as_json:
        print_json(result.kind, result.data(), result.would)
    elif call.markdown:
        click.echo(result.markdown())
    else:
        if page := result.page():
            streams.print_page(page)
        if text := result.text():
            click.echo(text)
        if result.would is not None:
            left_out = result.would or ["nothing"]
            streams.print_page([paragraph(f"would: {line}") for line in left_out])
    for note in result.notes:
        streams.message(note)
    return result.status


def print_json(kind: str, data: Immutable, would: Sequence[str] | None = None) -> None:
    """Print `data` with the name of its schema in front; control characters are escaped."""
    left_out = {} if would is None else {"would": list(would)}
    for part in document_parts(kind, data, left_out):
        click.echo(escaped_lines(part), nl=False)  # json.dumps leaves C1 controls alone
    click.echo()


def _write_junit(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: the report cannot be written: {error.strerror}") from error
