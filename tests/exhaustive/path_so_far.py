"""What happened on a way through a small world, as the invariants remember it.

Ways after which the invariants remember the same share one `Tale`: nothing that comes later can be
right on one of them and wrong on another. What concerns one process alone and is compared with
nothing that others do, Lambda's answers and the notices, is told together with the next happening
of that process that others could see, or at its end.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from controller.core.history import Entry
from controller.core.rollout import Rollout
from tests.chaos.event_log import Happening, Wrote
from tests.chaos.invariants import Invariant, Invariants, Scene
from tests.chaos.invariants.scene import Life

Told: TypeAlias = tuple[str, Happening]
"""A happening, and words that say it completely: happenings with equal words are equal."""

# What changes as a story goes on; all else that invariants remember is a value.
_CHANGING: Final = (Invariants, Invariant, Scene, Life)
# Made once for each content, so that equal ones are the same object.
_UNIQUE: Final = (Rollout, Entry, Wrote)


@dataclass(eq=False, slots=True)
class Tale:
    """Everything that happened so far, in the memory of the invariants.

    wrong: what they have said until now. pool: all tales of one search, by that memory.
    """

    invariants: Invariants
    wrong: Sequence[str] = ()
    pool: "dict[Hashable, Tale]" = field(default_factory=dict)
    after: "dict[str, Tale]" = field(default_factory=dict)
    finished: Sequence[str] | None = None

    def and_then(self, told: Sequence[Told]) -> "Tale":
        """Return this tale with what is `told` after it."""
        if not told:
            return self
        words = "\n".join(said for said, _ in told)
        if words not in self.after:
            longer = self._longer(happening for _, happening in told)
            self.after[words] = self.pool.setdefault(fingerprint(longer.invariants), longer)
        return self.after[words]

    def over(self) -> Sequence[str]:
        """Return what the invariants say when this is the end."""
        if self.finished is None:
            invariants: Invariants = copied(self.invariants)
            self.finished = [str(one) for one in invariants.finish()]
        return self.finished

    def _longer(self, happenings: Iterable[Happening]) -> "Tale":
        invariants: Invariants = copied(self.invariants)
        for happening in happenings:
            invariants.check(happening)
        return Tale(invariants, [str(one) for one in invariants.violations], self.pool)


def copied(value: Any) -> Any:
    """Return a copy of what changes in `value`; values are shared."""
    kind = type(value)
    if kind is dict:
        return {key: copied(one) for key, one in value.items()}
    if kind is list:
        return [copied(one) for one in value]
    if kind is set:
        return set(value)
    if not isinstance(value, _CHANGING):
        return value
    twin = object.__new__(kind)
    for name in _attributes(value):
        setattr(twin, name, copied(getattr(value, name)))
    return twin


def fingerprint(value: Any) -> Hashable:
    """Return what is equal for two memories exactly when they remember the same."""
    kind = type(value)
    if kind is dict:
        return frozenset((key, fingerprint(one)) for key, one in value.items())
    if kind is list:
        return tuple(map(fingerprint, value))
    if kind is set:
        return frozenset(value)
    if kind in _UNIQUE:
        return id(value)
    if kind is Scene:
        value = _ranked(value)
    if isinstance(value, _CHANGING):
        return tuple(fingerprint(getattr(value, name)) for name in _attributes(value))
    found: Hashable = value
    return found


def _ranked(scene: Scene) -> Scene:
    """Return `scene` with its numbers of happenings made ranks: they are compared, and no more."""
    twin: Scene = copied(scene)
    ranks = sorted({twin.last_number, *(life.begun for life in twin.lives.values())})
    twin.number, twin.last_number = 0, ranks.index(twin.last_number)
    for life in twin.lives.values():
        life.begun = ranks.index(life.begun)
    return twin


def _attributes(value: object) -> Iterable[str]:
    slots: Iterable[str] = getattr(type(value), "__slots__", ())
    return slots or vars(value)
