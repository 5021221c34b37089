"""What a tick came to: with one rollout, with all of them, and as an exit status."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from controller.core.decision import Alert, Decision
from controller.core.events import Seen
from controller.core.observation import weight_of
from controller.core.rollout import Phase
from controller.engine import exit_status
from controller.engine.execute import Visit
from controller.engine.lease import Skip
from controller.engine.observe import PartialObservation
from controller.errors import Exit
from controller.immutable import Immutable


class TickResult(Immutable):
    """The visits of a tick. skips: the rollouts that it did not visit, each with its error."""

    visits: list[Visit]
    skips: Sequence[Skip] = ()

    @property
    def status(self) -> Exit:
        """The most urgent exit status of its visits and skips: 5, 1, 6, 75, else 0."""
        skipped = [Exit.INTERNAL] if self.skips else []
        return exit_status.worst((*skipped, *map(exit_status.of_tick, self.visits)))


class Postponed(Immutable):
    """A rollout whose decision is executed once the other rollouts were visited.

    Its hooks must be called, for which no other rollout waits; or its first write of 0 % failed; or
    an operator may be about to record the 0 % that was found.
    """

    partial: PartialObservation
    event: Seen
    decision: Decision

    @property
    def needs_hooks(self) -> bool:
        """True when hooks must be called, and False otherwise."""
        return bool(self.decision.hooks_to_call)

    @property
    def may_be_by_hand(self) -> bool:
        """True when 0 % is new after a success: it may be a rollback that is not recorded yet."""
        is_new = self.decision.alert is Alert.DRIFT
        is_new = is_new and self.partial.rollout.phase is Phase.SUCCEEDED
        return is_new and weight_of(self.partial.target) == 0


Outcome: TypeAlias = Visit | Skip | Postponed
"""What a tick came to with one rollout."""


@dataclass(slots=True)
class Outcomes:
    """What a tick came to so far; each outcome is in one list.

    retries: decisions to carry out once the others were visited. for_hooks: those that wait for
    hooks.
    """

    visits: list[Visit] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    retries: list[Postponed] = field(default_factory=list)
    for_hooks: list[Postponed] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of one rollout."""
        match outcome:
            case Visit():
                self.visits += [outcome]
            case Skip():
                self.skips += [outcome]
            case Postponed() if outcome.needs_hooks:
                self.for_hooks += [outcome]
            case Postponed():
                self.retries += [outcome]
