"""Verbs that only look: where rollouts stand, and how they got there."""

import click

from controller.cli import options
from controller.core.rollout import Phase, Rollout
from controller.errors import Exit, StoreError


@click.command()
@click.argument("rollout", required=False, metavar="[ROLLOUT]")
@click.option("--exit-code", is_flag=True, help="End with 3 while undecided, 4 when rolled back.")
@options.store
@options.as_json
def status(rollout: str | None, exit_code: bool, store_url: str | None, as_json: bool) -> int:
    """Show where rollouts stand, why, and what is next.

    ROLLOUT is an id, a name or a policy file; without it, every active rollout is shown.
    """
    from controller.render.status import rollout_data, rollout_text

    with options.looking(store_url) as (store, now):
        if rollout is None:
            shown = [store.load(one) for one in store.active(now)]
        else:
            shown = [store.load(options.rollout_id(store, rollout))]
    if as_json:
        data = [rollout_data(one) for one in shown]
        options.print_json("status", data[0] if rollout is not None else {"rollouts": data})
    else:
        click.echo("\n\n".join(map(rollout_text, shown)) or "no active rollout")
    return max(map(_status_of, shown), default=Exit.DONE) if exit_code else Exit.DONE


def _status_of(rollout: Rollout) -> Exit:
    match rollout.phase:
        case Phase.SUCCEEDED:
            return Exit.DONE
        case Phase.ROLLED_BACK:
            return Exit.ROLLED_BACK
        case Phase.PROGRESSING | Phase.PAUSED | Phase.ROLLING_BACK:
            return Exit.UNDECIDED


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@options.store
@options.as_json
def history(rollout: str, store_url: str | None, as_json: bool) -> int:
    """Show every transition of a rollout.

    When, which weight, who, and which findings decided; and whether the hash chain of the entries
    holds.
    """
    from controller.core.history import broken_link
    from controller.render.history import entry_data, history_lines

    with options.looking(store_url) as (store, _):
        found = options.rollout_id(store, rollout)
        known = store.load(found)
        entries = store.history(found)
    broken = broken_link(entries, known.chain)
    if as_json:
        data = {
            "rollout": found,
            "chain_valid": broken is None,
            "entries": [entry_data(entry) for entry in entries],
        }
        options.print_json("history", data)
    else:
        click.echo("\n".join(history_lines(entries)))
    if broken is not None:
        raise StoreError(
            f"the history of {found} was changed or is incomplete from entry {broken} on; "
            "do not trust what follows, and look who wrote to the store"
        )
    return Exit.DONE
