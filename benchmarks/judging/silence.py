"""Gates that nobody can answer: no traffic, no numbers, a canary that nothing reaches.

Read as a tick reads them, from a client of CloudWatch that shows every minute the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Any, Final

from benchmarks.judging.policy import BESIDE, POLICY, STORED
from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.core.judge.evidence import FrozenValue, Stretch
from controller.core.judge.findings import Verdict, gate
from controller.core.judge.gate import Evidence, judge, queries_for
from controller.core.observation import Span
from controller.core.units import MINUTE_S, from_unix

_BASELINE = FrozenValue(341.0, 864_000, -86_400, 0, 0.05, 1.0)
_BASELINES = {BESIDE: _BASELINE, STORED: _BASELINE}
_REQUESTS, _SLOW = 540.0, 27.0  # of the stable path, in a minute
_STABLE = {"Name": "Path", "Value": "stable"}

Shown = Callable[[Mapping[str, Any]], float | None]
"""What is asked for, as CloudWatch is asked -> the value of every period; None: no datapoint."""


def _nothing(_: Mapping[str, Any]) -> float | None:
    return None


def _no_number(_: Mapping[str, Any]) -> float | None:
    return nan


def _control_alone(asked: Mapping[str, Any]) -> float | None:
    if _STABLE not in asked["Metric"]["Dimensions"]:
        return None
    if asked["Stat"].startswith("TC"):
        return _SLOW
    if asked["Metric"]["MetricName"] == "Failures":
        return 0.0
    return _REQUESTS * asked["Period"] / MINUTE_S


CASES: Final[Mapping[str, Shown]] = {
    "no traffic": _nothing,
    "all NaN": _no_number,
    "canary silent": _control_alone,
}


@dataclass(frozen=True, slots=True)
class _Client:
    shown: Shown

    def get_metric_data(self, **asked: Any) -> Mapping[str, Any]:
        """Answer as CloudWatch does."""
        span = range(int(asked["StartTime"].timestamp()), int(asked["EndTime"].timestamp()))
        results = []
        for query in asked["MetricDataQueries"]:
            value = self.shown(query["MetricStat"])
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


def passes(shown: Shown) -> int:
    """Return at how many steps the gate passes when CloudWatch shows that and nothing else."""
    return sum(_verdict(step, shown) is Verdict.PASS for step in range(len(POLICY.steps)))


def _verdict(step: int, shown: Shown) -> Verdict:
    criteria, one = POLICY.gate(step), POLICY.steps[step]
    end = int(one.bake.total_seconds())
    queries = queries_for(POLICY, criteria, _BASELINES)
    answers = CloudWatchMetrics(_Client(shown)).read(queries.values(), Span(0, end))
    evidence = Evidence(
        policy=POLICY,
        gate=criteria,
        series={key: answers[query] for key, query in queries.items()},
        tallies={},
        start=0,
        closed=end,
        open_end=end,
        bake_over=True,
        weight=one.weight,
        baselines=_BASELINES,
        stretches=(Stretch(step, 0, 0),),
    )
    return gate(judge(evidence))
