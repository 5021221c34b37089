"""Everything that should watch a policy, worked out from the policy and its newest rollout."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from controller.core.history import Entry
from controller.core.measured import FrozenValue
from controller.core.monitoring.alarms import alarm_of
from controller.core.monitoring.moments import moments
from controller.core.monitoring.parts import Dashboard, Monitoring, name_of
from controller.core.monitoring.widgets import widgets
from controller.core.policy import FrozenBaseline, LatencyIncrease, Policy


def wanted(
    policy: Policy,
    emails: Iterable[str] = (),
    baselines: Mapping[str, FrozenValue] = MappingProxyType({}),
    history: Iterable[Entry] = (),
) -> Monitoring:
    """Return the monitoring of `policy`.

    baselines, history: of its newest rollout; without one, nothing is drawn of it.
    """
    alarms = (alarm_of(policy, name, one, baselines) for name, one in policy.criteria.items())
    unknown = [
        name
        for name, one in policy.criteria.items()
        if isinstance(one, LatencyIncrease)
        and isinstance(one.baseline, FrozenBaseline)
        and name not in baselines
    ]
    return Monitoring(
        policy=policy.name,
        name=name_of(policy.name),
        dashboard=Dashboard(
            name_of(policy.name), _text(policy), widgets(policy, baselines), moments(history)
        ),
        alarms=tuple(one for one in alarms if one is not None),
        emails=tuple(dict.fromkeys(emails)),
        notes=tuple(
            f"{name} gets an alarm and a line in the graph once a rollout has frozen its baseline: "
            "deploy again after the start"
            for name in unknown
        ),
        unknown=tuple(name_of(policy.name, name) for name in unknown),
    )


def _text(policy: Policy) -> str:
    """Return what the page says of itself, in Markdown."""
    summary = f" {policy.summary}" if policy.summary else ""
    target = policy.target
    return (
        f"**{policy.name}**:{summary} The weight is `{target.percentage}` of `{target.function}`: "
        f"{policy.ladder()}.\n\n"
        "Made by `rolloutctl monitoring deploy`, which overwrites what is edited here."
    )
