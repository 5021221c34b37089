"""A rollout as a page: its state, what is next, and its criteria; also live."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from controller.core.judge.findings import Label, Verdict, weakest_step_text
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, duration_text, format_duration, from_unix
from controller.core.words.criteria_table import (
    HEADER,
    NO_VERDICT,
    RIGHT_ALIGNED,
    VERDICT_MARKS,
    CriterionTexts,
    counted_text,
    rows,
)
from controller.core.words.findings import sentence_of
from controller.operations.recorded.recent import RecentHistory
from controller.render.page import (
    EMPTY_LINE,
    Block,
    Page,
    PageTable,
    Paragraph,
    TextSpan,
    Tone,
    paragraph,
)
from controller.render.rollout_progress import (
    earlier_steps,
    elapsed_text,
    newest_events,
    progress_blocks,
    step_text,
)
from controller.render.rollout_texts import PHASE_TONES, RolloutTexts, rollout_texts

VERDICT_TONES: Final = {
    Verdict.PASS: Tone.GOOD,
    Verdict.FAIL: Tone.BAD,
    Verdict.INCONCLUSIVE: Tone.WAITING,
}
_BAR_WIDTH: Final = 24


def rollout_page(
    rollout: Rollout,
    now: datetime | None = None,
    exposure: str = "",
    recent: RecentHistory | None = None,
) -> Page:
    """Return `rollout` in full: its state, the next action, its criteria and what they lack.

    now: adds a warning when no tick ran recently; None: a tick runs now. exposure: what its history
    says of the bad requests; empty: it is left out. recent: what else its history adds.
    """
    texts, step = rollout_texts(rollout, now), step_text(rollout, now or rollout.updated)
    facts = [
        ("revision", TextSpan(rollout.revision)),
        ("steps", TextSpan(texts.ladder)),
        *([("step", TextSpan(step))] if step else []),
        *([("exposure", TextSpan(exposure))] if exposure else []),
        *_facts(rollout, texts),
    ]
    return [_title(rollout, texts), _facts_table(facts), *_measured(rollout, now, recent)]


def live_page(rollout: Rollout, now: datetime, recent: RecentHistory | None = None) -> Page:
    """Return `rollout` as of `now`: as `rollout_page`, with a bar for the bake and a countdown."""
    texts, countdown = rollout_texts(rollout, now), ""
    if texts.next_at is not None and texts.next_at > now and rollout.phase is not Phase.PAUSED:
        countdown = f" (in {duration_text(texts.next_at - now)})"
    steps = PageTable(
        [_step_row(rollout, step, now) for step in range(len(rollout.policy.steps))],
        right=(1,),
        indent=2,
    )
    facts = _facts_table(_facts(rollout, texts, countdown))
    title = _title(rollout, texts)
    return [title, EMPTY_LINE, steps, EMPTY_LINE, facts, *_measured(rollout, now, recent)]


def _title(rollout: Rollout, texts: RolloutTexts) -> Paragraph:
    """Return the headline of a rollout: id, phase, and the weight that is live."""
    phase = TextSpan(str(rollout.phase), PHASE_TONES[rollout.phase])
    weight = TextSpan(texts.weight, Tone.TITLE)
    return Paragraph(
        [TextSpan(rollout.id, Tone.TITLE), TextSpan("  "), phase, TextSpan("  "), weight]
    )


def _facts_table(
    facts: Iterator[tuple[str, TextSpan]] | Sequence[tuple[str, TextSpan]],
) -> PageTable:
    return PageTable(
        [(TextSpan(name, Tone.QUIET), fact) for name, fact in facts], indent=2, least=(8,)
    )


def _facts(
    rollout: Rollout, texts: RolloutTexts, countdown: str = ""
) -> Iterator[tuple[str, TextSpan]]:
    """Yield name and text of each fact of the page. countdown: follows the next action."""
    yield "because", TextSpan(texts.why)
    if texts.next:
        yield "next", TextSpan(f"{texts.next}{countdown}")
    if texts.waits_for and not texts.next.startswith("waits for"):
        yield "waiting", TextSpan(f"for {texts.waits_for}")
    if rollout.write_error not in texts.waits_for:
        text = f"the last write of the weight failed: {rollout.write_error}"
        yield "error", TextSpan(text, Tone.BAD)
    label = rollout.evidence.label
    failed = any(finding.fails for finding in rollout.evidence.findings)
    text = weakest_step_text(label)
    is_shown = f"({label})" in rollout.sentence or text in rollout.sentence
    if label and not failed and not is_shown:
        yield "evidence", TextSpan(text)
    yield from _end_facts(rollout, texts)
    tone = Tone.WAITING if texts.late else Tone.PLAIN
    yield "updated", TextSpan(f"{clock_text(rollout.updated)}{texts.age}{texts.due}", tone)


def _end_facts(rollout: Rollout, texts: RolloutTexts) -> Iterator[tuple[str, TextSpan]]:
    """Yield what is left to do or to know: of a rollback, of an alert, and after success."""
    if rollout.leak_check is not None:
        tone = Tone.BAD if rollout.leak_check.verdict is Verdict.FAIL else Tone.PLAIN
        yield "leak check", TextSpan(texts.leak_check.removeprefix("leak check "), tone)
    if page := rollout.unacknowledged_page:
        since = clock_text(rollout.conditions[page].since)
        text = f"since {since}, repeated until acknowledged: rolloutctl ack {rollout.id}"
        yield "critical", TextSpan(text, Tone.BAD)
    for condition in rollout.conditions_of(ConditionKind.DRIFTED, ConditionKind.CHANGED).values():
        yield "changed", TextSpan(condition.text, Tone.WAITING)
    if texts.stable_path:
        yield "stable", TextSpan(texts.stable_path)
    if rollout.phase is Phase.SUCCEEDED:
        yield "to do", TextSpan(f"make it permanent: rolloutctl permanent {rollout.name}")


# --- Criteria -----------------------------------------------------------------------------------


def _measured(rollout: Rollout, now: datetime | None, recent: RecentHistory | None) -> Page:
    """Return what was measured so far: in this step, in those before, and what happened last."""
    if not (rollout.evidence.findings or rollout.evidence.earlier_findings):
        return [] if recent is None else list(newest_events(recent))
    shown = rows(rollout)
    page = [*_criteria(rollout, shown, now), *progress_blocks(rollout, shown, recent)]
    if recent is not None:
        page += [*earlier_steps(rollout, recent), *newest_events(recent)]
    return page


def _criteria(rollout: Rollout, shown: Sequence[CriterionTexts], now: datetime | None) -> Page:
    """Return the table of the criteria, and the sentence of each that fails or is open."""
    counted = counted_text(shown)
    page: list[Block] = [EMPTY_LINE, criteria_table(shown, indent=2)]
    if counted:
        newest = max(row.counted[1] for row in shown if row.counted is not None)
        if now is not None and not rollout.final:
            age = duration_text(max(now - from_unix(newest), timedelta()))
            counted += f"; the newest is {age} old"
        page.append(paragraph(counted, Tone.QUIET, indent=2))
    # The sentence of a finding explains a failure or a wait, where the rollout's has not said it.
    unclear = (Verdict.FAIL, Verdict.FAIL if rollout.final else Verdict.INCONCLUSIVE)
    sentences = [
        (
            _mark(VERDICT_MARKS[finding.verdict], finding.verdict),
            sentence if finding.gates else f"report only: {sentence}",
        )
        for finding in rollout.evidence.findings
        if finding.verdict in unclear and finding.label is not Label.NOT_JUDGED
        if (sentence := sentence_of(finding)) not in rollout.sentence
    ]
    return [*page, EMPTY_LINE, PageTable(sentences, indent=2)] if sentences else page


def criteria_table(shown: Sequence[CriterionTexts], indent: int = 0) -> PageTable:
    """Return a table with a row for each criterion: its target, what was measured, and evidence."""
    *titles, _ = HEADER
    right = [titles.index(title) for title in RIGHT_ALIGNED]
    return PageTable([_criterion_row(row) for row in shown], titles, right, indent)


def _criterion_row(row: CriterionTexts) -> tuple[TextSpan, ...]:
    """Return the cells of a criterion; one that is no gate says so beside its evidence."""
    _, *values, evidence, _ = row.cells
    evidence = evidence if row.gates else f"{evidence} ({row.role})"
    return _mark(row.mark, row.verdict), *map(TextSpan, values), TextSpan(evidence)


def _mark(mark: str, verdict: Verdict) -> TextSpan:
    return TextSpan(mark, Tone.QUIET if mark == NO_VERDICT else VERDICT_TONES[verdict])


# --- Steps --------------------------------------------------------------------------------------


def _step_row(rollout: Rollout, index: int, now: datetime) -> tuple[TextSpan, ...]:
    """Return the row of a step: a mark, its weight and bake, and how far the current one is."""
    step, is_current = rollout.policy.steps[index], index == rollout.step
    tone = Tone.PLAIN if is_current else Tone.QUIET
    bake = _bake(rollout, now) if is_current else TextSpan("")
    weight, length = TextSpan(f"{step.weight}%", tone), TextSpan(format_duration(step.bake), tone)
    return _step_mark(rollout, index), weight, length, bake


def _step_mark(rollout: Rollout, index: int) -> TextSpan:
    """Return the mark of a step: done, current, ahead, or the one that was rolled back."""
    if rollout.phase is Phase.SUCCEEDED or index < rollout.step:
        return TextSpan("✓", Tone.GOOD)
    if index > rollout.step:
        return TextSpan("·", Tone.QUIET)
    rolled_back = rollout.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    return TextSpan("✗" if rolled_back else "▶", PHASE_TONES[rollout.phase])


def _bake(rollout: Rollout, now: datetime) -> TextSpan:
    """Return the progress of the current bake; empty for a succeeded rollout."""
    tone = PHASE_TONES[rollout.phase]
    match rollout.phase:
        case Phase.ROLLING_BACK:
            return TextSpan("rolling back to 0%", tone)
        case Phase.ROLLED_BACK:
            return TextSpan("rolled back to 0% from here", tone)
        case Phase.PAUSED:
            return TextSpan("paused", tone)
        case Phase.SUCCEEDED:
            return TextSpan("")
        case Phase.PROGRESSING:
            end = rollout.bake_end
            if rollout.pending is not None or rollout.live is None or end is None:
                return TextSpan("waits until the weight is applied", Tone.WAITING)
            begin = rollout.live.since
            share = min(1.0, max(0.0, (now - begin) / (end - begin)))
            done = int(share * _BAR_WIDTH)
            bar = f"{'█' * done}{'░' * (_BAR_WIDTH - done)}"
            return TextSpan(f"{bar} {elapsed_text(rollout, begin, end, now)}")
        case unreachable:
            assert_never(unreachable)
