"""The verb `record`: writes what AWS answers in this account to files that hold no secrets.

The calls, and what is left out of the answers, are in `adapters/recorder`.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from botocore import __version__ as botocore_version

from controller.adapters.recorder import RecordedCall, Recorder
from controller.adapters.recorder.calls import (
    record_alias_writes,
    record_function_writes,
    record_reads,
    record_rule_writes,
)
from controller.bootstrap.account import AwsAccount, real_account, store_at
from controller.cli import options
from controller.cli.call import CommandContext, Result
from controller.core.units import count_text
from controller.errors import NoStoreError, UsageError
from controller.immutable import Immutable, plain_data
from controller.ports.json_view import Count
from controller.process import signals
from controller.process.settings import Settings
from controller.render.page import lines_page


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


def record_account(
    settings: Settings, written: tuple[str, str, str] | None
) -> tuple[list[RecordedCall], list[str]]:
    """Return the calls of a recording, and what its writes left.

    written: name of a function and of its alias, and ARN of a rule; None: nothing is written.
    Raises UsageError where a rollout owns one of them, StoreError when that cannot be read.
    """
    account = real_account()
    if written is not None:
        _refuse_owned(settings, account, *written)
    recorder, left = Recorder(account.client, account.clock), list[str]()
    with signals.defer_signals():  # what was written is written back
        record_reads(recorder)
        if written is not None:
            function, alias, rule = written
            left += record_function_writes(recorder, function)
            left += record_alias_writes(recorder, function, alias)
            left += record_rule_writes(recorder, rule)
    return recorder.calls, left


def _refuse_owned(
    settings: Settings, account: AwsAccount, function: str, alias: str, rule: str
) -> None:
    if "listener-rule/" not in rule:
        raise UsageError(f"--write: the third value is the ARN of a rule, not {rule!r}")
    function = function.rpartition(":function:")[2]  # a name, or the end of an ARN
    owned = {f"function:{function}", f"function:{function}:{alias}", rule}
    try:
        with store_at(settings.store, account, must_exist=True, writes=False) as store:
            # Each that has not ended, or is still watched.
            for rollout_id in store.active(account.clock.now()):
                target = store.load(rollout_id).target
                if target == rule or any(target.endswith(f":{one}") for one in owned):
                    raise UsageError(
                        f"--write: {rollout_id} owns {target}; name resources that no rollout owns"
                    )
    except NoStoreError:
        return
