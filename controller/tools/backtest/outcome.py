"""The outcome of one start, and of all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from statistics import median
from typing import Final, Literal, TypeAlias

from controller.immutable import Immutable, field
from controller.ports.json_view import Count, Percent

Ending: TypeAlias = Literal["promoted", "held", "rolled_back"]
ENDINGS: Final[Mapping[Ending, str]] = {
    "promoted": "promoted",
    "held": "held",
    "rolled_back": "rolled back",
}


class NotCounted(StrEnum):
    """Why a start has no outcome."""

    NO_BASELINE = "no_baseline"  # not enough history before it for a baseline
    UNFINISHED = "unfinished"  # the history ends while it is on hold


class Run(Immutable):
    """How the rollout that starts at `start` ends.

    start, end: unix seconds. weight: of the step that it ended in. causes: the criteria that
    rolled it back, or were undecided when its hold ended. applied: when the weight of each step
    that it reached was applied.
    fault_at: when an added fault began; 0 for none, or when the run ended before. bad_requests:
    requests of the canary that met the fault.
    """

    start: int
    end: int
    ending: Ending
    weight: int
    causes: tuple[str, ...] = ()
    fault_at: int = 0
    bad_requests: float = 0.0
    applied: tuple[int, ...] = ()

    @property
    def found_fault(self) -> bool:
        """True for a run that was rolled back after its fault had begun."""
        return bool(self.fault_at) and self.ending == "rolled_back"


class TimeSpan(Immutable):
    """From `begin` to `end`, unix seconds."""

    begin: int
    end: int


class Place(Immutable):
    """How often one criterion rolled back in one step."""

    criterion: str
    """Id of the criterion."""
    weight: Percent
    """Weight of the step."""
    runs: Count
    """Starts that it rolled back there."""


class Outcome(Immutable):
    """The runs of a backtest, in the order of their starts.

    not_counted: how many starts have no outcome, by the reason.
    """

    runs: Sequence[Run]
    not_counted: Mapping[NotCounted, int] = field(default_factory=dict)

    @classmethod
    def of(cls, ends: Iterable[Run | NotCounted]) -> "Outcome":
        """Return the outcome of starts that ended so."""
        listed = list(ends)
        runs = [one for one in listed if isinstance(one, Run)]
        return cls(runs, Counter(one for one in listed if isinstance(one, NotCounted)))

    def count(self, ending: Ending) -> int:
        """Return how many runs ended so."""
        return sum(run.ending == ending for run in self.runs)

    @property
    def rolled_back_rate(self) -> float:
        """The share of runs that were rolled back; 0 of none."""
        return self.count("rolled_back") / len(self.runs) if self.runs else 0.0

    def causes(self, ending: Ending = "rolled_back") -> dict[str, int]:
        """Return how many runs each criterion ended so, most first."""
        ended = (run for run in self.runs if run.ending == ending)
        return dict(Counter(cause for one in ended for cause in one.causes).most_common())

    def places(self) -> list[Place]:
        """Return which criterion rolled back in which step, most first."""
        back = (run for run in self.runs if run.ending == "rolled_back")
        counted = Counter((cause, one.weight) for one in back for cause in one.causes)
        return [Place(*place, runs) for place, runs in counted.most_common()]

    # --- an added fault ---------------------------------------------------------------------------

    @property
    def faulty(self) -> list[Run]:
        """The runs that met the added fault."""
        return [run for run in self.runs if run.fault_at]

    @property
    def missed(self) -> int:
        """How many runs met the fault and were not rolled back."""
        return sum(not one.found_fault for one in self.faulty)

    @property
    def median_delay_minutes(self) -> float | None:
        """Minutes from the fault to the rollback, in half of the runs that found it."""
        delays = [(one.end - one.fault_at) / 60 for one in self.faulty if one.found_fault]
        return median(delays) if delays else None

    @property
    def typical_fault(self) -> Run | None:
        """The run whose rollback took the median time, or the first that missed the fault.

        None where no run met one.
        """
        found = sorted(
            (one for one in self.faulty if one.found_fault),
            key=lambda one: (one.end - one.fault_at, one.start),
        )
        return found[len(found) // 2] if found else next(iter(self.faulty), None)

    @property
    def median_bad_requests(self) -> float | None:
        """Requests that met the fault until the rollback, in half of the runs that found it."""
        counts = [one.bad_requests for one in self.faulty if one.found_fault]
        return median(counts) if counts else None


# --- Rollbacks as events --------------------------------------------------------------------------

# Rollbacks that are no further apart than this are one row: neighbouring starts meet one event.
_EVENT_S: Final = 3_600


class RollbackEvent(Immutable):
    """Rollbacks for the same causes in the same step, shortly after each other.

    first, last: when they happened, unix seconds. starts: how many, and `begun` when those began.
    """

    causes: tuple[str, ...]
    weight: int
    first: int
    last: int
    starts: int
    begun: TimeSpan


def rollback_events(outcome: Outcome) -> list[RollbackEvent]:
    """Return the rollbacks of all starts as events, the one with most starts first."""
    back = [one for one in outcome.runs if one.ending == "rolled_back"]
    groups: list[list[Run]] = []
    for one in sorted(back, key=lambda run: (run.causes, run.weight, run.end)):
        before = groups[-1][-1] if groups else None
        same = before is not None and (before.causes, before.weight) == (one.causes, one.weight)
        if before is None or not same or one.end - before.end > _EVENT_S:
            groups.append([])
        groups[-1].append(one)
    events = [
        RollbackEvent(
            causes=runs[0].causes,
            weight=runs[0].weight,
            first=runs[0].end,
            last=runs[-1].end,
            starts=len(runs),
            begun=TimeSpan(min(run.start for run in runs), max(run.start for run in runs)),
        )
        for runs in groups
    ]
    return sorted(events, key=lambda event: (-event.starts, event.first))
