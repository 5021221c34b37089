"""The walk of state-machine.md: one rollout through the diagram, from its start to its end."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from tests.docs.tables.boxes import Box, box_of
from tests.docs.tables.edges import edges
from tests.support.core import (
    Decision,
    Observation,
    Observed,
    QueryStatus,
    Series,
    SetWeight,
    SetZero,
    WriteFailed,
    decide,
)
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading, a_series, a_start

# The policy is the one of three steps: 10, 50 and 100%, with bakes of ten minutes.
_POLICY: Final = a_policy()
_FAILS_FROM: Final = 34  # minutes after the start

Event: TypeAlias = Callable[[Decision, int], Decision]


def _measured() -> dict[str, Series]:
    errors = [0] * _FAILS_FROM + [5] * 60
    return {
        "requests:Sum@60": a_series([100] * len(errors), answer=QueryStatus.COMPLETE),
        "errors:Sum@60": a_series(errors, answer=QueryStatus.COMPLETE),
    }


def _start(started: Decision, _: int) -> Decision:
    return started


def _tick(weight: int) -> Event:
    """Return a tick that reads `weight` back, under the token of every decision of the walk."""

    def decided(before: Decision, minute: int) -> Decision:
        observation = Observation(a_reading(weight), _measured())
        return decide(before.rollout, Observed(observation), NOON + minute * MINUTE)

    return decided


def _refused(before: Decision, minute: int) -> Decision:
    failed = WriteFailed(before, "access denied", saved=True)
    return decide(before.rollout, failed, NOON + minute * MINUTE)


# Minutes after noon, what happens, and its event.
_WALK: Final[Sequence[tuple[int, str, Event]]] = (
    (0, "`start`; Lambda accepts the write", _start),
    (1, "a tick reads back 10%", _tick(10)),
    (8, "a tick reads 10%; the bake is not over", _tick(10)),
    (16, "a tick: every criterion passes at 10%", _tick(10)),
    (17, "a tick reads back 50%", _tick(50)),
    (33, "a tick: every criterion passes at 50%", _tick(50)),
    (33, "Lambda refuses the write of 100%", _refused),
    (34, "a tick reads 50%, `RevisionId` unchanged", _tick(50)),
    (39, "a tick reads 50%; a criterion fails at 50%", _tick(50)),
    (40, "a tick reads back 0%", _tick(0)),
)


def walk() -> list[list[str]]:
    """Return the walk, a line for each event, its head first."""
    return [["time", "event", "edge", "box", "reason", "write"], *_lines()]


def _lines() -> Iterator[list[str]]:
    decision, box = a_start(_POLICY, a_reading(0)), Box.START
    for minute, words, event in _WALK:
        decision = event(decision, minute)
        after = box_of(decision.rollout)
        edge = "—" if after is box else str(edges()[box, after].number)
        time = f"{NOON + minute * MINUTE:%H:%M}"
        writes = "" if event is _refused else _write(decision)
        yield [time, words, edge, after, f"`{decision.rollout.reason}`", writes]
        box = after


def _write(decision: Decision) -> str:
    match decision.move:
        case SetWeight(weight=weight):
            return f"{weight}%"
        case SetZero():
            return "0%"
        case None:
            return ""
