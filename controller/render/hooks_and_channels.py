"""Hooks and notification channels of a policy, as lines of a plan and as JSON data."""

from collections.abc import Mapping

from controller.core.policy import Policy
from controller.core.policy.hooks import AFTER_HOOKS, BEFORE_ADVANCE, BEFORE_START


def hooks_by_event(policy: Policy) -> dict[str, list[str]]:
    """Return the display names of hooks, by event."""
    return _hooks(policy, BEFORE_START, BEFORE_ADVANCE, *AFTER_HOOKS.values())


def contacts_facts(policy: Policy) -> list[tuple[str, str]]:
    """Return the hooks and channels of `policy` as facts of the plan, each with its name."""
    channels = ", ".join(_channels(policy))
    texts = {
        "asks": _join_hooks(_hooks(policy, BEFORE_START, BEFORE_ADVANCE)),
        "calls": _join_hooks(_hooks(policy, *AFTER_HOOKS.values())),
        "alerts": channels or "no channel (`notify`): only in `status` and `history`",
    }
    return [(name, text) for name, text in texts.items() if text]


def _hooks(policy: Policy, *events: str) -> dict[str, list[str]]:
    hooks_by_event = {event: policy.hooks_at(event).values() for event in events}
    return {
        event: [one.display_name for one in hooks]
        for event, hooks in hooks_by_event.items()
        if hooks
    }


def _join_hooks(hooks: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{event}: {', '.join(names)}" for event, names in hooks.items())


def _channels(policy: Policy) -> list[str]:
    return [
        f"{one.display_name} ({one.min_severity} and worse)"
        if one.min_severity in ("warning", "critical")
        else one.display_name
        for one in policy.notify or ()
    ]
