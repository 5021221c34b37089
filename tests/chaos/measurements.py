"""Judges the metrics that a process gets, independently of the process."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from controller.core.judge.findings import gate_verdict
from controller.core.observation import MetricQuery, Span
from controller.core.units import from_unix
from controller.errors import MetricsError
from controller.ports.metrics import MetricSource
from tests.support.core import (
    Observation,
    Phase,
    QueryStatus,
    Rollout,
    Series,
    TargetReading,
    UpdateStatus,
    Verdict,
    judge,
    judge_gate,
    query_plan,
)


class ObservedMetricSource:
    """A metric source. listener: receives each answer, and the span of time that it is about.

    An error of the source counts as an answer without data, which is judged as well.
    """

    def __init__(
        self, source: MetricSource, listener: Callable[[Mapping[MetricQuery, Series], Span], None]
    ) -> None:
        self._source, self._listener = source, listener

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return the answer of the source."""
        requested = tuple(queries)
        try:
            answer = self._source.read(requested, span)
        except MetricsError:
            self._listener(dict.fromkeys(requested, Series(status=QueryStatus.ERROR)), span)
            raise
        self._listener(answer, span)
        return answer


def reading_of(weight: int | None, *, at_rest: bool) -> TargetReading:
    """Return the reading of a target. at_rest: its last update has finished, and did not fail."""
    update = UpdateStatus.SUCCESSFUL if at_rest else UpdateStatus.IN_PROGRESS
    return TargetReading("", weight, "", "", update)


def judges_gate(rollout: Rollout, reading: TargetReading) -> bool:
    """Tell whether a tick of `rollout` with this reading judges a gate.

    One that reads a pending weight back begins its step instead, except in a pause.
    """
    pending = rollout.pending
    is_read_back = pending is not None and reading.has_applied(pending.weight)
    return rollout.phase is Phase.PAUSED or (
        rollout.phase is Phase.PROGRESSING and not is_read_back
    )


def verdicts(
    rollouts: Iterable[Rollout],
    answer: Mapping[MetricQuery, Series],
    span: Span,
    reading: TargetReading,
) -> Iterator[tuple[str, Verdict]]:
    """Yield the id and the verdict of each of `rollouts` that `answer` is about.

    The verdict is that of the earliest moment that the clock of the process can have shown: what
    fails then fails later as well.
    """
    now = from_unix(span.end - max((one.period_s for one in answer), default=0))
    for rollout in rollouts:
        queries = query_plan(rollout, now).queries
        if not judges_gate(rollout, reading):
            continue
        if not all(one in answer for one in queries.values()):
            continue
        series = {key: answer[query] for key, query in queries.items()}
        evidence = judge(rollout, Observation(reading, series), now).evidence
        if evidence is not None:
            yield rollout.id, gate_verdict(judge_gate(evidence))
