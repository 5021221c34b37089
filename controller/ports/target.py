"""What a rollout needs of the thing that holds its weight."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeAlias

from controller.core.checks import Obstacle
from controller.core.observation import TargetReading
from controller.core.policy import LambdaEnv


class Target(Protocol):
    """What holds the weight."""

    def read(self) -> TargetReading:
        """Return the weight as it stands.

        Raises TargetError when the target does not answer, and WriteRefusedError when it answers
        without the settings that a later write would have to keep.
        """
        ...

    def shift_to(self, weight: int, token: str) -> None:
        """Write `weight` once, only if the target still carries `token`.

        Raises WriteRefusedError or WriteConflictError (nothing was written), or
        WriteUncertainError (no answer).
        """
        ...

    def lower_to_zero(
        self,
        within: timedelta,
        *,
        void: str = "",
        check: Callable[[TargetReading], object] | None = None,
    ) -> None:
        """Write weight 0 over whatever stands there, trying until it is accepted.

        void: while the target carries this token, 0 is written even where it stands; a raise under
        it is refused from then on. check: is shown what stands there before each write, and what it
        raises ends the matter.
        Raises WriteRefusedError at once when writing would lose settings, TargetError when
        `within` is over.
        """
        ...


class Reachability(Protocol):
    """Whether a change of the target reaches traffic, asked once before a start."""

    def obstacles(self) -> Sequence[Obstacle]:
        """Return what is in the way, worst first; what could not be checked is an obstacle too."""
        ...


class InspectableTarget(Target, Reachability, Protocol):
    """A target with both faces."""


TargetFactory: TypeAlias = Callable[[LambdaEnv], InspectableTarget]
