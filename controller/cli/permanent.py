"""The verb `permanent`: how 100 % goes into the deployment templates after a success."""

from pathlib import Path

import click

from controller.cli import options
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.errors import Exit, RolloutError
from controller.render.permanent import FORMS, permanent_data, permanent_text, too_early_reason
from controller.text import printable


@click.command()
@click.argument("rollout", metavar="ROLLOUT|POLICY")
@click.option(
    "--form",
    "forms",
    type=click.Choice(FORMS),
    multiple=True,
    help="How the function is deployed; may be given more than once. Default: all.",
)
@options.store
@options.as_json
def permanent(rollout: str, forms: tuple[str, ...], store_url: str | None, as_json: bool) -> int:
    """Print how 100 % becomes permanent.

    The exact change for CDK, CloudFormation or Terraform, what sets the old values again until it
    is deployed, and what then becomes of the old path. Nothing is read but the store and POLICY.
    """
    policy, newest = _policy_and_rollout(rollout, store_url)
    selected_forms = forms or FORMS
    if why := too_early_reason(newest):
        click.echo(printable(f"rolloutctl: warning: {why}"), err=True)
    if as_json:
        options.print_json("permanent", permanent_data(policy, newest, selected_forms))
    else:
        click.echo(permanent_text(policy, newest, selected_forms))
    return Exit.DONE


def _policy_and_rollout(reference: str, store_url: str | None) -> tuple[Policy, Rollout | None]:
    """Return the policy and its newest rollout; None without a rollout, or without a store."""
    if not options.is_policy_file(reference):
        with options.store_session(store_url) as (store, _):
            rollout = store.load(options.rollout_id(store, reference))
        return rollout.policy, rollout
    from controller.policy_file.loader import load

    policy = load(Path(reference))
    try:
        with options.store_session(store_url, may_be_missing=True) as (store, _):
            ids = store.of_name(policy.name)
            return policy, store.load(ids[-1]) if ids else None
    except RolloutError as error:
        click.echo(f"rolloutctl: note: whether it succeeded is not known: {error}", err=True)
        return policy, None
