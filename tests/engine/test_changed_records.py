"""One changed item raises no traffic, hides no failing canary and hurts no other rollout.

Every field of every item of a small store is changed in many ways, one change at a time. The run
that follows is compared with the same run without the change.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import pytest

from controller.core.events import Command, Verb
from controller.engine.slices import TickResult
from controller.errors import Exit
from controller.immutable import Immutable
from controller.operations.start import StartRequest, start
from tests.chaos.dynamodb import TABLE, on_moto
from tests.support.record_changes import Change, DynamoDbItems, RawItems, SqliteItems, changes
from tests.support.stage import Stage, function_with, open_stage, short_policy
from tests.tools.simulation.worlds import MINUTE, scenario

STEPS: Final = [
    {"weight": 10, "bake": "2m"},
    {"weight": 50, "bake": "2m", "approval": "required"},
]
# Both functions fail from this minute on.
SICK_FROM: Final = 20
MINUTES: Final = 32
_SICK: Final = [{"kind": "errors", "at": {"after": f"{SICK_FROM}m"}, "server_errors": "20%"}]
_OTHER: Final = {
    "kind": "lambda-env", "function": "handler", "percentage": "OTHER", "boolean": "OTHER_ENABLED",
}  # fmt: skip


class Run(Immutable):
    """What became of the two rollouts: their weights after each minute, and the exit statuses."""

    weights: tuple[int, ...]
    others: tuple[int, ...]
    statuses: tuple[Exit, ...]

    def compared(self, reference: "Run") -> str:
        """Return in a word how this run differs from `reference`; empty where it may."""
        if any(later > earlier for earlier, later in pairwise(self.weights)):
            return "raised"
        if self.others != reference.others:
            return "hurt another"
        if self.weights[-1] > 0 and Exit.INTERNAL not in self.statuses:
            return "hidden"
        return ""


@contextmanager
def a_stage(folder: Path, kind: str, situation: str) -> Iterator[tuple[Stage, RawItems]]:
    """Yield a stage with two rollouts at 10%, of which the first is in `situation`."""
    played = scenario(function=function_with(), events=_SICK)
    with ExitStack() as stack:
        stage = stack.enter_context(open_stage(folder, played, short_policy(steps=STEPS)))
        items: RawItems
        if kind == "dynamodb":
            stores = stack.enter_context(on_moto())
            stage.use_store(stack.enter_context(stores.fault_free()))
            items = DynamoDbItems(stores.client, TABLE)
        else:
            items = SqliteItems(stage.file)
            stack.callback(items.close)
        stage.start()
        other = short_policy(steps=STEPS, name="other", target=_OTHER)
        start(stage.runner, StartRequest(other, fallback="stage"))
        for _ in range(8):
            tick(stage)
        if situation == "paused":
            stage.runner.run_command("orders#1", Command(Verb.PAUSE, "a look"))
        elif situation == "rolled back":
            stage.runner.roll_back("orders#1", "a look")
            tick(stage)
        yield stage, items


def tick(stage: Stage) -> TickResult:
    """Tick once a minute later, as the scheduled task does."""
    stage.world.clock.advance(MINUTE)
    return stage.runner.tick_active()


def play(folder: Path, kind: str, situation: str, change: Change | None) -> Run:
    """Return the run of a fresh stage in `situation`, in whose store one `change` was made."""
    folder.mkdir()
    weights, others, statuses = list[int](), list[int](), list[Exit]()
    with a_stage(folder, kind, situation) as (stage, items):
        weights.append(int(stage.variables["PERCENTAGE"]))
        if change is not None:
            items.write(change.key, change.fields)
        for _ in range(MINUTES - 8):
            statuses.append(tick(stage).status)
            weights.append(int(stage.variables["PERCENTAGE"]))
            others.append(int(stage.variables["OTHER"]))
    return Run(tuple(weights), tuple(others), tuple(statuses))


def outcomes(folder: Path, kind: str, situation: str, share: int) -> Counter[str]:
    """Return what became of every `share`-th change, counted; what must not be has its place."""
    (folder / "items").mkdir()
    with a_stage(folder / "items", kind, situation) as (_, items):
        found = dict(items.read())
    mine = {key: fields for key, fields in found.items() if "other" not in str(fields) + str(key)}
    reference = play(folder / "reference", kind, situation, None)
    counted = Counter[str]()
    for number, change in enumerate(
        changes(mine, lambda place: crc32(place.encode()) % share == 0)
    ):
        run = play(folder / str(number), kind, situation, change)
        verdict = run.compared(reference)
        counted[f"{verdict}: {change.place}" if verdict else "held"] += 1
    return counted


SITUATIONS: Final = ("waiting", "paused", "rolled back")
# Of how many changes one is made. The deep rows are some three thousand, with those before them.
CASES: Final[Sequence[Any]] = [
    *(("sqlite", 240, situation) for situation in SITUATIONS),
    ("dynamodb", 800, "waiting"),
    *(pytest.param("sqlite", 3, situation, marks=pytest.mark.deep) for situation in SITUATIONS),
    *(pytest.param("dynamodb", 16, situation, marks=pytest.mark.deep) for situation in SITUATIONS),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "share", "situation"), CASES)
def test_one_changed_item_raises_hides_and_hurts_nothing(
    tmp_path: Path, kind: str, share: int, situation: str
) -> None:
    counted = outcomes(tmp_path, kind, situation, share)
    held = counted.pop("held")
    assert not counted
    assert held > 5
