"""A backtest as one page: the verdict, what rolled back, and the history with its starts."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from controller.core.units import (
    count_text,
    from_unix,
    number_text,
    with_full_stop,
)
from controller.ports.json_view import document_text
from controller.render.html.chart import Chart, Mark, Shading, chart, share_text
from controller.render.html.pages import Tile, page, policy_text
from controller.tools.backtest.faults import Fault
from controller.tools.backtest.outcome import Ending, Outcome
from controller.tools.backtest.page import (
    Backtest,
    backtest_data,
    not_counted_lines,
    rate_text,
    suggestion_lines,
    suggestion_text,
)
from controller.tools.backtest.page_figures import (
    CriterionHistory,
    criterion_histories,
    rollback_events,
)

_TEMPLATE: Final = Path(__file__).with_name("backtest.html")

# As many groups of rollbacks as fit on a screen; the others have fewer starts.
MAX_EVENTS: Final = 15


def backtest_html(shown: Backtest) -> str:
    """Return the page of `shown`; the same backtest gives the same page."""
    setup, outcome, history = shown.setup, shown.outcome, shown.setup.subject.history
    events = rollback_events(outcome)
    tone, badge = _badge(shown)
    return page(
        _TEMPLATE,
        policy=shown.policy,
        headline=headline(shown),
        lead=_lead(shown),
        tone=tone,
        badge=badge,
        begin=from_unix(history.begin),
        end=from_unix(history.end),
        period=timedelta(seconds=history.period_s),
        apart=shown.apart,
        source=shown.source,
        steps=shown.policy.steps_text(),
        fault=setup.fault.text if setup.fault else "",
        tiles=list(_tiles(shown)),
        causes=list(_causes(outcome)),
        share=lambda runs: share_text(runs / len(outcome.runs)),
        events=events[:MAX_EVENTS],
        further=len(events[MAX_EVENTS:]),
        exceeded=shown.exceeded,
        suggestion_text=suggestion_text(shown.suggestion),
        suggestion_lines=list(suggestion_lines(shown.suggestion)),
        criteria=[
            (
                criterion_history,
                _chart(f"chart-{index}", criterion_history, setup.fault),
                _fault_chart(f"fault-{index}", criterion_history, shown),
            )
            for index, criterion_history in enumerate(criterion_histories(setup, outcome))
        ],
        range_text=_range_text,
        starts_text=lambda starts: count_text(starts, "start"),
        number_text=number_text,
        notes=[*not_counted_lines(outcome), *setup.subject.notes],
        policy_text=policy_text(shown.policy),
        digest=shown.policy.digest(),
        data_text=document_text("backtest", backtest_data(shown), indent=1),
    )


# --- Head -----------------------------------------------------------------------------------------


def headline(shown: Backtest) -> str:
    """Return the verdict of a backtest in one sentence."""
    name, outcome, fault = shown.policy.name, shown.outcome, shown.setup.fault
    if fault is not None:
        met = len(outcome.faulty)
        return (
            f"{name} found {fault.text} in {number_text(met - outcome.missed)} of "
            f"{count_text(met, 'start')}"
        )
    back = outcome.count("rolled_back")
    share = f" ({share_text(outcome.rolled_back_rate)})" if back else ""
    return (
        f"{name} would have rolled back {number_text(back)} of "
        f"{count_text(len(outcome.runs), 'healthy start')}{share}"
    )


def _badge(shown: Backtest) -> tuple[str, str]:
    """Return how the verdict is marked, and in which words."""
    if shown.setup.fault is not None:
        missed = shown.outcome.missed
        return ("bad", f"missed {number_text(missed)}") if missed else ("good", "always found")
    if shown.max_rate is None:
        return "plain", "no limit was asked for"
    return ("bad", "above the limit") if shown.exceeded else ("good", "within the limit")


def _lead(shown: Backtest) -> str:
    outcome = shown.outcome
    counts = ", ".join(
        f"{number_text(outcome.count(ending))} {word}" for ending, word in _ENDINGS.items()
    )
    text = f"Of {count_text(len(outcome.runs), 'start')}: {counts}."
    if shown.setup.fault is None and shown.max_rate is not None:
        text += f" {with_full_stop(rate_text(shown))}"
    return text


_ENDINGS: Final[dict[Ending, str]] = {
    "promoted": "promoted",
    "held": "held",
    "rolled_back": "rolled back",
}


def _tiles(shown: Backtest) -> Iterator[Tile]:
    outcome = shown.outcome
    if shown.setup.fault is not None:
        met = len(outcome.faulty)
        yield Tile(
            "Met the fault", number_text(met), f"of {count_text(len(outcome.runs), 'start')}"
        )
        share = outcome.missed / met if met else 0.0
        yield Tile("Missed it", number_text(outcome.missed), f"{share_text(share)} of those")
        yield _median_tile("Until the rollback", outcome.median_delay_minutes, "minutes")
        yield _median_tile("Bad requests", outcome.median_bad_requests, "until the rollback")
    for ending, word in _ENDINGS.items():
        runs = outcome.count(ending)
        share = runs / len(outcome.runs)
        yield Tile(word.capitalize(), number_text(runs), f"{share_text(share)} of the starts")


def _median_tile(name: str, value: float | None, unit: str) -> Tile:
    if value is None:
        return Tile(name, "–", "no start found it")
    return Tile(name, number_text(value), f"{unit}, median")


# --- Causes ---------------------------------------------------------------------------------------


def _causes(outcome: Outcome) -> Iterator[tuple[str, str, str, str, int]]:
    """Yield criterion, ending, tone, step and number of starts; a hold may be in several steps."""
    for place in outcome.places():
        yield place.criterion, "rolled back", "bad", f"{place.weight}%", place.runs
    for name, runs in outcome.causes("held").items():
        yield name, "held, undecided", "warn", "", runs


def _range_text(begin: int, end: int) -> str:
    """Return two moments, or one where they are the same."""
    first, last = from_unix(begin), from_unix(end)
    if first == last:
        return f"{first:%Y-%m-%d %H:%M}"
    end_format = "%H:%M" if first.date() == last.date() else "%m-%d %H:%M"
    return f"{first:%Y-%m-%d %H:%M} to {last:{end_format}}"


# --- History --------------------------------------------------------------------------------------


def _chart(identity: str, one: CriterionHistory, fault: Fault | None) -> Chart | None:
    """Return the history of a criterion, with the starts that it rolled back and where it did.

    With a fault nearly all are, and none is marked.
    """
    if one.trace is None:
        return None
    shadings = (
        []
        if fault
        else [
            *(Shading(span.begin, span.end, Mark.ROLLED_BACK_START) for span in one.starts),
            *(Shading(span.begin, span.end, Mark.ROLLBACK) for span in one.rollbacks),
        ]
    )
    return chart(identity, f"{one.name} over the history", one.trace, shadings)


def _fault_chart(identity: str, one: CriterionHistory, shown: Backtest) -> Chart | None:
    """Return a criterion over one start that met the added fault; None where none did."""
    run, fault = shown.outcome.typical_fault, shown.setup.fault
    if one.with_fault is None or run is None or fault is None:
        return None
    words = f"{fault.effect}, from {from_unix(run.fault_at):%H:%M} to {from_unix(run.end):%H:%M}"
    ended = "rolled back" if run.found_fault else _ENDINGS[run.ending]
    title = f"{one.name} in the start of {from_unix(run.start):%d %b %H:%M}, which was {ended}"
    mark = Shading(run.fault_at, run.end, Mark.FAULT, words)
    return chart(identity, title, one.with_fault, [mark])
