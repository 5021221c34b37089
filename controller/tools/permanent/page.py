"""How 100% becomes permanent: the template change, what reverts it, and the cleanup checklist."""

from collections.abc import Iterator, Sequence
from typing import Final

from controller.core.policy import Policy
from controller.core.policy.kind_registry import load
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text
from controller.errors import UsageError
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


def permanent_page(policy: Policy, rollout: Rollout | None, forms: Sequence[str]) -> Page:
    """Return the page: the state of the rollout, the change, what reverts it, and the checklist."""
    guide = guide_of(policy)
    values = ", ".join(f"{name}={value}" for name, value in guide.values.items())
    succeeded = rollout is not None and rollout.phase is Phase.SUCCEEDED
    whose = f"{rollout.id} succeeded" if rollout and succeeded else policy.name
    changes = [
        Paragraph([TextSpan(line)], verbatim=True)
        for form in forms
        for line in (f"# {form}", *guide.change(form).split("\n"), "")
    ]
    return [
        *lines_page([f"{whose}: what makes {values} of {guide.resource} permanent", ""]),
        *changes,
        paragraph("Until that is deployed, each of these restores the old values:"),
        *(paragraph(f"- {reset}", indent=2) for reset in guide.resets),
        *lines_page(["", "Then, in this order:"]),
        *(paragraph(f"[ ] {one}", indent=2, hang=6) for one in checklist(policy, rollout)),
    ]


def permanent_data(policy: Policy, rollout: Rollout | None, forms: Sequence[str]) -> PermanentData:
    """Return the content of `permanent_page`."""
    guide = guide_of(policy)
    return PermanentData(
        policy=policy.name,
        rollout=None if rollout is None else rollout.id,
        phase=None if rollout is None else rollout.phase,
        resource=guide.resource,
        values=dict(guide.values),
        changes={form: guide.change(form) for form in forms},
        undone_by=guide.resets,
        checklist=list(checklist(policy, rollout)),
    )


def checklist(policy: Policy, rollout: Rollout | None) -> Iterator[str]:
    """Yield the remaining tasks, in an order that keeps everything a rollback needs."""
    watch_until = rollout.watch_until if rollout is not None and rollout.final else None
    until = (
        f" until {clock_text(watch_until)}" if watch_until else " until its watch is over (7 days)"
    )
    return guide_of(policy).checklist(until)


def too_early_reason(rollout: Rollout | None) -> str:
    """Return why this is too early; empty when the rollout succeeded or there is none."""
    if rollout is None or rollout.phase is Phase.SUCCEEDED:
        return ""
    return f"{rollout.id} is {rollout.phase} at {rollout.weight}%: run this after its success"
