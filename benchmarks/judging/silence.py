"""Gates that nobody can answer: no traffic, no numbers, a canary that nothing reaches."""

from collections.abc import Callable, Mapping
from math import nan
from typing import Final

from benchmarks.judging.policy import BESIDE, POLICY, STORED
from controller.core.findings import Verdict, gate
from controller.core.judge import Evidence, judge, queries_for
from controller.core.measured import FrozenValue, Stretch
from controller.core.observation import Query, Series
from controller.core.units import MINUTE_S

_BASELINE = FrozenValue(341.0, 864_000, -86_400, 0, 0.05, 1.0)
_BASELINES = {BESIDE: _BASELINE, STORED: _BASELINE}
_REQUESTS, _SLOW = 540.0, 27.0  # of the stable path, in a minute


def _nothing(_: Query) -> float | None:
    return None


def _no_number(_: Query) -> float | None:
    return nan


def _control_alone(query: Query) -> float | None:
    if ("Path", "stable") not in query.dimensions:
        return None
    if query.statistic.startswith("TC"):
        return _SLOW
    if query.name == "Failures":
        return 0.0
    return _REQUESTS * query.period_s / MINUTE_S


CASES: Final[Mapping[str, Callable[[Query], float | None]]] = {
    "no traffic": _nothing,
    "all NaN": _no_number,
    "canary silent": _control_alone,
}


def passes(values: Callable[[Query], float | None]) -> int:
    """Return at how many steps the gate passes when every minute of a query shows such a value.

    A judge that breaks on it counts too.
    """
    return sum(_passes(step, values) for step in range(len(POLICY.steps)))


def _passes(step: int, values: Callable[[Query], float | None]) -> bool:
    criteria, one = POLICY.gate(step), POLICY.steps[step]
    end = int(one.bake.total_seconds())
    series = {}
    for key, query in queries_for(POLICY, criteria, _BASELINES).items():
        value = values(query)
        minutes = range(0, end, query.period_s) if value is not None else ()
        series[key] = Series({start: value for start in minutes if value is not None})
    evidence = Evidence(
        policy=POLICY,
        gate=criteria,
        series=series,
        tallies={},
        start=0,
        closed=end,
        open_end=end,
        bake_over=True,
        weight=one.weight,
        baselines=_BASELINES,
        stretches=(Stretch(step, 0, 0),),
    )
    try:
        return gate(judge(evidence)) is Verdict.PASS
    except ValueError:
        return True
