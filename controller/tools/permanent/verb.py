"""The verb `permanent`: how 100% goes into the deployment templates after a success."""

from collections.abc import Sequence
from typing import Final

import click

from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, is_policy_file, load_policy, newest_rollout
from controller.core.policy import Policy
from controller.core.policy.kind_registry import load
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.rollback import ROLLBACK_PHASES
from controller.core.units import clock_text
from controller.errors import RolloutError, UsageError
from controller.immutable import Immutable
from controller.render.page import Page, Paragraph, TextSpan, lines_page, paragraph
from controller.tools.permanent.guides import Guide

FORMS: Final = ("cdk", "cloudformation", "terraform")


class PermanentData(Immutable):
    """How 100% becomes permanent."""

    policy: str
    """Name of the policy."""
    rollout: str | None
    """Id of the newest rollout; null: there is none, or no store."""
    phase: Phase | None
    """Phase of that rollout; null without one."""
    resource: str
    """Name of the resource that holds the weight, as its template has it."""
    values: dict[str, str]
    """What the template has to say of it at 100%, by name."""
    changes: dict[str, str]
    """The change of the template, as text, by its form: cdk, cloudformation or terraform."""
    undone_by: Sequence[str]
    """What sets the old values again until that change is deployed."""
    checklist: list[str]
    """What remains to be done, in order."""


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
    if newest is not None and newest.phase in ROLLBACK_PHASES:
        raise UsageError(
            f"{newest.id} was rolled back: requests take the stable path, so there is nothing to "
            "make permanent; keep what the stable path needs"
        )
    if newest is not None and newest.phase is not Phase.SUCCEEDED:
        state = f"{newest.id} is {newest.phase} at {newest.weight}%"
        streams.warn(f"{state}: run this after its success")
    forms = forms or FORMS
    found = permanent_data(policy, newest, forms)
    return Result("permanent", data=lambda: found, page=lambda: _page(found, forms))


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


def guide_of(policy: Policy) -> Guide:
    """Return the guide for the target of `policy`. Raises UsageError when its kind has none."""
    target = policy.target
    if not target.permanent_by:
        raise UsageError(
            f"what makes 100% of a {target.kind} target permanent is not known here: see its "
            "package"
        )
    guide: Guide = load(target.permanent_by)(policy.resolved(target), target)
    return guide


def permanent_data(policy: Policy, rollout: Rollout | None, forms: Sequence[str]) -> PermanentData:
    """Return what is left to do, in an order that keeps everything a rollback needs."""
    guide = guide_of(policy)
    watch_until = rollout.watch_until if rollout is not None and rollout.final else None
    end = clock_text(watch_until) if watch_until else "its watch is over (7 days)"
    return PermanentData(
        policy=policy.name,
        rollout=None if rollout is None else rollout.id,
        phase=None if rollout is None else rollout.phase,
        resource=guide.resource,
        values=dict(guide.values),
        changes={form: guide.change(form) for form in forms},
        undone_by=guide.resets,
        checklist=list(guide.checklist(f" until {end}")),
    )


def _page(found: PermanentData, forms: Sequence[str]) -> Page:
    """Return the page: the state of the rollout, the change, what reverts it, and the checklist."""
    values = ", ".join(f"{name}={value}" for name, value in found.values.items())
    whose = f"{found.rollout} succeeded" if found.phase is Phase.SUCCEEDED else found.policy
    changes = [
        Paragraph([TextSpan(line)], verbatim=True)
        for form in forms
        for line in (f"# {form}", *found.changes[form].split("\n"), "")
    ]
    return [
        *lines_page([f"{whose}: what makes {values} of {found.resource} permanent", ""]),
        *changes,
        paragraph("Until that is deployed, each of these restores the old values:"),
        *(paragraph(f"- {reset}", indent=2) for reset in found.undone_by),
        *lines_page(["", "Then, in this order:"]),
        *(paragraph(f"[ ] {one}", indent=2, hang=6) for one in found.checklist),
    ]
