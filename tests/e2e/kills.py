"""Rollouts whose ticks are killed at random times: real processes on an emulator, from a seed.

A round is one tick, or two at once, one to four minutes after the last round. Some are sent SIGTERM
or SIGKILL while they run. After each round the invariants are checked (invariants.py); a rollout
runs until it succeeds or, with a failing canary, is rolled back.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from controller.adapters.clock import SystemClock
from controller.adapters.stores.dynamodb.table import create_table
from controller.adapters.stores.sqlite import SqliteStore
from controller.engine.time_limits import LEASE_DURATION
from tests.e2e import stored_items
from tests.e2e.account import Account
from tests.e2e.invariants import RolloutObserver
from tests.e2e.program import Program, Running
from tests.support.emulator import Emulator

MINUTE: Final = timedelta(minutes=1)
STORES: Final = ("file", "table")
ROUNDS: Final = 80  # the limit of a rollout, which needs a dozen ticks

_NAME = "killed"
# When a tick is killed, as a share of the duration of a tick, which varies a little.
_EARLIEST, _LATEST = 0.0, 1.1
_POLICY: Final = """\
version: 1
name: killed
target:
  kind: lambda-env
  function: SlackBedrockStack-SlackEventHandler898FE80E-TJUkrbzJtXGK
  percentage: USE_API_GATEWAY_PERCENTAGE
  boolean: USE_API_GATEWAY
metrics:
  requests: {namespace: AWS/ApiGateway, name: Count, statistic: Sum, dimensions: &api {ApiName: Execution Layer API}}
  errors: {namespace: AWS/ApiGateway, name: 5XXError, statistic: Sum, dimensions: *api}
criteria:
  SC-004:
    {kind: success_rate, judge: threshold, total: requests, failures: [errors], min: 99%, window: 1m,
     failure_limit: 1, min_samples: 50}
steps: [{weight: 10, bake: 2m}, {weight: 50, bake: 2m}, {weight: 100, bake: 2m}]
warmup: 0s
evaluation_delay: 2m
max_hold: 4h
"""  # noqa: E501 - YAML


@dataclass(slots=True)
class Figures:
    """The counts of kills, ticks and ends, and the violations."""

    kills: Counter[str] = field(default_factory=Counter)
    ticks: int = 0
    pairs: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def play(
    emulator: Emulator,
    folder: Path,
    *,
    kills: int,
    seed: int,
    account: Callable[[], str],
    on_progress: Callable[[Figures], None] = lambda _: None,
) -> Figures:
    """Run rollouts, in a file and in a table alternately, until `kills` ticks were killed.

    account: returns a new account number. on_progress: called with the figures after each rollout.
    """
    figures, random, tick_s = Figures(), Random(seed), 0.0
    number = 0
    while figures.kills.total() < kills:
        path = folder / f"rollout-{number}"
        path.mkdir()
        walk = _Walk(emulator, path, account(), STORES[number % 2], random, figures, tick_s, kills)
        walk.run(sick=number % 4 >= 2)
        tick_s = walk.tick_s
        number += 1
        on_progress(figures)
    return figures


class _Walk:
    """One rollout from its start to its end."""

    def __init__(
        self,
        emulator: Emulator,
        folder: Path,
        number: str,
        store: str,
        random: Random,
        figures: Figures,
        tick_s: float,
        kills: int,
    ) -> None:
        self._random, self._figures, self.tick_s = random, figures, tick_s
        self._kills = kills
        self._account = Account.of(emulator, number)
        file = folder / "rollouts.db" if store == "file" else None
        self._policy = folder / "killed.yaml"
        self._policy.write_text(_POLICY)
        self._observer = RolloutObserver(self._account, f"{_NAME}#1", file)
        self._program = Program(
            {
                **emulator.environment(number),
                "ROLLOUTCTL_STORE": stored_items.URL if file is None else f"sqlite:///{file}",
            }
        )
        self._now = datetime.now(UTC)
        self._free_from = self._now  # when the lease of a killed tick expires
        self._label = f"seed's rollout in a {store}, account {number}"

    def run(self, *, sick: bool) -> None:
        """Start, and tick until it has ended."""
        self._account.create()
        if self._observer.file is None:
            create_table(self._account.client("dynamodb"), stored_items.NAME, SystemClock())
        else:
            SqliteStore(self._observer.file).close()
        started = self._program.at(self._now).run("start", self._policy)
        assert started.status == 0, started.err
        self._measure_a_tick()
        sick_from = self._random.randint(1, 8) if sick else ROUNDS
        for number in range(ROUNDS):
            if self._observer.rollout().final:
                break
            self._pass(failing=3 if number >= sick_from else 0)
            self._round()
            self._check()
        self._note(self._observer.end_violations())
        self._figures.ends[f"{self._observer.rollout().phase}"] += 1

    def _measure_a_tick(self) -> None:
        if not self.tick_s:
            started = time.monotonic()
            self._program.at(self._now).run("tick")
            self.tick_s = time.monotonic() - started

    def _pass(self, failing: int) -> None:
        length = (4 if self._kills_done else self._random.choice((1, 1, 2, 3))) * MINUTE
        self._account.call_gateway(self._now, self._now + length, failing=failing)
        self._now += length

    @property
    def _kills_done(self) -> bool:
        """Whether enough ticks were killed, so that the rollout may end undisturbed."""
        return self._figures.kills.total() >= self._kills

    # --- a round --------------------------------------------------------------------------------

    def _round(self) -> None:
        self._observer.moves()
        parallel = 1 if self._kills_done else self._random.choice((1, 2))
        ticking = self._program.at(self._now)
        running = [ticking.begin("tick", "--json") for _ in range(parallel)]
        kill_probability = 0.0 if self._kills_done else 0.75
        victims = [one for one in running if self._random.random() < kill_probability]
        started, duration = time.monotonic(), self.tick_s * parallel**0.5
        plan = sorted(
            (self._random.uniform(_EARLIEST, _LATEST) * duration, index)
            for index in range(len(victims))
        )
        for delay, index in plan:
            time.sleep(max(0.0, started + delay - time.monotonic()))
            victims[index].signal(self._random.choice((signal.SIGTERM, signal.SIGKILL)))
        self._judge(running)
        if not victims:  # the speed of the machine may have changed
            self.tick_s = (time.monotonic() - started) / parallel**0.5

    def _judge(self, running: list[Running]) -> None:
        lease_expired = self._now >= self._free_from
        answers = [one.answer() for one in running]
        statuses = [one.status for one in answers]
        self._figures.ticks += len(running)
        self._figures.pairs += len(running) == 2
        self._figures.statuses.update(statuses)
        for status in statuses:
            if name := _KILLED.get(status):
                self._figures.kills[name] += 1
        if -signal.SIGKILL in statuses:
            self._free_from = (
                self._now + LEASE_DURATION + MINUTE / 2
            )  # the clock of the tick ran on meanwhile
        allowed = {0, 75, *_KILLED} if len(running) == 2 or not lease_expired else {0, *_KILLED}
        for answer in answers:
            if answer.status not in allowed:
                self._note([f"a tick ended with {answer.status}: {answer.err[-1000:]}"])
        moves = self._observer.moves()
        if len(moves) > 1:
            self._note([f"two moves in one round: {[entry.kind for entry in moves]}"])
        if len(running) == 2 and lease_expired and set(statuses) == {75}:
            self._note(["both ticks of a pair gave way to each other"])

    def _check(self) -> None:
        self._note(self._observer.violations())

    def _note(self, violations: list[str]) -> None:
        self._figures.violations += [
            f"{self._label}, {self._now}: {violation}" for violation in violations
        ]


# Before the program handles SIGTERM, the kernel ends it; afterwards it ends by itself, with 143.
_KILLED: Final = {-signal.SIGKILL: "SIGKILL", -signal.SIGTERM: "SIGTERM", 143: "SIGTERM"}
