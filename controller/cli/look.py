"""Verbs that only look: where rollouts stand, and how they got there."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

import click

from controller import bootstrap
from controller.cli import options, streams, watching
from controller.cli.retired import retired, retired_data, retired_line
from controller.cli.watching import Pace
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.errors import Exit, StoreError, UsageError
from controller.ports import Store


@click.command()
@click.argument("rollout", required=False, metavar="[ROLLOUT]")
@click.option("--all", "finished_too", is_flag=True, help="Show finished rollouts, too.")
@click.option(
    "--wait", is_flag=True, help="Wait until ROLLOUT pauses or ends; the exit status says which."
)
@click.option(
    "--watch", is_flag=True,
    help="Show ROLLOUT live until it has ended; in lines where that cannot be drawn.",
)  # fmt: skip
@watching.paced
@click.option(
    "--exit-code", is_flag=True,
    help="End with 2 when it lives in another store, 3 while undecided, 4 when rolled back, 5 "
    "while that is not confirmed, 6 when another hand moved the weight.",
)  # fmt: skip
@options.store
@options.as_json
def status(
    rollout: str | None,
    finished_too: bool,
    wait: bool,
    watch: bool,
    limit: timedelta,
    every: timedelta,
    exit_code: bool,
    store_url: str | None,
    as_json: bool,
) -> int:
    """Show where rollouts stand, why, and what is next.

    ROLLOUT is an id, a name or a policy file; without it, every active rollout is shown, the most
    urgent first. --wait and --watch only look into the store: something else has to tick. They end
    as `run` does.
    """
    follows = wait or watch
    _check(rollout, finished_too, follows)
    with options.looking(store_url) as (store, now):
        if rollout is None:
            shown = _show_all(store, now, finished_too, as_json)
        elif follows:
            pace = Pace(bootstrap.wall_clock(), every, now + limit)
            shown = [_follow(store, rollout, pace, wait, watch, as_json)]
        else:
            shown = [_show(store.load(options.rollout_id(store, rollout)), now, as_json)]
    return watching.worst(shown) if exit_code or follows else Exit.DONE


def _check(rollout: str | None, finished_too: bool, follows: bool) -> None:
    if not follows:
        watching.refuse_pace("--wait or --watch")
    if rollout is None and follows:
        raise UsageError("--wait and --watch follow one rollout: say which")
    if rollout is not None and finished_too:
        raise UsageError("--all shows every rollout: leave ROLLOUT out")


def _show(rollout: Rollout, now: datetime, as_json: bool) -> Rollout:
    from controller.render.status import rollout_data, rollout_text

    if as_json:
        options.print_json("status", rollout_data(rollout))
    else:
        click.echo(rollout_text(rollout, now))
    return rollout


def _show_all(store: Store, now: datetime, finished_too: bool, as_json: bool) -> list[Rollout]:
    """Show a page of one rollout, a line each of many. What cannot be read hides no other.

    Where nothing is active, those that live elsewhere. Raises StoreError, when all others were
    shown.
    """
    from controller.render.status import overview_lines, rollout_data

    shown, damaged = _loaded(store, store.all() if finished_too else store.active(now))
    gone = [] if shown or damaged or finished_too else retired(store)
    if as_json:
        data = {"rollouts": [rollout_data(one) for one in shown], "retired": retired_data(gone)}
        options.print_json("status", data)
    elif len(shown) == 1:
        _show(shown[0], now, as_json)
    elif shown:
        click.echo("\n".join(map(_fitted, overview_lines(shown, now))))
    elif gone:
        click.echo("\n".join(map(retired_line, gone)))
    elif not damaged:
        click.echo("no rollout" if finished_too else "no active rollout")
    if damaged:
        raise StoreError("\nrolloutctl: ".join(map(str, damaged)))
    return shown or gone


def _loaded(store: Store, ids: Sequence[str]) -> tuple[list[Rollout], list[StoreError]]:
    shown: list[Rollout] = []
    damaged: list[StoreError] = []
    for one in ids:
        try:
            shown.append(store.load(one))
        except StoreError as error:
            damaged.append(error)
    return shown, damaged


def _fitted(line: str) -> str:
    """Return `line` as long as a terminal is wide, so that every rollout stays on one."""
    width = shutil.get_terminal_size().columns
    fits = len(line) <= width or not sys.stdout.isatty()
    return line if fits else f"{line[: width - 1]}…"


def _follow(
    store: Store, given: str, pace: Pace, wait: bool, watch: bool, as_json: bool
) -> Rollout:
    """Show a rollout until it rests, or is over and quiet, or time is up; return it as it stood."""
    look = partial(store.load, options.rollout_id(store, given))
    over = watching.resting if wait else _seen_enough
    with watching.display(pace.clock, live=watch, off=as_json) as show:
        last = watching.follow(look, pace, over, show)
    return _show(last, pace.clock.now(), as_json) if as_json else last


def _seen_enough(rollout: Rollout, now: datetime) -> bool:
    return watching.quiet(rollout, now) or streams.lost()


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@click.option(
    "--follow",
    is_flag=True,
    help="Go on with what comes, until the rollout has ended and is quiet.",
)
@watching.paced
@options.store
@options.as_json
def history(
    rollout: str,
    follow: bool,
    limit: timedelta,
    every: timedelta,
    store_url: str | None,
    as_json: bool,
) -> int:
    """Show every transition of a rollout.

    When, which weight, who, and which findings decided; and whether the hash chain of the entries
    holds.
    """
    from controller.render.history import history_lines

    if not follow:
        watching.refuse_pace("--follow")
    if follow and as_json:
        raise UsageError("--follow prints lines; ask for --json without it")
    with options.looking(store_url) as (store, now):
        found = options.rollout_id(store, rollout)
        if not follow:
            return _show_history(store, found, as_json)
        pace = Pace(bootstrap.wall_clock(), every, now + limit)
        for line in history_lines(_arriving(store, found, pace)):
            click.echo(line)
            if streams.lost():
                break
    return Exit.DONE


def _show_history(store: Store, rollout_id: str, as_json: bool) -> Exit:
    from controller.render.history import entry_data, history_lines

    known = store.load(rollout_id)
    entries = _entries(store, known)
    broken = _broken(known, entries)
    if as_json:
        data = {
            "rollout": rollout_id,
            "chain_valid": broken is None,
            "entries": [entry_data(entry) for entry in entries],
        }
        options.print_json("history", data)
    else:
        click.echo("\n".join(history_lines(entries)))
    if broken is not None:
        raise broken
    return Exit.DONE


def _arriving(store: Store, rollout_id: str, pace: Pace) -> Iterator[Entry]:
    """Yield the entries of a rollout as they come, until it has ended and is quiet.

    Raises StoreError after the first entries that do not follow from those before.
    """
    entries: Sequence[Entry] = ()

    def look() -> tuple[Rollout, Sequence[Entry]]:
        known = store.load(rollout_id)
        return known, entries if known.entries == len(entries) else _entries(store, known)

    for known, found in watching.looks(look, pace):
        told, entries = len(entries), found
        yield from entries[told:]
        if broken := _broken(known, entries):
            raise broken
        if known.moved_to or watching.quiet(known, pace.clock.now()):
            return


def _entries(store: Store, known: Rollout) -> Sequence[Entry]:
    """Return the history as long as `known` knows it; what a tick adds meanwhile is for later."""
    return store.history(known.id)[: known.entries]


def _broken(known: Rollout, entries: Sequence[Entry]) -> StoreError | None:
    """Return what is wrong with a history whose hash chain does not hold; None when it does."""
    from controller.core.history import broken_link

    broken = broken_link(entries, known.chain)
    if broken is None:
        return None
    return StoreError(
        f"the history of {known.id} was changed or is incomplete from entry {broken} on; "
        "do not trust what follows, and look who wrote to the store"
    )
