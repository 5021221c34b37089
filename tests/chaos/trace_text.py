"""Formats a trace as text."""

from collections.abc import Iterator

from controller.core.units import format_duration
from tests.chaos.fault_plan import FaultPlan
from tests.chaos.ground_truth import KINDS, kind_of
from tests.chaos.invariants import ALL
from tests.chaos.trace import Trace, TraceLine
from tests.support.core import Policy


def rerun_command(trace: Trace) -> str:
    """Return the command that prints the trace of this seed again."""
    plan = trace.plan
    store = "" if plan.store == "sqlite" else f" --store {plan.store}"
    kind = plan.policy.target.kind
    target = "" if kind == "lambda-env" else f" --target {kind}"
    return f"python -m tests.chaos --seed {plan.seed}{store}{target}"


def format_trace(trace: Trace) -> str:
    """Return a trace as text: policy, world, injected faults, transitions, end.

    Violations come last, each in one sentence, with the command that shows them again.
    """
    plan = trace.plan
    head = [
        f"chaos, seed {plan.seed}: {plan.policy.target.kind}, {_policy(plan.policy)}",
        f"world: {plan.scenario.summary} {_updates(plan)}",
        "",
    ]
    return "\n".join([*head, *_table(trace), "", *_end(trace)])


def _updates(plan: FaultPlan) -> str:
    if KINDS[kind_of(plan.policy.target)].at_once:
        return "Updates take effect at once."
    return f"Updates take {format_duration(plan.scenario.function.update_takes)}."


def _policy(policy: Policy) -> str:
    waits = [
        f"then {policy.on_inconclusive}",
        f"drift up: {policy.on_drift_up}",
        *(["the last step needs an approval"] if policy.steps[-1].approval else []),
        *(["a freeze"] if policy.freeze else []),
    ]
    hold = f"holds {format_duration(policy.max_hold_of(0))}" if policy.max_hold_of(0) else "no hold"
    return f"{policy.steps_text()} ({'; '.join([hold, *waits])})"


def _table(trace: Trace) -> Iterator[str]:
    rows = [
        ("time", "who", "crossing", "weight", "what"),
        *(
            (f"{line.at:%X}", line.by, line.where, _weight(line), _what(line))
            for line in trace.lines
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for *cells, what in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        yield "  ".join([*padded, what])


def _weight(line: TraceLine) -> str:
    """Return the served weight, and the one that the target shows when they differ."""
    shown = "" if line.shown == line.weight else f" > {line.shown}"
    return f"{line.weight}{shown}%"


def _what(line: TraceLine) -> str:
    return f"{line.what} [{line.phase}]" if line.phase else line.what


def _end(trace: Trace) -> Iterator[str]:
    injected = sum(trace.fault_counts.values())
    rollout = trace.rollout
    why = f": {rollout.sentence}" if rollout is not None and rollout.sentence else ""
    yield f"{trace.end} after {trace.ticks} ticks, with {injected} faults that struck{why}"
    if not trace.violations:
        yield f"{len(ALL)} invariants held after {trace.steps} steps"
        return
    first = trace.violations[0]
    for violation in trace.violations:
        yield f"VIOLATED {violation}"
    yield from (one.text for one in ALL if one.name == first.invariant)
    yield f"once more: {rerun_command(trace)}"
