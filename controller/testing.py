"""What people test their policies and extensions with: the simulated account of rehearsals.

`rehearse` plays a policy through the real engine in virtual time. `installed` stands for an
installed package with a kind of its own. `check_target` is the contract that every target keeps.
Nothing here calls AWS, and no test framework is needed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path

from controller.bootstrap.account import AwsAccount
from controller.core.message import Message
from controller.core.observation import TargetReading
from controller.core.policy import Policy, TargetSpec
from controller.core.policy import kind_registry as kinds
from controller.errors import WriteConflictError
from controller.immutable import Immutable
from controller.policy_file.loader import load, loads
from controller.ports.target import InspectableTarget
from controller.process import logging
from controller.tools.rehearse.rehearsal import RehearsalOutcome, rehearsal, simulated_account
from controller.tools.rehearse.rehearsal import rehearse as play
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.errors import client_error
from controller.tools.simulation.scenario.scenario import Scenario, load_scenario
from controller.tools.simulation.target import SimulatedTarget, TargetChange
from controller.tools.simulation.world import World

__all__ = [
    "Rehearsal",
    "Scenario",
    "SimulatedTarget",
    "TargetChange",
    "VirtualClock",
    "World",
    "account_of",
    "check_target",
    "client_error",
    "installed",
    "load_scenario",
    "rehearse",
]


class Rehearsal(Immutable):
    """A finished rehearsal.

    outcome: the rollout at its end, the weights that were applied, the history and the AWS calls.
    messages: every message, with the name of its channel.
    """

    outcome: RehearsalOutcome
    messages: tuple[tuple[str, Message], ...]

    @property
    def phase(self) -> str:
        """How it ended: succeeded, rolled_back or paused; another one when time ran out."""
        return self.outcome.status

    @property
    def weights(self) -> tuple[int, ...]:
        """The weights that were applied, in order."""
        return self.outcome.weights

    @property
    def weight(self) -> int:
        """The percent of traffic on the canary at the end."""
        return self.outcome.final_weight


def rehearse(
    policy: Policy | Path | str,
    scenario: str = "healthy",
    *,
    seed: int = 1,
    every: timedelta = timedelta(minutes=1),
    approve: bool = False,
) -> Rehearsal:
    """Play `policy` in a simulated account, from its start until it ends.

    policy: a policy, the path of a file, or the YAML of one. scenario: the name of a scenario, or
    the path of a file with one. The same seed gives the same traffic.
    Raises PolicyError for a policy or a scenario that is wrong, or that do not fit each other.
    """
    logging.disable()
    with rehearsal(_policy(policy), scenario, seed) as setup:
        outcome = play(
            setup.runner,
            setup.world,
            setup.policy,
            every=every,
            on_tick=lambda _rollout: None,
            approve=approve,
        )
        return Rehearsal(outcome, tuple(setup.inbox.sent))


def _policy(given: Policy | Path | str) -> Policy:
    if isinstance(given, Policy):
        return given
    if isinstance(given, str) and "\n" in given:
        return loads(given, "policy")
    return load(Path(given))


@contextmanager
def installed(group: str, kind_paths: Mapping[str, str]) -> Iterator[None]:
    """Let kinds be found as if a package with these entry points were installed.

    group: like `rolloutctl.targets`. kind_paths: `module:Class` by kind.
    """
    found = kinds.entry_points_of(group)
    before = dict(found)
    for kind, path in kind_paths.items():
        found[kind] = [EntryPoint(kind, path, group)]
    try:
        yield
    finally:
        found.clear()
        found.update(before)


# --- Targets --------------------------------------------------------------------------------------


def account_of(world: World, seed: int = 0) -> AwsAccount:
    """Return the account of a simulated world, as adapters get it."""
    return simulated_account(world, seed)


def check_target(target: TargetSpec) -> None:
    """Check in a simulated account that the adapter of `target` keeps what every target promises.

    Raises AssertionError with the promise that is broken. A target whose simulation differs from
    AWS passes here and fails there: test the adapter against an emulator as well.
    """
    world = World(target=target)
    account = account_of(world)
    one, other = account.open(target), account.open(target)
    first = one.read()
    _expect(first.weight == 0, "a target that nothing was written to is at 0%")
    _expect(first.identity.startswith("arn:"), "the identity of a target is an ARN")
    _expect(bool(first.token), "a reading has a token")
    one.shift_to(10, first.token)
    applied = _applied(one, world)
    _expect(applied.weight == 10, "a raise that was written is read back")
    world.clock.advance(target.kept_for)
    _expect(world.weight_now() == 10, "traffic follows a raise that is applied")
    _expect(applied.token != first.token, "a write changes the token")
    _expect_conflict(other, first.token)
    _expect(_applied(one, world).weight == 10, "a raise under an old token writes nothing")
    _expect(other.read().token == applied.token, "a reading changes no token")
    other.lower_to_zero(timedelta(seconds=30))
    _expect(_applied(one, world).weight == 0, "lowering needs no token")
    world.clock.advance(target.kept_for)
    _expect(world.weight_now() == 0, "traffic follows the lowering")
    at_zero = one.read()
    one.lower_to_zero(timedelta(seconds=30))
    _expect(_applied(one, world).token == at_zero.token, "0% is not written over 0%")
    one.lower_to_zero(timedelta(seconds=30), outdated_token=at_zero.token)
    _expect(
        _applied(one, world).token != at_zero.token, "lowering outdates the token `outdated_token`"
    )
    _expect_conflict(one, at_zero.token)
    _check_the_check(one, world)


def _check_the_check(target: InspectableTarget, world: World) -> None:
    target.shift_to(10, _applied(target, world).token)
    _applied(target, world)
    seen = list[int | None]()

    def refuse(reading: TargetReading) -> None:
        seen.append(reading.weight)
        raise _RefusedError

    try:
        target.lower_to_zero(timedelta(seconds=30), check=refuse)
    except _RefusedError:
        pass
    else:
        raise AssertionError("an exception of `check` ends the lowering")
    _expect(seen == [10], "`check` gets the reading before the write")
    _expect(_applied(target, world).weight == 10, "nothing is written after `check` refused")


class _RefusedError(Exception):
    """Raised by the `check` of a lowering."""


def _applied(target: InspectableTarget, world: World) -> TargetReading:
    """Return the reading after the update, for which at most ten minutes are waited."""
    for _ in range(600):
        reading = target.read()
        if reading.has_applied(reading.weight if reading.weight is not None else -1):
            return reading
        world.clock.advance(timedelta(seconds=1))
    raise AssertionError("an update ends within ten minutes")


def _expect_conflict(target: InspectableTarget, token: str) -> None:
    try:
        target.shift_to(50, token)
    except WriteConflictError:
        return
    raise AssertionError("a raise under an old token is a WriteConflictError")


def _expect(holds: bool, promise: str) -> None:
    if not holds:
        raise AssertionError(promise)
