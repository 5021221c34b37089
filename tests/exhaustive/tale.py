"""What happened on a way through a small world, and what the invariants say of it.

Ways with the same happenings in the same order share one `Tale`, so that each is judged once. What
concerns one process alone and is compared with nothing that others do is told together with its
next happening that others could see, or at its end: Lambda's answers and the notices.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from controller.simulation.chaos.invariants import Invariant, Invariants, Scene
from controller.simulation.chaos.invariants.scene import Life
from controller.simulation.chaos.truth import Happening

Told: TypeAlias = tuple[str, Happening]
"""A happening, and words that say it completely: happenings with equal words are equal."""

_CHANGING: Final = (Invariants, Invariant, Scene, Life)


@dataclass(eq=False, slots=True)
class Tale:
    """Everything that happened so far; `wrong` is what the invariants say of its last part.

    invariants: as they are after all of it.
    """

    invariants: Invariants
    wrong: Sequence[str] = ()
    after: "dict[str, Tale]" = field(default_factory=dict)
    ended: Sequence[str] | None = None

    def and_then(self, told: Sequence[Told]) -> "Tale":
        """Return this tale with what is `told` after it."""
        if not told:
            return self
        words = "\n".join(said for said, _ in told)
        if words not in self.after:
            self.after[words] = self._longer(happening for _, happening in told)
        return self.after[words]

    def over(self) -> Sequence[str]:
        """Return what the invariants say when this is the end."""
        if self.ended is None:
            self.ended = [str(one) for one in copied(self.invariants).finish()]
        return self.ended

    def _longer(self, happenings: Iterable[Happening]) -> "Tale":
        invariants = copied(self.invariants)
        found = [str(one) for happening in happenings for one in invariants.check(happening)]
        return Tale(invariants, found)


def copied(value: Any) -> Any:
    """Return a copy of what changes in `value`; all that is frozen is shared."""
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    if isinstance(value, list):
        return [copied(one) for one in value]
    if isinstance(value, set):
        return set(value)
    if not isinstance(value, _CHANGING):
        return value
    twin = copy(value)
    for name in _attributes(value):
        setattr(twin, name, copied(getattr(value, name)))
    return twin


def _attributes(value: object) -> Iterable[str]:
    slots: Iterable[str] = getattr(type(value), "__slots__", ())
    return slots or vars(value)
