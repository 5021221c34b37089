"""Judges the metrics that a process gets, independently of the process."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from controller.core.judge.findings import Verdict, gate_verdict
from controller.core.judge.gate import judge_gate, query_plan
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.judge.tick_evidence import evidence_of
from controller.core.observation import (
    MetricQuery,
    Observation,
    QueryStatus,
    Series,
    Span,
    TargetReading,
    UpdateStatus,
)
from controller.core.rollout import Phase, Rollout
from controller.core.units import from_unix
from controller.errors import MetricsError
from controller.ports.metrics import MetricSource


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
            self._listener(dict.fromkeys(requested, Series(answer=QueryStatus.ERROR)), span)
            raise
        self._listener(answer, span)
        return answer


def judges_gate(rollout: Rollout, weight: int | None, token: str) -> bool:
    """Tell whether a tick of `rollout` judges a gate while the function shows this.

    A pending raise is over once the function was written by anything else, except in a pause.
    """
    intent = rollout.intent
    pending = (weight, token) == (intent.previous, intent.token) or rollout.phase is Phase.PAUSED
    return rollout.phase in JUDGED_PHASES and (rollout.previous_live is None or pending)


def verdicts(
    rollouts: Iterable[Rollout],
    answer: Mapping[MetricQuery, Series],
    span: Span,
    weight: int | None,
    token: str,
) -> Iterator[tuple[str, Verdict]]:
    """Yield the id and the verdict of each of `rollouts` that `answer` is about.

    weight, token: what the function shows. The verdict is that of the earliest moment that the
    clock of the process can have shown: what fails then fails later as well.
    """
    now = from_unix(span.end - max((one.period_s for one in answer), default=0))
    reading = TargetReading("", weight, "", token, UpdateStatus.SUCCESSFUL)
    for rollout in rollouts:
        queries = query_plan(rollout, now).queries
        if not judges_gate(rollout, weight, token):
            continue
        if not all(one in answer for one in queries.values()):
            continue
        series = {key: answer[query] for key, query in queries.items()}
        evidence = evidence_of(rollout, Observation(reading, series), now)
        if evidence is not None:
            yield rollout.id, gate_verdict(judge_gate(evidence))
