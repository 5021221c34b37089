"""Who acts in a small world: ticks, people, a deployment, and time itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeAlias, cast

from botocore.exceptions import ClientError

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.commands import Ask, Verb, Way
from controller.core.decision import Notice
from controller.core.policy import LambdaEnv
from controller.core.rollout import Rollout
from controller.engine.direct_write import lower_and_confirm
from controller.engine.execute import Visit
from controller.engine.observe import Looking
from controller.engine.tick import Runner, Ticked
from controller.operations.start.start import Request, Started, start
from controller.ports.clock import Clock
from controller.ports.target import OpenTarget
from tests.chaos.event_log import BARE, DEPLOY, PERSON, START, TIME
from tests.chaos.process import Process
from tests.exhaustive.programs import Program
from tests.exhaustive.small_world import SmallWorld

# Longer than a lease: whoever had one has it no more.
A_WHILE: Final = timedelta(minutes=3)
TRY_AGAIN: Final = timedelta(seconds=5)


CHANGES: Final = "changes the function"


Actor: TypeAlias = Callable[[SmallWorld], Program]


class Heard(NamedTuple):
    """What people were told."""

    rollout: Rollout
    notice: Notice


class Everybody:
    """Hears every notice; the answer tells the search what was said."""

    def notify(self, rollout: Rollout, notice: Notice) -> None:
        """Hear `notice`."""
        heard: Any = Heard(rollout, notice)
        return cast("None", heard)


def runner(world: SmallWorld, process: Process, clock: Clock) -> Runner:
    """Return a runner on the real adapters and store, in the hands of `process`."""

    def open_target(target: LambdaEnv) -> OpenTarget:
        client = process.client(world.client(), "lambda")
        return LambdaEnvTarget(client, target, clock, lambda _least, most: most)

    metrics = CloudWatchMetrics(process.client(world.client(), "cloudwatch"))
    store = process.store(world.store(process.name))
    notifier = process.notifier(Everybody())
    return Runner(Looking(store, open_target, metrics, clock), notifier, by="tester")


def tick(world: SmallWorld, name: str = "tick") -> Program:
    """Return a tick of everything that is active."""

    def body(process: Process, clock: Clock) -> Ticked:
        return runner(world, process, clock).tick_active()

    return Program(name, body, world.clock)


def starting(world: SmallWorld, name: str = "start", *, adopt: bool = False) -> Program:
    """Return the start of the world's policy."""
    request = Request(world.policy, adopt=adopt)

    def body(process: Process, clock: Clock) -> Started:
        return start(runner(world, process, clock), request)

    return Program(name, body, world.clock, START)


def asking(world: SmallWorld, verb: Verb, way: Way = "") -> Program:
    """Return what a person starts who asks something of the rollout."""
    found, ask = f"{world.policy.name}#1", Ask(verb, "because", way)

    def body(process: Process, clock: Clock) -> Visit:
        return runner(world, process, clock).ask(found, ask)

    said = f"{verb} --{way}" if way else str(verb)
    return Program(said.replace(" ", ""), body, world.clock, said)


def forcing(world: SmallWorld, weight: int) -> Program:
    """Return a person who sets a weight over the head of the rollout: a hand that is known."""
    found, ask = f"{world.policy.name}#1", Ask(Verb.SET_WEIGHT, "because", weight=weight)

    def body(process: Process, clock: Clock) -> Visit:
        return runner(world, process, clock).ask(found, ask)

    return Program(f"{PERSON} by force", body, world.clock, str(Verb.SET_WEIGHT))


def bare_rollback(world: SmallWorld) -> Program:
    """Return a person who rolls back by the names of the function and its variables."""

    def body(process: Process, clock: Clock) -> None:
        client = process.client(world.client(), "lambda")
        target = LambdaEnvTarget(client, world.policy.target, clock, lambda _least, most: most)
        lower_and_confirm(target, clock)

    return Program("bare-rollback", body, world.clock, BARE)


def sets(world: SmallWorld, weight: int) -> Program:
    """Return a person who sets a weight by hand."""
    return _hand(world, lambda: world.cloud.set_weight(weight), PERSON)


def deploys(world: SmallWorld) -> Program:
    """Return a deployment that puts the environment back to that of its template."""
    return _hand(world, world.cloud.deploy, DEPLOY)


def _hand(world: SmallWorld, act: Callable[[], None], name: str) -> Program:
    """Return another hand: it changes the function once, and again after a while if refused."""

    def body(process: Process, clock: Clock) -> None:
        try:
            process.cross("hand", CHANGES, act)
        except ClientError:
            clock.sleep(TRY_AGAIN)
            process.cross("hand", CHANGES, act)

    return Program(name, body, world.clock)


def time(world: SmallWorld) -> Program:
    """Return time that passes while others are in the midst of something."""

    def body(process: Process, clock: Clock) -> None:
        process.cross("time", "passes", lambda: world.clock.advance(A_WHILE))

    return Program(TIME, body, world.clock)
