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
from tests.chaos.event_log import EnvironmentWrite, ObservedEvent
from tests.chaos.invariants import Invariant, Invariants, SystemState
from tests.chaos.invariants.system_state import ProcessRecord

KeyedEvent: TypeAlias = tuple[str, ObservedEvent]
"""A happening, and words that say it completely: happenings with equal words are equal."""

# What changes as a story goes on; all else that invariants remember is a value.
_MUTABLE_TYPES: Final = (Invariants, Invariant, SystemState, ProcessRecord)
# Made once for each content, so that equal ones are the same object.
_INTERNED_TYPES: Final = (Rollout, Entry, EnvironmentWrite)


@dataclass(eq=False, slots=True)
class MonitorState:
    """Everything that happened so far, in the memory of the invariants.

    violations: what they have said until now. pool: all tales of one search, by that memory.
    """

    invariants: Invariants
    violations: Sequence[str] = ()
    pool: "dict[Hashable, MonitorState]" = field(default_factory=dict)
    after: "dict[str, MonitorState]" = field(default_factory=dict)
    end_violations: Sequence[str] | None = None

    def extend(self, events: Sequence[KeyedEvent]) -> "MonitorState":
        """Return this tale with what is `events` after it."""
        if not events:
            return self
        words = "\n".join(said for said, _ in events)
        if words not in self.after:
            longer = self._next(happening for _, happening in events)
            self.after[words] = self.pool.setdefault(fingerprint(longer.invariants), longer)
        return self.after[words]

    def final_violations(self) -> Sequence[str]:
        """Return what the invariants say when this is the end."""
        if self.end_violations is None:
            invariants: Invariants = copy_mutable(self.invariants)
            self.end_violations = [str(one) for one in invariants.finish()]
        return self.end_violations

    def _next(self, happenings: Iterable[ObservedEvent]) -> "MonitorState":
        invariants: Invariants = copy_mutable(self.invariants)
        for happening in happenings:
            invariants.check(happening)
        return MonitorState(invariants, [str(one) for one in invariants.violations], self.pool)


def copy_mutable(value: Any) -> Any:
    """Return a copy of what changes in `value`; values are shared."""
    kind = type(value)
    if kind is dict:
        return {key: copy_mutable(one) for key, one in value.items()}
    if kind is list:
        return [copy_mutable(one) for one in value]
    if kind is set:
        return set(value)
    if not isinstance(value, _MUTABLE_TYPES):
        return value
    twin = object.__new__(kind)
    for name in _attributes(value):
        setattr(twin, name, copy_mutable(getattr(value, name)))
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
    if kind in _INTERNED_TYPES:
        return id(value)
    if kind is SystemState:
        value = _normalize(value)
    if isinstance(value, _MUTABLE_TYPES):
        return tuple(fingerprint(getattr(value, name)) for name in _attributes(value))
    found: Hashable = value
    return found


def _normalize(setup: SystemState) -> SystemState:
    """Return `setup` with its numbers of happenings made ranks: they are compared, and no more."""
    twin: SystemState = copy_mutable(setup)
    ranks = sorted(
        {twin.last_write_number, *(life.start_number for life in twin.processes.values())}
    )
    twin.number, twin.last_write_number = 0, ranks.index(twin.last_write_number)
    for life in twin.processes.values():
        life.start_number = ranks.index(life.start_number)
    return twin


def _attributes(value: object) -> Iterable[str]:
    slots: Iterable[str] = getattr(type(value), "__slots__", ())
    return slots or vars(value)
