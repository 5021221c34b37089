"""What the history of a rollout adds to its state: past steps, newest events, values over time."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from controller.core.history import Entry, finding_of
from controller.core.judge.findings import Finding
from controller.core.observation import Series
from controller.core.rollout import Rollout
from controller.immutable import Immutable, replace
from controller.operations.recorded.series import (
    RecordedSeries,
    WeightSpan,
    judge_for,
    weight_spans,
)
from controller.operations.recorded.trace import trace_of

# How many events are shown, and of how many bins the newest values of a criterion are.
EVENTS: Final = 5
POINTS: Final = 16
# What every tick or every hour may record: no event.
ROUTINE: Final = frozenset({"evidence", "write_retried"})


class RecentHistory(Immutable):
    """What the history of a rollout adds to its state.

    events: the newest that changed something, the oldest first. passed: the findings with which
    each earlier step was left, by its index. series: what was measured, by key; spans: the weights.
    values: the newest recorded ones of each criterion that judges the live step, by its name, each
    with its end in unix seconds; one without any is left out.
    """

    events: tuple[Entry, ...]
    passed: Mapping[int, Sequence[Finding]]
    series: Mapping[str, Series]
    spans: Sequence[WeightSpan]
    values: Mapping[str, Sequence[tuple[int, float]]]


def recent_history(rollout: Rollout, entries: Iterable[Entry]) -> RecentHistory:
    """Return what the history of `rollout` adds to its state; one entry is in memory at a time."""
    series = RecordedSeries(len(rollout.policy.steps))
    events, passed = deque[Entry](maxlen=EVENTS), dict[int, Sequence[Finding]]()

    def passing() -> Iterator[Entry]:
        for entry in entries:
            series.add(entry)
            if entry.kind not in ROUTINE:
                # What was observed may be large; an entry that was changed may lack more.
                body = {"sentence": "", **entry.body, "observation": {}}
                events.append(replace(entry, body=body))
            if entry.kind == "advanced" and isinstance(step := entry.body.get("step"), int):
                passed[step - 1] = tuple(findings_of(entry).values())
            yield entry

    spans = weight_spans(rollout, passing())
    recorded = series.series()
    values = _newest_values(rollout, recorded, spans)
    return RecentHistory(tuple(events), passed, recorded, spans, values)


def _newest_values(
    rollout: Rollout, series: Mapping[str, Series], spans: Sequence[WeightSpan]
) -> dict[str, Sequence[tuple[int, float]]]:
    values: dict[str, Sequence[tuple[int, float]]] = {}
    for name in rollout.policy.gate(rollout.judged_step) if spans else ():
        with suppress(Exception):  # a fault of one judge hides no other criterion
            found = trace_of(judge_for(rollout, name), series, spans[-1:])
            values[name] = [(one.end, one.value) for one in found.bins[-POINTS:]]
    return {name: found for name, found in values.items() if found}


def findings_of(entry: Entry) -> dict[str, Finding]:
    """Return the findings that `entry` stores, by criterion; unreadable ones are left out."""
    found: dict[str, Finding] = {}
    data = entry.body.get("findings")
    for one in data if isinstance(data, list | tuple) else ():
        with suppress(ValueError, TypeError, KeyError):
            finding = finding_of(one)
            found[finding.criterion] = finding
    return found
