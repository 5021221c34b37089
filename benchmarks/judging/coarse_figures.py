"""The figures of metrics that have one datapoint in five minutes."""

from collections.abc import Iterator
from typing import Final

from benchmarks.judging.figures import (
    LATE,
    LATER,
    RAISED,
    TRAFFIC,
    Figure,
    by_traffic,
    delay,
    rollbacks,
)
from benchmarks.judging.world import Episode, Release
from controller.immutable import replace

_SOUND: Final = Release(rpm=0, noisy=True, period=5)
_HARMLESS: Final = {
    "healthy": _SOUND,
    "latency +3%": replace(_SOUND, slower=0.03),
    "both paths 10% slower than the baseline's day": replace(_SOUND, day=0.1),
    "bursts 2 a day x 2 min x 3%": replace(_SOUND, bursts=Episode(2, 0.03)),
    "bursts 2 a day x 5 min x 3%": replace(_SOUND, bursts=Episode(5, 0.03)),
    "canary x 2 for 3 min twice a day": replace(_SOUND, blip=3),
    "canary x 2 for 6 min twice a day": replace(_SOUND, blip=6),
    "canary +30% for 5 min after a raise": replace(_SOUND, cold=5),
    "10 min at 20% on both paths": replace(_SOUND, outage=Episode(10, 0.2)),
}
_FAULTS: Final = {
    "20% errors": replace(_SOUND, errors=0.2),
    "5% errors": replace(_SOUND, errors=0.05),
    "1% errors": replace(_SOUND, errors=0.01),
    "latency +50%": replace(_SOUND, slower=0.5),
    "latency x 3": replace(_SOUND, slower=2.0),
}
_SINCE: Final = {
    "from the start": 0,
    f"from minute {LATE} of the step": LATE,
    "from the first minute at 50%": RAISED,
    "six hours into 100%": LATER,
}


def _figures() -> Iterator[Figure]:
    for what, release in _HARMLESS.items():
        yield rollbacks("coarse", f"{what}, 5-minute metrics", release)
    for what, release in _FAULTS.items():
        for when, since in _SINCE.items():
            cells = by_traffic(replace(release, since=since), dict.fromkeys(TRAFFIC))
            name = f"{what}, {when}, 5-minute metrics"
            yield Figure("coarse", name, cells, delay, "min")


FIGURES: Final = list(_figures())
