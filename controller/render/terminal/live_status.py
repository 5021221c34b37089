"""Live view of a rollout on a terminal. Needs rich, so no tick imports this."""

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Generic, Self, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from controller.core.judge.findings import Verdict
from controller.core.judge.sentences import sentence_of
from controller.core.next_action import next_action, waits_for
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, duration_text
from controller.render.status import late_text
from controller.render.terminal.findings import findings_view
from controller.render.terminal.plain import PrintableRenderable, plain
from controller.render.terminal.steps import COLOURS, steps_view

View = TypeVar("View")


class Screen(Generic[View]):
    """An area of the terminal that is drawn again every second.

    draw: renders a view. Output printed meanwhile goes above it; stderr only if `takes_stderr`.
    """

    def __init__(
        self,
        draw: Callable[[View], RenderableType],
        *,
        takes_stderr: bool,
        console: Console | None = None,
    ) -> None:
        self._draw = draw
        self._shown_view: View | None = None
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=1,
            redirect_stderr=takes_stderr,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def show(self, view: View) -> None:
        """Draw `view` now, and on each refresh until the next one."""
        self._shown_view = view
        self._live.refresh()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def _render(self) -> RenderableType:
        return "" if self._shown_view is None else PrintableRenderable(self._draw(self._shown_view))


def live_view(rollout: Rollout, now: datetime) -> RenderableType:
    """Return the view of `rollout` at `now`: title, steps, facts, findings."""
    parts: list[RenderableType] = [
        _title(rollout),
        Padding(steps_view(rollout, now), (1, 0)),
        _facts(rollout, now),
    ]
    if rollout.evidence.findings:
        parts.append(Padding(findings_view(rollout), (1, 0, 0, 0)))
    return Group(*parts)


def _title(rollout: Rollout) -> RenderableType:
    return Text.assemble(
        plain(rollout.id, "bold"), "  ", (str(rollout.phase), COLOURS[rollout.phase]), "  ",
        (f"{rollout.weight} %", "bold"), overflow="fold",
    )  # fmt: skip


def _facts(rollout: Rollout, now: datetime) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _fact_rows(rollout, now):
        grid.add_row(name, value)
    return grid


def _fact_rows(rollout: Rollout, now: datetime) -> list[tuple[str, RenderableType]]:
    facts: list[tuple[str, RenderableType]] = [("weight", _weight(rollout))]
    facts.append(("because", plain(rollout.sentence)))
    if blocked := waits_for(rollout):
        facts.append(("waits for", plain(blocked)))
    if following := next_action(rollout).text:
        facts.append(("next", plain(f"{following}{_countdown(rollout, now)}")))
    if rollout.evidence.label:
        facts.append(("evidence", plain(rollout.evidence.label)))
    if rollout.drain is not None:
        failed = rollout.drain.verdict is Verdict.FAIL
        facts.append(("drain", plain(sentence_of(rollout.drain), "bold red" if failed else "")))
    late_note = late_text(rollout, now)
    updated = Text.assemble(clock_text(rollout.updated), (late_note, "bold yellow"))
    facts.append(("updated", updated))
    return facts


def _weight(rollout: Rollout) -> Text:
    expected, live = f"{rollout.weight} % expected", rollout.seen_weight
    if live is None:
        return Text.assemble(expected, ", ", ("not read yet", "yellow"))
    differs = live != rollout.weight
    return Text.assemble(expected, ", ", (f"{live} % live", "bold red" if differs else ""))


def _countdown(rollout: Rollout, now: datetime) -> str:
    """Return the time until the next action, like ` (in 37m)`; empty for a paused rollout."""
    moment = next_action(rollout).at
    if moment is None or moment <= now or rollout.phase is Phase.PAUSED:
        return ""
    return f" (in {duration_text(moment - now)})"
