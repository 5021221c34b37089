"""What the ground truth of a target is: its state, and the changes by external actors."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Final, Protocol

from controller.core.policy import TargetSpec
from controller.immutable import Immutable, field
from tests.chaos.fault_plan import Degradation

# Degradations of the services alone: they affect a target of any kind.
SERVICE_DEGRADATIONS: Final = (
    Degradation.TARGET,
    Degradation.METRICS,
    Degradation.PARTIAL,
    Degradation.STORE,
    Degradation.FULL,
)


class TargetState(Immutable):
    """A target at one moment.

    version: another one after each change; of an API with a condition on its writes it is the
    token that such a condition names. weight, served_weight: percent that the target shows, and
    that requests get; None: a contradiction. may_be_full: the contradiction may mean 100%. own:
    the settings that hold the weight. beside: all others that a write of the weight replaces too.
    updating, failed: of the last update; a target whose writes take effect at once has neither.
    """

    version: str
    weight: int | None
    served_weight: int | None
    own: object
    beside: Mapping[str, object] = field(default_factory=dict)
    may_be_full: bool = False
    updating: bool = False
    failed: bool = False


class GroundTruth(Protocol):
    """The target of one world: what it is, and what others than rolloutctl do to it.

    service: of its calls, as a fault plan spells it. function: that its calls name; empty: all
    calls of the service are about it. reads: the operations by which a process reads the weight;
    only of an API without a condition on its writes, and empty otherwise. optional: those without
    whose answers a process can lower the weight. at_once: a write takes effect at
    once. degradations: that can affect it. has_bypass: callers can be sent past the target.
    metrics: of both paths, by their names in policies. usual_latency: p95 of a healthy canary, in
    the unit of its metric.
    """

    service: ClassVar[str]
    function: str = ""
    reads: ClassVar[frozenset[str]] = frozenset()
    optional: ClassVar[frozenset[str]] = frozenset()
    at_once: ClassVar[bool] = False
    degradations: ClassVar[Sequence[Degradation]] = SERVICE_DEGRADATIONS
    has_bypass: ClassVar[bool] = False
    metrics: ClassVar[Mapping[str, Mapping[str, Any]]]
    usual_latency: ClassVar[float] = 164.0

    @staticmethod
    def draw(chance: Random) -> dict[str, Any]:
        """Return the target of a policy."""
        ...

    @staticmethod
    def calls(target: TargetSpec) -> Sequence[str]:
        """Return the operations of `target` that faults can meet; the first writes the weight."""
        ...

    @property
    def changes(self) -> object:
        """A value that differs after each change; cheaper than the whole state."""
        ...

    def state(self) -> TargetState:
        """Return the target as it is now."""
        ...

    def share(self) -> int:
        """Return the percent of requests that the settings send to the canary, for people."""
        ...

    def is_sound(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether a process can act on this answer of the service."""
        ...

    @property
    def revision(self) -> str | None:
        """The revision that CI names at a start; None: the target names its own."""
        ...

    # --- what external actors do; each raises ClientError where the service refuses it ------------

    def set_weight(self, weight: int) -> None:
        """Set a weight."""
        ...

    def contradict(self) -> None:
        """Leave the target without a clear weight."""
        ...

    def deploy(self, code: str = "") -> None:
        """Reset the target to its template. code: new code that comes with it; empty: none."""
        ...


def changed_names(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of settings that were added, changed or removed."""
    names = before.keys() | after.keys()
    return tuple(sorted(name for name in names if before.get(name) != after.get(name)))
