"""What a tick came to: with one rollout, with all of them, and as an exit status."""

from collections.abc import Sequence
from typing import TypeAlias

from controller.core.decision import Alert, Decision
from controller.core.events import Seen
from controller.core.observation import weight_of
from controller.core.rollout import Phase
from controller.engine import exit_status
from controller.engine.execute import TickOutcome
from controller.engine.lease import LeasedRollout, SkippedRollout
from controller.engine.observe import Measurements, PartialObservation
from controller.errors import Exit
from controller.immutable import Immutable, field


class TickResult(Immutable):
    """The visits of a tick. skips: the rollouts that it did not visit, each with its error.

    later: the phases of the rollouts that are not due yet. late: how many visited ones had no tick
    for too long before this one.
    """

    visits: list[TickOutcome]
    skips: Sequence[SkippedRollout] = ()
    later: Sequence[Phase] = ()
    late: int = 0

    @property
    def status(self) -> Exit:
        """The most urgent exit status of its visits and skips: 5, 1, 6, 75, else 0."""
        skipped = [Exit.INTERNAL] if self.skips else []
        return exit_status.worst((*skipped, *map(exit_status.of_tick, self.visits)))


class Looked(Immutable):
    """A leased rollout with its target read, and what was measured for it so far.

    measurements: None: the read was refused, and is to be made for each rollout alone.
    """

    leased: LeasedRollout
    partial: PartialObservation
    measurements: Measurements | None = field(default_factory=Measurements)


class Judged(Immutable):
    """A leased rollout with the decision about it, which is to be executed.

    It is postponed until the others of its slice were visited when its first write of 0% failed,
    or an operator may be about to record the 0% that was found; and until all rollouts were, when
    its hooks must be called.
    """

    leased: LeasedRollout
    partial: PartialObservation
    event: Seen
    decision: Decision

    @property
    def needs_hooks(self) -> bool:
        """True when hooks must be called, and False otherwise."""
        return bool(self.decision.hooks_to_call)

    @property
    def may_be_by_hand(self) -> bool:
        """True when 0% is new after a success: it may be a rollback that is not recorded yet."""
        is_new = self.decision.alert is Alert.DRIFT
        is_new = is_new and self.partial.rollout.phase is Phase.SUCCEEDED
        return is_new and weight_of(self.partial.target) == 0


Outcome: TypeAlias = TickOutcome | SkippedRollout | Judged
"""What a tick came to with one rollout; `Judged`: its execution is postponed."""
