"""A runner on a stage: the real adapters and a real SQLite file, in a small simulated world."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from controller.adapters.stores.sqlite import SqliteStore
from controller.bootstrap.account import observer_of
from controller.engine.execute import TickOutcome
from controller.engine.outbox import Announce, log_notice
from controller.engine.tick import Runner
from controller.immutable import Immutable, replace
from controller.operations.live_checks import metrics
from controller.operations.start import StartRequest, start
from controller.ports.store import Store
from controller.tools.rehearse.rehearsal import simulated_account
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed, apply_outage
from controller.tools.simulation.scenario.scenario import Scenario
from controller.tools.simulation.world import World
from tests.support.core import Entry, Notice, Policy, Rollout, StoreError
from tests.support.rollouts import lambda_env
from tests.tools.simulation.worlds import HOUR, MINUTE, POLICY, START, scenario

SECRET = "hunter2"
WRITE = ("lambda", "UpdateFunctionConfiguration")
READ = ("lambda", "GetFunctionConfiguration")
METRICS = ("cloudwatch", "GetMetricData")

# Ten minutes from 0 to success: an applied step is judged at once, bakes for two minutes, and its
# data are complete two minutes later. One bad minute fails, and a pass needs 50 requests. A hold
# waits no longer for data than for anything else.
SHORT_POLICY: Mapping[str, Any] = {
    **POLICY,
    "metrics": {
        name: POLICY["metrics"][name] for name in ("requests", "client_errors", "server_errors")
    },
    "criteria": {
        "works": {
            **POLICY["criteria"]["works"],
            "min": "99%",
            "window": "1m",
            "failure_limit": 1,
            "min_samples": 50,
        },
    },
    "steps": [{"weight": 10, "bake": "2m"}, {"weight": 100, "bake": "2m"}],
    "warmup": "0s",
    "evaluation_delay": "2m",
    "max_wait": "0s",
}


def short_policy(**parts: Any) -> Policy:
    """Return the short policy, with whole `parts` of it replaced."""
    return Policy.model_validate({**SHORT_POLICY, **parts})


def function_with(**extra: str) -> dict[str, Any]:
    """Return a function of a scenario with a secret and `extra` besides the weight."""
    return {"variables": {"API_KEY": SECRET, **extra}}


@dataclass(slots=True)
class Stage:
    """A simulated world, a store in a file, and a runner on both.

    file: the file of the store. notices: every notice, in order.
    """

    policy: Policy
    world: World
    file: Path
    store: SqliteStore
    runner: Runner
    notices: list[Notice] = field(default_factory=list)
    _others: ExitStack = field(default_factory=ExitStack)

    def announce(self, rollout: Rollout, notice: Notice) -> None:
        """Record `notice`: the runner shows its notices here."""
        self.notices.append(notice)

    def start(self) -> Rollout:
        """Start the policy."""
        return start(self.runner, StartRequest(self.policy, fallback="stage")).rollout

    def another_runner(self) -> Runner:
        """Return the runner of another process on the same world and file; it adds to `notices`."""
        store = self._others.enter_context(SqliteStore(self.file, durable=False))
        return a_runner(self.world, store, self.announce)

    def rewire(self, **parts: Any) -> None:
        """Let the stage run with other parts of its runner from now on."""
        self.runner = dataclasses.replace(self.runner, **parts)

    def use_store(self, store: Store) -> None:
        """Let the runner use `store` from now on."""
        self.rewire(observer=replace(self.runner.observer, store=store))

    def tick(self, *ids: str, after: timedelta = MINUTE) -> TickOutcome:
        """Let time pass, and tick the newest rollout of the policy, or those with these ids."""
        self.world.clock.advance(after)
        first, *others = ids or self.store.of_name(self.policy.name)[-1:]
        if others:
            return self.runner.tick(ids).visits[0]
        return self.runner.visit(first)

    def tick_until(self, weight: int) -> TickOutcome:
        """Tick until the intended weight is `weight`, for at most twenty minutes."""
        for _ in range(20):
            if (visit := self.tick()).rollout.weight == weight:
                return visit
        raise AssertionError(f"{weight}% was never asked for: {self.rollout.sentence}")

    def ticks(self, number: int) -> list[TickOutcome]:
        """Tick once a minute."""
        return [self.tick() for _ in range(number)]

    @property
    def rollout(self) -> Rollout:
        """The newest rollout of the policy, as it is stored."""
        return self.store.load(self.store.of_name(self.policy.name)[-1])

    @property
    def variables(self) -> dict[str, str]:
        """The environment in the configuration of the function."""
        return self.world.function(lambda_env(self.policy).function).variables

    @property
    def writes(self) -> int:
        """The number of writes of the environment, including failed ones."""
        return self.world.calls[WRITE]


def a_runner(world: World, store: Store, announce: Announce = log_notice) -> Runner:
    """Return a runner on the real adapters."""

    account = simulated_account(world, seed=0)
    observer = observer_of(account, store, account.metrics())
    return Runner(observer, by="tester", announce=announce)


@contextmanager
def open_stage(
    folder: Path, played: Scenario | None = None, policy: Policy | None = None
) -> Iterator[Stage]:
    """Yield a stage whose function has a secret besides the weight.

    The checks before its starts read an hour of metrics. The day that they otherwise read is drawn
    minute by minute, which takes as long as fifty ticks.
    """
    policy = policy or short_policy()
    played = played or scenario(function=function_with())
    world = World.for_policy(policy, played, seed=1, start=START)
    file = folder / "rollouts.db"
    with (
        patch.object(metrics, "LOOKBACK", HOUR),
        SqliteStore(file, durable=False) as store,
        ExitStack() as others,
    ):
        stage = Stage(policy, world, file, store, a_runner(world, store), _others=others)
        stage.rewire(announce=stage.announce)
        yield stage


@dataclass(slots=True)
class ActBefore:
    """An interceptor of the world that runs `act` once, just before the next such call."""

    call: tuple[str, str]
    act: Any
    done: bool = False

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == self.call and not self.done:
            self.done = True
            self.act()
        return proceed()


@dataclass(slots=True)
class ActAfter(ActBefore):
    """An interceptor of the world that runs `act` once, just after the next such call."""

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        answer = proceed()
        ActBefore.__call__(self, service, operation, request, lambda: answer)
        return answer


class FailingCall(Immutable):
    """An interceptor of the world that makes each such call fail. how: the kind of outage."""

    call: tuple[str, str]
    how: str = "error"

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == self.call:
            return apply_outage(service, operation, self.how, proceed)
        return proceed()


class ReadOnlyStore:
    """A store on a full disk: it can be read, and refuses writes.

    only: the id of the rollout whose writes fail; None: all. after: how many writes still succeed.
    """

    def __init__(self, store: Store, only: str | None = None, after: int = 0) -> None:
        self._store, self._only, self._room = store, only, after

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        self._write(rollout_id)
        return self._store.acquire(rollout_id, now, until)

    def release(self, rollout_id: str) -> None:
        self._write(rollout_id, room=0)  # there may be no lease to release
        self._store.release(rollout_id)

    def save(self, rollout: Rollout, entries: Sequence[Entry], **options: Any) -> Rollout:
        self._write(rollout.id)
        return self._store.save(rollout, entries, **options)

    def _write(self, rollout_id: str, room: int = 1) -> None:
        if self._only in (None, rollout_id):
            if self._room < 1:
                raise StoreError("the disk is full", rollout=rollout_id, problem="ENOSPC")
            self._room -= room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class RacingStore:
    """A store in which another run saves first. act: what that run does. times: how often."""

    def __init__(self, store: Store, act: Callable[[], object], times: int = 1) -> None:
        self._store, self._act, self._left = store, act, times

    def save(self, rollout: Rollout, entries: Sequence[Entry], **options: Any) -> Rollout:
        if self._left:
            self._left -= 1
            self._act()
        return self._store.save(rollout, entries, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class PatchedStore:
    """A store with some of its methods replaced. methods: by their names."""

    def __init__(self, store: Store, **methods: Callable[..., Any]) -> None:
        self._store, self._methods = store, methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._store, name)


def failing(error: Exception) -> Callable[..., Any]:
    """Return a method that raises `error`."""

    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail
