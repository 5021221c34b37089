"""Options and conversions that several verbs share."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from math import isnan
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from controller.bootstrap.app import App, live_app
from controller.core.policy import Policy
from controller.core.units import parse_duration
from controller.errors import StoreError, UnknownRolloutError, UsageError
from controller.ports.store import Catalogue, Store
from controller.process import logging, settings, signals
from controller.text import escaped, printable, truncate

log = logging.logger()

Command = TypeVar("Command", bound=Callable[..., Any])

# Enough for a written reason, and short enough for a history entry and a terminal.
MAX_CHARACTERS: Final = 500
# How many rollout names a message lists at most.
_MAX_LISTED: Final = 10
_STORE_URL_KEY: Final = "rolloutctl.store"  # key of the click context


class Duration(click.ParamType[timedelta]):
    """A length of time as policies write it: 90s, 10m, 1h."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        try:
            length = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if length <= timedelta():
            self.fail("must be longer than nothing", param, ctx)
        return length


class RequestRate(click.FloatRange):
    """A number of requests a minute: above 0, at most 1e9."""

    name = "number"

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=1e9)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        rate: float = super().convert(value, param, ctx)
        if isnan(rate):
            self.fail("must be a number", param, ctx)
        return rate


class OneLineText(click.ParamType[str]):
    """Free text of an operator as one printable line, safe in histories, logs and on terminals.

    Line breaks become spaces, unprintable characters become visible escapes, and blank text becomes
    empty.
    """

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        line = settings.one_line(value)
        if len(line) > MAX_CHARACTERS:
            self.fail(f"has {len(line)} characters; at most {MAX_CHARACTERS} fit", param, ctx)
        return line


class ExactText(OneLineText):
    """Text that programs compare: never changed, and refused unless it is one printable line."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != super().convert(value, param, ctx):
            self.fail("must be one printable line, without spaces around it", param, ctx)
        return str(value)


def as_json(command: Command) -> Command:
    """Add --json: the result as one JSON document on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def store(command: Command) -> Command:
    """Add --store: where rollouts are kept."""
    return click.option(
        "--store",
        "store_url",
        metavar="URL",
        help="Where rollouts are kept: sqlite:///FILE or dynamodb://TABLE. Default: "
        "ROLLOUTCTL_STORE, or a file under the user's state directory.",
    )(command)


def dry_run(command: Command) -> Command:
    """Add --dry-run: reads are made, writes are only printed."""
    return click.option(
        "--dry-run", is_flag=True, help="Read everything, write nothing, show what would be done."
    )(command)


def by(command: Command) -> Command:
    """Add --by: the operator's name for the history."""
    return click.option(
        "--by",
        type=OneLineText(),
        metavar="NAME",
        help="Who does this. Default: ROLLOUTCTL_BY, who started the CI job, the AWS caller, or "
        "the user.",
    )(command)


@contextmanager
def app_session(
    store_url: str | None,
    *,
    dry_run: bool = False,
    create: bool = False,
    by: str | None = None,
    ask_caller: bool = False,
) -> Iterator[App]:
    """Yield the application on the real account, with logs set up for a person or a collector.

    by: the value of --by. ask_caller: ask AWS who calls when no name was given; not in ticks, which
    are to make few calls.
    Raises NoStoreError when there is no store and this verb does not `create` one.
    """
    logging.configure(dry_run=dry_run, run=logging.new_run_id())
    config = settings.read(os.environ, store_url, by)
    if config.egress.problem:
        if create:
            raise UsageError(config.egress.problem)
        log.error("hooks_unreachable", problem=config.egress.problem)  # the rest of the run goes on
    click.get_current_context().meta[_STORE_URL_KEY] = config.store.url
    with (
        signals.defer_signals(),
        live_app(config, dry_run=dry_run, create=create, ask_caller=ask_caller) as app,
    ):
        yield app


@contextmanager
def store_session(
    store_url: str | None, *, may_be_missing: bool = False
) -> Iterator[tuple[Store, datetime]]:
    """Yield the store and the current moment, for verbs that need no AWS."""
    from controller.bootstrap.app import open_store

    logging.configure()
    config = settings.read(os.environ, store_url)
    click.get_current_context().meta[_STORE_URL_KEY] = config.store.url
    with open_store(config, may_be_missing=may_be_missing) as (store, now):
        yield store, now


def rollout_id(catalogue: Catalogue, reference: str) -> str:
    """Return the rollout id for `reference`: an id, a rollout's name, or a policy file.

    A name or a policy means its newest attempt. Raises UnknownRolloutError, whose message lists the
    rollouts in the store.
    """
    name = policy_name(reference)
    if "#" in name:
        return name
    ids = catalogue.of_name(name)
    if not ids:
        store_name = click.get_current_context().meta.get(_STORE_URL_KEY, "this store")
        raise UnknownRolloutError(
            f"no rollout is called {name!r} in {store_name}{_names_in_store(catalogue)}; "
            "if that is the wrong store, name another one: --store or ROLLOUTCTL_STORE"
        )
    return ids[-1]


def _names_in_store(catalogue: Catalogue) -> str:
    """Return the rollout names in a store, for a message; empty when the store cannot be read."""
    with suppress(StoreError):
        names = list(dict.fromkeys(one.partition("#")[0] for one in reversed(catalogue.all())))
        more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
        return f", which has {', '.join(names[:_MAX_LISTED]) or 'none at all'}{more}"
    return ""


def policy_of(store: Store, reference: str) -> Policy:
    """Return the policy in the file `reference`, or the one that the rollout of that name follows.

    Raises PolicyError, UnknownRolloutError, StoreError.
    """
    if is_policy_file(reference):
        return load_policy(reference)
    return store.load(rollout_id(store, reference)).policy


def load_policy(reference: str) -> Policy:
    """Return the policy in the file `reference`. Raises PolicyError with every mistake in it."""
    from controller.policy_file.loader import load

    return load(Path(reference))


def policy_name(reference: str) -> str:
    """Return the rollout name behind `reference`, which may be a policy file."""
    return load_policy(reference).name if is_policy_file(reference) else reference


def is_policy_file(reference: str) -> bool:
    """Tell whether `reference` is a policy file rather than the name of a rollout."""
    return reference.endswith((".yaml", ".yml")) or os.sep in reference


def print_json(kind: str, data: Mapping[str, Any]) -> None:
    """Print `data` with its schema, `kind/1`, in front; control characters are escaped."""
    text = json.dumps({"schema": f"{kind}/1", **data}, indent=2, ensure_ascii=False)
    click.echo("\n".join(map(escaped, text.split("\n"))))  # json.dumps leaves C1 controls alone


def fit_line(line: str, width: int | None = None) -> str:
    """Return `line` as one printable row: cut at `width` columns, else where a terminal ends.

    Without either nothing is cut: a pipe leads to a program.
    """
    row = printable(line)
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    return row if width is None else truncate(row, width)


def print_dry_run(lines: Sequence[str]) -> None:
    """Print what a run without --dry-run would do."""
    for line in lines:
        click.echo(printable(f"would: {line}"))
    if not lines:
        click.echo("would: nothing")
