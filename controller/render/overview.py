"""All rollouts at a glance: a row for each, those that need an operator first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from controller.core.judge.findings import Verdict
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase, Rollout
from controller.core.units import duration_text, with_full_stop
from controller.core.words.fix import with_fix
from controller.immutable import Immutable
from controller.render.page import Page, PageTable, TextSpan, Tone
from controller.render.rollout_page import PHASE_TONES
from controller.render.rollout_texts import RolloutTexts, rollout_texts

_NEEDS_OPERATOR: Final = 3  # the rank up to which a rollout needs one


class OverviewRow(Immutable):
    """One rollout among many. summary: its state in a few words, problems first."""

    rollout: Rollout
    texts: RolloutTexts
    needs_operator: bool
    summary: str


def overview_rows(rollouts: Sequence[Rollout], now: datetime) -> list[OverviewRow]:
    """Return a row per rollout, the most urgent first."""
    found = []
    for rollout in rollouts:
        texts = rollout_texts(rollout, now)
        rank, summary = _rank(rollout, texts, now), _summary(rollout, texts, now)
        found.append((rank, OverviewRow(rollout, texts, rank <= _NEEDS_OPERATOR, summary)))
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def overview_page(rollouts: Sequence[Rollout], now: datetime) -> Page:
    """Return a row per rollout, the most urgent first; `!` marks those that need an operator."""
    rows_of_table = [_overview_spans(row) for row in overview_rows(rollouts, now)]
    return [PageTable(rows_of_table, right=(3,))] if rows_of_table else []


def _overview_spans(row: OverviewRow) -> tuple[TextSpan, ...]:
    rollout, urgent = row.rollout, row.needs_operator
    mark = TextSpan("!" if urgent else " ", Tone.BAD)
    phase = TextSpan(str(rollout.phase), PHASE_TONES[rollout.phase])
    name = TextSpan(rollout.id, Tone.TITLE if urgent else Tone.PLAIN)
    return mark, name, phase, TextSpan(row.texts.weight), TextSpan(row.summary)


def _rank(rollout: Rollout, texts: RolloutTexts, now: datetime) -> int:
    """Return the urgency of `rollout`: 0 is the most urgent."""
    match rollout.phase:
        case Phase.ROLLING_BACK:
            return 0 if _is_unconfirmed(rollout) else 1
        case Phase.PAUSED:
            return 2
        case Phase.PROGRESSING:
            return 3 if texts.late else 4
        case Phase.ROLLED_BACK:
            return 0 if _drain_is_incomplete(rollout, now) else 5
        case Phase.SUCCEEDED:
            return 6


def _is_unconfirmed(rollout: Rollout) -> bool:
    """Tell whether a rollback is not confirmed although its time is over."""
    condition = rollout.conditions.get(ConditionKind.UNCONFIRMED)
    return condition is not None and condition.critical


def _drain_is_incomplete(rollout: Rollout, now: datetime) -> bool:
    """Tell whether canary requests may continue after a rollback that is still watched."""
    failed = rollout.drain is not None and rollout.drain.verdict is Verdict.FAIL
    return rollout.is_watched(now) and (failed or _is_unconfirmed(rollout))


def _summary(rollout: Rollout, texts: RolloutTexts, now: datetime) -> str:
    """Return the state of a rollout in a few words, problems first."""
    if texts.drain and _drain_is_incomplete(rollout, now):
        return texts.drain
    text = texts.why
    if rollout.phase is Phase.PROGRESSING and texts.next:
        text = with_fix(rollout, f"next: {texts.next}")
    if texts.late:
        text = (
            f"no tick for {duration_text(now - rollout.updated)}: is the schedule running? {text}"
        )
    unconfirmed = rollout.phase is Phase.ROLLING_BACK and _is_unconfirmed(rollout)
    return f"{with_full_stop(texts.waits_for)} {text}" if unconfirmed else text
