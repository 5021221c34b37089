"""The policy snapshot of a rollout: whether it is still the policy of the start.

A store has the digest of the policy in three places: that of the snapshot itself, in the state, and
in the first entry of the history, with which the hash chain begins. A role that can write all three
can make them agree; the log outside the store then shows the change.
"""

from collections.abc import Sequence
from typing import Final

from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.immutable import Immutable, field

# Keys of the first entry of a history: what it records of the policy.
POLICY_DIGEST: Final = "policy_digest"
TARGET: Final = "target"


class SnapshotChangedError(StoreError):
    """The stored policy is not the one of the start: the rollout may only lower its weight.

    rollout: the rollout as it is stored; its policy is not to be trusted.
    digest: that of the policy as it is stored.
    """

    def __init__(self, rollout: Rollout, digest: str) -> None:
        super().__init__(
            f"the stored policy of {rollout.id} was changed after the start: ticks do not raise, "
            "judge or lower it, and the weight stays as it is; roll it back (rolloutctl rollback "
            f"{rollout.id}, or rollback POLICY.yaml with the file of the start), or restore its "
            "record from a backup, and check who wrote to the store",
            rollout=rollout.id,
            digest=rollout.digest,
            found=digest,
        )
        self.rollout = rollout
        self.digest = digest


class Digests(Immutable):
    """SHA-256 of the policy, from each place that has one; all three are equal."""

    snapshot: str
    """Of the policy as it is stored."""
    state: str
    """In the state of the rollout."""
    at_start: str = field(name="first_entry")
    """In the first entry of the history; empty where it has none."""

    @property
    def consistent(self) -> bool:
        """True where all three digests are equal."""
        return self.snapshot == self.state == self.at_start


def digests(rollout: Rollout, entries: Sequence[Entry], snapshot: str | None = None) -> Digests:
    """Return the digests of the policy of `rollout`, whose history is `entries`.

    snapshot: that of the stored policy, where it is not the one that the state names.
    """
    at_start = _start_fact(entries, POLICY_DIGEST)
    at_start = at_start if isinstance(at_start, str) else ""
    return Digests(snapshot or rollout.digest, rollout.digest, at_start)


def digest_problem(rollout_id: str, policy_digests: Digests) -> str:
    """Return why the policy of a rollout is not that of the start; empty when it is."""
    if policy_digests.consistent:
        return ""
    if policy_digests.snapshot != policy_digests.state:
        return f"the stored policy of {rollout_id} differs from the digest in its state"
    return f"the stored policy of {rollout_id} differs from the digest in its first history entry"


def check_digests(rollout: Rollout, entries: Sequence[Entry]) -> None:
    """Raise SnapshotChangedError when `rollout` was started with another policy than it has."""
    if not digests(rollout, entries).consistent:
        raise SnapshotChangedError(rollout, rollout.digest)


def is_target_unchanged(rollout: Rollout, entries: Sequence[Entry]) -> bool:
    """Tell whether the policy of `rollout` names the function and variables of the start."""
    return _start_fact(entries, TARGET) == rollout.policy.target.model_dump(mode="json")


def _start_fact(entries: Sequence[Entry], name: str) -> object:
    because = entries[0].body.get("cause") if entries else None
    return because.get(name) if isinstance(because, dict) else None
