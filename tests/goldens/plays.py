"""Plays a story by its name, and returns its decisions and what it stored.

A name is `chaos STORE SEED` or `rehearse POLICY SCENARIO STORE`.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from unittest.mock import patch

from controller.adapters.stores.codec import dump, dump_entry
from controller.engine.exit_status import of_rehearsal
from controller.immutable import Immutable
from controller.policy_file.loader import load
from controller.process.settings import DynamoDbLocation, StoreLocation
from controller.tools.rehearse.rehearsal import rehearsal, rehearse
from tests.chaos.dynamodb import InstantClock
from tests.chaos.event_log import (
    Notification,
    ObservedEvent,
    ProcessEnd,
    RolloutSave,
    TargetWrite,
)
from tests.chaos.fault_plan import StoreKind
from tests.chaos.run import run_seed
from tests.chaos.trace import Trace
from tests.support.core import Entry, Notice, Rollout
from tests.support.shipped import POLICIES, fitting_scenarios

STORES: Final[Sequence[StoreKind]] = ("sqlite", "dynamodb")
SEEDS: Final = {"sqlite": 2_000, "dynamodb": 100}
EVERY: Final = timedelta(minutes=15)  # between two ticks of a rehearsal
TABLE: Final = "goldens"
HASHES: Final = ("previous", "hash", "chain", "state_digest")
DIGEST: Final = "sha256:"  # of a long part of a state; the last state has it in full
REGION: Final = "eu-central-1"


class Play(Immutable):
    """A story that was played.

    decisions: a line for each. stored: a hash of each history entry, and of each state at the end.
    """

    name: str
    end: str
    decisions: Sequence[str]
    stored: Sequence[str]


def rehearsals() -> list[str]:
    """Return the name of each rehearsal: every shipped policy in what fits it, on both stores."""
    return [
        f"rehearse {policy} {scenario} {store}"
        for policy in sorted(POLICIES)
        for scenario in fitting_scenarios(policy)
        for store in STORES
    ]


def chaos_stories() -> list[str]:
    """Return the name of each chaos story."""
    return [f"chaos {store} {seed}" for store in STORES for seed in range(SEEDS[store])]


def every_story() -> list[str]:
    """Return the name of each story that is recorded, in the order of the files."""
    return [*rehearsals(), *chaos_stories()]


def play(name: str) -> Play:
    """Return the story called `name`. Raises ValueError when there is none."""
    match name.split():
        case ["chaos", ("sqlite" | "dynamodb") as store, seed]:
            return _chaos(name, store, int(seed))
        case ["rehearse", policy, scenario, "sqlite"]:
            return _rehearsal(name, policy, scenario, None)
        case ["rehearse", policy, scenario, "dynamodb"]:
            with _table_on_moto() as place:
                return _rehearsal(name, policy, scenario, place)
        case _:
            raise ValueError(f"no story is called {name!r}")


def _chaos(name: str, store: StoreKind, seed: int) -> Play:
    return play_of(name, run_seed(seed, store))


def play_of(name: str, story: Trace) -> Play:
    """Return a chaos story that was played."""
    journal = _Journal(story.events[0].at)
    for happening in story.events:
        journal.happened(happening)
    for violation in story.violations:
        journal.add(violation.at, violation.by, f"VIOLATES {violation.invariant}")
    return Play(name, story.end, journal.lines, list(journal.stored()))


def _rehearsal(name: str, policy: str, scenario: str, place: StoreLocation | None) -> Play:
    with rehearsal(load(POLICIES[policy]), scenario, seed=1, store=place) as stage:
        clock, store = stage.runner.clock, stage.runner.store
        journal = _Journal(clock.now())

        def record(rollout: Rollout, notice: Notice) -> None:
            journal.noticed(clock.now(), "tick", notice)

        def on_tick(rollout: Rollout) -> None:
            journal.saved(clock.now(), "tick", rollout, store.history(rollout.id)[journal.known :])

        runner = replace(stage.runner, announce=record)
        outcome = rehearse(runner, stage.world, stage.policy, every=EVERY, on_tick=on_tick)
        status = of_rehearsal(outcome.status, None)
        journal.add(outcome.ended, "rehearsal", f"exit status {int(status)}")
        return Play(name, outcome.status, journal.lines, list(journal.stored()))


@contextmanager
def _table_on_moto() -> Iterator[StoreLocation]:
    from boto3.session import Session
    from moto import mock_aws

    from controller.adapters.stores.dynamodb import calls
    from controller.adapters.stores.dynamodb.table import create_table

    with mock_aws(), patch.object(calls, "PAUSE_S", 0.0):
        create_table(Session(region_name=REGION).client("dynamodb"), TABLE, InstantClock())
        with patch.dict("os.environ", AWS_DEFAULT_REGION=REGION):
            yield DynamoDbLocation(TABLE)


@dataclass(slots=True)
class _Journal:
    """Writes down what was decided, a line for each change, and keeps what was stored."""

    begin: datetime
    lines: list[str] = field(default_factory=list)
    _last: dict[str, Rollout] = field(default_factory=dict)
    _entries: dict[str, list[Entry]] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """How many history entries there are by now."""
        return sum(map(len, self._entries.values()))

    def happened(self, happening: ObservedEvent) -> None:
        """Write down one happening of a chaos story, where it is a decision or an effect of one."""
        match happening:
            case RolloutSave(at=at, by=by, after=after, entries=entries):
                self.saved(at, by, after, entries)
            case Notification(at=at, by=by, notice=notice):
                self.noticed(at, by, notice)
            case TargetWrite(at=at, by=by, weight_before=before, weight_after=after):
                self.add(at, by, f"weight written: {before} -> {after}")
            case ProcessEnd(at=at, by=by, status=status) if status != 0:
                self.add(at, by, "killed" if status is None else f"exit status {int(status)}")

    def saved(self, at: datetime, by: str, rollout: Rollout, entries: Sequence[Entry]) -> None:
        """Write down the state of `rollout` where it changed, and its new history entries."""
        before = self._last.get(rollout.id)
        self._last[rollout.id] = rollout
        self._entries.setdefault(rollout.id, []).extend(entries)
        kinds = [entry.kind for entry in entries if entry.kind != "evidence"]
        verdicts = _new_verdicts(before, rollout)
        if kinds or verdicts or before is None or _stands(before) != _stands(rollout):
            self.add(at, by, f"{rollout.id} {_stands(rollout)} {' '.join(kinds + verdicts)}")

    def noticed(self, at: datetime, by: str, notice: Notice) -> None:
        """Write down that people were sent `notice`."""
        self.add(at, by, f"notice: {notice.severity} {notice.kind}".rstrip())

    def add(self, at: datetime, by: str, text: str) -> None:
        """Write a line."""
        self.lines.append(f"{_since(self.begin, at)}  {by:<12} {text}".rstrip("; "))

    def stored(self) -> Iterator[str]:
        """Yield a short hash of each history entry and of the last state, rollout by rollout."""
        for rollout_id, rollout in sorted(self._last.items()):
            for entry in self._entries[rollout_id]:
                yield short_hash(_comparable(dump_entry(rollout_id, entry)))
            yield f"={short_hash(_comparable(dump(rollout)))}"


def _stands(rollout: Rollout) -> str:
    return f"{rollout.phase}, step {rollout.step + 1}, {rollout.weight} %, {rollout.reason};"


def _new_verdicts(before: Rollout | None, after: Rollout) -> list[str]:
    """Return the verdicts that were not the same before."""
    known = (
        {}
        if before is None
        else {finding.criterion: finding.verdict for finding in before.evidence.findings}
    )
    new = [
        finding
        for finding in after.evidence.findings
        if known.get(finding.criterion) is not finding.verdict
    ]
    return [f"{one.criterion}={one.verdict}" for one in new]


def _since(begin: datetime, at: datetime) -> str:
    minutes, seconds = divmod(int((at - begin).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:>3}:{minutes:02}:{seconds:02}"


def short_hash(text: str) -> str:
    """Return the first 10 hex digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _comparable(text: str) -> str:
    """Return stored JSON with numbers of nine digits, and without hashes, which cover every digit.

    Python 3.12 adds floats up more exactly than 3.11 does.
    """

    def rounded(value: str) -> float:
        return float(f"{float(value):.9g}")

    def without_digests(part: dict[str, object]) -> dict[str, object]:
        return {key: one for key, one in part.items() if not _is_digest(one)}

    data = json.loads(text, parse_float=rounded, object_hook=without_digests)
    if "schema" in data:  # which format it is says the store, and not the story
        data["schema"] = 1
    return json.dumps({key: one for key, one in data.items() if key not in HASHES})


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and value.startswith(DIGEST)
