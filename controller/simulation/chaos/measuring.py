"""What a process is shown by the metrics, judged once more beside it."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from controller.core.evidence import evidence_of
from controller.core.findings import Verdict, gate
from controller.core.judge import judge, needs
from controller.core.judge.queries import JUDGED
from controller.core.observation import Observation, Query, Reading, Series, Span, Update
from controller.core.rollout import Rollout
from controller.core.units import at
from controller.ports import MetricSource


class Measuring:
    """A metric source; `told` hears each answer that it gives, and of what stretch of time."""

    def __init__(
        self, source: MetricSource, told: Callable[[Mapping[Query, Series], Span], None]
    ) -> None:
        self._source, self._told = source, told

    def read(self, queries: Iterable[Query], span: Span) -> Mapping[Query, Series]:
        """Return what the source answers."""
        answer = self._source.read(queries, span)
        self._told(answer, span)
        return answer


def verdicts(
    rollouts: Iterable[Rollout], answer: Mapping[Query, Series], span: Span, weight: int | None
) -> Iterator[tuple[str, Verdict]]:
    """Yield the id and the verdict of each of `rollouts` that `answer` is about.

    weight: what the function shows. The moment is the earliest that the clock of whoever asked can
    have shown: what fails then fails later, too.
    """
    now = at(span.end - max((one.period_s for one in answer), default=0))
    seen = Reading("", weight, "", "", Update.SUCCESSFUL)
    for rollout in rollouts:
        wanted = needs(rollout, now).queries
        if rollout.phase not in JUDGED or not all(one in answer for one in wanted.values()):
            continue
        series = {key: answer[query] for key, query in wanted.items()}
        evidence = evidence_of(rollout, Observation(seen, series), now)
        if evidence is not None:
            yield rollout.id, gate(judge(evidence))
