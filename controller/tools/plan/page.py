"""A policy as a plan: its steps with their durations, and each criterion in words."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.sequential import budget_shares
from controller.core.policy import Freeze, Policy, SuccessRate
from controller.core.policy.hooks import AFTER_HOOKS, BEFORE_ADVANCE, BEFORE_START
from controller.core.units import (
    clock_text,
    duration_text,
    format_duration,
    format_percent,
    from_unix,
    next_minute,
    number_text,
)
from controller.immutable import Immutable
from controller.operations.live_checks.target import paid_reads_text
from controller.policy_file.template import Inherited
from controller.ports.json_view import Count, Percent, Time
from controller.render.page import EMPTY_LINE, Block, Page, PageTable, TextSpan, Tone, paragraph

_LABEL: Final = 8  # columns of a label
_WEIGHT: Final = len("100%")
# A weight is read back some seconds after it was written.
_READ_BACK: Final = timedelta(seconds=1)


class PlannedStep(Immutable):
    """One step of a policy; durations as a policy writes them, such as 1h."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    bake: str
    """How long the step is judged."""
    warmup: str
    """How long it runs before it is judged."""
    max_hold: str
    """How long an inconclusive gate holds after the bake."""
    max_wait: str
    """How much longer it holds by time without data."""
    needs_approval: bool
    """Whether an operator has to approve the step."""
    max_bad_requests: Count | None
    """Bad requests that the step may be expected to serve; null: any number."""
    criteria: list[str]
    """Ids of the criteria that are judged in the step."""
    reports: list[str]
    """Ids of those that only report."""


class FreezeData(Immutable):
    """The times in which no step is taken."""

    zone: str
    """Time zone of the windows."""
    windows: list[str]
    """The windows as the policy has them, as text."""
    frozen_until: Time | None
    """End of the current freeze; null: there is none now."""
    next_begin: Time | None
    """Begin of the next freeze; null: none follows."""
    next_until: Time | None
    """End of the next freeze; null: none follows."""


class VerifyData(Immutable):
    """The log events by which a rollback is verified."""

    log_group: str
    """Log group that is read."""
    absent: str
    """Event that must be absent after a rollback."""
    present: str
    """Event that must be present after a rollback."""


class PolicyPlan(Immutable):
    """A policy as a plan."""

    name: str
    """Name of the policy."""
    digest: str
    """SHA-256 of the policy."""
    target: dict[str, Any]
    """The target as the policy has it; its fields depend on its kind."""
    shortest_s: Count
    """Seconds from the first weight to success when every gate passes at once."""
    steps: list[PlannedStep]
    """Each step."""
    freeze: FreezeData | None
    """When no step is taken; null: the policy has no freeze."""
    hooks: dict[str, list[str]]
    """Display names of the hooks, by event; empty: there are none."""
    notify: list[str]
    """Display names of the channels; empty: there are none."""
    verify_rollback: VerifyData | None
    """How a rollback is verified by log events; null: the policy does not ask for it."""
    criteria: dict[str, str]
    """What each criterion asks for and how it is judged, for people, by id."""


def plan_data(policy: Policy, now: datetime) -> PolicyPlan:
    """Return the plan of `policy`, as of `now`."""
    return PolicyPlan(
        name=policy.name,
        digest=policy.digest(),
        target=policy.target.model_dump(exclude_none=True),
        shortest_s=int(policy.shortest_duration.total_seconds()),
        steps=[
            PlannedStep(
                step=index,
                weight=step.weight,
                bake=format_duration(step.bake),
                warmup=format_duration(policy.warmup_of(index)),
                max_hold=format_duration(policy.max_hold_of(index)),
                max_wait=format_duration(policy.data_wait),
                needs_approval=policy.needs_approval(index),
                max_bad_requests=policy.max_bad_requests_of(index),
                criteria=list(policy.gate(index)),
                reports=[name for name, one in policy.gate(index).items() if not one.gating],
            )
            for index, step in enumerate(policy.steps)
        ],
        freeze=None if policy.freeze is None else _freeze_data(policy.freeze, now),
        hooks=_hooks(policy, BEFORE_START, BEFORE_ADVANCE, *AFTER_HOOKS.values()),
        notify=[one.display_name for one in policy.notify or ()],
        verify_rollback=_verify_data(policy),
        criteria={name: _demand(name, policy, full=True) for name in policy.criteria},
    )


class PlanAnswer(Immutable):
    """What a start would do now, or the next tick of the active rollout.

    starts: whether it is about a start. reasons: why that would be refused; empty: it would not.
    checked: whether the account was read.
    """

    text: str
    starts: bool = True
    reasons: Sequence[str] = ()
    checked: bool = True

    def rows(self) -> Iterator[tuple[TextSpan, TextSpan]]:
        """Yield the lines of the answer, the answer itself first."""
        tone = Tone.BAD if self.reasons else Tone.GOOD if self.checked else Tone.WAITING
        yield TextSpan("start" if self.starts else "next", Tone.QUIET), TextSpan(self.text, tone)
        for reason in self.reasons:
            yield TextSpan(""), TextSpan(reason, Tone.BAD)


class Plan(Immutable):
    """What `plan` shows of a policy.

    power: what each gate finds, or why that is not known. changes: what gates cannot decide, each
    with what would help; None: that is not known. warnings: what to look at in the account. facts:
    of the account, by label. rollout: the active one. inherited: what is from a template.
    """

    policy: Policy
    now: datetime
    answer: PlanAnswer
    power: Page = ()
    changes: Sequence[str] | None = None
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    rollout: Page = ()
    inherited: Sequence[Inherited] = ()


def plan_page(plan: Plan) -> Page:
    """Return a plan: the answer, when each step is due, what gates find, and what to change."""
    policy = plan.policy
    title = f"{policy.name}: {policy.summary or policy.steps_text()}"
    facts = [*plan.facts, *_facts(policy, plan.now)]
    reads = policy.target.paid_reads
    if reads is not None and "reads" not in dict(plan.facts):
        facts.append(("reads", paid_reads_text(reads)))
    return [
        paragraph(title, Tone.TITLE),
        PageTable([*plan.answer.rows()], indent=2, least=(_LABEL,)),
        EMPTY_LINE,
        _steps_table(plan),
        *([EMPTY_LINE] if plan.power else []),
        *plan.power,
        *_to_do(plan),
        *([EMPTY_LINE] if plan.rollout else []),
        *plan.rollout,
        EMPTY_LINE,
        PageTable(
            [(TextSpan(name, Tone.QUIET), fact) for name, fact in facts], indent=2, least=(_LABEL,)
        ),
        EMPTY_LINE,
        *(
            paragraph(f"{name}: {_demand(name, policy, full=False)}", indent=2)
            for name in policy.criteria
        ),
        *([EMPTY_LINE] if plan.inherited else []),
        *(paragraph(f"{one.path}: from {one.file}:{one.line}", indent=2) for one in plan.inherited),
    ]


def _to_do(plan: Plan) -> Iterator[Block]:
    """Yield what to change and what to look at, behind an empty line."""
    changes = [
        paragraph(f"advice: {change}", Tone.WAITING, indent=2) for change in plan.changes or ()
    ]
    if plan.changes == [] and not plan.answer.reasons:
        decides = "each criterion with an estimate" if _unknown(plan.policy) else "each gate"
        changes = [paragraph(f"advice: none; {decides} decides in its bake", indent=2)]
    notes = [paragraph(f"note: {warning}", Tone.QUIET, indent=2) for warning in plan.warnings]
    yield from [EMPTY_LINE, *changes, *notes] if changes or notes else []


def _unknown(policy: Policy) -> bool:
    """Tell whether a gate waits for a criterion of which no traffic says when it decides."""
    return any(
        criterion.gating and judge_of(name, criterion, policy).min_samples is None
        for name, criterion in policy.criteria.items()
    )


def _steps_table(plan: Plan) -> PageTable:
    """Return a row for each step, and when it is due if a start now waits for nothing.

    The times are those of the clock where a start was checked, and since the start elsewhere.
    """
    policy, answer = plan.policy, plan.answer
    # A relative time does not depend on when the plan is made.
    begin = plan.now if answer.checked else datetime.combine(plan.now, time(), UTC)
    *due, done = _due_times(policy, begin, freezes=answer.checked)
    steps = [
        (f"{step.weight}%", at, format_duration(step.bake), _gate(policy, index))
        for index, (step, at) in enumerate(zip(policy.steps, due, strict=True))
    ]
    if not answer.starts:
        rows = [(weight, bake, gate) for weight, _, bake, gate in steps]
        return PageTable(rows, ("step", "bake", "gate"), right=(0,), indent=2, least=(_WEIGHT,))

    def text(at: datetime) -> str:
        return clock_text(at) if answer.checked else duration_text(at - begin)

    warmup = max(map(policy.warmup_of, range(len(policy.steps))))
    at_best = (
        f"at the earliest, with {format_duration(warmup)} of warm-up before each bake and "
        f"{format_duration(policy.evaluation_delay)} of evaluation delay after it; later by "
        f"{', '.join(_further_waits(policy))}"
    )
    timed = [*steps, ("done", done, "", at_best)]
    rows_of_start = [(weight, text(at), bake, gate) for weight, at, bake, gate in timed]
    titles = ("step", "from" if answer.checked else "after", "bake", "gate")
    return PageTable(rows_of_start, titles, right=(0,), indent=2, least=(_WEIGHT,))


def _due_times(policy: Policy, begin: datetime, *, freezes: bool) -> Iterator[datetime]:
    """Yield when each step is due at the earliest, and last the end, for a start at `begin`."""
    at = begin
    for index in range(len(policy.steps)):
        frozen = policy.freeze.at(at) if policy.freeze and freezes and index else None
        at = frozen.until if frozen else at
        yield at
        judged_from = next_minute(at + _READ_BACK + policy.warmup_of(index))
        at = from_unix(policy.bake_end_of(index, judged_from)) + policy.evaluation_delay
    yield at


def _hold_text(policy: Policy) -> str:
    """Return how long a gate without a verdict holds."""
    hold = "2 x bake" if policy.max_hold is None else format_duration(policy.max_hold)
    if not policy.data_wait:
        return hold
    return f"{hold} (time without data does not count, up to {format_duration(policy.data_wait)})"


def _facts(policy: Policy, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield name and text of each fact of the plan."""
    yield "target", policy.target.display_name
    outcome = {"pause": "pauses", "rollback": "rolls back", "advance": "advances, labelled"}
    yield (
        "failure",
        "a failed gate rolls back immediately; one without a verdict is on hold for "
        f"{_hold_text(policy)}, then {outcome[policy.on_inconclusive]}{_warmup_text(policy)}",
    )
    if budget_shares(policy):
        yield (
            "risk",
            f"at most {format_percent(policy.budget)} of healthy releases are rolled back "
            "(false_rollback); how evidence is weighed: docs/concepts.md",
        )
    if verify := _verify_data(policy):
        seen = f"{verify.present} is logged, {verify.absent} is not"
        yield "rollback", f"verified in {verify.log_group}: {seen}"
    if policy.freeze is not None:
        windows = "; ".join(window.text for window in policy.freeze.windows)
        yield "freeze", f"no step is started: {windows} ({policy.freeze.zone})"
        frozen, next_period = policy.freeze.at(now), policy.freeze.next_period(now)
        if frozen is not None:
            yield "", f"now {frozen.text}"
        elif next_period is not None:
            begin, period = next_period
            yield "", f"next from {clock_text(begin)}: {period.text}"
    asked, called = (BEFORE_START, BEFORE_ADVANCE), tuple(AFTER_HOOKS.values())
    for name, events in (("asks", asked), ("calls", called)):
        if hooks := _hooks(policy, *events):
            texts = (f"{event}: {', '.join(names)}" for event, names in hooks.items())
            yield name, "; ".join(texts)
    channels = [
        f"{one.display_name} ({one.min_severity} and worse)"
        if one.min_severity in ("warning", "critical")
        else one.display_name
        for one in policy.notify or ()
    ]
    nowhere = "no channel (`notify`): only in `status` and `history`"
    yield "alerts", ", ".join(channels) or nowhere


def _hooks(policy: Policy, *events: str) -> dict[str, list[str]]:
    """Return the display names of hooks, by event; events without any are left out."""
    names = {
        event: [one.display_name for one in policy.hooks_at(event).values()] for event in events
    }
    return {event: hooks for event, hooks in names.items() if hooks}


def _gate(policy: Policy, step: int) -> str:
    """Return the criteria that gate a step, those that only report, and what else it waits for."""
    gate = policy.gate(step)
    reports = [name for name, one in gate.items() if not one.gating]
    parts = [", ".join(name for name in gate if name not in reports)]
    if reports:
        parts.append(f"reports: {', '.join(reports)}")
    if policy.needs_approval(step):
        parts.append("needs approval")
    if (budget := policy.max_bad_requests_of(step)) is not None:
        parts.append(f"at most {number_text(budget)} bad requests expected")
    return "; ".join(parts)


def _further_waits(policy: Policy) -> Iterator[str]:
    """Yield the waits that the shortest duration does not include."""
    yield "the time to the next tick"
    yield "gates on hold"
    if any(policy.needs_approval(index) for index in range(len(policy.steps))):
        yield "waits for approval"
    if policy.freeze is not None:
        yield "freezes"
    if policy.hooks_at(BEFORE_ADVANCE):
        yield "waits for hooks"


def _verify_data(policy: Policy) -> VerifyData | None:
    verify = policy.verify_rollback
    if verify is None:
        return None
    group = policy.log_group_of(verify)
    return VerifyData(log_group=group, absent=verify.absent, present=verify.present)


def _freeze_data(freeze: Freeze, now: datetime) -> FreezeData:
    frozen, next_period = freeze.at(now), freeze.next_period(now)
    return FreezeData(
        zone=freeze.zone,
        windows=[window.text for window in freeze.windows],
        frozen_until=None if frozen is None else frozen.until,
        next_begin=None if next_period is None else next_period[0],
        next_until=None if next_period is None else next_period[1].until,
    )


def _warmup_text(policy: Policy) -> str:
    """Return what is judged during a warm-up; empty where there is none."""
    if not any(map(policy.warmup_of, range(len(policy.steps)))):
        return ""
    rates = [
        criterion for criterion in policy.criteria.values() if isinstance(criterion, SuccessRate)
    ]
    if any(rate.sequential for rate in rates):
        return "; in a warm-up only an outage fails"
    return "; a warm-up is not judged"


def _demand(name: str, policy: Policy, *, full: bool) -> str:
    """Return what criterion `name` asks for; full: also the limit at which its evidence fails."""
    criterion = policy.criteria[name]
    judge = judge_of(name, criterion, policy)
    text = judge.rule_text if full else judge.demand_text()
    if mixed := policy.diluted_metrics(name):
        text += f"; {', '.join(mixed)} of both paths, diluted below 100%"
    if stable := policy.judged_metrics(name, "stable"):
        text += f"; {', '.join(stable)} of the stable path"
    return text if criterion.gating else f"{text}; reports only"
