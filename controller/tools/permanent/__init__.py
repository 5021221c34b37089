"""The verb `permanent`: how 100% goes into the deployment templates after a success.

`templates` has the texts: a file for each form of the change, and for each list. Nothing here
changes anything.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import click

from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, is_policy_file, load_policy, newest_rollout
from controller.core.policy import Policy, TargetSpec
from controller.core.policy.kind_registry import load
from controller.core.policy.targets.alb_weights import AlbWeights, group_name
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.rollback import ROLLBACK_PHASES
from controller.core.units import clock_text
from controller.errors import RolloutError, UsageError
from controller.immutable import Immutable
from controller.render.page import Page, Paragraph, TextSpan, lines_page, paragraph
from controller.render.text_templates import text_of

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


def guide_of(policy: Policy) -> "Guide":
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


# --- A guide for each kind of target --------------------------------------------------------------

_TEMPLATES: Final = Path(__file__).parent / "templates"

# STACK-LOGICALID-RANDOM: the name that CloudFormation generates for an unnamed resource.
_GENERATED_NAME: Final = re.compile(
    r"(?P<stack>[A-Za-z0-9-]+)-(?P<id>[A-Za-z0-9]+)-[A-Za-z0-9]{12,13}"
)


class Guide(Protocol):
    """How 100% of one target becomes permanent. It is made of the policy and its target."""

    @property
    def resource(self) -> str:
        """The AWS resource, as its template names it."""

    @property
    def values(self) -> Mapping[str, str]:
        """What the template has to say at 100%, by name."""

    @property
    def resets(self) -> Sequence[str]:
        """What restores the old values until the template has these."""

    def change(self, form: str) -> str:
        """Return the change of the template in one form: cdk, cloudformation or terraform."""

    def checklist(self, until: str) -> Iterable[str]:
        """Return what is left to do, in order; until: how long the old path is needed."""


class _TemplateGuide:
    """What the guides of our kinds share: text templates, named after the kind.

    There is one for each form, one for what restores the old values, and one for the checklist.
    facts: the values of these templates.
    """

    def __init__(
        self,
        policy: Policy,
        target: TargetSpec,
        *,
        resource: str,
        values: Mapping[str, str],
        facts: Mapping[str, object],
    ) -> None:
        self._kind, self.resource, self.values = target.kind, resource, values
        counting = [_metric_text(policy, name) for name in policy.stable_requests]
        self._facts = {"name": policy.name, "counting": counting, "until": "", **facts}

    @property
    def resets(self) -> Sequence[str]:
        return self._items("resets")

    def change(self, form: str) -> str:
        return text_of(_TEMPLATES / f"{self._kind}.{form}.txt", **self._facts)

    def checklist(self, until: str) -> Sequence[str]:
        return self._items("checklist", until=until)

    def _items(self, name: str, **more: str) -> list[str]:
        """Return the items of a list, each of which a template may break into several lines."""
        text = text_of(_TEMPLATES / f"{self._kind}.{name}.txt", **self._facts | more)
        items = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
        return [re.sub(r"\n *", " ", item.strip()) for item in items]


def _metric_text(policy: Policy, name: str) -> str:
    metric = policy.metrics[name]
    dimensions = ", ".join(f"{key}: {value}" for key, value in metric.dimensions.items())
    return f"{name} ({metric.place} {metric.name} {{{dimensions}}})"


class LambdaEnvGuide(_TemplateGuide):
    """The variables of a function."""

    def __init__(self, policy: Policy, target: LambdaEnv) -> None:
        function, values = target.name.rpartition(":")[2], target.settings(100)
        generated = _GENERATED_NAME.fullmatch(function)
        facts = {
            "function": function,
            "id": generated["id"] if generated else "Function",
            "stack": generated["stack"] if generated else "",
            "values": values,
            "width": max(map(len, values)),
        }
        super().__init__(policy, target, resource=function, values=values, facts=facts)


class LambdaAliasGuide(_TemplateGuide):
    """The version of an alias."""

    def __init__(self, policy: Policy, target: LambdaAlias) -> None:
        function, canary = target.function.rpartition(":")[2], target.canary or "VERSION"
        facts = {
            "function": function,
            "alias": target.alias,
            "version": canary,
            "stable": target.stable or "the old version",
        }
        resource, values = f"{function}:{target.alias}", {"FunctionVersion": canary}
        super().__init__(policy, target, resource=resource, values=values, facts=facts)


class AlbWeightsGuide(_TemplateGuide):
    """The weights of a listener rule, or of a default action."""

    def __init__(self, policy: Policy, target: AlbWeights) -> None:
        canary, stable = group_name(target.canary), group_name(target.stable)
        facts = {
            "canary": {"arn": target.canary, "name": canary},
            "stable": {"arn": target.stable, "name": stable},
            "default": target.is_default_action,
            "block": "default_action" if target.is_default_action else "action",
        }
        values = {canary: "100", stable: "0"}
        super().__init__(policy, target, resource=target.name, values=values, facts=facts)


class AppConfigGuide(_TemplateGuide):
    """A percentage in AWS AppConfig, in a hosted configuration."""

    def __init__(self, policy: Policy, target: AppConfigFlag) -> None:
        facts = {
            "profile": target.profile,
            "flag": target.flag,
            "attribute": target.attribute,
            "setting": target.setting,
        }
        values = target.settings(100)
        super().__init__(policy, target, resource=target.name, values=values, facts=facts)
