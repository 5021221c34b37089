"""The watch of a final rollout: ticks check the weight of its target for a limited time.

They keep 0% after a rollback, and report what was changed outside rolloutctl.
"""

from datetime import datetime

from controller.core.decision import Alert, Decision, Notice, Record
from controller.core.judge.findings import Finding, Verdict
from controller.core.judge.judgement import Judgement
from controller.core.message import Severity
from controller.core.notice_rules import Condition, ConditionKind
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.rollout import Reason, RolledBack, Rollout, Succeeded
from controller.core.transitions import rollback
from controller.core.words.findings import sentence_of
from controller.core.words.notices import changed_text, stable_path_text
from controller.immutable import replace

# Kinds of entries: of the use of the stable path, of code that no rollout released, and of a weight
# that came back and is 0% again.
STABLE_PATH = "stable_path"
RELEASED = "released_outside"
ZERO_AGAIN = "at_zero_again"


def after_rollback(rollout: Rollout, state: RolledBack, judgement: Judgement) -> Decision:
    """Return the decision for a rolled back rollout: keep 0%, and check for leaks."""
    target, now = judgement.target, judgement.now
    is_at_zero = isinstance(target, TargetReading) and target.has_applied(0)
    if is_at_zero and judgement.observation.owns_target and _has_come_back(rollout):
        return _end_at_zero_again(rollout, now)
    # Ticks may visit the rollout longer than that, to repeat its page.
    guarding = now < state.since + rollback.ROLLBACK_GUARD
    if not guarding or not _is_watched(judgement):
        return Decision(rollout)
    if isinstance(target, UnreadableTarget) or target.weight == 0:
        return _record_leak_check(rollout, state, judgement.leak_check, now)
    state = replace(state, leak_check=judgement.leak_check)
    rollout = replace(rollout, state=state)
    if target.weight == state.intended and not rollout.policy.target.observed:
        return rollback.lower_again(rollout, state, now)
    return _report_drift(rollout, target, now)


def _has_come_back(rollout: Rollout) -> bool:
    """Tell whether people know of a weight that came back after the rollback and stayed."""
    condition = rollout.conditions.get(ConditionKind.UNCONFIRMED)
    return condition is not None and condition.entry != rollback.LEAK_CHECKED


def _end_at_zero_again(rollout: Rollout, now: datetime) -> Decision:
    """End the page of a weight that came back and was not lowered: 0% was read back."""
    after = rollout.with_condition(ConditionKind.UNCONFIRMED, None)
    text = f"{rollout.id}: 0% is applied again (read back from {rollout.policy.target.name})"
    reason = Reason.WATCHING
    entry = Record.of(ZERO_AGAIN, rollout, after, 0, now, reason=reason, sentence=text)
    return Decision(after, notices=(Notice(Severity.INFO, text),), record=entry)


def _record_leak_check(
    rollout: Rollout, state: RolledBack, leak_check: Finding | None, now: datetime
) -> Decision:
    """Record once what became of the requests after the rollback; None: not known yet."""
    if leak_check is None:
        return Decision(rollout)
    is_failed = leak_check.verdict is Verdict.FAIL
    after = replace(rollout, state=replace(state, leak_check=leak_check))
    text = sentence_of(leak_check)
    if is_failed:
        condition = Condition(
            now, f"{rollout.id}: {text}", announced=now, critical=True, entry=rollback.LEAK_CHECKED
        )
        after = after.with_condition(ConditionKind.UNCONFIRMED, condition)
    entry = Record.of(
        rollback.LEAK_CHECKED, rollout, after, 0, now,
        reason=Reason.WATCHING, sentence=text, findings=(leak_check,), keeps_series=True,
    )  # fmt: skip
    severity = Severity.CRITICAL if is_failed else Severity.INFO
    return Decision(
        after,
        notices=(Notice(severity, f"{rollout.id}: {text}"),),
        record=entry,
        alert=Alert.ROLLBACK_UNCONFIRMED if is_failed else None,
    )


def after_success(rollout: Rollout, state: Succeeded, judgement: Judgement) -> Decision:
    """Return the decision for a succeeded rollout: report what changed, and the stable path."""
    if not _is_watched(judgement):
        return Decision(rollout)
    target, now = judgement.target, judgement.now
    if isinstance(target, TargetReading):
        is_drift = target.weight != rollout.weight or rollout.exposed_to is not None
        report = _report_drift if is_drift else _report_release
        decision = report(rollout, target, now)
        if decision.record is not None:
            return decision
    use = judgement.stable_use
    if use is None:
        return Decision(rollout)
    after = replace(rollout, state=replace(state, stable_use=use))
    text = f"stable path: {stable_path_text(after, use)}"
    entry = Record.of(
        STABLE_PATH, rollout, after, rollout.weight, now,
        reason=Reason.WATCHING, sentence=text, findings=(), keeps_series=True,
    )  # fmt: skip
    return Decision(after, record=entry)


def _is_watched(judgement: Judgement) -> bool:
    """Tell whether the watch of a final rollout is not over, and no newer one owns its target."""
    return judgement.observation.owns_target and judgement.rollout.is_watched(judgement.now)


# --- What was changed after the end ---------------------------------------------------------------


def _report_drift(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Report drift of a final rollout, and leave it alone.

    Once, and again where something else gets requests that no rollout released. At 0% its exposure
    is over; that of a succeeded rollout continues with another weight.
    """
    text, exposed_to = f"{rollout.id} ended at {rollout.weight}%", rollout.exposed_to
    if exposed_to is None and target.weight == 0:
        exposed_to = now
    elif exposed_to is not None and target.weight != 0 and isinstance(rollout.state, Succeeded):
        exposed_to = None
        text += ", and its weight was later found at 0%"
    known, released = rollout.conditions.get(ConditionKind.DRIFTED), ""
    if target.others:  # what gets requests and is neither path
        released = f"; no rollout has released {target.others} since"
    is_known = known is not None and known.text.endswith(released)
    if is_known and exposed_to == rollout.exposed_to:
        return Decision(rollout)
    text += f"; drift: the target now shows {target.variables}; rolloutctl leaves it as it is"
    text += released
    condition = Condition(now, text, announced=now)
    rollout = replace(rollout, exposed_to=exposed_to)
    after = rollout.with_condition(ConditionKind.DRIFTED, condition)
    weight, reason = target.weight, Reason.DRIFTED
    entry = Record.of("drifted", rollout, after, weight, now, reason=reason, sentence=text)
    return Decision(after, None, (Notice(Severity.WARNING, text),), entry, Alert.DRIFT)


def _report_release(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Report what was released without a rollout after this one had succeeded.

    Each code once; the settings once, where neither they nor the weight were changed before.
    """
    change = changed_text(rollout, target)
    known = rollout.conditions_of(ConditionKind.CHANGED, ConditionKind.DRIFTED)
    if rollout.is_other_code(target.code):
        is_known = any(one.text == change for one in known.values())
    else:  # a weight that was set by hand, and set back, changes the token as well
        is_known = bool(known)
    if not change or is_known:
        return Decision(rollout)
    after = rollout.with_condition(ConditionKind.CHANGED, Condition(now, change, announced=now))
    text = f"{rollout.id}: {change}; no criterion has judged that"
    entry = Record.of(
        RELEASED, rollout, after, target.weight, now, reason=Reason.WATCHING, sentence=text
    )
    return Decision(after, notices=(Notice(Severity.WARNING, text, RELEASED),), record=entry)
