"""How far a rollout is: its step, the evidence of each criterion, earlier steps, and events."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.core.due import checkpoint_due
from controller.core.judge.findings import Finding
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, duration_text, from_unix, number_text
from controller.core.words.criteria_table import NO_VALUE, VERDICT_MARKS, CriterionTexts
from controller.operations.recorded.recent import RecentHistory
from controller.operations.recorded.series import judge_for
from controller.render.history import kind_span, weight_change_text, without_repeats
from controller.render.page import EMPTY_LINE, Block, PageTable, Tone, paragraph, sparkline

# The columns of the evidence: where they are not as wide as this, its rows become lists.
_WIDTHS: Final = (0, 20, 18)


def step_text(rollout: Rollout, now: datetime) -> str:
    """Return how much of its warm-up and bake the live step has had; empty where none is live."""
    end = rollout.bake_end
    if rollout.phase is not Phase.PROGRESSING or rollout.live is None or end is None:
        return ""
    place = f"{rollout.judged_step + 1} of {len(rollout.policy.steps)}"
    return f"{place}, {elapsed_text(rollout, rollout.live.since, end, now)}"


def elapsed_text(rollout: Rollout, since: datetime, end: datetime, now: datetime) -> str:
    """Return what has elapsed and what is left of a bake from `since` to `end`."""
    if now < end:
        elapsed = duration_text(max(now - since, timedelta()))
        return f"{elapsed} elapsed, {duration_text(end - now)} left"
    judged = end + rollout.policy.evaluation_delay
    return "baked; waits for final data" if now < judged else "baked"


# --- Evidence -------------------------------------------------------------------------------------


def progress_blocks(
    rollout: Rollout, shown: Sequence[CriterionTexts], recent: RecentHistory | None
) -> Iterator[Block]:
    """Yield how far each criterion of the live step is towards failing and towards passing.

    recent: has the values over time; None: they are left out.
    """
    gate = rollout.policy.gate(rollout.judged_step)
    judged = [one for one in shown if one.criterion in gate and one.finding is not None]
    if rollout.phase not in (Phase.PROGRESSING, Phase.PAUSED) or not judged:
        return
    values = {} if recent is None else recent.values
    titles = ["criterion", "towards FAIL", "towards a pass", *(["newest values"] if values else [])]
    sequential = rollout.policy.sequential_criteria()
    first = _first_ratios(rollout)
    unknown = f"known from {first:%H:%M} UTC" if first else NO_VALUE
    rows = [
        (
            one.criterion,
            unknown
            if one.progress.fail is None and one.criterion in sequential
            else one.towards_fail,
            one.towards_pass,
            sparkline([value for _, value in values.get(one.criterion, ())]) or NO_VALUE,
        )[: len(titles)]
        for one in judged
    ]
    yield EMPTY_LINE
    yield PageTable(rows, titles, indent=2, least=_WIDTHS)
    if sequential or values:
        newest = max((end for bins in values.values() for end, _ in bins), default=0)
        yield paragraph(_age_text(rollout, newest), Tone.QUIET, indent=2)


def _first_ratios(rollout: Rollout) -> datetime | None:
    """Return when the first likelihood ratios of `rollout` are stored; None where no tick will."""
    due = checkpoint_due(rollout)
    return due if rollout.phase is Phase.PROGRESSING and due > rollout.updated else None


def _age_text(rollout: Rollout, newest: int) -> str:
    """Return of which time likelihood ratios are, and values: `newest`, unix seconds; 0: none."""
    end = rollout.evidence.fold.through
    text = "each tick judges; its likelihood ratios are stored once an hour: "
    first = _first_ratios(rollout)
    if end:
        text += f"up to {clock_text(from_unix(end))}"
    else:
        text += f"the first at {clock_text(first)}" if first else "none is stored yet"
    return f"{text}; newest values up to {clock_text(from_unix(newest))}" if newest else text


# --- Earlier steps and events ---------------------------------------------------------------------


def earlier_steps(rollout: Rollout, recent: RecentHistory) -> Iterator[Block]:
    """Yield what was measured in each earlier step when it was left; nothing in the first."""
    policy = rollout.policy
    left = sorted(recent.passed.items())
    steps = [step for step, found in left if found and 0 <= step < rollout.judged_step]
    names = sorted({one.criterion for step in steps for one in recent.passed[step]})
    if not names:
        return
    found = {step: {one.criterion: one for one in recent.passed[step]} for step in steps}
    rows = [
        (name, *(_measured(rollout, found[step].get(name)) for step in steps))
        for name in names
        if name in policy.criteria
    ]
    yield EMPTY_LINE
    titles = ["earlier steps", *(f"{policy.steps[step].weight}%" for step in steps)]
    yield PageTable(rows, titles, indent=2)


def _measured(rollout: Rollout, finding: Finding | None) -> str:
    """Return verdict, value and samples of a finding: `pass 99.95% of 2 000`."""
    if finding is None:
        return NO_VALUE
    value = judge_for(rollout, finding.criterion).measured_text(finding)
    samples = f"of {number_text(finding.samples)}" if value and finding.samples else ""
    return " ".join(filter(None, (VERDICT_MARKS[finding.verdict], value, samples)))


def newest_events(recent: RecentHistory) -> Iterator[Block]:
    """Yield the newest events, the oldest first."""
    rows = [
        (f"{entry.at:%Y-%m-%d %H:%M}", weight_change_text(entry), kind_span(entry), sentence)
        for entry, sentence in without_repeats(recent.events)
    ]
    if rows:
        yield EMPTY_LINE
        yield paragraph("newest events (UTC)", Tone.QUIET, indent=2)
        yield PageTable(rows, right=(1,), indent=2)
