"""The rollouts of a store as one page: those that need an operator first."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase, Rollout
from controller.core.words.fix import with_fix
from controller.operations.overview import Overview
from controller.render.html.pages import page, tone
from controller.render.overview import overview_rows

_TEMPLATE: Final = Path(__file__).with_name("status.html")


def status_html(overview: Overview, now: datetime) -> str:
    """Return the page of `overview` at `now`."""
    rows = overview_rows(overview.rollouts, now)
    urgent = [row for row in rows if row.needs_operator]
    running = [row for row in rows if not (row.needs_operator or row.rollout.final)]
    over = [row for row in rows if row.rollout.final and not row.needs_operator]
    over.sort(key=lambda row: row.rollout.since, reverse=True)
    return page(
        _TEMPLATE,
        now=now,
        urgent=urgent,
        running=running,
        over=over,
        damaged=[str(one) for one in overview.damaged],
        left_out=overview.left_out,
        problem=overview.problem,
        tone=tone,
        why=lambda rollout: with_fix(rollout, rollout.sentence),
        steps=_steps,
        paused=ConditionKind.PAUSED,
        counts=_counts(len(urgent) + len(overview.damaged), len(running), len(over)),
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
