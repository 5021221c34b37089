"""A fault plan: a policy, a world, and faults; drawn from a seed or written by hand.

Each fault names its own injection point, so it occurs there without the other faults as well.
"""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from controller.immutable import Immutable, replace
from controller.tools.simulation.scenario.fault_events import (
    Event,
    FailedUpdates,
    KmsDenied,
    SlowUpdates,
)
from controller.tools.simulation.scenario.fault_events import EventTime as Moment
from controller.tools.simulation.scenario.scenario import Scenario
from tests.support.core import Policy

StoreKind: TypeAlias = Literal["sqlite", "dynamodb"]
TargetKind: TypeAlias = Literal["lambda-env", "lambda-alias", "alb-weights", "appconfig"]

# One tick a minute. No fault is planned from FAULTS_END on, and every rollout must come to rest.
TICKS = 61
FAULTS_END = 28


class InjectionPoint(Immutable):
    """The external call at which a fault is injected.

    tick: the minute of the process; 0 is the start. operation: like `store:save`: the first such
    call from that minute on; empty: any call, of that minute alone. number: how many matching calls
    of the process come before it.
    """

    tick: int
    operation: str = ""
    number: int = 0

    def __str__(self) -> str:
        where = f"{self.operation} of tick {self.tick} or later" if self.operation else ""
        return f"crossing {self.number} at {where or f'tick {self.tick}'}"


class Timing(StrEnum):
    """Whether a fault occurs before or after an external call, or during it."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Crash(Immutable):
    """The process crashes. DURING: its call was sent, and arrives `late` seconds later."""

    point: InjectionPoint
    when: Timing
    late: int = 0

    def __str__(self) -> str:
        late = f", the call arrives {self.late} s later" if self.late else ""
        return f"crash {self.when} {self.point}{late}"


class CallFault(Immutable):
    """An external call fails. how: one of `faults.FAULT_KINDS` of its operation.

    late: how many seconds after its time-out a call of the kind `late` arrives.
    """

    point: InjectionPoint
    how: str
    late: int = 0

    def __str__(self) -> str:
        late = f" by {self.late} s" if self.late else ""
        return f"{self.how}{late} at {self.point}"


class ActorAction(StrEnum):
    """What an actor does while a process waits."""

    TICK = "another tick"
    SET_WEIGHT = "a person sets the weight"
    CONTRADICT = "a person leaves no clear weight"
    DEPLOY = "a deploy resets the target"
    DEPLOY_CODE = "a deploy resets the target and brings code"
    PAUSE = "pause"
    RESUME = "resume"
    RESUME_RESTORE = "resume --restore"
    RESUME_KEEP = "resume --keep"
    PROMOTE = "promote"
    APPROVE = "approve"
    ROLLBACK = "rollback"
    BARE_ROLLBACK = "rollback by bare names"
    START = "start"
    RETRY = "retry"
    TAKE_LEASE = "another run takes the lease over and is gone"


class Interleaving(Immutable):
    """A process waits at an external call, and an actor acts before it goes on.

    action: what the actor does. waits: how many seconds the process waits before. weight: percent
    that a person sets. faults: those of the actor; their points count its own calls.
    """

    point: InjectionPoint
    when: Timing
    action: ActorAction
    waits: int = 0
    weight: int = 0
    faults: tuple["Fault", ...] = ()

    def __str__(self) -> str:
        weight = f" to {self.weight}%" if self.action is ActorAction.SET_WEIGHT else ""
        waits = f"{self.waits} s, then " if self.waits else ""
        inner = f" ({'; '.join(map(str, self.faults))})" if self.faults else ""
        return f"{self.when} {self.point}: {waits}{self.action}{weight}{inner}"


class ClockSkew(Immutable):
    """The clock of the process of one tick is off by `seconds`."""

    tick: int
    seconds: int

    def __str__(self) -> str:
        return f"the clock of tick {self.tick} is {self.seconds:+} s off"


class Degradation(StrEnum):
    """A fault that lasts for some time."""

    KMS = "KMS denies the environment"
    SLOW = "updates stay in progress"
    FAILED = "updates end as failed"
    TARGET = "the service of the target is down"
    METRICS = "cloudwatch is down"
    PARTIAL = "cloudwatch answers in part"
    STORE = "the store is down"
    FULL = "the store takes no writes"


class DegradationWindow(Immutable):
    """A degradation that begins at `minute` and lasts for `seconds`."""

    minute: int
    seconds: int
    degradation: Degradation

    @property
    def begin(self) -> timedelta:
        """When it begins, counted from the start of the run."""
        return timedelta(minutes=self.minute)

    @property
    def lasting(self) -> timedelta:
        """How long it lasts."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        return f"{self.degradation} from minute {self.minute} for {self.seconds} s"


Fault: TypeAlias = Crash | CallFault | Interleaving | ClockSkew | DegradationWindow

# How long an update takes that begins during Degradation.SLOW.
STUCK_UPDATE: Final = timedelta(minutes=6)


def _events(window: DegradationWindow) -> list[Event]:
    """Return the events by which the simulated Lambda applies the degradation of `window`."""
    at, lasting = Moment(after=window.begin), window.lasting
    match window.degradation:
        case Degradation.KMS:
            return [KmsDenied(kind="kms_denied", at=at, lasting=lasting)]
        case Degradation.SLOW:
            return [SlowUpdates(kind="slow_updates", at=at, lasting=lasting, takes=STUCK_UPDATE)]
        case Degradation.FAILED:
            return [FailedUpdates(kind="failed_updates", at=at, lasting=lasting)]
        case _:
            return []


class FaultPlan(Immutable):
    """All inputs of one simulation run.

    neighbours: how many more rollouts a tick visits, of like policies with functions of their own;
        it visits them in an order that the seed draws, and some of the work is late.
    """

    seed: int
    store: StoreKind
    policy: Policy
    scenario: Scenario
    faults: tuple[Fault, ...]
    neighbours: int = 0

    @property
    def world(self) -> Scenario:
        """The scenario, with the degradations that the simulated Lambda applies."""
        windows = (fault for fault in self.faults if isinstance(fault, DegradationWindow))
        events = (event for window in windows for event in _events(window))
        return self.scenario.model_copy(update={"events": (*self.scenario.events, *events)})

    @property
    def timed_faults_end(self) -> int:
        """The minute from which on no degradation lasts and no clock is off."""
        windows = [
            fault.begin + fault.lasting
            for fault in self.faults
            if isinstance(fault, DegradationWindow)
        ]
        skews = [
            timedelta(minutes=fault.tick) for fault in self.faults if isinstance(fault, ClockSkew)
        ]
        return max((one // timedelta(minutes=1) + 1 for one in (*windows, *skews)), default=0)

    def reductions(self) -> Iterator["FaultPlan"]:
        """Yield this plan without one of its faults, each in turn; then without a part of one."""
        for index in range(len(self.faults)):
            yield self._with_fault_replaced(index, ())
        for index, fault in enumerate(self.faults):
            if isinstance(fault, Interleaving):
                for simpler in _interleaving_reductions(fault):
                    yield self._with_fault_replaced(index, (simpler,))

    def _with_fault_replaced(self, index: int, replacement: tuple[Fault, ...]) -> "FaultPlan":
        return replace(self, faults=(*self.faults[:index], *replacement, *self.faults[index + 1 :]))


def _interleaving_reductions(fault: Interleaving) -> Iterator[Interleaving]:
    for index in range(len(fault.faults)):
        yield replace(fault, faults=(*fault.faults[:index], *fault.faults[index + 1 :]))
    if fault.waits:
        yield replace(fault, waits=0)
