"""The verb `record`: writes what AWS answers in this account to files that hold no secrets."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from botocore import __version__ as botocore_version

from controller.bootstrap.account import real_account
from controller.cli import options
from controller.cli.call import CommandContext
from controller.cli.result import Result
from controller.core.units import count_text
from controller.errors import UsageError
from controller.immutable import Immutable, plain_data
from controller.ports.json_view import Count
from controller.render.page import lines_page
from controller.tools.record.compose import RecordedCall, record_account


class RecordingData(Immutable):
    """A recording of an account."""

    directory: str
    """Where the files are."""
    calls: dict[str, Count]
    """How many calls each file has, by service."""
    refused: Count
    """How many calls AWS refused; some of them on purpose."""
    not_valid: Count
    """How many answers rolloutctl takes for none of AWS: please report these."""
    left: Sequence[str]
    """What each written resource looks like now; empty without --write."""


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--write",
    "written",
    nargs=3,
    metavar="FUNCTION ALIAS RULE",
    help="Also write to these three, which get no requests, and write them back.",
)
@options.call_options("store", "json")
def record(call: CommandContext, directory: Path, written: tuple[str, str, str] | None) -> Result:
    """Record what AWS answers here, without secrets.

    Some thirty calls that only read, a file for each service in DIR. The files hold no values of
    variables, no code, tags or messages, and names in place of ids; look through them before you
    send them. What a rollout owns is not written.
    """
    call.configure_logs()
    _make(directory)  # before a call is made that would be recorded in vain
    calls, left = record_account(call.read_settings(), written)
    counts = dict(sorted(Counter(one.service for one in calls).items()))
    for service in counts:
        _write(directory, service, [one for one in calls if one.service == service])
    data = RecordingData(
        directory=str(directory),
        calls=counts,
        refused=sum(bool(one.error) for one in calls),
        not_valid=sum(bool(one.not_valid) for one in calls),
        left=left,
    )
    return Result("record", data=lambda: data, page=lambda: lines_page(_lines(data)))


def _make(directory: Path) -> None:
    """Make `directory`. Raises UsageError when it cannot be made, or has something in it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UsageError(f"{directory} is not empty: name a new directory")
    except OSError as error:
        raise UsageError(f"{directory} cannot be made: {error.strerror}") from error


def _write(directory: Path, service: str, calls: Sequence[RecordedCall]) -> None:
    """Write the file of one service. Raises UsageError when it cannot be written."""
    from ruamel.yaml import YAML

    document: dict[str, Any] = {
        "service": service,
        "recorded": real_account().clock.now().date().isoformat(),
        "botocore": botocore_version,
        "calls": [plain_data(call.document) for call in calls],
    }
    yaml = YAML(typ="safe")
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    path = directory / f"{service}.yaml"
    try:
        with path.open("x", encoding="utf-8") as file:
            yaml.dump(document, file)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _lines(data: RecordingData) -> list[str]:
    calls = ", ".join(f"{service} {number}" for service, number in data.calls.items())
    lines = [
        f"{count_text(sum(data.calls.values()), 'call')} recorded in {data.directory}: {calls}"
    ]
    if data.not_valid:
        lines.append(
            f"{count_text(data.not_valid, 'answer')} of AWS that rolloutctl refuses: please report"
        )
    return [*lines, *data.left, "look through the files before you send them"]
