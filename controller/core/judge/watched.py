"""The minutes after a rollback in which requests are looked for, whoever counts them."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf

from controller.core.findings import Finding, Label, Verdict
from controller.core.judge.threshold import UNLIKELY
from controller.core.observation import Series
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S, at, clock_text, count_text, format_duration

NAME = "drain"
# Silence shorter than this is a gap between requests, not a drain.
ENOUGH_MINUTES = 5
LOOK_FOR = (
    "Writing 0 % again does not help: look for callers that use a published version or an alias of "
    "the function, for another function or client that has the flag on"
)


@dataclass(frozen=True, slots=True)
class Watched:
    """One look at the minutes from `begin` on, of which those before `closed` are settled.

    weight: percent that was in force before the rollback.
    """

    rollout: Rollout
    series: Mapping[str, Series]
    weight: int
    begin: int
    closed: int

    @property
    def minutes(self) -> int:
        """How many minutes are settled."""
        return max(0, self.closed - self.begin) // MINUTE_S

    @property
    def for_minutes(self) -> str:
        """How long the silence was, and since when: `in 5 minutes since ...`."""
        return f"in {count_text(self.minutes, 'minute')} since {self.since}"

    @property
    def since(self) -> str:
        """When the first of these minutes began."""
        return clock_text(at(self.begin))

    @property
    def at_zero_since(self) -> str:
        """Since when 0 % is in force, as half a sentence."""
        return f"although 0 % is in force since {clock_text(self.rollout.since)}"

    @property
    def unsettled(self) -> str:
        """Why it is too early to say anything; empty when it is not."""
        if self.minutes >= ENOUGH_MINUTES:
            return ""
        return (
            f"{count_text(self.minutes, 'minute')} since {self.since} settled during the "
            f"watch (settle {format_duration(self.rollout.policy.settle)}), and "
            f"{ENOUGH_MINUTES} are needed."
        )

    def settled(self, one: Series) -> float:
        """Return what was counted in the settled minutes."""
        return self._sum(one, self.closed)

    def ever(self, one: Series) -> float:
        """Return what was counted at all: a count only grows."""
        return self._sum(one, inf)

    def due_beside(self, control: float) -> tuple[float, str]:
        """Return how many requests the old weight would have brought beside those of the control.

        And that in words; empty where the words are not needed.
        """
        if self.weight == 100:  # the stable path was silent, and is not any more
            return (inf if control else 0.0), ""
        due = control * self.weight / (100 - self.weight)
        return due, f", and {about(due)} due at {self.weight} %"

    def finding(self, verdict: Verdict, label: Label, measured: float | None, text: str) -> Finding:
        """Return the finding that says `text` of these minutes."""
        samples, end = int(measured or 0), max(self.closed, self.begin)
        sentence = f"drain {label}: {text}"
        return Finding(NAME, verdict, label, measured, 0.0, samples, self.begin, end, sentence)

    def _sum(self, one: Series, end: float) -> float:
        return sum(value for second, value in one.points.items() if self.begin <= second < end)


def telling(due: float) -> bool:
    """Tell whether silence is no chance where so many requests were due: Poisson, P(0 | due)."""
    return exp(-due) < UNLIKELY


def about(due: float) -> str:
    """Return `about 5 requests were`."""
    return f"about {count_text(round(due), 'request')} {'was' if round(due) == 1 else 'were'}"
