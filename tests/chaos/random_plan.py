"""Draws a fault plan from a seed: the same plan for a seed on every machine."""

from collections.abc import Sequence
from random import Random
from typing import Final

from tests.chaos.fault_plan import (
    FAULTS_END,
    ActorAction,
    CallFault,
    ClockSkew,
    Crash,
    Degradation,
    DegradationWindow,
    Fault,
    FaultPlan,
    InjectionPoint,
    Interleaving,
    StoreKind,
    TargetKind,
    Timing,
)
from tests.chaos.faults import FAULT_KINDS, LATE
from tests.chaos.ground_truth import KINDS, GroundTruth
from tests.chaos.random_policy import draw_policy, draw_world
from tests.support.core import Policy

MOST_FAULTS: Final = 14
_SLEEP: Final = "clock:sleep"
_NOTIFY: Final = "people:notify"
# Calls that can be in flight after the process has crashed; SQLite runs in the process itself.
_REMOTE: Final = ("lambda:", "elbv2:", "appconfig:", "cloudwatch:", "dynamodb:")
# Operations that get more faults, beside the write of the weight: the writes of the rollout.
_FREQUENT_OPERATIONS: Final = (
    *("store:save", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems") * 2,
)
_WRITE_FREQUENCY: Final = 3
_TARGET_SERVICES: Final = tuple(f"{kind.service}:" for kind in KINDS.values())
# How often calls of each service fail; CloudWatch has one call, and many kinds of faults.
_CALL_FAULT_WEIGHTS: Final = {
    "lambda": 3,
    "elbv2": 3,
    "appconfig": 3,
    "cloudwatch": 4,
    "store": 4,
    "dynamodb": 4,
    "people": 1,
}
_ACTION_CHOICES: Final = (
    *(ActorAction.TICK,) * 6,
    *(ActorAction.SET_WEIGHT,) * 4,
    *(ActorAction.RESUME,) * 3,
    *(ActorAction.RETRY,) * 2,
    *(one for one in ActorAction),
)
# Updates are few and early: their degradations have to last until there is one.
_UPDATE_DEGRADATIONS: Final = frozenset({Degradation.SLOW, Degradation.FAILED})
_UPDATE_DEGRADATION_S: Final = 600
_WAITS_S: Final = (0, 0, 0, 0, 1, 7, 40, 75, 130, 300, 600)


# The share of policies with the sequential judge.
_SEQUENTIAL_SHARE = 0.3
# The share of policies that limit their exposure, and to what: nothing fits, the middle of a ladder
# of 600 requests a minute, everything. Seeds before the first one have none: they are recorded.
_LIMITED_SHARE = 0.3
_LIMITS: Final = (1, 1_500, 1_000_000)
_FIRST_LIMITED = 2_000


def draw(seed: int, store: StoreKind = "sqlite", target: TargetKind = "lambda-env") -> FaultPlan:
    """Return the plan of `seed`, for a run with a store and a target of these kinds."""
    chance = Random(f"chaos:{seed}" if target == "lambda-env" else f"chaos:{target}:{seed}")
    kind = KINDS[target]
    sequential = Random(f"judge:{seed}").random() < _SEQUENTIAL_SHARE
    policy = draw_policy(chance, kind, sequential=sequential, max_bad_requests=_limit(seed))
    scenario = draw_world(chance, len(policy.steps), kind)
    number = min(chance.randint(0, MOST_FAULTS), chance.randint(0, MOST_FAULTS) + 2)
    drawer = _FaultDrawer(chance, policy, store, kind)
    faults = tuple(drawer.fault() for _ in range(number))
    return FaultPlan(seed, store, policy, scenario, faults)


def _limit(seed: int) -> int | None:
    chance = Random(f"exposure:{seed}")
    if seed < _FIRST_LIMITED:
        return None
    return chance.choice(_LIMITS) if chance.random() < _LIMITED_SHARE else None


class _FaultDrawer:
    """Draws the faults of one plan."""

    def __init__(
        self, chance: Random, policy: Policy, store: StoreKind, kind: type[GroundTruth]
    ) -> None:
        self._chance, self._kind = chance, kind
        self._weights = (0, 5, 70, 100, *(step.weight for step in policy.steps))
        other_store = "dynamodb:" if store == "sqlite" else "store:"
        calls = kind.calls(policy.target)
        operations = (*[calls[0]] * _WRITE_FREQUENCY, *_FREQUENT_OPERATIONS, *FAULT_KINDS)
        self._operations = [
            operation
            for operation in operations
            if operation in calls or not operation.startswith((other_store, *_TARGET_SERVICES))
        ]
        self._aims = [*self._operations, *(_SLEEP, _NOTIFY) * 3]

    def fault(self) -> Fault:
        """Return one fault of any kind."""
        match self._pick(("broken", "crash", "meanwhile", "spell", "skew"), (34, 20, 30, 9, 7)):
            case "broken":
                return self._call_fault(self._tick())
            case "crash":
                return self._crash(self._tick())
            case "meanwhile":
                return self._interleaving(self._tick())
            case "spell":
                return self._degradation()
            case _:
                return ClockSkew(self._tick(), self._chance.choice((-170, -60, -5, 5, 60, 170)))

    def _pick(self, names: Sequence[str], weights: Sequence[int]) -> str:
        return self._chance.choices(names, weights)[0]

    def _tick(self) -> int:
        return self._chance.randrange(FAULTS_END)

    def _point(self, tick: int) -> InjectionPoint:
        """Return an external call: the next one of some operation, or any one of the minute."""
        if self._chance.random() < 0.7:
            return self._point_at(tick, self._chance.choice(self._aims))
        return InjectionPoint(tick, "", self._chance.choice((0, 0, *range(1, 14))))

    def _point_at(self, tick: int, operation: str) -> InjectionPoint:
        return InjectionPoint(tick, operation, self._chance.choice((0, 0, 0, 0, 1, 2)))

    def _call_fault(self, tick: int) -> CallFault:
        services = sorted({one.partition(":")[0] for one in self._operations})
        service = self._pick(services, [_CALL_FAULT_WEIGHTS[one] for one in services])
        operations_of_service = [one for one in self._operations if one.startswith(f"{service}:")]
        operation = self._chance.choice(operations_of_service)
        how = self._chance.choice(FAULT_KINDS[operation])
        late = self._chance.randint(1, 90) if how == LATE else 0
        return CallFault(self._point_at(tick, operation), how, late)

    def _crash(self, tick: int) -> Crash:
        point, when = self._point(tick), self._chance.choice(tuple(Timing))
        in_flight = when is Timing.DURING and point.operation.startswith(_REMOTE)
        return Crash(point, when, self._chance.choice((0, 1, 30, 90)) if in_flight else 0)

    def _interleaving(self, tick: int, depth: int = 0) -> Interleaving:
        action = self._chance.choice(_ACTION_CHOICES)
        inner = self._nested_faults(depth) if self._chance.random() < 0.3 else ()
        return Interleaving(
            self._point(tick),
            self._chance.choice((Timing.BEFORE, Timing.AFTER)),
            action,
            self._chance.choice(_WAITS_S),
            self._chance.choice(self._weights) if action is ActorAction.SET_WEIGHT else 0,
            inner,
        )

    def _nested_faults(self, depth: int) -> tuple[Fault, ...]:
        """Return the faults of an actor; a second level of actors has none of its own."""
        if depth == 0 and self._chance.random() < 0.3:
            return (self._interleaving(0, depth + 1),)
        return (self._call_fault(0) if self._chance.random() < 0.5 else self._crash(0),)

    def _degradation(self) -> DegradationWindow:
        lasting = self._chance.choice((20, 70, 130, 300, 600))
        tick, degradation = self._tick(), self._chance.choice(self._kind.degradations)
        if degradation in _UPDATE_DEGRADATIONS:
            return DegradationWindow(tick // 2, _UPDATE_DEGRADATION_S, degradation)
        return DegradationWindow(tick, lasting, degradation)
