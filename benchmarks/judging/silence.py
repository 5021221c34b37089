"""Gates without usable data: no traffic, NaN, a canary without requests.

The data are read as a tick reads them, from a CloudWatch client that returns the same every minute.
"""

from collections.abc import Callable, Mapping
from math import nan
from typing import Any, Final

from benchmarks.judging.policy import BESIDE, POLICY, STORED
from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.evidence import BaselineMeasurement, StepInterval
from controller.core.judge.findings import Verdict, gate_verdict
from controller.core.judge.gate import Evidence, judge_gate
from controller.core.judge.queries import queries_for
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.observation import Span
from controller.core.stats.combined_tests import SequentialState
from controller.core.units import MINUTE_S, from_unix
from controller.immutable import Immutable

_BASELINE = BaselineMeasurement(341.0, 864_000, -86_400, 0, 0.05, 1.0)
_BASELINES = {BESIDE: _BASELINE, STORED: _BASELINE}
_REQUESTS, _SLOW = 540.0, 27.0  # of the stable path, per minute
_STABLE = {"Name": "Path", "Value": "stable"}

ValueOf = Callable[[Mapping[str, Any]], float | None]
"""Returns the value of every period for a MetricStat of CloudWatch; None: no datapoint."""


def _nothing(_: Mapping[str, Any]) -> float | None:
    return None


def _no_number(_: Mapping[str, Any]) -> float | None:
    return nan


def _control_alone(request: Mapping[str, Any]) -> float | None:
    if _STABLE not in request["Metric"]["Dimensions"]:
        return None
    if request["Stat"].startswith("TC"):
        return _SLOW
    if request["Metric"]["MetricName"] == "Failures":
        return 0.0
    period_s: int = request["Period"]
    return _REQUESTS * period_s / MINUTE_S


CASES: Final[Mapping[str, ValueOf]] = {
    "no traffic": _nothing,
    "all NaN": _no_number,
    "canary silent": _control_alone,
}


class _Client(Immutable):
    value_of: ValueOf

    def get_metric_data(self, **request: Any) -> Mapping[str, Any]:
        """Answer as CloudWatch does, with the same value in every period."""
        span = range(int(request["StartTime"].timestamp()), int(request["EndTime"].timestamp()))
        results = []
        for query in request["MetricDataQueries"]:
            value = self.value_of(query["MetricStat"])
            starts = span[:: query["MetricStat"]["Period"]] if value is not None else ()
            results.append(
                {
                    "Id": query["Id"],
                    "StatusCode": "Complete",
                    "Timestamps": [from_unix(start) for start in starts],
                    "Values": [value] * len(starts),
                }
            )
        return {"MetricDataResults": results}


def passes(value_of: ValueOf) -> int:
    """Return the number of steps whose gate passes with these values."""
    return sum(_verdict(step, value_of) is Verdict.PASS for step in range(len(POLICY.steps)))


def _verdict(step: int, value_of: ValueOf) -> Verdict:
    criteria, one = POLICY.gate(step), POLICY.steps[step]
    end = int(one.bake.total_seconds())
    queries = queries_for(judges_of(POLICY, criteria, _BASELINES))
    source = CloudWatchMetrics(lambda: _Client(value_of))
    answers = source.read(queries.values(), Span(0, end))
    series = {key: answers[query] for key, query in queries.items()}
    intervals = (StepInterval(step, 0, 0),)
    evidence = Evidence(
        policy=POLICY,
        gate=criteria,
        series=series,
        tallies={},
        start=0,
        closed_end=end,
        open_end=end,
        bake_over=True,
        weight=one.weight,
        baselines=_BASELINES,
        sequential=SequentialEvidence(POLICY, SequentialState(), intervals, series, _BASELINES),
    )
    return gate_verdict(judge_gate(evidence))
