"""The verb `permanent`: how 100% goes into the deployment templates after a success."""

import click

from controller.cli import options, streams
from controller.cli.call import CommandContext, is_policy_file, load_policy, newest_rollout
from controller.cli.result import Result
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.core.transitions.rollback import ROLLBACK_PHASES
from controller.errors import RolloutError, UsageError
from controller.tools.permanent.page import FORMS, permanent_data, permanent_page, too_early_reason


@click.command()
@click.argument("rollout", metavar="ROLLOUT|POLICY")
@click.option(
    "--form",
    "forms",
    type=click.Choice(FORMS),
    multiple=True,
    help="How the target is deployed; may be given more than once. Default: all.",
)
@options.call_options("store", "json")
def permanent(call: CommandContext, rollout: str, forms: tuple[str, ...]) -> Result:
    """Print how 100% becomes permanent.

    The exact change for CDK, CloudFormation or Terraform, what restores the old values until it is
    deployed, and how to remove the old path afterwards. Refused after a rollback. Reads only the
    store and POLICY.
    """
    policy, newest = _policy_and_rollout(call, rollout)
    selected_forms = forms or FORMS
    if newest is not None and newest.phase in ROLLBACK_PHASES:
        raise UsageError(
            f"{newest.id} was rolled back: requests take the stable path, so there is nothing to "
            "make permanent; keep what the stable path needs"
        )
    if why := too_early_reason(newest):
        streams.warn(why)
    return Result(
        "permanent",
        data=lambda: permanent_data(policy, newest, selected_forms),
        page=lambda: permanent_page(policy, newest, selected_forms),
    )


def _policy_and_rollout(call: CommandContext, reference: str) -> tuple[Policy, Rollout | None]:
    """Return the policy and its newest rollout; None without a rollout, or without a store."""
    if not is_policy_file(reference):
        rollout = call.stored_rollout(reference)
        return rollout.policy, rollout
    policy = load_policy(reference)
    try:
        with call.store_session(may_be_missing=True) as store:
            newest = newest_rollout(store, policy)
            return (policy if newest is None else policy.resolved_as(newest.policy)), newest
    except RolloutError as error:
        streams.note(f"whether the rollout succeeded is unknown: {error}")
        return policy, None
