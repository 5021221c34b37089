"""Rollouts whose ticks are killed at random moments: real processes on an emulator, by a seed.

A round is one tick, or two at once, a minute or a few after the last round. Some are sent SIGTERM
or SIGKILL while they work. After each round it is checked what must hold (invariants.py); a rollout
goes on until it succeeds or, with a sick canary, is rolled back.
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
from controller.engine.lease import LEASE_DURATION
from tests.e2e import stored_items
from tests.e2e.account import Account
from tests.e2e.invariants import Kept
from tests.e2e.program import Program, Running
from tests.support.emulator import Emulator

MINUTE: Final = timedelta(minutes=1)
STORES: Final = ("file", "table")
ROUNDS: Final = 80  # of a rollout that needs a dozen ticks; it must have ended by then

_NAME = "killed"
# Of the length of a tick; it may end a little later than the last one did.
_FROM, _TO = 0.0, 1.1
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
    {kind: success_rate, judge: threshold, total: requests, failures: [errors], min: 99%, over: 1m,
     failure_limit: 1, min_samples: 50}
steps: [{weight: 10, bake: 2m}, {weight: 50, bake: 2m}, {weight: 100, bake: 2m}]
warmup: 0s
settle: 2m
max_hold: 4h
"""  # noqa: E501 - YAML


@dataclass(slots=True)
class Figures:
    """What was done to how many, and what did not hold."""

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
    told: Callable[[Figures], None] = lambda _: None,
) -> Figures:
    """Play rollouts, in a file and in a table by turns, until so many ticks were killed.

    account: gives a number that nobody has had. told: hears the figures after each rollout.
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
        told(figures)
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
        self._kept = Kept(self._account, f"{_NAME}#1", file)
        self._program = Program(
            {
                **emulator.environment(number),
                "ROLLOUTCTL_STORE": stored_items.URL if file is None else f"sqlite:///{file}",
            }
        )
        self._now = datetime.now(UTC)
        self._free_from = self._now  # when the lease of a tick that was killed is over
        self._told = f"seed's rollout in a {store}, account {number}"

    def run(self, *, sick: bool) -> None:
        """Start, and tick until it has ended."""
        self._account.create()
        if self._kept.file is None:
            create_table(self._account.client("dynamodb"), stored_items.NAME, SystemClock())
        else:
            SqliteStore(self._kept.file).close()
        started = self._program.at(self._now).run("start", self._policy)
        assert started.status == 0, started.err
        self._measure_a_tick()
        sick_from = self._random.randint(1, 8) if sick else ROUNDS
        for number in range(ROUNDS):
            if self._kept.rollout().final:
                break
            self._pass(failing=3 if number >= sick_from else 0)
            self._round()
            self._check()
        self._note(self._kept.at_the_end())
        self._figures.ends[f"{self._kept.rollout().phase}"] += 1

    def _measure_a_tick(self) -> None:
        if not self.tick_s:
            begun = time.monotonic()
            self._program.at(self._now).run("tick")
            self.tick_s = time.monotonic() - begun

    def _pass(self, failing: int) -> None:
        length = (4 if self._enough else self._random.choice((1, 1, 2, 3))) * MINUTE
        self._account.call_gateway(self._now, self._now + length, failing=failing)
        self._now += length

    @property
    def _enough(self) -> bool:
        """Whether so many were killed that the rollout may go to its end in peace."""
        return self._figures.kills.total() >= self._kills

    # --- a round --------------------------------------------------------------------------------

    def _round(self) -> None:
        self._kept.moves()
        together = 1 if self._enough else self._random.choice((1, 2))
        ticking = self._program.at(self._now)
        running = [ticking.begin("tick", "--json") for _ in range(together)]
        hit = 0.0 if self._enough else 0.75
        victims = [one for one in running if self._random.random() < hit]
        begun, stretch = time.monotonic(), self.tick_s * together**0.5
        plan = sorted(
            (self._random.uniform(_FROM, _TO) * stretch, index) for index in range(len(victims))
        )
        for delay, index in plan:
            time.sleep(max(0.0, begun + delay - time.monotonic()))
            victims[index].signal(self._random.choice((signal.SIGTERM, signal.SIGKILL)))
        self._judge(running)
        if not victims:  # the machine is as fast as it is now
            self.tick_s = (time.monotonic() - begun) / together**0.5

    def _judge(self, running: list[Running]) -> None:
        was_free = self._now >= self._free_from
        answers = [one.answer() for one in running]
        statuses = [one.status for one in answers]
        self._figures.ticks += len(running)
        self._figures.pairs += len(running) == 2
        self._figures.statuses.update(statuses)
        for status in statuses:
            if name := _KILLED.get(status):
                self._figures.kills[name] += 1
        if -signal.SIGKILL in statuses:
            self._free_from = self._now + LEASE_DURATION + MINUTE / 2  # its clock went on a little
        allowed = {0, 75, *_KILLED} if len(running) == 2 or not was_free else {0, *_KILLED}
        for answer in answers:
            if answer.status not in allowed:
                self._note([f"a tick ended with {answer.status}: {answer.err[-1000:]}"])
        moves = self._kept.moves()
        if len(moves) > 1:
            self._note([f"two moves in one round: {[entry.kind for entry in moves]}"])
        if len(running) == 2 and was_free and set(statuses) == {75}:
            self._note(["both ticks of a pair gave way to each other"])

    def _check(self) -> None:
        self._note(self._kept.violations())

    def _note(self, violations: list[str]) -> None:
        self._figures.violations += [f"{self._told}, {self._now}: {one}" for one in violations]


# SIGTERM before the program listens ends it as any process; later it ends by itself.
_KILLED: Final = {-signal.SIGKILL: "SIGKILL", -signal.SIGTERM: "SIGTERM", 143: "SIGTERM"}
