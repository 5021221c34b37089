"""The texts about a rollout, the same in every form: on a page, in a line, and as JSON data."""

from datetime import datetime, timedelta
from typing import Final

from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import clock_text, duration_text, format_duration
from controller.core.visit_order import is_due, is_late
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import next_action, waits_for
from controller.core.words.notices import stable_path_text, with_fix
from controller.engine.execute import TickOutcome
from controller.engine.lease import SkippedRollout
from controller.immutable import Immutable
from controller.render.page import Tone

# Why a rollback was requested where its operator did not say.
REQUESTED: Final = "requested by an operator"


PHASE_TONES: Final = {
    Phase.PROGRESSING: Tone.ACTIVE,
    Phase.PAUSED: Tone.WAITING,
    Phase.ROLLING_BACK: Tone.BAD,
    Phase.ROLLED_BACK: Tone.BAD,
    Phase.SUCCEEDED: Tone.GOOD,
}


class RolloutTexts(Immutable):
    """The texts about a rollout.

    why: why it is where it is; the words of an operator are named as such. next: what follows, and
    next_at: when; None: no time is known. waits_for: what the next transition waits for. ladder:
    the steps, the current one in brackets. leak_check: whether requests still reach the canary
    after a rollback. stable_path: whether it is still used after success. age: how long ago the
    last tick was that changed something, with a doubt when it is late. due: until when ticks leave
    it alone. A text is empty where there is nothing to say.
    """

    weight: str
    why: str
    next: str
    next_at: datetime | None
    waits_for: str
    ladder: str
    leak_check: str
    stable_path: str
    age: str
    late: bool
    due: str


def rollout_texts(rollout: Rollout, now: datetime | None = None) -> RolloutTexts:
    """Return the texts about `rollout` at `now`; None: a tick changes it now."""
    following, waiting, words = next_action(rollout, now), waits_for(rollout), rollout.sentence
    if rollout.reason is Reason.ROLLBACK_REQUESTED and words != REQUESTED:
        words = f"{REQUESTED}: {words}"
    use = rollout.stable_use
    since_tick = timedelta() if now is None else now - rollout.updated
    late, age = now is not None and is_late(rollout, now), ""
    if late:
        age = f", no tick for {duration_text(since_tick)}: is the schedule running?"
    elif since_tick >= timedelta(minutes=1):
        age = f", {duration_text(since_tick)} ago"
    return RolloutTexts(
        weight=weight_text(rollout),
        why=with_fix(rollout, words),
        next=following.text,
        next_at=following.at,
        waits_for=waiting,
        ladder=_ladder_text(rollout),
        leak_check="" if rollout.leak_check is None else sentence_of(rollout.leak_check),
        stable_path="" if use is None else stable_path_text(rollout, use),
        age=age,
        late=late,
        due=_due_text(rollout, now),
    )


def _due_text(rollout: Rollout, now: datetime | None) -> str:
    """Return until when ticks leave `rollout` alone; empty where one in a minute looks at it."""
    if now is None or rollout.due is None or rollout.due <= now + timedelta(minutes=1):
        return ""
    if is_due(rollout.phase, rollout.due, now):
        return ""
    return f"; not due before {clock_text(rollout.due)}"


def weight_text(rollout: Rollout) -> str:
    """Return the live weight, and the expected one when it differs.

    A rollback is at 0% once that was read back as applied; until then, what was read is shown.
    """
    expected, live = f"{rollout.weight}%", rollout.seen_weight
    if rollout.phase is Phase.ROLLING_BACK and live == 0:
        return "0% written, not applied yet"
    if live == rollout.weight or (live is None and rollout.phase is not Phase.ROLLING_BACK):
        return expected
    actual = "unknown weight" if live is None else f"{live}% live"
    if not rollout.final and (rollout.phase is Phase.ROLLING_BACK or rollout.pending):
        return f"{actual}, going to {expected}"
    return f"{actual}, expected {expected}"


def _ladder_text(rollout: Rollout) -> str:
    """Return the steps, the current one in brackets: `10% 1h > [50% 1h] > 100% 24h`."""
    parts = []
    for index, step in enumerate(rollout.policy.steps):
        text = f"{step.weight}% {format_duration(step.bake)}"
        is_current = index == rollout.step and rollout.phase in (Phase.PROGRESSING, Phase.PAUSED)
        parts.append(f"[{text}]" if is_current else text)
    return " > ".join(parts)


# --- Lines ----------------------------------------------------------------------------------------


def rollout_line(rollout: Rollout, now: datetime | None = None) -> str:
    """Return `rollout` in one line: id, phase, weight, why, and the next action."""
    texts = rollout_texts(rollout, now)
    why = f"{texts.why.rstrip('.')}; next: {texts.next}" if texts.next else texts.why
    return f"{rollout.id}  {rollout.phase}  {texts.weight}  {why}"


def skip_line(skip: SkippedRollout) -> str:
    """Return a rollout that a tick skipped in one line."""
    return f"{skip.rollout_id}  skipped by this tick: {skip.error}"


def visit_line(visit: TickOutcome) -> str:
    """Return a visit in one line, starting with the problem."""
    line = rollout_line(visit.rollout)
    if visit.busy:
        return f"skipped, lock held or write conflict (safe to retry): {line}"
    if not visit.saved:
        return f"not saved: {visit.problem}: {line}"
    if visit.problem:
        return f"problem: {visit.problem}: {line}"
    return line
