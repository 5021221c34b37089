"""The figures of the comparison: false rollbacks, delays and bad requests of each judge."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final, NamedTuple

from benchmarks.peer_models.models import PEERS, Judge, Peer
from benchmarks.peer_models.world import KINDS, MINUTES, Release, World

RATES: Final = (60, 600, 6_000)
FAULTS: Final = (0.005, 0.01, 0.05, 0.2)
HEALTHY: Final = 0.0005
# The rate of false rollbacks that every judge is tuned to.
MATCHED: Final = 0.01


class Ended(NamedTuple):
    """When one judge rolled back, and the failures until then; minute 0: never."""

    minute: int
    failed: int


class Cell(NamedTuple):
    """One judge in one world. rolled_back: share of runs. minutes, failed: medians of those."""

    peer: str
    setting: str
    knob: float
    kind: str
    rpm: int
    errors: float
    rolled_back: float
    minutes: float | None
    failed: float | None


def play(seed: str, release: Release, judges: Sequence[Judge]) -> list[Ended]:
    """Return when each of `judges` rolls back, all on one trace."""
    world, failed = World(seed, release), 0
    ended: list[Ended | None] = [None] * len(judges)
    for number in range(MINUTES):
        minute = world.minute()
        failed += minute.failed
        for index, judge in enumerate(judges):
            if ended[index] is None and judge.rejects(minute):
                ended[index] = Ended(number + 1, failed)
        if None not in ended:
            break
    return [one or Ended(0, failed) for one in ended]


def tuned(rpm: int, runs: int) -> dict[str, float]:
    """Return the smallest knob of each peer with which few enough healthy releases roll back."""
    knobs = [(peer, value) for peer in PEERS for value in peer.values]
    rolled_back = dict.fromkeys(knobs, 0)
    release = Release(rpm, HEALTHY, HEALTHY, "steady")
    for run in range(runs):
        ends = play(f"tune {rpm} {run}", release, [peer.judge(value) for peer, value in knobs])
        for knob, end in zip(knobs, ends, strict=True):
            rolled_back[knob] += end.minute > 0
    found: dict[str, float] = {}
    for (peer, value), count in rolled_back.items():
        if count <= MATCHED * runs or value == peer.values[-1]:
            found.setdefault(peer.name, value)
    return found


def settings(rpm: int, runs: int) -> list[tuple[Peer, str, float]]:
    """Return every peer by default, and tuned to this traffic."""
    best = tuned(rpm, runs)
    listed = [(peer, "default", peer.default) for peer in PEERS]
    return listed + [(peer, "tuned", best[peer.name]) for peer in PEERS if peer.values]


def cells(rpm: int, runs: int) -> Iterator[Cell]:
    """Yield every cell at one rate: each world, healthy and with each fault."""
    known = settings(rpm, 2 * runs)
    for kind in KINDS:
        for errors in (HEALTHY, *FAULTS):
            release = Release(rpm, errors, HEALTHY, kind)
            ends: list[list[Ended]] = []
            for run in range(runs):
                judges = [peer.judge(knob) for peer, _, knob in known]
                ends.append(play(f"{kind} {rpm} {errors} {run}", release, judges))
            for index, (peer, setting, knob) in enumerate(known):
                own = [one[index] for one in ends]
                yield _cell(peer, setting, knob, release, own)


def _cell(peer: Peer, setting: str, knob: float, release: Release, ends: list[Ended]) -> Cell:
    back = [one for one in ends if one.minute]
    return Cell(
        peer.name, setting, knob, release.kind, release.rpm, release.errors, len(back) / len(ends),
        median(one.minute for one in back) if back else None,
        median(one.failed for one in back) if back else None,
    )  # fmt: skip
