"""The state of the invariants after a schedule, which equal schedules share.

Schedules after which the invariants are in the same state share one `MonitorState`: no later event
can be a violation after one of them and none after another. Events that concern one process alone,
answers of Lambda and notices, are passed on with the next event of that process that others could
see, or at its end.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tests.chaos.event_log import ObservedEvent, TargetWrite
from tests.chaos.invariants import Invariant, Invariants, SystemState
from tests.chaos.invariants.system_state import ProcessRecord
from tests.support.core import Entry, Rollout

KeyedEvent: TypeAlias = tuple[str, ObservedEvent]
"""An event, and a text that identifies it: events with equal texts are equal."""

# The mutable types in the state of the invariants; all others are values.
_MUTABLE_TYPES: Final = (Invariants, Invariant, SystemState, ProcessRecord)
# Types of interned values: equal ones are the same object.
_INTERNED_TYPES: Final = (Rollout, Entry, TargetWrite)


@dataclass(eq=False, slots=True)
class MonitorState:
    """The state of the invariants after some events.

    violations: those so far. pool: all states of one search, by fingerprint. after: the states
    that follow, by the texts of the events. end_violations: those when this is the end.
    """

    invariants: Invariants
    violations: Sequence[str] = ()
    pool: "dict[Hashable, MonitorState]" = field(default_factory=dict)
    after: "dict[str, MonitorState]" = field(default_factory=dict)
    end_violations: Sequence[str] | None = None

    def extend(self, events: Sequence[KeyedEvent]) -> "MonitorState":
        """Return the state after `events`."""
        if not events:
            return self
        key = "\n".join(text for text, _ in events)
        if key not in self.after:
            following = self._next(event for _, event in events)
            self.after[key] = self.pool.setdefault(fingerprint(following.invariants), following)
        return self.after[key]

    def final_violations(self) -> Sequence[str]:
        """Return the violations of the final checks, when this is the end."""
        if self.end_violations is None:
            invariants: Invariants = copy_mutable(self.invariants)
            self.end_violations = [str(one) for one in invariants.finish()]
        return self.end_violations

    def _next(self, events: Iterable[ObservedEvent]) -> "MonitorState":
        invariants: Invariants = copy_mutable(self.invariants)
        for event in events:
            invariants.check(event)
        return MonitorState(
            invariants, [str(violation) for violation in invariants.violations], self.pool
        )


def copy_mutable(value: Any) -> Any:
    """Return a copy of `value` that shares all immutable parts."""
    kind = type(value)
    if kind is dict:
        return {key: copy_mutable(one) for key, one in value.items()}
    if kind is list:
        return [copy_mutable(one) for one in value]
    if kind is set:
        return set(value)
    if not isinstance(value, _MUTABLE_TYPES):
        return value
    copy = object.__new__(kind)
    for name in _attributes(value):
        setattr(copy, name, copy_mutable(getattr(value, name)))
    return copy


def fingerprint(value: Any) -> Hashable:
    """Return a key that is equal for two states when the invariants cannot tell them apart."""
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
    hashable: Hashable = value
    return hashable


def _normalize(state: SystemState) -> SystemState:
    """Return `state` with its event numbers replaced by ranks, as they are only compared."""
    copy: SystemState = copy_mutable(state)
    ranks = sorted(
        {copy.last_write_number, *(process.start_number for process in copy.processes.values())}
    )
    copy.number, copy.last_write_number = 0, ranks.index(copy.last_write_number)
    for process in copy.processes.values():
        process.start_number = ranks.index(process.start_number)
    return copy


def _attributes(value: object) -> Iterable[str]:
    slots: Iterable[str] = getattr(type(value), "__slots__", ())
    return slots or vars(value)
