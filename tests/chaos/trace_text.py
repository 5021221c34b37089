"""A story in words, line by line."""

from collections.abc import Iterator

from controller.core.policy import Policy
from controller.core.units import format_duration
from tests.chaos.invariants import ALL
from tests.chaos.trace import Trace, TraceLine


def rerun_command(trace: Trace) -> str:
    """Return the command that tells the story of this seed once more."""
    plot = trace.plan
    store = "" if plot.store == "sqlite" else f" --store {plot.store}"
    return f"python -m tests.chaos --seed {plot.seed}{store}"


def format_trace(trace: Trace) -> str:
    """Return a trace: its policy and world, every fault as it strikes, every transition, its end.

    A violation comes last, in one sentence, with the command that shows it again.
    """
    plot = trace.plan
    head = [
        f"chaos, seed {plot.seed}: {_policy(plot.policy)}",
        f"world: {plot.scenario.summary} Updates take "
        f"{format_duration(plot.scenario.function.update_takes)}.",
        "",
    ]
    return "\n".join([*head, *_table(trace), "", *_end(trace)])


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
        *((f"{one.at:%X}", one.by, one.where, _weight(one), _what(one)) for one in trace.lines),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for *cells, what in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        yield "  ".join([*padded, what])


def _weight(line: TraceLine) -> str:
    """Return what is in force, and what the function shows where that is something else."""
    shown = "" if line.shown == line.weight else f" > {line.shown}"
    return f"{line.weight}{shown} %"


def _what(line: TraceLine) -> str:
    return f"{line.what} [{line.phase}]" if line.phase else line.what


def _end(trace: Trace) -> Iterator[str]:
    struck = sum(trace.fault_counts.values())
    rollout = trace.rollout
    why = f": {rollout.sentence}" if rollout is not None and rollout.sentence else ""
    yield f"{trace.end} after {trace.ticks} ticks, with {struck} faults that struck{why}"
    if not trace.violations:
        yield f"{len(ALL)} invariants held after {trace.steps} steps"
        return
    first = trace.violations[0]
    for violation in trace.violations:
        yield f"VIOLATED {violation}"
    yield from (one.text for one in ALL if one.name == first.invariant)
    yield f"once more: {rerun_command(trace)}"
