"""What a policy leaves to the account: a start reads it, and the rollout keeps it to its end."""

from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.ports.target import TargetFactory


def resolve_policy(policy: Policy, targets: TargetFactory, newest: Rollout | None = None) -> Policy:
    """Return `policy` as a rollout would store it if it started now.

    newest: the newest rollout of the policy, which may know a version that the account no longer
        shows.
    Raises UsageError where the account has nothing to roll out, and what `Target.read` raises.
    """
    target = policy.target
    if target.unresolved:
        target = targets(target).resolved(None if newest is None else newest.policy.target)
    return policy.resolved(target)
