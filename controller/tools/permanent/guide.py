"""What one kind of target says about the end of a rollout, and what all kinds say."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from controller.core.policy import Policy

TEMPLATES: Final = Path(__file__).parent / "templates"


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

    def checklist(self, until: str) -> Iterator[str]:
        """Yield what is left to do, in order; until: how long the old path is needed."""


def old_path_is_unused(policy: Policy) -> Iterator[str]:
    """Yield the check that no request takes the old path, where a metric counts it alone."""
    if stable := list(_stable_metrics(policy)):
        metrics = " and ".join(stable)
        yield (
            f"check that the old path has no requests: {metrics} counted no request for a day; "
            f"`rolloutctl status {policy.name}` shows since when"
        )


def keep_the_record(policy: Policy) -> str:
    """Return how the record of the rollout outlives the store."""
    return (
        f"keep the record: rolloutctl history {policy.name} --json > {policy.name}.json, and "
        "rolloutctl replay"
    )


def _stable_metrics(policy: Policy) -> Iterator[str]:
    """Yield the metrics that count the stable path alone, with namespace and dimensions."""
    for name in policy.stable_requests:
        metric = policy.metrics[name]
        dimensions = ", ".join(f"{key}: {value}" for key, value in metric.dimensions.items())
        yield f"{name} ({metric.place} {metric.name} {{{dimensions}}})"
