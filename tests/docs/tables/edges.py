"""The edges of the state diagram: every change of box that a tick or a command decides."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, TypeAlias

from controller.errors import UsageError
from controller.immutable import Immutable
from tests.docs.tables.boxes import ROLLOUTS, Box, box_of
from tests.docs.tables.observations import OBSERVATIONS
from tests.docs.tables.verbs import COMMANDS
from tests.support.core import Decision, RollingBack, Rollout
from tests.support.rollouts import a_policy, a_reading, a_start

Way: TypeAlias = tuple[Box, Box]  # from, to

_ORDER: Final = list(Box)
REASON_STAYS: Final = "0% is read back; the reason stays"


class Edge(Immutable):
    """An edge: the reasons of ticks that take it, and the commands that do."""

    number: int
    reasons: tuple[str, ...]
    commands: tuple[str, ...]


def reason_of(before: Rollout, decision: Decision) -> str:
    """Return the reason of a decision, as the legend has it; a rollback keeps its own."""
    if isinstance(before.state, RollingBack):
        return REASON_STAYS
    reason = decision.record.reason if decision.record else decision.rollout.reason
    return f"`{reason}`"


@cache
def edges() -> Mapping[Way, Edge]:
    """Return the edges in the order of their numbers."""
    reasons: dict[Way, set[str]] = {}
    commands: dict[Way, list[str]] = {}
    for way, reason in _ticks():
        reasons.setdefault(way, set()).add(reason)
    for way, command in (*_starts(), *_commands()):
        names = commands.setdefault(way, [])
        names += [] if command in names else [command]
    ways = sorted(reasons.keys() | commands.keys(), key=lambda way: [*map(_ORDER.index, way)])
    return {
        way: Edge(number, tuple(sorted(reasons.get(way, ()))), tuple(commands.get(way, ())))
        for number, way in enumerate(ways, start=1)
    }


def _ticks() -> Iterator[tuple[Way, str]]:
    for box, rollouts in ROLLOUTS.items():
        for rollout in rollouts:
            for row in OBSERVATIONS:
                decision = row.decision(rollout)
                if decision is not None and box_of(decision.rollout) is not box:
                    yield (box, box_of(decision.rollout)), reason_of(rollout, decision)


def _commands() -> Iterator[tuple[Way, str]]:
    for box, rollouts in ROLLOUTS.items():
        for rollout in rollouts:
            for row in COMMANDS:
                try:
                    after = box_of(row.decision(rollout).rollout)
                except UsageError:
                    continue
                if after is not box:
                    yield (box, after), row.words.partition(",")[0]


def _starts() -> Iterator[tuple[Way, str]]:
    for verb, why in (("start", None), ("retry", "tried again")):
        for option, adopted in (("", None), (" --adopt", 0)):
            reading = a_reading(0 if adopted is None else 10)
            decision = a_start(a_policy(), reading, retry_reason=why, adopted=adopted)
            yield (Box.START, box_of(decision.rollout)), f"`{verb}{option}`"


def legend() -> list[list[str]]:
    """Return the table of the edges, row by row, its head first."""
    rows = [
        [str(edge.number), start, end, ", ".join(edge.reasons) or "—",
         ", ".join(edge.commands) or "—"]
        for (start, end), edge in edges().items()
    ]  # fmt: skip
    return [["edge", "from", "to", "a tick, with the reason", "a command"], *rows]
