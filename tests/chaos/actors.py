"""What actors do while a process waits: other runs, operators, deploys, and a lease taken over."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from controller.immutable import Immutable
from tests.chaos.event_log import (
    BARE_ROLLBACK,
    DEPLOY,
    PERSON,
    RESUME_KEEP,
    RESUME_RESTORE,
    RETRY,
    START,
)
from tests.chaos.fault_plan import ActorAction, Interleaving
from tests.chaos.ground_truth import GroundTruth
from tests.chaos.injector import PendingFaults
from tests.chaos.program import Program
from tests.support.core import StoreError, Verb

if TYPE_CHECKING:
    from tests.chaos.simulator import Simulator

REASON: Final = "cause"
# A clock that is this far ahead takes any current lease for an expired one.
AHEAD: Final = timedelta(minutes=2)
LEASE: Final = timedelta(minutes=2)


class _Invocation(Immutable):
    """A run of rolloutctl. verb: the operator command that it is; empty: a scheduled tick."""

    do: Callable[[Program], int]
    verb: str = ""


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


def perform(context: "Simulator", fault: Interleaving, by: str) -> None:
    """Perform the action of `fault` while the process `by` waits."""
    run = _INVOCATIONS.get(fault.action)
    if run is not None:
        name = f"{fault.action} in {by}"
        context.run(name, run.do, pending=PendingFaults(fault.faults), verb=run.verb)
        return
    match fault.action:
        case ActorAction.SET_WEIGHT:
            _change(context, PERSON, lambda truth: truth.set_weight(fault.weight))
        case ActorAction.CONTRADICT:
            _change(context, PERSON, lambda truth: truth.contradict())
        case ActorAction.DEPLOY:
            _change(context, DEPLOY, lambda truth: truth.deploy())
        case ActorAction.DEPLOY_CODE:
            _change(context, DEPLOY, lambda truth: truth.deploy(f"code of {by}"))
        case _:
            _take_lease(context)


def _change(context: "Simulator", by: str, change: Callable[[GroundTruth], None]) -> None:
    """Change the target from outside, unless its service refuses: an update is in progress."""
    with suppress(ClientError):
        change(context.truth)
    context.oracle.observe(by)


def _take_lease(context: "Simulator") -> None:
    """Let a run whose clock is ahead take the lease of the newest rollout over."""
    with context.stores.fault_free() as store, suppress(StoreError):
        for rollout_id in store.of_name(context.plan.policy.name)[-1:]:
            skewed_now = context.world.clock.now() + AHEAD
            store.acquire(rollout_id, skewed_now, skewed_now + LEASE)
