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
from controller.simulation.operators import weight_variables
from controller.simulation.world import World
from tests.chaos.event_log import (
    BARE_ROLLBACK,
    DEPLOY,
    PERSON,
    RESUME_KEEP,
    RESUME_RESTORE,
    RETRY,
    START,
)
from tests.chaos.fault_plan import ActorAction, FaultPlan, Interleaving
from tests.chaos.injector import PendingFaults
from tests.chaos.oracle import Oracle
from tests.chaos.program import Program, Stores

REASON: Final = "because"
# A clock that is so far ahead takes any honest lease for one that is over.
AHEAD: Final = timedelta(minutes=2)
LEASE: Final = timedelta(minutes=2)


class ActorContext(Protocol):
    """What others need of the story."""

    plan: FaultPlan
    world: World
    stores: Stores
    oracle: Oracle

    def run(
        self,
        name: str,
        command: Callable[[Program], int],
        *,
        tick: int = 0,
        pending: PendingFaults,
        verb: str = "",
    ) -> int | None:
        """Run one process."""
        ...


@dataclass(frozen=True, slots=True)
class _Invocation:
    """A run of rolloutctl, and what a person asks by it."""

    do: Callable[[Program], int]
    asks: str = ""


_INVOCATIONS: Final[Mapping[ActorAction, _Invocation]] = {
    ActorAction.TICK: _Invocation(lambda one: one.tick()),
    ActorAction.PAUSE: _Invocation(lambda one: one.ask(Verb.PAUSE), Verb.PAUSE),
    ActorAction.RESUME: _Invocation(lambda one: one.ask(Verb.RESUME), Verb.RESUME),
    ActorAction.RESUME_RESTORE: _Invocation(
        lambda one: one.ask(Verb.RESUME, way="restore"), RESUME_RESTORE
    ),
    ActorAction.RESUME_KEEP: _Invocation(lambda one: one.ask(Verb.RESUME, way="keep"), RESUME_KEEP),
    ActorAction.PROMOTE: _Invocation(lambda one: one.ask(Verb.PROMOTE, REASON), Verb.PROMOTE),
    ActorAction.APPROVE: _Invocation(lambda one: one.ask(Verb.APPROVE), Verb.APPROVE),
    ActorAction.ROLLBACK: _Invocation(lambda one: one.ask(Verb.ROLLBACK, REASON), Verb.ROLLBACK),
    ActorAction.BARE_ROLLBACK: _Invocation(lambda one: one.lower_bare(), BARE_ROLLBACK),
    ActorAction.START: _Invocation(lambda one: one.start(), START),
    ActorAction.RETRY: _Invocation(lambda one: one.start(REASON), RETRY),
}


def perform(context: ActorContext, fault: Interleaving, by: str) -> None:
    """Do what `fault` says while the process `by` waits."""
    run = _INVOCATIONS.get(fault.act)
    if run is not None:
        name = f"{fault.act} in {by}"
        context.run(name, run.do, pending=PendingFaults(fault.faults), verb=run.asks)
        return
    match fault.act:
        case ActorAction.SET_WEIGHT:
            target = context.plan.policy.target
            _write(context, weight_variables(target, fault.weight), PERSON)
        case ActorAction.SET_ONE_VARIABLE:
            _write(context, _contradiction(context), PERSON)
        case ActorAction.DEPLOY:
            _write(context, _template(context), DEPLOY)
        case ActorAction.DEPLOY_CODE:
            _write(context, _template(context), DEPLOY, code=f"code of {by}")
        case _:
            _take_lease(context)


def _contradiction(context: ActorContext) -> dict[str, str]:
    """Return what a person sets who forgets the other variable, or does not know what fits."""
    target = context.plan.policy.target
    return {target.percentage: "half"} if target.boolean is None else {target.boolean: "true"}


def _template(context: ActorContext) -> dict[str, str]:
    function = context.plan.scenario.function
    return {**function.variables, **weight_variables(context.plan.policy.target, function.weight)}


def _write(context: ActorContext, variables: Mapping[str, str], by: str, code: str = "") -> None:
    """Write variables as another hand does, unless Lambda refuses: it has an update in progress."""
    name = context.plan.policy.target.function
    with suppress(ClientError):
        context.world.set_variables(name, variables)
        if code:
            context.world.function(name).code_sha256 = code_digest(code)
    context.oracle.observe(by)


def _take_lease(context: ActorContext) -> None:
    """Another run, whose clock is wrong, takes the newest rollout from whoever has it."""
    with context.stores.fault_free() as store, suppress(StoreError):
        for rollout_id in store.of_name(context.plan.policy.name)[-1:]:
            wrong = context.world.clock.now() + AHEAD
            store.acquire(rollout_id, wrong, wrong + LEASE)
