"""What a story is made of: a policy, a world, and what goes wrong; all of it drawn, or written.

Every fault says for itself where it strikes, so that it strikes there without the others, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from controller.core.policy import Policy
from controller.simulation.scenario.fault_events import Event, FailedUpdates, KmsDenied, SlowUpdates
from controller.simulation.scenario.fault_events import EventTime as Moment
from controller.simulation.scenario.scenario import Scenario

StoreKind: TypeAlias = Literal["sqlite", "dynamodb"]

# One tick a minute. Nothing goes wrong any more after the calm begins, and all must come to rest.
TICKS = 60
FAULTS_END = 28


@dataclass(frozen=True, slots=True)
class InjectionPoint:
    """The crossing at which a fault strikes.

    tick: of which minute the process is; 0 is the start. operation: like `store:save`; then it is
    the first such crossing from that minute on. Empty: any crossing, of that minute alone.
    number: how many fitting crossings of the process come before.
    """

    tick: int
    operation: str = ""
    number: int = 0

    def __str__(self) -> str:
        where = f"{self.operation} of tick {self.tick} or later" if self.operation else ""
        return f"crossing {self.number} at {where or f'tick {self.tick}'}"


class Timing(StrEnum):
    """Whether something happens before or after the call of a crossing, or while it is made."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Crash:
    """The process is gone. During: its call was sent, and is carried out `late` seconds later."""

    spot: InjectionPoint
    when: Timing
    late: int = 0

    def __str__(self) -> str:
        late = f", the call arrives {self.late} s later" if self.late else ""
        return f"crash {self.when} {self.spot}{late}"


@dataclass(frozen=True, slots=True)
class CallFault:
    """The call goes wrong. how: one of `breaking.ways` of its operation.

    late: how many seconds after its time-out a call arrives that is called `late`.
    """

    spot: InjectionPoint
    how: str
    late: int = 0

    def __str__(self) -> str:
        late = f" by {self.late} s" if self.late else ""
        return f"{self.how}{late} at {self.spot}"


class ActorAction(StrEnum):
    """What others do."""

    TICK = "another tick"
    SET_WEIGHT = "a person sets the weight"
    SET_ONE_VARIABLE = "a person sets one of two variables"
    DEPLOY = "a deploy resets the environment"
    DEPLOY_CODE = "a deploy resets the environment and brings code"
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


@dataclass(frozen=True, slots=True)
class Interleaving:
    """A process waits at a crossing, and others act before it goes on.

    waits: for how many seconds. weight: what a person sets. faults: what goes wrong with the one
    who acts; their spots count its own crossings.
    """

    spot: InjectionPoint
    when: Timing
    act: ActorAction
    waits: int = 0
    weight: int = 0
    faults: tuple["Fault", ...] = ()

    def __str__(self) -> str:
        weight = f" to {self.weight} %" if self.act is ActorAction.SET_WEIGHT else ""
        waits = f"{self.waits} s, then " if self.waits else ""
        inner = f" ({'; '.join(map(str, self.faults))})" if self.faults else ""
        return f"{self.when} {self.spot}: {waits}{self.act}{weight}{inner}"


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """The clock of the process of one tick is wrong by `seconds`."""

    tick: int
    seconds: int

    def __str__(self) -> str:
        return f"the clock of tick {self.tick} is {self.seconds:+} s off"


class Degradation(StrEnum):
    """What is wrong for a while."""

    KMS = "KMS denies the environment"
    SLOW = "updates stay in progress"
    FAILED = "updates end as failed"
    LAMBDA = "lambda is down"
    METRICS = "cloudwatch is down"
    PARTIAL = "cloudwatch answers in part"
    STORE = "the store is down"
    FULL = "the store takes no writes"


@dataclass(frozen=True, slots=True)
class DegradationWindow:
    """Something is wrong for a while: from a minute on, for so many seconds."""

    minute: int
    seconds: int
    degradation: Degradation

    @property
    def begin(self) -> timedelta:
        """When it begins, counted from the start of the story."""
        return timedelta(minutes=self.minute)

    @property
    def lasting(self) -> timedelta:
        """How long it lasts."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        return f"{self.degradation} from minute {self.minute} for {self.seconds} s"


Fault: TypeAlias = Crash | CallFault | Interleaving | ClockSkew | DegradationWindow

# How long an update takes that begins while updates stay in progress.
STUCK_UPDATE: Final = timedelta(minutes=6)


def _events(spell: DegradationWindow) -> list[Event]:
    """Return what of `spell` the simulated Lambda does by itself."""
    at, lasting = Moment(after=spell.begin), spell.lasting
    match spell.degradation:
        case Degradation.KMS:
            return [KmsDenied(kind="kms_denied", at=at, lasting=lasting)]
        case Degradation.SLOW:
            return [SlowUpdates(kind="slow_updates", at=at, lasting=lasting, takes=STUCK_UPDATE)]
        case Degradation.FAILED:
            return [FailedUpdates(kind="failed_updates", at=at, lasting=lasting)]
        case _:
            return []


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Everything that a story depends on."""

    seed: int
    store: StoreKind
    policy: Policy
    scenario: Scenario
    faults: tuple[Fault, ...]

    @property
    def world(self) -> Scenario:
        """The scenario, with what the faults make of the simulated Lambda."""
        spells = (one for one in self.faults if isinstance(one, DegradationWindow))
        events = (event for spell in spells for event in _events(spell))
        return self.scenario.model_copy(update={"events": (*self.scenario.events, *events)})

    @property
    def timed_faults_end(self) -> int:
        """The minute from which on nothing is wrong that has its own time."""
        spells = [
            one.begin + one.lasting for one in self.faults if isinstance(one, DegradationWindow)
        ]
        skews = [timedelta(minutes=one.tick) for one in self.faults if isinstance(one, ClockSkew)]
        return max((one // timedelta(minutes=1) + 1 for one in (*spells, *skews)), default=0)

    def reductions(self) -> Iterator["FaultPlan"]:
        """Yield this plot with one fault less, each in turn: whole ones, then parts of one."""
        for index in range(len(self.faults)):
            yield self._with_fault_replaced(index, ())
        for index, fault in enumerate(self.faults):
            if isinstance(fault, Interleaving):
                for plainer in _interleaving_reductions(fault):
                    yield self._with_fault_replaced(index, (plainer,))

    def _with_fault_replaced(self, index: int, instead: tuple[Fault, ...]) -> "FaultPlan":
        return replace(self, faults=(*self.faults[:index], *instead, *self.faults[index + 1 :]))


def _interleaving_reductions(fault: Interleaving) -> Iterator[Interleaving]:
    for index in range(len(fault.faults)):
        yield replace(fault, faults=(*fault.faults[:index], *fault.faults[index + 1 :]))
    if fault.waits:
        yield replace(fault, waits=0)
