"""The monitoring that a policy should have, with what a store knows of its newest rollout."""

from collections.abc import Iterable

from controller.core.monitoring import Monitoring, wanted
from controller.core.policy import Policy
from controller.ports import Store


def monitoring_of(policy: Policy, store: Store, emails: Iterable[str] = ()) -> Monitoring:
    """Return what should watch `policy`: its newest rollout is drawn, and its baseline alarms.

    Raises StoreError.
    """
    ids = store.of_name(policy.name)
    if not ids:
        return wanted(policy, emails)
    newest = store.load(ids[-1])
    return wanted(policy, emails, newest.baselines, store.history(newest.id))
