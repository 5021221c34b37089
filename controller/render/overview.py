"""All rollouts at a glance: a row for each, those that need an operator first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from controller.core.judge.findings import Verdict
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase, Rollout
from controller.core.units import count_text, duration_text, number_text, with_full_stop
from controller.core.visit_order import is_late
from controller.core.words.notices import with_fix
from controller.immutable import Immutable
from controller.render.page import Block, Page, PageTable, TextSpan, Tone, paragraph
from controller.render.rollout_texts import PHASE_TONES, RolloutTexts, rollout_texts

_NEEDS_OPERATOR: Final = 3  # the rank up to which a rollout needs one
MOST_ON_TERMINAL: Final = 50  # rollouts


class OverviewRow(Immutable):
    """One rollout among many. summary: its state in a few words, problems first."""

    rollout: Rollout
    texts: RolloutTexts
    needs_operator: bool
    summary: str


def worst_first(rollouts: Iterable[Rollout], now: datetime) -> list[Rollout]:
    """Return `rollouts`, the most urgent first; of those that are over, the newest."""

    def key(rollout: Rollout) -> tuple[int, float]:
        return _rank(rollout, now), -rollout.since.timestamp() if rollout.final else 0

    return sorted(rollouts, key=key)


def overview_row(rollout: Rollout, now: datetime) -> OverviewRow:
    texts, needs_operator = rollout_texts(rollout, now), _rank(rollout, now) <= _NEEDS_OPERATOR
    return OverviewRow(rollout, texts, needs_operator, _summary(rollout, texts, now))


def overview_page(rollouts: Sequence[Rollout], now: datetime, most: int | None = None) -> Page:
    """Return a row per rollout, the most urgent first; `!` marks those that need an operator.

    most: so many rows at most, and what was left out; None: all of them.
    """
    ordered = worst_first(rollouts, now)
    cells, page = [], list[Block]()
    for row in (overview_row(one, now) for one in ordered[:most]):
        mark = TextSpan("!" if row.needs_operator else " ", Tone.BAD)
        name = TextSpan(row.rollout.id, Tone.TITLE if row.needs_operator else Tone.PLAIN)
        phase = TextSpan(str(row.rollout.phase), PHASE_TONES[row.rollout.phase])
        cells.append((mark, name, phase, row.texts.weight, row.summary))
    if cells:
        page.append(PageTable(cells, right=(3,)))
    if left_out := [] if most is None else ordered[most:]:
        phases = Counter(rollout.phase for rollout in left_out)
        counts = ", ".join(f"{number_text(count)} {phase}" for phase, count in phases.items())
        text = (
            f"{count_text(len(left_out), 'less urgent rollout')} left out ({counts}): choose by "
            "--name, --phase or --condition, or read all of them: rolloutctl status | less"
        )
        page.append(paragraph(text, Tone.QUIET))
    return page


def _rank(rollout: Rollout, now: datetime) -> int:
    """Return the urgency of `rollout`: 0 is the most urgent."""
    has_condition = any(kind is not ConditionKind.PAUSED for kind in rollout.conditions)
    match rollout.phase:
        case Phase.ROLLING_BACK:
            return 0 if _is_unconfirmed(rollout) else 1
        case Phase.PAUSED:
            return 2
        case Phase.PROGRESSING:
            if is_late(rollout, now):
                return 3
            return 4 if has_condition else 5
        case Phase.ROLLED_BACK:
            return 0 if _may_reach_canary(rollout, now) else 6
        case Phase.SUCCEEDED:
            return 4 if has_condition and rollout.is_watched(now) else 7


def _is_unconfirmed(rollout: Rollout) -> bool:
    """Tell whether a rollback is not confirmed although its time is over."""
    condition = rollout.conditions.get(ConditionKind.UNCONFIRMED)
    return condition is not None and condition.critical


def _may_reach_canary(rollout: Rollout, now: datetime) -> bool:
    """Tell whether canary requests may continue after a rollback that is still watched."""
    failed = rollout.leak_check is not None and rollout.leak_check.verdict is Verdict.FAIL
    return rollout.is_watched(now) and (failed or _is_unconfirmed(rollout))


def _summary(rollout: Rollout, texts: RolloutTexts, now: datetime) -> str:
    """Return the state of a rollout in a few words, problems first."""
    if texts.leak_check and _may_reach_canary(rollout, now):
        return texts.leak_check
    text = texts.why
    if rollout.phase is Phase.PROGRESSING and texts.next:
        text = with_fix(rollout, f"next: {texts.next}")
    if texts.late:
        text = (
            f"no tick for {duration_text(now - rollout.updated)}: is the schedule running? {text}"
        )
    unconfirmed = rollout.phase is Phase.ROLLING_BACK and _is_unconfirmed(rollout)
    return f"{with_full_stop(texts.waits_for)} {text}" if unconfirmed else text
