"""The figures of the comparison: false rollbacks, delays, bad requests, held time of a judge."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import mean, median
from typing import Final, NamedTuple

from benchmarks.judging.rollout import LONGEST
from benchmarks.peer_models.models import LATENCY_PEERS, PEERS, Judge, Peer
from benchmarks.peer_models.world import (
    KINDS,
    LATENCY_KINDS,
    MINUTES,
    STEPS,
    FailingWorld,
    Minute,
    Release,
    SlowWorld,
    World,
    weight_at,
)
from controller.immutable import Immutable, replace

RATES: Final = (60, 600, 6_000)
ERRORS, LATENCY = "errors", "latency"
# The faults of each measure: the share of requests that fail, and by how much latencies are higher.
FAULTS: Final[Mapping[str, Sequence[float]]] = {
    ERRORS: (0.005, 0.01, 0.05, 0.2),
    LATENCY: (0.2, 0.5),
}
_USUAL: Final = 0.0005  # failures of what is healthy
# The rate of false rollbacks that every judge is tuned to.
MATCHED: Final = 0.01
# Held minutes are of rollouts, which are played for each judge on its own: a part of the runs.
_HELD_PART: Final = 0.5


class Ended(NamedTuple):
    """When one judge rolled back, and the bad requests until then; minute 0: never."""

    minute: int
    bad: int


class Cell(NamedTuple):
    """One judge in one world.

    measure: `errors` or `latency`. fault: its size; 0 for a healthy release. rolled_back: share of
    runs. minutes, bad: medians of those. held: minutes by which promoted rollouts took longer than
    planned, on average; None where none was promoted. late, paused: the shares of rollouts that
    take longer than planned, and that are not promoted in three times the bake of a step, of those
    that are not rolled back; None where there are none, or a fault is measured.
    """

    measure: str
    peer: str
    setting: str
    knob: float
    kind: str
    rpm: int
    fault: float
    runs: int
    rolled_back: float
    minutes: float | None
    bad: float | None
    held: float | None = None
    paused: float | None = None
    late: float | None = None


class Contest(Immutable):
    """Judges of one measure, and the worlds that they are compared in.

    bad: the requests of a minute that a fault spoils.
    """

    measure: str
    peers: Sequence[Peer]
    kinds: Sequence[str]
    world: Callable[[str, Release], World]
    faulty: Callable[[Release, float], Release]
    bad: Callable[[Minute], int]


CONTESTS: Final[Mapping[str, Contest]] = {
    ERRORS: Contest(
        ERRORS,
        PEERS,
        KINDS,
        FailingWorld,
        lambda release, size: replace(release, errors=size or _USUAL, usual=_USUAL),
        lambda minute: minute.failed,
    ),
    LATENCY: Contest(
        LATENCY,
        LATENCY_PEERS,
        LATENCY_KINDS,
        SlowWorld,
        lambda release, size: replace(release, slower=size),
        lambda minute: minute.requests,
    ),
}

_Setting = tuple[Peer, str, float]


def play(
    contest: Contest, seed: str, release: Release, settings: Sequence[tuple[Peer, float]]
) -> list[Ended]:
    """Return when each judge rolls back, all on one trace of the planned schedule."""
    world, bad = contest.world(seed, release), 0
    judges = [peer.judge(knob, world) for peer, knob in settings]
    ended: list[Ended | None] = [None] * len(judges)
    for number in range(MINUTES):
        minute = world.minute(weight_at(number))
        bad += contest.bad(minute)
        for index, judge in enumerate(judges):
            if ended[index] is None and judge.rejects(minute):
                ended[index] = Ended(number + 1, bad)
        if None not in ended:
            break
    return [one or Ended(0, bad) for one in ended]


def held_minutes(world: World, judge: Judge) -> float | None:
    """Return by how many minutes a rollout takes longer than planned.

    None: it is rolled back. Infinite: it is paused, after three times the bake of a step.
    """
    held = 0
    for weight, bake in STEPS:
        for number in range(1, LONGEST * bake + 1):
            if judge.rejects(world.minute(weight)):
                return None
            if not judge.waits(bake_over=number >= bake):
                held += number - bake
                break
        else:
            return float("inf")
    return float(held)


def tuned(contest: Contest, rpm: int, runs: int) -> dict[str, float]:
    """Return the smallest knob of each peer with which few enough healthy releases roll back."""
    knobs = [(peer, value) for peer in contest.peers for value in peer.values]
    rolled_back = dict.fromkeys(knobs, 0)
    release = contest.faulty(Release(rpm, "steady"), 0.0)
    for run in range(runs):
        ends = play(contest, f"tune {rpm} {run}", release, knobs)
        for knob, end in zip(knobs, ends, strict=True):
            rolled_back[knob] += end.minute > 0
    found: dict[str, float] = {}
    for (peer, value), count in rolled_back.items():
        if count <= MATCHED * runs or value == peer.values[-1]:
            found.setdefault(peer.name, value)
    return found


def cells(measure: str, rpm: int, runs: int) -> Iterator[Cell]:
    """Yield every cell of a measure at one rate: each world, healthy and with each fault."""
    contest = CONTESTS[measure]
    best = tuned(contest, rpm, 2 * runs)
    known: list[_Setting] = [
        (peer, "default", peer.default) for peer in contest.peers if peer.default is not None
    ]
    known += [(peer, "tuned", best[peer.name]) for peer in contest.peers if peer.values]
    for kind in contest.kinds:
        for size in (0.0, *FAULTS[measure]):
            release = contest.faulty(Release(rpm, kind), size)
            yield from _cells_of(contest, release, size, known, runs)


def _cells_of(
    contest: Contest, release: Release, size: float, known: Sequence[_Setting], runs: int
) -> Iterator[Cell]:
    settings = [(peer, knob) for peer, _, knob in known]
    seeds = [f"{release.kind} {release.rpm} {size} {run}" for run in range(runs)]
    ends = [play(contest, seed, release, settings) for seed in seeds]
    for index, (peer, setting, knob) in enumerate(known):
        back = [one[index] for one in ends if one[index].minute]
        cell = Cell(
            contest.measure, peer.name, setting, knob, release.kind, release.rpm, size, runs,
            len(back) / runs,
            median(one.minute for one in back) if back else None,
            median(one.bad for one in back) if back else None,
        )  # fmt: skip
        yield cell if size else _with_held(contest, release, peer, cell, seeds)


def _with_held(
    contest: Contest, release: Release, peer: Peer, cell: Cell, seeds: Sequence[str]
) -> Cell:
    """Return `cell` with how long a healthy rollout is held; a judge that never waits holds 0."""
    if cell.rolled_back == 1:
        return cell
    if not peer.holds:
        return cell._replace(held=0.0, paused=0.0, late=0.0)
    outcomes: list[float] = []
    for seed in seeds[: round(_HELD_PART * len(seeds))]:
        world = contest.world(seed, release)
        minutes = held_minutes(world, peer.judge(cell.knob, world))
        if minutes is not None:
            outcomes.append(minutes)
    if not outcomes:
        return cell
    promoted = [one for one in outcomes if one < float("inf")]
    return cell._replace(
        held=mean(promoted) if promoted else None,
        paused=1 - len(promoted) / len(outcomes),
        late=sum(one > 0 for one in outcomes) / len(outcomes),
    )
