"""The outcome of a backtest, as text and as JSON data."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from controller.core.policy import Policy
from controller.core.units import (
    clock_text,
    count_text,
    format_duration,
    format_percent,
    from_unix,
    number_text,
)
from controller.immutable import Immutable
from controller.ports.json_view import Count, Time
from controller.safe_text import printable_block
from controller.tools.backtest.faults import Fault
from controller.tools.backtest.outcome import ENDINGS, NotCounted, Outcome, Place
from controller.tools.backtest.play import BacktestSetup
from controller.tools.backtest.run import Suggestion

_NOT_COUNTED: Final = {
    NotCounted.NO_BASELINE: "have not enough history before them for a baseline",
    NotCounted.UNFINISHED: "are on hold when the history ends",
}


class BacktestData(Immutable):
    """How a policy would have ended from every start in a history."""

    policy: str
    """Name of the policy."""
    source: str
    """Where the history is from: a file, or CloudWatch."""
    begin: Time
    """Begin of the history."""
    end: Time
    """End of the history."""
    period_seconds: Count
    """Length of one period of the history."""
    runs: Count
    """Starts that were played and counted."""
    promoted: Count
    """Starts that came to their end at 100%."""
    held: Count
    """Starts that were paused after a hold without a verdict."""
    rolled_back: Count
    """Starts that were rolled back."""
    rolled_back_rate: float
    """Share of the starts that were rolled back."""
    causes: dict[str, int]
    """Starts that each criterion rolled back, by its id; two may roll back one start."""
    held_by: dict[str, int]
    """Held starts in which each criterion was undecided, by its id."""
    places: list[Place]
    """Which criterion rolled back in which step, most first."""
    not_counted: dict[str, int]
    """Starts without an outcome: no_baseline, or unfinished at the end of the history."""
    max_false_rollbacks: float | None
    """The largest share that was asked for; null: none."""
    suggestion: Suggestion | None
    """Bounds that would have held; null: none was needed or found."""
    fault: str | None
    """The fault that was added, as --inject has it; null: none."""
    missed: Count | None
    """Starts that met the fault and were not rolled back; null without a fault."""
    median_delay_minutes: float | None
    """Minutes from the fault to the rollback, median; null: none was found, or no fault."""
    median_bad_requests: float | None
    """Requests that met the fault before the rollback, median; null as above."""
    notes: Sequence[str]
    """What was read otherwise than a rollout reads it."""


class Backtest(Immutable):
    """A backtest: what was tried on what, and how it ended.

    source: where the history is from. apart: time between starts. max_rate: the rate of rollbacks
    that was asked for; None for none.
    """

    policy: Policy
    source: str
    setup: BacktestSetup
    apart: timedelta
    outcome: Outcome
    max_rate: float | None = None
    suggestion: Suggestion | None = None

    @property
    def exceeded(self) -> bool:
        """True where more starts were rolled back than asked for."""
        return self.max_rate is not None and self.outcome.rolled_back_rate > self.max_rate


def backtest_data(shown: Backtest) -> BacktestData:
    """Return a backtest as a document."""
    outcome, history = shown.outcome, shown.setup.subject.history
    fault = shown.setup.fault
    return BacktestData(
        policy=shown.policy.name,
        source=shown.source,
        begin=from_unix(history.begin),
        end=from_unix(history.end),
        period_seconds=history.period_s,
        runs=len(outcome.runs),
        promoted=outcome.count("promoted"),
        held=outcome.count("held"),
        rolled_back=outcome.count("rolled_back"),
        rolled_back_rate=outcome.rolled_back_rate,
        causes=outcome.causes(),
        held_by=outcome.causes("held"),
        places=outcome.places(),
        not_counted={str(why): outcome.not_counted.get(why, 0) for why in NotCounted},
        max_false_rollbacks=shown.max_rate,
        suggestion=shown.suggestion,
        fault=None if fault is None else fault.text,
        missed=None if fault is None else outcome.missed,
        median_delay_minutes=None if fault is None else outcome.median_delay_minutes,
        median_bad_requests=None if fault is None else outcome.median_bad_requests,
        notes=shown.setup.subject.notes,
    )


def backtest_text(shown: Backtest) -> str:
    """Return how many starts ended how, what rolled them back, and what to know about it."""
    return printable_block(_lines(shown))


def _lines(shown: Backtest) -> Iterator[str]:
    setup, outcome = shown.setup, shown.outcome
    history = setup.subject.history
    yield f"{shown.policy.name} on {shown.source}: {setup.subject.policy.steps_text()}"
    span = f"{clock_text(from_unix(history.begin))} to {clock_text(from_unix(history.end))}"
    apart = format_duration(shown.apart)
    yield f"{span}, {count_text(len(outcome.runs), 'start')} {apart} apart"
    yield ""
    for ending, words in ENDINGS.items():
        runs = outcome.count(ending)
        share = format_percent(runs / len(outcome.runs), 3)
        yield f"  {words:<12} {number_text(runs):>7}  {share:>7}"
    for place in outcome.places():
        starts = count_text(place.runs, "start")
        yield f"    criterion {place.criterion} rolled back {starts} at {place.weight}%"
    for criterion, held in outcome.causes("held").items():
        starts = count_text(held, "start")
        yield f"    criterion {criterion} was undecided in {starts} that were held"
    if setup.fault is not None:
        yield from _fault_lines(setup.fault, outcome)
    yield from _limit_lines(shown)
    yield ""
    yield from not_counted_lines(outcome)
    yield from (f"note: {note}" for note in setup.subject.notes)


def not_counted_lines(outcome: Outcome) -> Iterator[str]:
    """Yield how many starts have no outcome, and why."""
    for why, runs in outcome.not_counted.items():
        yield f"not counted: {count_text(runs, 'start')} that {_NOT_COUNTED[why]}"


def _fault_lines(fault: Fault, outcome: Outcome) -> Iterator[str]:
    met, missed = count_text(len(outcome.faulty), "start"), number_text(outcome.missed)
    yield ""
    yield f"  fault {fault.text}: met by {met}, missed by {missed}"
    delay, bad = outcome.median_delay_minutes, outcome.median_bad_requests
    if delay is not None and bad is not None:
        yield (
            f"  found after {number_text(delay)} minutes and {count_text(bad, fault.noun)} "
            "(medians)"
        )


def _limit_lines(shown: Backtest) -> Iterator[str]:
    if shown.max_rate is None:
        return
    yield ""
    yield rate_text(shown)
    if shown.exceeded:
        yield suggestion_text(shown.suggestion)
        yield from suggestion_lines(shown.suggestion)


def rate_text(shown: Backtest) -> str:
    """Return the rate of rollbacks beside the one that was asked for."""
    limit = format_percent(shown.max_rate or 0.0)
    return (
        f"{format_percent(shown.outcome.rolled_back_rate, 3)} of the starts were rolled back, "
        f"{'more than' if shown.exceeded else 'at most'} {limit} allowed"
    )


def suggestion_text(suggestion: Suggestion | None) -> str:
    """Return what wider bounds would have done."""
    if suggestion is None:
        return "no wider bound was found that would have held"
    return (
        f"with these bounds about {format_percent(suggestion.rolled_back_rate, 3)} of the starts "
        f"would have been rolled back (from {count_text(suggestion.tried, 'start')} played again):"
    )


def suggestion_lines(suggestion: Suggestion | None) -> Iterator[str]:
    """Yield wider bounds as a change of the policy."""
    for change in suggestion.changes if suggestion else ():
        yield f"-  {change.criterion}: {change.field}: {change.before}"
        yield f"+  {change.criterion}: {change.field}: {change.after}"
