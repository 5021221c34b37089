"""Options and conversions that several verbs share."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from controller import events, settings
from controller.bootstrap import App, live
from controller.core.units import parse_duration
from controller.errors import UnknownRolloutError
from controller.ports import Catalogue, Store

Command = TypeVar("Command", bound=Callable[..., Any])


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
    """Add --dry-run: reads pass, writes are only shown."""
    return click.option(
        "--dry-run", is_flag=True, help="Read everything, write nothing, show what would be done."
    )(command)


def by(command: Command) -> Command:
    """Add --by: who does this, as the history will say."""
    return click.option(
        "--by",
        metavar="NAME",
        help="Who does this. Default: ROLLOUTCTL_BY, who started the CI job, the AWS caller, or "
        "the user.",
    )(command)


@contextmanager
def opened(
    store_url: str | None,
    *,
    dry_run: bool = False,
    create: bool = False,
    by: str | None = None,
    person: bool = False,
) -> Iterator[App]:
    """Yield the application on the real account, with logs set up for a person or a collector.

    by: what --by said. person: a verb of people, for which AWS is asked who calls when no name was
    given; ticks have no such call to spare.
    Raises NoStoreError when there is no store and this verb does not `create` one.
    """
    events.configure(dry_run=dry_run)
    read = settings.read(os.environ, store_url, by)
    with live(read, dry_run=dry_run, create=create, person=person) as app:
        yield app


@contextmanager
def looking(
    store_url: str | None, *, may_be_missing: bool = False
) -> Iterator[tuple[Store, datetime]]:
    """Yield the store and the current moment, for verbs that need no AWS."""
    from controller.bootstrap import open_store

    events.configure()
    read = settings.read(os.environ, store_url)
    with open_store(read, may_be_missing=may_be_missing) as (store, now):
        yield store, now


def rollout_id(catalogue: Catalogue, given: str) -> str:
    """Return the id that `given` means: an id, a rollout's name, or a policy file.

    A name or a policy stands for its newest attempt. Raises UnknownRolloutError.
    """
    name = policy_name(given)
    if "#" in name:
        return name
    ids = catalogue.of_name(name)
    if not ids:
        raise UnknownRolloutError(f"no rollout is called {name!r} in this store; start one first")
    return ids[-1]


def policy_name(given: str) -> str:
    """Return the rollout name behind `given`, which may be a policy file."""
    if is_policy_file(given):
        from controller.loader import load

        return load(Path(given)).name
    return given


def is_policy_file(given: str) -> bool:
    """Tell whether `given` is a policy file rather than the name of a rollout."""
    return given.endswith((".yaml", ".yml")) or os.sep in given


def print_json(kind: str, data: Mapping[str, Any]) -> None:
    """Print `data` with its schema, `kind/1`, in front."""
    click.echo(json.dumps({"schema": f"{kind}/1", **data}, indent=2, ensure_ascii=False))


def print_journal(lines: Sequence[str]) -> None:
    """Say what a dry run would have done."""
    for line in lines:
        click.echo(f"would: {line}")
    if not lines:
        click.echo("would: nothing")
