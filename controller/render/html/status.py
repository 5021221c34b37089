"""The rollouts of a store as one page: those that need an operator first."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase, Rollout
from controller.core.units import count_text
from controller.core.words.notices import with_fix
from controller.operations.overview import Overview, load_overview
from controller.ports.store import Store
from controller.process.settings import FilePage, PageLocation
from controller.render.html import page, report_file, tone
from controller.render.overview import overview_row, worst_first

_TEMPLATE: Final = Path(__file__).with_name("status.html")
# So many rollouts have a card, the most urgent first; each other one is a row of a table.
MOST_CARDS: Final = 50


def status_page(
    store: Store,
    now: datetime,
    place: PageLocation,
    names: Collection[str] = (),
    reports: str = "",
) -> str:
    """Return the page of the rollouts of `store`, which is to be at `place`. Raises StoreError.

    names: only rollouts of these names; empty: of all.
    reports: the folder of reports that the page links, a URL or relative to it; empty: none.
    """

    def link(rollout: Rollout) -> str:
        return _report_link(rollout, reports, place)

    return status_html(load_overview(store, now, names), now, link)


def _report_link(rollout: Rollout, reports: str, place: PageLocation) -> str:
    """Return where the page links the report of `rollout`; empty where that is known to be absent.

    A report beside a file can be seen from here, others cannot.
    """
    if not reports:
        return ""
    name = report_file(rollout)
    link = f"{reports.rstrip('/')}/{name}"
    if reports.startswith("https://") or not isinstance(place, FilePage):
        return link
    return link if (place.path.parent / reports / name).is_file() else ""


def status_html(
    overview: Overview,
    now: datetime,
    report_link: Callable[[Rollout], str] = lambda _: "",
    *,
    template: Path = _TEMPLATE,
    **more: object,
) -> str:
    """Return the page of `overview` at `now`.

    report_link: the address of the report of a rollout, for a link; empty: there is none.
    template: extends that of this page, and gets `more` values.
    """
    rows = [overview_row(one, now) for one in worst_first(overview.rollouts, now)]
    urgent = [row for row in rows if row.needs_operator]
    running = [row for row in rows if not (row.needs_operator or row.rollout.final)]
    over = [row for row in rows if row.rollout.final and not row.needs_operator]
    room = max(0, MOST_CARDS - len(urgent))
    sections = (
        ("urgent", "Needs an operator", urgent[:MOST_CARDS], urgent[MOST_CARDS:]),
        ("running", "In progress", running[:room], running[room:]),
    )
    return page(
        template,
        _TEMPLATE,
        now=now,
        sections=sections,
        over=over,
        damaged=[str(one) for one in overview.damaged],
        left_out=overview.left_out,
        problem=overview.problem,
        tone=tone,
        report_link=report_link,
        why=lambda rollout: with_fix(rollout, rollout.sentence),
        steps=_steps,
        is_empty=not (rows or overview.damaged),
        age=lambda moment: age_text(now - moment),
        paused=ConditionKind.PAUSED,
        counts=_counts(len(urgent) + len(overview.damaged), len(running), len(over)),
        **more,
    )


def age_text(length: timedelta) -> str:
    """Return how long ago something was, in its largest unit: `3 hours`."""
    for noun, unit in _UNITS:
        if length >= unit:
            return f"{count_text(length // unit, noun)}"
    return "less than a minute"


_UNITS: Final = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
)


def _counts(urgent: int, running: int, over: int) -> str:
    """Return the page in one sentence, which says first whether anybody is needed."""
    need = "Nothing needs an operator"
    if urgent:
        need = f"{urgent} rollout{'s' if urgent > 1 else ''} need{'' if urgent > 1 else 's'} an "
        need += "operator"
    return f"{need}; {running} in progress, {over} over"


def _steps(rollout: Rollout) -> Iterator[tuple[int, str]]:
    """Yield weight and state of each step: `done`, `current`, or `open`."""
    lowered = rollout.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    for index, step in enumerate(rollout.policy.steps):
        if index < rollout.judged_step or rollout.phase is Phase.SUCCEEDED:
            yield step.weight, "done"
        elif index == rollout.judged_step:
            yield step.weight, "failed" if lowered else "current"
        else:
            yield step.weight, "open"
