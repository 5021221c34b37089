"""Whom a policy asks, calls and tells: as lines of a plan, and as JSON data."""

from collections.abc import Mapping
from typing import Any

from controller.core.policy import Policy
from controller.core.policy.hooks import AFTER_HOOKS, BEFORE_ADVANCE, BEFORE_START


def contacts_data(policy: Policy) -> dict[str, Any]:
    """Return whom `policy` asks, calls and tells, in a few words each; nothing of nobody."""
    hooks = {
        **_hooks(policy, BEFORE_START, BEFORE_ADVANCE),
        **_hooks(policy, *AFTER_HOOKS.values()),
    }
    channels = [one.display_name for one in policy.notify or ()]
    found: dict[str, Any] = {"hooks": hooks, "notify": channels}
    return {name: value for name, value in found.items() if value}


def contacts_lines(policy: Policy) -> list[str]:
    """Return the same as lines of a page."""
    told = ", ".join(_channels(policy))
    facts = {
        "asks": _join_hooks(_hooks(policy, BEFORE_START, BEFORE_ADVANCE)),
        "calls": _join_hooks(_hooks(policy, *AFTER_HOOKS.values())),
        "tells": told,
    }
    return [f"  {name:<9} {text}" for name, text in facts.items() if text]


def _hooks(policy: Policy, *moments: str) -> dict[str, list[str]]:
    found = {moment: policy.hooks_at(moment).values() for moment in moments}
    return {moment: [one.display_name for one in hooks] for moment, hooks in found.items() if hooks}


def _join_hooks(hooks: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{moment}: {', '.join(shown)}" for moment, shown in hooks.items())


def _channels(policy: Policy) -> list[str]:
    return [
        f"{one.display_name} ({one.least} and worse)"
        if one.least in ("warning", "critical")
        else one.display_name
        for one in policy.notify or ()
    ]
