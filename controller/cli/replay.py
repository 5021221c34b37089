"""The verb `replay`: evaluates every decision of a history again, and compares."""

import click

from controller.cli import options
from controller.cli.history import load_unverified
from controller.errors import Exit
from controller.text import printable_block


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@options.store
@options.as_json
def replay(rollout: str, store_url: str | None, as_json: bool) -> int:
    """Derive every decision again and say where one differs.

    ROLLOUT is an id, a name or a policy file. Offline, each decision is made anew from what its
    history entry says was seen, each hour of evidence is folded anew, and the chain of hashes is
    checked; so is that the policy is the one of the start.
    Ends with 7 when anything differs.
    """
    from controller.core.replay.replay import replay as evaluate_again
    from controller.render.replay import replay_data, replay_lines

    with options.store_session(store_url) as (store, _):
        rollout_id = options.rollout_id(store, rollout)
        stored, snapshot = load_unverified(store, rollout_id)
        entries = store.history(rollout_id)
    result = evaluate_again(stored, entries, snapshot)
    if as_json:
        options.print_json("replay", replay_data(result))
    else:
        click.echo(printable_block(replay_lines(result)))
    return Exit.DONE if result.consistent else Exit.CHECK_FAILED
