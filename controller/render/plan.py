"""A policy as a plan: its steps with their durations, and each criterion in words."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.sequential import budget_shares
from controller.core.policy import Freeze, Policy, SuccessRate
from controller.core.policy.hooks import BEFORE_ADVANCE
from controller.core.units import (
    clock_text,
    duration_text,
    format_duration,
    format_percent,
    number_text,
)
from controller.render.hooks_and_channels import contacts_data, contacts_facts
from controller.render.page import EMPTY_LINE, Page, Span, Table, Tone, paragraph, plain_text

if TYPE_CHECKING:
    from controller.render.outputs.policies import FreezeData, PolicyPlan, VerifyData


def plan_data(policy: Policy, now: datetime) -> "PolicyPlan":
    """Return the plan of `policy`, as of `now`, as plain JSON data."""
    return {
        "name": policy.name,
        "digest": policy.digest(),
        "target": policy.target.model_dump(exclude_none=True),
        "shortest_s": int(shortest_duration(policy).total_seconds()),
        "steps": [
            {
                "step": index,
                "weight": step.weight,
                "bake": format_duration(step.bake),
                "warmup": format_duration(policy.warmup_of(index)),
                "max_hold": format_duration(policy.max_hold_of(index)),
                "needs_approval": policy.needs_approval(index),
                "max_bad_requests": policy.max_bad_requests_of(index),
                "criteria": list(policy.gate(index)),
                "reports": [name for name, one in policy.gate(index).items() if not one.gating],
            }
            for index, step in enumerate(policy.steps)
        ],
        "freeze": None if policy.freeze is None else _freeze_data(policy.freeze, now),
        **contacts_data(policy),
        "verify_rollback": _verify_data(policy),
        "criteria": {name: criterion_text(name, policy) for name in policy.criteria},
    }


def plan_text(policy: Policy, now: datetime) -> str:
    """Return `plan_page` as the lines of a pipe."""
    return plain_text(plan_page(policy, now))


def plan_page(policy: Policy, now: datetime) -> Page:
    """Return the plan of `policy`, as of `now`: its steps, and each criterion in words."""
    facts = [(Span(name, Tone.QUIET), fact) for name, fact in _facts(policy, now)]
    steps = [_step_row(policy, index) for index in range(len(policy.steps))]
    criteria = [
        paragraph(f"{name}: {criterion_text(name, policy)}", indent=2) for name in policy.criteria
    ]
    return [
        paragraph(f"{policy.name}: {policy.summary}".rstrip(": "), Tone.TITLE),
        Table(facts, indent=2, least=(8,)),
        EMPTY_LINE,
        Table(steps, right=(0,), indent=2, least=(len("100 %"),)),
        EMPTY_LINE,
        *criteria,
    ]


def _facts(policy: Policy, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield name and text of each fact of the plan."""
    yield "target", policy.target.display_name
    duration = duration_text(shortest_duration(policy))
    delay = format_duration(policy.evaluation_delay)
    parts = f"warm-up, bake and {delay} of evaluation delay of each step"
    yield "takes", f"at least {duration}: {parts}; longer by {', '.join(_further_waits(policy))}"
    yield "failure", _failure_text(policy)
    if tests := budget_shares(policy):
        yield "evidence", _evidence_text(policy, len(tests))
    if verify := _verify_data(policy):
        seen = f"{verify['present']} is logged, {verify['absent']} is not"
        yield "rollback", f"verified in {verify['log_group']}: {seen}"
    if policy.freeze is not None:
        yield from _freeze_facts(policy.freeze, now)
    yield from contacts_facts(policy)


def _step_row(policy: Policy, index: int) -> tuple[str, str]:
    step = policy.steps[index]
    approval = "needs approval; " if policy.needs_approval(index) else ""
    budget = policy.max_bad_requests_of(index)
    limit = "" if budget is None else f"; at most {number_text(budget)} bad requests expected"
    text = (
        f"{approval}{format_duration(policy.warmup_of(index))} warm-up, then "
        f"{format_duration(step.bake)} of bake; {_gate(policy, index)}{limit}"
    )
    return f"{step.weight} %", text


def _gate(policy: Policy, step: int) -> str:
    """Return the criteria that gate a step, and those that only report."""
    gate = policy.gate(step)
    reports = [name for name, one in gate.items() if not one.gating]
    text = f"gate: {', '.join(name for name in gate if name not in reports)}"
    return f"{text}; reports: {', '.join(reports)}" if reports else text


def shortest_duration(policy: Policy) -> timedelta:
    """Return the time from the first weight to success when every gate passes without a hold."""
    parts = (
        step.bake + policy.warmup_of(index) + policy.evaluation_delay
        for index, step in enumerate(policy.steps)
    )
    return sum(parts, timedelta())


def _further_waits(policy: Policy) -> Iterator[str]:
    """Yield the waits that the shortest duration does not include."""
    yield "the time to the next tick"
    if any(one.period > timedelta(minutes=1) for one in policy.criteria.values()):
        yield "windows that end after the bake"
    yield "gates on hold"
    if any(policy.needs_approval(index) for index in range(len(policy.steps))):
        yield "waits for approval"
    if policy.freeze is not None:
        yield "freezes"
    if policy.hooks_at(BEFORE_ADVANCE):
        yield "waits for hooks"


def _verify_data(policy: Policy) -> "VerifyData | None":
    verify = policy.verify_rollback
    if verify is None:
        return None
    group = policy.log_group_of(verify)
    return {"log_group": group, "absent": verify.absent, "present": verify.present}


def _freeze_data(freeze: Freeze, now: datetime) -> "FreezeData":
    frozen, next_period = freeze.at(now), freeze.next_period(now)
    return {
        "zone": freeze.zone,
        "windows": [window.text for window in freeze.windows],
        "frozen_until": None if frozen is None else frozen.until.isoformat(),
        "next_begin": None if next_period is None else next_period[0].isoformat(),
        "next_until": None if next_period is None else next_period[1].until.isoformat(),
    }


def _freeze_facts(freeze: Freeze, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield the freeze windows, and the current or next frozen period."""
    windows = "; ".join(window.text for window in freeze.windows)
    yield "freeze", f"no step is started: {windows} ({freeze.zone})"
    frozen, next_period = freeze.at(now), freeze.next_period(now)
    if frozen is not None:
        yield "", f"now {frozen.text}"
    elif next_period is not None:
        begin, period = next_period
        yield "", f"next from {clock_text(begin)}: {period.text}"


def _failure_text(policy: Policy) -> str:
    outcome = {"pause": "pauses", "rollback": "rolls back", "advance": "advances, labelled"}
    hold = "2 x bake" if policy.max_hold is None else format_duration(policy.max_hold)
    return (
        f"a failed gate rolls back immediately; one without a verdict is on hold for {hold}, then "
        f"{outcome[policy.on_inconclusive]}{_warmup_text(policy)}"
    )


def _warmup_text(policy: Policy) -> str:
    """Return what is judged during a warm-up; empty where there is none."""
    if not any(map(policy.warmup_of, range(len(policy.steps)))):
        return ""
    rates = [one for one in policy.criteria.values() if isinstance(one, SuccessRate)]
    if any(one.sequential for one in rates):
        return "; in a warm-up only an outage fails"
    return "; a warm-up is not judged"


def _evidence_text(policy: Policy, tests: int) -> str:
    """Return where the limit of a likelihood ratio is from."""
    shared = f"is shared by {tests} tests in unequal parts, so each has its own limit"
    sets = shared if tests > 1 else "sets the limit"
    share = format_percent(policy.budget)
    return (
        "adds up over every minute of the rollout, as a likelihood ratio: how many times likelier "
        "the data are with a regression than without one; a minute adds no more than a part of "
        "the way to a limit, so a short spell rolls nothing back; false_rollback "
        f"({share}, the risk that a healthy release is rolled back) {sets}"
    )


def criterion_text(name: str, policy: Policy) -> str:
    """Return what criterion `name` asks for and how it is judged, in one line."""
    criterion = policy.criteria[name]
    text = judge_of(name, criterion, policy).demand_text()
    if mixed := policy.diluted_metrics(name):
        text += f"; {', '.join(mixed)} of both paths, diluted below 100 %"
    if stable := policy.judged_metrics(name, "stable"):
        text += f"; {', '.join(stable)} of the stable path"
    return text if criterion.gating else f"{text}; reports only"
