"""The desk of the on-call engineer: an account, a store, a movable clock, the command line."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main
from controller.immutable import Immutable
from tests.e2e.account import POLICY, Account
from tests.support.json_schemas import validated

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

ROLLOUT = "execution-api"


class Answer(Immutable):
    """How a command ended: exit status, stdout, stderr."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON document on stdout: an IAM policy, or one that fits its schema."""
        found: dict[str, Any] = json.loads(self.out)
        return found if "Statement" in found else dict(validated(found))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log: every line of stderr that is no message to the user."""
        lines = self.err.splitlines()
        return [
            json.loads(line) for line in lines if not line.startswith(("warning: ", "rolloutctl: "))
        ]

    def count(self, event: str) -> int:
        """Return the number of log lines of `event`."""
        return sum(one["event"] == event for one in self.events)


@dataclass(slots=True)
class Desk:
    """The command line in this process; its clock runs on from the time that it was moved to."""

    account: Account
    folder: Path
    now: datetime
    set_clock: Callable[[datetime], None]
    streams: pytest.CaptureFixture[str]

    # --- commands -------------------------------------------------------------------------------

    def run(self, *arguments: str | Path) -> Answer:
        """Run one command."""
        self.streams.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = self.streams.readouterr()
        return Answer(status, out, err)

    def start(self, policy: Path = POLICY, *options: str) -> dict[str, Any]:
        """Start `policy`, which must succeed, and return the rollout."""
        answer = self.run("start", policy, *options, "--json")
        assert answer.status == 0, answer.err
        return answer.data

    def tick(self) -> Answer:
        """Tick once."""
        return self.run("tick", "--json")

    def status(self, rollout: str = ROLLOUT) -> dict[str, Any]:
        """Return what `status --json` says."""
        return self.run("status", rollout, "--json").data

    def history(self, rollout: str = ROLLOUT) -> list[dict[str, Any]]:
        """Return the entries of the history without the hourly evidence."""
        history = self.run("history", rollout, "--json").data
        assert history["chain_valid"]
        return [entry for entry in history["entries"] if entry["kind"] != "evidence"]

    def kinds(self, rollout: str = ROLLOUT) -> list[str]:
        """Return the kinds of all transitions."""
        return [entry["kind"] for entry in self.history(rollout)]

    # --- time -----------------------------------------------------------------------------------

    def move_clock(self, length: timedelta) -> None:
        """Move the clock by `length`, which may be negative, without any traffic."""
        self.now += length
        self.set_clock(self.now)

    def serve(self, length: timedelta, *, failing: int = 0, slow: bool = False) -> None:
        """Move the clock by `length`, with calls of the gateway (see `Account.call_gateway`).

        The stable path gets its share of the calls: nine times as many at 10%, none at 100%,
        where the gateway has the calls that both paths had at 50%.
        """
        begin, end = self.now, self.now + length
        weight = int(self.account.pair()[0])
        times = 2 if weight == 100 else 1
        self.account.call_gateway(begin, end, times=times, failing=failing, slow=slow)
        if weight < 100:
            share = (100 - weight) / weight if weight else 1.0
            self.account.call_directly(begin, end, times=share)
        self.move_clock(length)

    def serve_directly(self, length: timedelta) -> None:
        """Move the clock by `length`, with calls on the direct path alone."""
        self.account.call_directly(self.now, self.now + length)
        self.move_clock(length)

    def ticks(self, length: timedelta, *, every: timedelta, **traffic: Any) -> Iterator[Answer]:
        """Serve for `length`, tick every so often, and yield each answer."""
        end = self.now + length
        while self.now < end:
            self.serve(every, **traffic)
            yield self.tick()

    # --- files ----------------------------------------------------------------------------------

    def another_policy(self, policy: Path = POLICY, /, **words: str) -> Path:
        """Write a copy of `policy` in which each key of `words` is replaced; return its path."""
        text = changed(policy.read_text(), words)
        path = self.folder / f"another-{len(list(self.folder.iterdir()))}.yaml"
        path.write_text(text)
        return path

    def stored(self) -> list[str]:
        """Return the content of the store, as SQL."""
        with closing(sqlite3.connect(self.folder / "rollouts.db")) as connection:
            return list(connection.iterdump())


def changed(text: str, words: Mapping[str, str]) -> str:
    """Return `text` with each key of `words` replaced by its value; each must occur."""
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    return text
