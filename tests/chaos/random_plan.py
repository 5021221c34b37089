"""A plot, drawn from a seed: the same seed, the same plot, on every machine."""

from collections.abc import Sequence
from random import Random
from typing import Final

from controller.core.policy import Policy
from tests.chaos.fault_plan import (
    CALM_FROM,
    Act,
    Broken,
    Crash,
    Fault,
    Meanwhile,
    Plot,
    Skew,
    Spell,
    Spot,
    StoreKind,
    Trouble,
    When,
)
from tests.chaos.faults import LATE, WAYS
from tests.chaos.random_policy import draw_policy, draw_world

MOST_FAULTS: Final = 14
_SLEEP: Final = "clock:sleep"
_NOTIFY: Final = "people:notify"
# Calls that can be on their way while the process is gone; SQLite is in the process itself.
_REMOTE: Final = ("lambda:", "cloudwatch:", "dynamodb:")
# What is aimed at more often: the calls that move traffic, and that remember why.
_OFTEN: Final = (
    *("lambda:UpdateFunctionConfiguration",) * 3,
    *("store:save", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems") * 2,
)
# How often a call of each service is broken; CloudWatch has one call, and many ways to break it.
_BROKEN: Final = {"lambda": 3, "cloudwatch": 4, "store": 4, "dynamodb": 4, "people": 1}
_ACTS: Final = (
    *(Act.TICK,) * 6,
    *(Act.SET,) * 4,
    *(Act.RESUME,) * 3,
    *(Act.RETRY,) * 2,
    *(one for one in Act),
)
# Updates are few, and early: what is wrong with them has to last until there is one.
_OF_UPDATES: Final = frozenset({Trouble.SLOW, Trouble.FAILED})
_LONG_S: Final = 600
_WAITS_S: Final = (0, 0, 0, 0, 1, 7, 40, 75, 130, 300, 600)


# How many policies have evidence that adds up.
_ADDING_UP = 0.3


def draw(seed: int, store: StoreKind = "sqlite") -> Plot:
    """Return the plot of `seed`, for a story that keeps its rollouts in a store of this kind."""
    chance = Random(f"chaos:{seed}")
    policy = draw_policy(chance, adds_up=Random(f"judge:{seed}").random() < _ADDING_UP)
    scenario = draw_world(chance, len(policy.steps))
    number = min(chance.randint(0, MOST_FAULTS), chance.randint(0, MOST_FAULTS) + 2)
    drawer = _Drawer(chance, policy, store)
    faults = tuple(drawer.fault() for _ in range(number))
    return Plot(seed, store, policy, scenario, faults)


class _Drawer:
    """Draws faults for one plot."""

    def __init__(self, chance: Random, policy: Policy, store: StoreKind) -> None:
        self._chance = chance
        self._weights = (0, 5, 70, 100, *(step.weight for step in policy.steps))
        away = "dynamodb:" if store == "sqlite" else "store:"
        known = (*_OFTEN, *WAYS)
        self._operations = [one for one in known if not one.startswith(away)]
        self._aims = [*self._operations, *(_SLEEP, _NOTIFY) * 3]

    def fault(self) -> Fault:
        """Return one fault of any kind."""
        match self._pick(("broken", "crash", "meanwhile", "spell", "skew"), (34, 20, 30, 9, 7)):
            case "broken":
                return self._broken(self._tick())
            case "crash":
                return self._crash(self._tick())
            case "meanwhile":
                return self._meanwhile(self._tick())
            case "spell":
                return self._spell()
            case _:
                return Skew(self._tick(), self._chance.choice((-170, -60, -5, 5, 60, 170)))

    def _pick(self, names: Sequence[str], weights: Sequence[int]) -> str:
        return self._chance.choices(names, weights)[0]

    def _tick(self) -> int:
        return self._chance.randrange(CALM_FROM)

    def _spot(self, tick: int) -> Spot:
        """Return a crossing: the next one of a certain operation, or any one of the minute."""
        if self._chance.random() < 0.7:
            return self._aimed(tick, self._chance.choice(self._aims))
        return Spot(tick, "", self._chance.choice((0, 0, *range(1, 14))))

    def _aimed(self, tick: int, operation: str) -> Spot:
        return Spot(tick, operation, self._chance.choice((0, 0, 0, 0, 1, 2)))

    def _broken(self, tick: int) -> Broken:
        services = sorted({one.partition(":")[0] for one in self._operations})
        service = self._pick(services, [_BROKEN[one] for one in services])
        of_it = [one for one in self._operations if one.startswith(f"{service}:")]
        operation = self._chance.choice(of_it)
        how = self._chance.choice(WAYS[operation])
        late = self._chance.randint(1, 90) if how == LATE else 0
        return Broken(self._aimed(tick, operation), how, late)

    def _crash(self, tick: int) -> Crash:
        spot, when = self._spot(tick), self._chance.choice(tuple(When))
        on_its_way = when is When.DURING and spot.operation.startswith(_REMOTE)
        return Crash(spot, when, self._chance.choice((0, 1, 30, 90)) if on_its_way else 0)

    def _meanwhile(self, tick: int, depth: int = 0) -> Meanwhile:
        act = self._chance.choice(_ACTS)
        inner = self._inner(depth) if self._chance.random() < 0.3 else ()
        return Meanwhile(
            self._spot(tick),
            self._chance.choice((When.BEFORE, When.AFTER)),
            act,
            self._chance.choice(_WAITS_S),
            self._chance.choice(self._weights) if act is Act.SET else 0,
            inner,
        )

    def _inner(self, depth: int) -> tuple[Fault, ...]:
        """Return what goes wrong with the one who acts; nobody comes in between deeper down."""
        if depth == 0 and self._chance.random() < 0.3:
            return (self._meanwhile(0, depth + 1),)
        return (self._broken(0) if self._chance.random() < 0.5 else self._crash(0),)

    def _spell(self) -> Spell:
        lasting = self._chance.choice((20, 70, 130, 300, 600))
        tick, trouble = self._tick(), self._chance.choice(tuple(Trouble))
        if trouble in _OF_UPDATES:
            return Spell(tick // 2, _LONG_S, trouble)
        return Spell(tick, lasting, trouble)
