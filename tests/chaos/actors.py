"""What others do while a process waits: other runs, people, pipelines, and who takes a lease."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from botocore.exceptions import ClientError

from controller.core.commands import Verb
from controller.errors import StoreError
from controller.simulation.fakes.lambda_ import code_digest
from controller.simulation.operators import pair_of
from controller.simulation.world import World
from tests.chaos.event_log import BARE, DEPLOY, KEEP, PERSON, RESTORE, RETRY, START
from tests.chaos.fault_plan import Act, Meanwhile, Plot
from tests.chaos.injector import Ahead
from tests.chaos.oracle import Witness
from tests.chaos.program import Program, Stores

REASON: Final = "because"
# A clock that is so far ahead takes any honest lease for one that is over.
AHEAD: Final = timedelta(minutes=2)
LEASE: Final = timedelta(minutes=2)


class Scene(Protocol):
    """What others need of the story."""

    plot: Plot
    world: World
    stores: Stores
    witness: Witness

    def run(
        self,
        name: str,
        do: Callable[[Program], int],
        *,
        tick: int = 0,
        ahead: Ahead,
        asks: str = "",
    ) -> int | None:
        """Run one process."""
        ...


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of rolloutctl, and what a person asks by it."""

    do: Callable[[Program], int]
    asks: str = ""


_RUNS: Final[Mapping[Act, _Run]] = {
    Act.TICK: _Run(lambda one: one.tick()),
    Act.PAUSE: _Run(lambda one: one.ask(Verb.PAUSE), Verb.PAUSE),
    Act.RESUME: _Run(lambda one: one.ask(Verb.RESUME), Verb.RESUME),
    Act.RESTORE: _Run(lambda one: one.ask(Verb.RESUME, way="restore"), RESTORE),
    Act.KEEP: _Run(lambda one: one.ask(Verb.RESUME, way="keep"), KEEP),
    Act.PROMOTE: _Run(lambda one: one.ask(Verb.PROMOTE, REASON), Verb.PROMOTE),
    Act.APPROVE: _Run(lambda one: one.ask(Verb.APPROVE), Verb.APPROVE),
    Act.ROLLBACK: _Run(lambda one: one.ask(Verb.ROLLBACK, REASON), Verb.ROLLBACK),
    Act.BARE: _Run(lambda one: one.lower_bare(), BARE),
    Act.START: _Run(lambda one: one.start(), START),
    Act.RETRY: _Run(lambda one: one.start(REASON), RETRY),
}


def act(scene: Scene, fault: Meanwhile, by: str) -> None:
    """Do what `fault` says while the process `by` waits."""
    run = _RUNS.get(fault.act)
    if run is not None:
        name = f"{fault.act} in {by}"
        scene.run(name, run.do, ahead=Ahead(fault.faults), asks=run.asks)
        return
    match fault.act:
        case Act.SET:
            target = scene.plot.policy.target
            _write(scene, pair_of(target, fault.weight), PERSON)
        case Act.GARBLE:
            _write(scene, _contradiction(scene), PERSON)
        case Act.DEPLOY:
            _write(scene, _template(scene), DEPLOY)
        case Act.DEPLOY_CODE:
            _write(scene, _template(scene), DEPLOY, code=f"code of {by}")
        case _:
            _take_lease(scene)


def _contradiction(scene: Scene) -> dict[str, str]:
    """Return what a person sets who forgets the other variable, or does not know what fits."""
    target = scene.plot.policy.target
    return {target.percentage: "half"} if target.boolean is None else {target.boolean: "true"}


def _template(scene: Scene) -> dict[str, str]:
    function = scene.plot.scenario.function
    return {**function.variables, **pair_of(scene.plot.policy.target, function.weight)}


def _write(scene: Scene, variables: Mapping[str, str], by: str, code: str = "") -> None:
    """Write variables as another hand does, unless Lambda refuses: it has an update in progress."""
    name = scene.plot.policy.target.function
    with suppress(ClientError):
        scene.world.set_variables(name, variables)
        if code:
            scene.world.function(name).code_sha256 = code_digest(code)
    scene.witness.look(by)


def _take_lease(scene: Scene) -> None:
    """Another run, whose clock is wrong, takes the newest rollout from whoever has it."""
    with scene.stores.pristine() as store, suppress(StoreError):
        for rollout_id in store.of_name(scene.plot.policy.name)[-1:]:
            wrong = scene.world.clock.now() + AHEAD
            store.acquire(rollout_id, wrong, wrong + LEASE)
