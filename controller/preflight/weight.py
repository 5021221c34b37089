"""Whether a start may begin from the weight that the target shows."""

from controller.by_hand import command
from controller.core.observation import Reading, Update
from controller.core.policy import Policy
from controller.runner import Runner


def weight_refusals(runner: Runner, policy: Policy, reading: Reading) -> list[str]:
    refusals: list[str] = []
    if reading.weight is None:
        refusals.append(f"the variables contradict each other: {reading.shown}")
    elif reading.weight > 0:
        locks = policy.target.locks(reading.identity)
        exposures = runner.store.exposures(reading.identity, locks)
        owner = next((one for one, _, end in exposures if end is None), None)
        by = f" by {owner}" if owner else ""
        first = (
            f"let {owner} finish, or roll it back (rolloutctl rollback {owner})"
            if owner
            else f"roll back by hand ({command(policy.target)})"
        )
        refusals.append(
            f"the canary has {reading.weight} % already{by} ({reading.shown}); a rollout starts "
            f"from 0: {first}, or let a rollout begin there with --adopt"
        )
    return refusals


def live_step(policy: Policy, reading: Reading) -> int | None:
    """Return the index of the step whose weight is live; None when there is none."""
    weights = [step.weight for step in policy.steps]
    return weights.index(reading.weight) if reading.weight in weights else None


def live_refusals(policy: Policy, reading: Reading) -> list[str]:
    """Return why the live weight cannot be adopted."""
    refusals: list[str] = []
    if reading.weight is None:
        refusals.append(f"the variables contradict each other: {reading.shown}")
    elif reading.weight == 0:
        refusals.append(f"there is nothing to adopt: the canary has 0 % ({reading.shown})")
    elif live_step(policy, reading) is None:
        refusals.append(
            f"the canary has {reading.weight} % ({reading.shown}), and no step of the policy has: "
            f"{policy.ladder()}"
        )
    return refusals


def update_refusals(reading: Reading) -> list[str]:
    refusals: list[str] = []
    if reading.update is not Update.SUCCESSFUL:
        detail = f": {reading.detail}" if reading.detail else ""
        refusals.append(f"the last update of the target is {reading.update}{detail}")
    return refusals
