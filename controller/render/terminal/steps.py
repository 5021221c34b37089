"""The steps of a rollout, with the bake of the current one, for a terminal. Needs rich."""

from datetime import datetime
from typing import Final, assert_never

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from controller.core.rollout import Phase, Rollout
from controller.core.units import duration_text, format_duration

COLOURS: Final = {
    Phase.PROGRESSING: "bold cyan",
    Phase.PAUSED: "bold yellow",
    Phase.ROLLING_BACK: "bold red",
    Phase.ROLLED_BACK: "bold red",
    Phase.SUCCEEDED: "bold green",
}
_BAR_WIDTH = 24


def steps_view(rollout: Rollout, now: datetime) -> RenderableType:
    """Return a row per step: a mark, its weight and bake, and the progress of the current bake."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for index, step in enumerate(rollout.policy.steps):
        is_current = index == rollout.step
        style = "" if is_current else "dim"
        table.add_row(
            _mark(rollout, index),
            Text(f"{step.weight} %", style),
            Text(format_duration(step.bake), style),
            _bake(rollout, now) if is_current else "",
        )
    return table


def _mark(rollout: Rollout, index: int) -> Text:
    """Return the mark of a step: done, current, ahead, or the one that was rolled back."""
    if rollout.phase is Phase.SUCCEEDED or index < rollout.step:
        return Text("✓", "green")
    if index > rollout.step:
        return Text("·", "dim")
    rolled_back = rollout.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    return Text("✗", "bold red") if rolled_back else Text("▶", COLOURS[rollout.phase])


def _bake(rollout: Rollout, now: datetime) -> RenderableType:
    """Return the progress of the current bake; empty for a succeeded rollout."""
    match rollout.phase:
        case Phase.ROLLING_BACK:
            return Text("rolling back to 0 %", "red")
        case Phase.ROLLED_BACK:
            return Text("rolled back to 0 % from here", "red")
        case Phase.PAUSED:
            return Text("paused", COLOURS[Phase.PAUSED])
        case Phase.SUCCEEDED:
            return ""
        case Phase.PROGRESSING:
            pass
        case unreachable:
            assert_never(unreachable)
    end = rollout.bake_end
    if rollout.pending is not None or rollout.live is None or end is None:
        return Text("waits until the weight is applied", "dim")
    begin = rollout.live.since
    total = (end - begin).total_seconds()
    done = min(total, max(0.0, (now - begin).total_seconds()))
    bar = ProgressBar(total, done, width=_BAR_WIDTH, complete_style="cyan", finished_style="cyan")
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_row(bar, Text(_remaining_text(rollout, end, now)))
    return line


def _remaining_text(rollout: Rollout, end: datetime, now: datetime) -> str:
    if now < end:
        return f"{duration_text(end - now)} left"
    judged = end + rollout.policy.evaluation_delay
    return "baked; waits for final data" if now < judged else "baked"
