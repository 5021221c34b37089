"""The verb `verify`: compares the live target and its traffic with the rollout's state."""

from collections.abc import Sequence

import click

from controller.bootstrap import app
from controller.cli import options
from controller.core.checks import Check
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.engine import exit_status
from controller.errors import NoStoreError, StoreError, UsageError
from controller.operations.verify import Verifier
from controller.process import logging
from controller.render.checks import check_lines, checks_data
from controller.text import printable_block

MAX_MINUTES = 24 * 60


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MAX_MINUTES), default=30, show_default=True,
    help="How many settled minutes of traffic are counted.",
)  # fmt: skip
@options.store
@options.as_json
def verify(policy: str, minutes: int, store_url: str | None, as_json: bool) -> int:
    """Compare what is live with what should be.

    A line for each: the rollout, the variables, the boolean, the last update, who is reached, the
    drain of a rollback, the share of requests on the canary by the metrics and by the flag's own
    events, and the weight that the application has read. A share may be off by what chance does to
    one look in a thousand. What may not be read costs its own line, which names the action.

    Ends with 7 when a check fails, with 1 when something could not be read, else with 0.
    """
    logging.configure()
    checks = _checks(policy, minutes, store_url)
    if as_json:
        options.print_json("verify", {"policy": policy, "minutes": minutes, **checks_data(checks)})
    else:
        click.echo(printable_block(check_lines(checks)))
    return exit_status.of_checks(checks)


def _checks(reference: str, minutes: int, store_url: str | None) -> Sequence[Check]:
    rollout: Rollout | StoreError | None = None
    from_file = options.is_policy_file(reference)
    if from_file:
        policy = options.load_policy(reference)
        verifier = _verifier(policy)
        reading = verifier.read_target()
        rollout = _owner(verifier, reading, store_url)
    else:
        with options.store_session(store_url) as (store, _):
            rollout = store.load(options.rollout_id(store, reference))
        verifier = _verifier(rollout.policy)
        reading = verifier.read_target()
    now = app.wall_clock().now()
    return list(verifier.checks(reading, rollout, minutes, now, from_file=from_file))


def _verifier(policy: Policy) -> Verifier:
    from controller.bootstrap.without_rollout import verifier

    return verifier(policy)


def _owner(
    verifier: Verifier, reading: TargetReading | UnreadableTarget, store_url: str | None
) -> Rollout | StoreError | None:
    """Return the rollout that owns the target, None, or the error that hides it."""
    try:
        with options.store_session(store_url) as (store, _):
            return verifier.owner(store, reading)
    except StoreError as error:
        return error
    except UsageError as error:
        return NoStoreError(str(error))
