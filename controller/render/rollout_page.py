"""A rollout as a page: its state, what is next, and its criteria; also live."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from controller.core.due import checkpoint_due
from controller.core.judge.findings import Finding, Label, Verdict, weakest_step_text
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, duration_text, format_duration, from_unix, number_text
from controller.core.words.criteria_table import (
    HEADER,
    NO_VALUE,
    NO_VERDICT,
    RIGHT_ALIGNED,
    VERDICT_MARKS,
    CriterionTexts,
    counted_text,
    rows,
)
from controller.core.words.findings import sentence_of
from controller.operations.history import RecentHistory
from controller.operations.recorded.series import judge_for
from controller.render.history import kind_span, weight_change_text, without_repeats
from controller.render.page import (
    EMPTY_LINE,
    Block,
    Page,
    PageTable,
    Paragraph,
    TextSpan,
    Tone,
    paragraph,
    sparkline,
)
from controller.render.rollout_texts import PHASE_TONES, RolloutTexts, rollout_texts

VERDICT_TONES: Final = {
    Verdict.PASS: Tone.GOOD,
    Verdict.FAIL: Tone.BAD,
    Verdict.INCONCLUSIVE: Tone.WAITING,
}
_BAR_WIDTH: Final = 24
# The columns of the evidence: where they are not as wide as this, its rows become lists.
_WIDTHS: Final = (0, 20, 18)


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
    texts, step = rollout_texts(rollout, now), _step_text(rollout, now or rollout.updated)
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
    cells = [_step_row(rollout, step, now) for step in range(len(rollout.policy.steps))]
    steps = PageTable(cells, right=(1,), indent=2)
    facts = _facts_table(_facts(rollout, texts, countdown))
    title = _title(rollout, texts)
    return [title, EMPTY_LINE, steps, EMPTY_LINE, facts, *_measured(rollout, now, recent)]


def _title(rollout: Rollout, texts: RolloutTexts) -> Paragraph:
    """Return the headline of a rollout: id, phase, and the weight that is live."""
    gap, phase = TextSpan("  "), TextSpan(str(rollout.phase), PHASE_TONES[rollout.phase])
    name, weight = TextSpan(rollout.id, Tone.TITLE), TextSpan(texts.weight, Tone.TITLE)
    return Paragraph([name, gap, phase, gap, weight])


def _facts_table(facts: Iterable[tuple[str, TextSpan]]) -> PageTable:
    cells = [(TextSpan(name, Tone.QUIET), fact) for name, fact in facts]
    return PageTable(cells, indent=2, least=(8,))


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
            return TextSpan(f"{bar} {_elapsed_text(rollout, begin, end, now)}")
        case unreachable:
            assert_never(unreachable)


def _step_text(rollout: Rollout, now: datetime) -> str:
    """Return how much of its warm-up and bake the live step has had; empty where none is live."""
    end = rollout.bake_end
    if rollout.phase is not Phase.PROGRESSING or rollout.live is None or end is None:
        return ""
    place = f"{rollout.judged_step + 1} of {len(rollout.policy.steps)}"
    return f"{place}, {_elapsed_text(rollout, rollout.live.since, end, now)}"


def _elapsed_text(rollout: Rollout, since: datetime, end: datetime, now: datetime) -> str:
    """Return what has elapsed and what is left of a bake from `since` to `end`."""
    if now < end:
        elapsed = duration_text(max(now - since, timedelta()))
        return f"{elapsed} elapsed, {duration_text(end - now)} left"
    judged = end + rollout.policy.evaluation_delay
    return "baked; waits for final data" if now < judged else "baked"


# --- Criteria -----------------------------------------------------------------------------------


def _measured(rollout: Rollout, now: datetime | None, recent: RecentHistory | None) -> Page:
    """Return what was measured so far: in this step, in those before, and what happened last."""
    if not rollout.evidence.known_findings:
        return [] if recent is None else list(_newest_events(recent))
    shown = rows(rollout)
    page = [*_criteria(rollout, shown, now), *_progress(rollout, shown, recent)]
    if recent is not None:
        page += [*_earlier_steps(rollout, recent), *_newest_events(recent)]
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
    """Return a table with a row for each criterion: its target, what was measured, and evidence.

    One that is no gate says so beside its evidence.
    """
    *titles, _ = HEADER
    right = [titles.index(title) for title in RIGHT_ALIGNED]
    cells: list[Sequence[str | TextSpan]] = []
    for row in shown:
        _, *values, evidence, _ = row.cells
        standing = evidence if row.gates else f"{evidence} ({row.role})"
        cells.append([_mark(row.mark, row.verdict), *values, standing])
    return PageTable(cells, titles, right, indent)


def _mark(mark: str, verdict: Verdict) -> TextSpan:
    return TextSpan(mark, Tone.QUIET if mark == NO_VERDICT else VERDICT_TONES[verdict])


# --- Evidence -------------------------------------------------------------------------------------


def _progress(
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
    cells = []
    for one in judged:
        is_open = one.progress.fail is None and one.criterion in sequential
        newest = sparkline([value for _, value in values.get(one.criterion, ())]) or NO_VALUE
        row = one.criterion, unknown if is_open else one.towards_fail, one.towards_pass, newest
        cells.append(row[: len(titles)])
    yield EMPTY_LINE
    yield PageTable(cells, titles, indent=2, least=_WIDTHS)
    if sequential or values:
        through = max((end for bins in values.values() for end, _ in bins), default=0)
        yield paragraph(_age_text(rollout, through), Tone.QUIET, indent=2)


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


def _earlier_steps(rollout: Rollout, recent: RecentHistory) -> Iterator[Block]:
    """Yield what was measured in each earlier step when it was left; nothing in the first."""
    policy = rollout.policy
    left = sorted(recent.passed.items())
    steps = [step for step, found in left if found and 0 <= step < rollout.judged_step]
    names = sorted({one.criterion for step in steps for one in recent.passed[step]})
    if not names:
        return
    found = {step: {one.criterion: one for one in recent.passed[step]} for step in steps}

    def measured(finding: Finding | None) -> str:
        """Return verdict, value and samples of a finding: `pass 99.95% of 2 000`."""
        if finding is None:
            return NO_VALUE
        value = judge_for(rollout, finding.criterion).measured_text(finding)
        samples = f"of {number_text(finding.samples)}" if value and finding.samples else ""
        return " ".join(filter(None, (VERDICT_MARKS[finding.verdict], value, samples)))

    cells = [
        (name, *(measured(found[step].get(name)) for step in steps))
        for name in names
        if name in policy.criteria
    ]
    titles = ["earlier steps", *(f"{policy.steps[step].weight}%" for step in steps)]
    yield EMPTY_LINE
    yield PageTable(cells, titles, indent=2)


def _newest_events(recent: RecentHistory) -> Iterator[Block]:
    """Yield the newest events, the oldest first."""
    cells = [
        (f"{entry.at:%Y-%m-%d %H:%M}", weight_change_text(entry), kind_span(entry), sentence)
        for entry, sentence in without_repeats(recent.events)
    ]
    if cells:
        yield EMPTY_LINE
        yield paragraph("newest events (UTC)", Tone.QUIET, indent=2)
        yield PageTable(cells, right=(1,), indent=2)
