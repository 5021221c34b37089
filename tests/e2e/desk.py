"""The desk of the person on call: an account, a store, a clock to move, and the command line."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import TickingDateTimeFactory

from controller.cli import main
from tests.e2e.account import POLICY, Account

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended: exit status, stdout, stderr."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """What --json printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log: one JSON object in each line of stderr."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def count(self, event: str) -> int:
        """Return how often `event` was logged."""
        return sum(one["event"] == event for one in self.events)


@dataclass(slots=True)
class Desk:
    """The command line in this process, at a moment that only `ticks` and `wait` move."""

    account: Account
    store: Path
    now: datetime
    clock: TickingDateTimeFactory
    streams: pytest.CaptureFixture[str]

    def run(self, *arguments: str | Path) -> Answer:
        """Run one command."""
        self.streams.readouterr()
        status = main([str(one) for one in arguments])
        out, err = self.streams.readouterr()
        return Answer(status, out, err)

    def start(self, policy: Path = POLICY, *options: str) -> dict[str, Any]:
        """Start `policy`, which is expected to succeed, and return the rollout."""
        answer = self.run("start", policy, "--json", *options)
        assert answer.status == 0, answer.err
        return answer.data

    def wait(self, length: timedelta) -> None:
        """Move the clock."""
        self.now += length
        self.clock.move_to(self.now)

    def ticks(
        self,
        length: timedelta,
        *,
        every: timedelta = 5 * MINUTE,
        calls: bool = True,
        failing: int = 0,
    ) -> Iterator[Answer]:
        """Let `length` go by, tick every so often, and yield each answer.

        calls: requests go through the gateway meanwhile; failing: of 60 a minute, how many fail.
        """
        end = self.now + length
        while self.now < end:
            if calls:
                self.account.call_gateway(self.now, self.now + every, failing=failing)
            self.wait(every)
            yield self.run("tick", "--json")

    def pass_time(self, length: timedelta, **how: Any) -> list[int]:
        """Tick as `ticks` does, and return the exit statuses."""
        return [answer.status for answer in self.ticks(length, **how)]

    def status(self, rollout: str = "execution-api") -> dict[str, Any]:
        """Return what `status --json` says."""
        return self.run("status", rollout, "--json").data

    def kinds(self, rollout: str = "execution-api") -> list[str]:
        """Return the kinds of all entries of the history, without the hourly evidence."""
        history = self.run("history", rollout, "--json").data
        assert history["chain_valid"]
        return [entry["kind"] for entry in history["entries"] if entry["kind"] != "evidence"]

    def stored(self) -> list[str]:
        """Return everything that the store holds, as SQL."""
        connection = sqlite3.connect(self.store)
        try:
            return list(connection.iterdump())
        finally:
            connection.close()
