"""What a process is shown by the metrics, judged once more beside it."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from controller.core.judge.findings import Verdict, gate
from controller.core.judge.gate import judge, needs
from controller.core.judge.queries import JUDGED
from controller.core.judge.sealing import evidence_of
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
    """A metric source; `told` hears each answer that it gives, and of what stretch of time.

    A source that gives none has answered nothing, which is judged too.
    """

    def __init__(
        self, source: MetricSource, listener: Callable[[Mapping[MetricQuery, Series], Span], None]
    ) -> None:
        self._source, self._told = source, listener

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return what the source answers."""
        asked = tuple(queries)
        try:
            answer = self._source.read(asked, span)
        except MetricsError:
            self._told(dict.fromkeys(asked, Series(answer=QueryStatus.ERROR)), span)
            raise
        self._told(answer, span)
        return answer


def judges_gate(rollout: Rollout, weight: int | None, token: str) -> bool:
    """Tell whether a tick of `rollout` judges a gate where the function shows this.

    A raise waits no more once anybody has written the function, but in a pause.
    """
    intent = rollout.intent
    waits = (weight, token) == (intent.previous, intent.token) or rollout.phase is Phase.PAUSED
    return rollout.phase in JUDGED and (rollout.previous_live is None or waits)


def verdicts(
    rollouts: Iterable[Rollout],
    answer: Mapping[MetricQuery, Series],
    span: Span,
    weight: int | None,
    token: str,
) -> Iterator[tuple[str, Verdict]]:
    """Yield the id and the verdict of each of `rollouts` that `answer` is about.

    weight, token: what the function shows. The moment is the earliest that the clock of whoever
    asked can have shown: what fails then fails later, too.
    """
    now = from_unix(span.end - max((one.period_s for one in answer), default=0))
    seen = TargetReading("", weight, "", token, UpdateStatus.SUCCESSFUL)
    for rollout in rollouts:
        wanted = needs(rollout, now).queries
        if not judges_gate(rollout, weight, token):
            continue
        if not all(one in answer for one in wanted.values()):
            continue
        series = {key: answer[query] for key, query in wanted.items()}
        evidence = evidence_of(rollout, Observation(seen, series), now)
        if evidence is not None:
            yield rollout.id, gate(judge(evidence))
