"""The table of conditions: the rules of their notices, and the severities that decisions give."""

import re
from collections.abc import Iterator

from controller.core.notice_rules import PAGE_EVERY, RULES
from controller.core.units import format_duration
from controller.errors import UsageError
from tests.docs.tables.boxes import ROLLOUTS
from tests.docs.tables.observations import OBSERVATIONS
from tests.docs.tables.verbs import COMMANDS
from tests.support.core import Condition, ConditionKind, Decision, Rollout, Severity
from tests.support.rollouts import MINUTE, NOON, a_reading, a_series, with_state
from tests.support.three_steps import AFTER_SUCCESS, AT_100, HEALTHY, decide_tick


def conditions() -> list[list[str]]:
    """Return a row for each kind of condition, its head first."""
    head = ["condition", "meaning", "first notice", "again", "severity"]
    return [head, *map(_row, ConditionKind)]


def _row(kind: ConditionKind) -> list[str]:
    rule, severities = RULES[kind], _severities(kind)
    again = [f"every {format_duration(rule.every)}"] if rule.every else []
    if Severity.CRITICAL in severities:
        again.append(f"critical: every {format_duration(PAGE_EVERY)} until acknowledged")
    after = f"after {format_duration(rule.after)}" if rule.after else "at once"
    words = ", ".join(one for one in Severity if one in severities)
    return [f"`{kind}`", _meaning(kind), after, "; ".join(again) or "—", words]


def _meaning(kind: ConditionKind) -> str:
    """Return what the docstring of the kinds says of this one."""
    text = " ".join((ConditionKind.__doc__ or "").split())
    _, *parts = re.split(r" ([A-Z]{5,}): ", text)
    return dict(zip(parts[::2], parts[1::2], strict=True))[kind.name].rstrip(".")


def _severities(kind: ConditionKind) -> set[Severity]:
    """Return the severities of decisions that announce `kind` and no other condition."""
    return {
        notice.severity
        for decision in _decisions()
        if _announced(decision) == [kind]
        for notice in decision.notices
    }


def _announced(decision: Decision) -> list[ConditionKind]:
    now, known = decision.rollout.updated, decision.rollout.conditions
    return [kind for kind, one in known.items() if one.announced == now]


def _decisions() -> Iterator[Decision]:
    before = NOON - 60 * MINUTE
    counted = {key: a_series([100] * 60, start=before) for key in HEALTHY}
    yield decide_tick(AT_100, a_reading(100), 10, counted)
    yield decide_tick(with_state(AFTER_SUCCESS, token="token-0"), a_reading(100), 10)
    for rollouts in ROLLOUTS.values():
        for rollout in (*rollouts, *map(_blind, rollouts)):
            for row in OBSERVATIONS:
                if decision := row.decision(rollout):
                    yield decision
            for command in COMMANDS:
                try:
                    yield command.decision(rollout)
                except UsageError:
                    continue


def _blind(rollout: Rollout) -> Rollout:
    """Return `rollout` when the first notice of a blindness is due."""
    begun = NOON - RULES[ConditionKind.BLIND].after
    return rollout.with_condition(ConditionKind.BLIND, Condition(begun, "no answer"))
