"""What the sequential judge found, in sentences that a person can check with the same numbers."""

from dataclasses import dataclass
from math import floor

from controller.core.findings import Label
from controller.core.judge.case import Case
from controller.core.judge.figures import moment, percent, stretch
from controller.core.judge.minutes import Blamed
from controller.core.judge.shares import seen_text
from controller.core.judge.threshold import Context
from controller.core.measured import Tally
from controller.core.policy import Bounded, LatencyIncrease, SuccessRate
from controller.core.sequential.rate import requests_to_prove, upper_bound
from controller.core.units import count_text, format_percent, number_text

# What is likelier by more than this is certain.
_BEYOND_COUNTING = 1_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """Sentences about one criterion."""

    name: str
    criterion: Bounded
    tally: Tally
    context: Context
    case: Case

    def fails(self) -> str:
        """Return why the rollout goes back: what was seen, since when, and how sure that is."""
        fold, blamed = self.case.fold, self.case.blamed
        if blamed is not None:
            seen = seen_text(self.criterion, self.case, self.context.unit, blamed)
            why = f"from {stretch(blamed.start, blamed.end)} {seen}; "
        elif self.tally.samples:
            why = f"in this step, since {moment(self.context.start)} {self._seen}; "
        else:
            why = "what it showed before is sealed in the history; "
        enough = number_text(round(1 / self.case.budget, 1))
        return (
            f"{self.name} fails: {why}evidence {self._odds} to 1 at {moment(fold.peak_at)}, "
            f"{enough} to 1 rolls back."
        )

    def holds(self) -> str:
        return f"{self.name} not refuted: {self._seen}."

    def wavers(self) -> str:
        return (
            f"{self.name} is undecided: {self._seen}; that is too much to pass and too little to "
            "roll back."
        )

    def proven(self) -> str:
        allowed = format_percent(self._allowed)
        return (
            f"{self.name} proven: {self._failures}; at 95 % confidence, whenever one looks, the "
            f"failure rate is below {allowed}."
        )

    def not_refuted(self) -> str:
        return f"{self.name} not refuted: {self._failures}; {self._doubt}."

    def unproven(self) -> str:
        needed = requests_to_prove(self._allowed, round(self.tally.amount))
        return (
            f"{self.name} is not proven yet: {self._failures}; {self._doubt}; that takes "
            f"{count_text(needed, 'request')} with no further failure."
        )

    def lacks(self, lack: Label) -> str:
        """Return what is missing for a verdict."""
        since = moment(self.context.start)
        match lack:
            case Label.BAD_DATA:
                why = "counts and requests contradict each other, or one of them is missing"
                return f"{self.name} cannot be judged: {why}."
            case Label.TOO_FEW:
                least = number_text(getattr(self.criterion, "min_samples", 0))
                seen = number_text(self.case.fewest(self.tally))
                return f"{self.name} has too few samples: {seen} of {least} since {since}."
            case _ if isinstance(self.criterion, LatencyIncrease) and self.case.limits is None:
                return f"{self.name} cannot be judged: its baseline was not read before the start."
            case _ if self.tally.windows:
                last = moment(self.tally.last_end)
                return f"{self.name} has no data any more: nothing since {last}."
            case _:
                return f"{self.name} has no data since {since}."

    # --- parts of sentences ---------------------------------------------------------------------

    @property
    def _seen(self) -> str:
        tally = self.tally
        of_step = Blamed(
            start=self.context.start,
            end=tally.through,
            requests=tally.samples,
            amount=tally.amount,
            beyond=tally.amount,
            control_requests=tally.control_samples,
            control_amount=tally.control_amount,
        )
        return seen_text(self.criterion, self.case, self.context.unit, of_step)

    @property
    def _odds(self) -> str:
        """The evidence in whole numbers, but where that would read as less than is enough."""
        peak, enough = self.case.fold.peak, 1 / self.case.budget
        certain = max(_BEYOND_COUNTING, enough)
        if peak > certain:
            return f"more than {number_text(round(certain))}"
        return number_text(floor(peak) if floor(peak) >= enough else round(peak, 1))

    @property
    def _failures(self) -> str:
        requests = count_text(round(self.tally.samples), "request")
        return f"{count_text(round(self.tally.amount), 'failure')} in {requests}"

    @property
    def _doubt(self) -> str:
        possible = upper_bound(round(self.tally.samples), round(self.tally.amount))
        below = percent(possible, self._allowed, 2)
        asked = format_percent(1 - self._allowed)
        return f"at 95 % confidence the failure rate is below {below}, so {asked} is not proven"

    @property
    def _allowed(self) -> float:
        return 1 - self.criterion.min if isinstance(self.criterion, SuccessRate) else 0.0
