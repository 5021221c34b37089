"""Desired monitoring of a policy: dashboard and alarms, from the policy and its newest rollout."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from controller.core.history import Entry
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.policy import Policy
from controller.core.policy.comparison import NotCompared
from controller.ports.monitoring import resource_name
from controller.ports.store import Store
from controller.tools.monitoring.alarms import alarm_of
from controller.tools.monitoring.dashboard import undrawn, widgets
from controller.tools.monitoring.resources import CriterionAlarm, Dashboard, Moment, Monitoring

# A graph has no room for more vertical lines: only the newest are drawn.
_MAX_MOMENTS: Final = 20
_END_LABELS: Final = {"rolled_back": "0%: rolled back", "succeeded": "100%: succeeded"}


def monitoring_of(policy: Policy, store: Store, emails: Iterable[str] = ()) -> Monitoring:
    """Return the monitoring of `policy` with the moments and baselines of its newest rollout.

    Raises StoreError.
    """
    ids = store.of_name(policy.name)
    if not ids:
        return desired_monitoring(policy, emails)
    newest = store.load(ids[-1])
    return desired_monitoring(policy, emails, newest.evidence.baselines, store.history(newest.id))


def desired_monitoring(
    policy: Policy,
    emails: Iterable[str] = (),
    baselines: Mapping[str, BaselineMeasurement] = MappingProxyType({}),
    history: Iterable[Entry] = (),
) -> Monitoring:
    """Return the monitoring of `policy`.

    baselines, history: of its newest rollout; empty: it has none.
    """
    unknown = [name for name in policy.frozen_baselines if name not in baselines]
    stored = {name: baseline.value for name, baseline in baselines.items()}
    made = {name: alarm_of(policy, name, stored.get(name)) for name in policy.criteria}
    return Monitoring(
        policy=policy.name,
        name=resource_name(policy.name),
        dashboard=Dashboard(
            resource_name(policy.name),
            _dashboard_text(policy),
            widgets(policy, baselines),
            moments(history),
        ),
        alarms=tuple(one for one in made.values() if isinstance(one, CriterionAlarm)),
        emails=tuple(dict.fromkeys(emails)),
        notes=(
            *(
                f"criterion {name} gets an alarm and a line in the graph once a rollout has frozen "
                "its baseline: deploy again after the start"
                for name in unknown
            ),
            *(
                f"criterion {name} has no alarm: {one.why}"
                for name, one in made.items()
                if isinstance(one, NotCompared) and name not in unknown
            ),
        ),
        alarms_without_baseline=tuple(resource_name(policy.name, name) for name in unknown),
    )


def _dashboard_text(policy: Policy) -> str:
    """Return the text at the top of the dashboard, in Markdown."""
    summary = f" {policy.summary}" if policy.summary else ""
    target = policy.target
    missing = "; ".join(f"{name}: {why}" for name, why in undrawn(policy).items())
    left_out = f"Not in these graphs: {missing}.\n\n" if missing else ""
    return (
        f"**{policy.name}**:{summary} The weight is `{next(iter(target.settings(0)))}` of "
        f"`{target.name}`: "
        f"{policy.steps_text()}.\n\n"
        f"{left_out}Made by `rolloutctl monitoring deploy`, which overwrites what is edited here."
    )


# --- Moments of a rollout -------------------------------------------------------------------------


def moments(history: Iterable[Entry]) -> tuple[Moment, ...]:
    """Return when each weight was applied, and how the rollout ended, oldest first."""
    return tuple(_moments(history))[-_MAX_MOMENTS:]


def _moments(history: Iterable[Entry]) -> Iterator[Moment]:
    for entry in history:
        if entry.kind == "applied":
            yield Moment(entry.at, f"{entry.body['weight_to']}%")
        elif entry.kind == "started" and entry.body.get("cause", {}).get("adopted") is not None:
            yield Moment(entry.at, f"{entry.body['weight_to']}%: adopted")
        elif entry.kind in _END_LABELS:
            yield Moment(entry.at, _END_LABELS[entry.kind])
