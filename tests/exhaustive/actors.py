"""The actors of a small world: ticks, operators, a deployment, and passing time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeAlias, cast

from botocore.exceptions import ClientError

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.policy import TargetSpec
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.engine.direct_write import lower_and_confirm
from controller.engine.execute import TickOutcome
from controller.engine.observe import Observer
from controller.engine.slices import TickResult
from controller.engine.tick import Runner
from controller.operations.start import StartRequest, StartResult, start
from controller.ports.clock import Clock
from controller.ports.target import InspectableTarget
from tests.chaos.event_log import BARE_ROLLBACK, DEPLOY, PERSON, START, TIME
from tests.chaos.process import Process
from tests.exhaustive.replayable_process import ReplayableProcess
from tests.exhaustive.small_world import SmallWorld
from tests.support.core import Command, DriftResolution, Notice, Rollout, Verb
from tests.support.other_sources import OTHERS
from tests.support.rollouts import lambda_env

# Longer than a lease: every lease has expired afterwards.
LONGER_THAN_LEASE: Final = timedelta(minutes=3)
RETRY_DELAY: Final = timedelta(seconds=5)


FUNCTION_CHANGE: Final = "changes the function"


Actor: TypeAlias = Callable[[SmallWorld], ReplayableProcess]


class SentNotice(NamedTuple):
    """A notice that was sent, and its rollout."""

    rollout: Rollout
    notice: Notice


def capture_notice(rollout: Rollout, notice: Notice) -> None:
    """Return `notice` with its rollout as the answer of this call, so that the search sees it."""
    sent: Any = SentNotice(rollout, notice)
    return cast("None", sent)


def make_runner(world: SmallWorld, process: Process, clock: Clock) -> Runner:
    """Return a runner on the real adapters and store, with the calls of `process` intercepted."""

    def open_target(target: TargetSpec) -> InspectableTarget:
        assert isinstance(target, LambdaEnv)
        client = process.client(world.client(), "lambda")
        return LambdaEnvTarget(client, target, clock, lambda _least, most: most)

    client = process.client(world.client(), "cloudwatch")
    metrics = CloudWatchMetrics(lambda: client)
    store = process.store(world.store(process.name))
    observer = Observer(store, open_target, metrics, clock, OTHERS, OTHERS, OTHERS)
    return Runner(observer, by="tester", announce=process.announcer(capture_notice))


def tick(world: SmallWorld, name: str = "tick") -> ReplayableProcess:
    """Return a tick of all active rollouts."""

    def body(process: Process, clock: Clock) -> TickResult:
        return make_runner(world, process, clock).tick_active()

    return ReplayableProcess(name, body, world.clock)


def policy_start(
    world: SmallWorld, name: str = "start", *, adopt: bool = False
) -> ReplayableProcess:
    """Return the start of the world's policy."""
    request = StartRequest(world.policy, adopt=adopt)

    def body(process: Process, clock: Clock) -> StartResult:
        return start(make_runner(world, process, clock), request)

    return ReplayableProcess(name, body, world.clock, START)


def operator_command(world: SmallWorld, verb: Verb, way: DriftResolution = "") -> ReplayableProcess:
    """Return a run of an operator command on the rollout."""
    rollout_id, command = f"{world.policy.name}#1", Command(verb, "cause", way)

    def body(process: Process, clock: Clock) -> TickOutcome:
        return make_runner(world, process, clock).run_command(rollout_id, command)

    text = f"{verb} --{way}" if way else str(verb)
    return ReplayableProcess(text.replace(" ", ""), body, world.clock, text)


def forced_set_weight(world: SmallWorld, weight: int) -> ReplayableProcess:
    """Return a person who sets a weight by `set-weight --force`, which is recorded."""
    rollout_id, command = (
        f"{world.policy.name}#1",
        Command(Verb.SET_WEIGHT, "cause", weight=weight),
    )

    def body(process: Process, clock: Clock) -> TickOutcome:
        return make_runner(world, process, clock).run_command(rollout_id, command)

    return ReplayableProcess(f"{PERSON} by force", body, world.clock, str(Verb.SET_WEIGHT))


def bare_rollback(world: SmallWorld) -> ReplayableProcess:
    """Return a rollback by the names of the function and its variables, without a store."""

    def body(process: Process, clock: Clock) -> None:
        client = process.client(world.client(), "lambda")
        target = LambdaEnvTarget(client, lambda_env(world.policy), clock, lambda _least, most: most)
        lower_and_confirm(target, clock)

    return ReplayableProcess("bare-rollback", body, world.clock, BARE_ROLLBACK)


def manual_weight(world: SmallWorld, weight: int) -> ReplayableProcess:
    """Return a person who sets a weight outside rolloutctl."""
    return _external_change(world, lambda: world.cloud.set_weight(weight), PERSON)


def deployment(world: SmallWorld) -> ReplayableProcess:
    """Return a deployment that resets the environment to that of its template."""
    return _external_change(world, world.cloud.deploy, DEPLOY)


def _external_change(world: SmallWorld, act: Callable[[], None], name: str) -> ReplayableProcess:
    """Return an external change of the function; it is retried once when Lambda refuses it."""

    def body(process: Process, clock: Clock) -> None:
        try:
            process.call("hand", FUNCTION_CHANGE, act)
        except ClientError:
            clock.sleep(RETRY_DELAY)
            process.call("hand", FUNCTION_CHANGE, act)

    return ReplayableProcess(name, body, world.clock)


def time_advance(world: SmallWorld) -> ReplayableProcess:
    """Return time that passes between the calls of other processes."""

    def body(process: Process, clock: Clock) -> None:
        process.call("time", "passes", lambda: world.clock.advance(LONGER_THAN_LEASE))

    return ReplayableProcess(TIME, body, world.clock)
