"""Injects the faults of a plan into the external calls of one process."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.chaos.fault_plan import (
    CallFault,
    Crash,
    Fault,
    Interleaving,
    Timing,
)
from tests.chaos.faults import LATE, can_occur, fault_kind_of, inject, operation_name
from tests.chaos.process import CrashedError, ExternalCall, Proceed

if TYPE_CHECKING:
    from tests.chaos.simulator import Simulator


class PendingFaults:
    """The faults that were not injected yet."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = [
            fault for fault in faults if isinstance(fault, Crash | CallFault | Interleaving)
        ]

    @property
    def any_left(self) -> bool:
        """Whether any fault is left."""
        return bool(self._faults)

    def take(
        self, tick: int, call: ExternalCall, earlier_calls: int
    ) -> list[Crash | CallFault | Interleaving]:
        """Remove and return the faults that are due at `call`.

        earlier_calls: how many calls of the same operation the process has made before.
        """
        due = [one for one in self._faults if _matches(one, tick, call, earlier_calls)]
        for fault in due:
            self._faults.remove(fault)
        return due


def _matches(
    fault: Crash | CallFault | Interleaving, tick: int, call: ExternalCall, earlier_calls: int
) -> bool:
    point = fault.point
    if isinstance(fault, CallFault) and not can_occur(fault.how, call):
        return False
    if point.operation:
        fitting = point.operation == operation_name(call) and point.tick <= tick
        return fitting and point.number == earlier_calls
    return (point.tick, point.number) == (tick, call.number)


class Injector:
    """The interceptor of one process, which belongs to the minute `tick`."""

    def __init__(self, context: "Simulator", tick: int, pending: PendingFaults) -> None:
        self._context, self._tick, self._pending = context, tick, pending
        self._call_counts: Counter[str] = Counter()

    def __call__(self, call: ExternalCall, proceed: Proceed) -> Any:
        """Return or raise the result that the process gets."""
        name = operation_name(call)
        faults = self._pending.take(self._tick, call, self._call_counts[name])
        self._call_counts[name] += 1
        self._interleave(faults, Timing.BEFORE, call)
        try:
            answer = self._call_with_faults(faults, call, proceed)
        except Exception:  # CrashedError is no Exception: no actor runs after a crash
            self._interleave(faults, Timing.AFTER, call)
            raise
        self._interleave(faults, Timing.AFTER, call)
        return answer

    def _interleave(self, faults: Iterable[Fault], when: Timing, call: ExternalCall) -> None:
        for fault in faults:
            if isinstance(fault, Interleaving) and fault.when is when:
                self._context.record_fault(call, f"{when} it: {fault.action}")
                self._context.interleave(fault, call.process)

    def _call_with_faults(
        self, faults: Sequence[Fault], call: ExternalCall, proceed: Proceed
    ) -> Any:
        for fault in faults:
            if isinstance(fault, Crash):
                self._context.record_fault(call, f"crash {fault.when}")
                self._crash(fault, call, proceed)
            if isinstance(fault, CallFault):
                self._context.record_fault(call, fault.how)
                if fault.how == LATE:
                    self._context.schedule(fault.late, proceed)
                return inject(fault.how, call, proceed)
        for degradation in self._context.degradations():
            how = fault_kind_of(degradation, call)
            if how is not None:
                self._context.record_fault(call, str(degradation))
                if how:
                    return inject(how, call, proceed)
        return proceed()

    def _crash(self, fault: Crash, call: ExternalCall, proceed: Proceed) -> None:
        if fault.when is Timing.DURING and fault.late:
            self._context.schedule(fault.late, proceed)
        elif fault.when is not Timing.BEFORE:
            with suppress(Exception):
                proceed()
        raise CrashedError
