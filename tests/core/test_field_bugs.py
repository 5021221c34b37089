"""Bugs of other projects that no other test covers: docs/field-bugs.md lists them all."""

from tests.support.core import Observation, Observed, Phase, Series, query_plan
from tests.support.recorded_run import RecordedRun, a_run
from tests.support.rollouts import LADDER, MINUTE, a_policy, a_reading

WORKS = {key: LADDER["criteria"]["works"][key] for key in ("kind", "total", "failures", "min")}
COMPARED = a_policy(
    metrics={
        **LADDER["metrics"],
        "old": {"namespace": "Shop", "name": "OldCount", "statistic": "Sum"},
        "old-errors": {"namespace": "Shop", "name": "OldErrors", "statistic": "Sum"},
    },
    criteria={"works": {**WORKS, "control": {"total": "old", "failures": ["old-errors"]}}},
)
COUNTS = {"requests": 100.0, "errors": 20.0, "old": 900.0, "old-errors": 0.0}


def tick(run: RecordedRun) -> None:
    """Tick a minute later, with these counts in each minute."""
    run.now += MINUTE
    needed = query_plan(run.rollout, run.now)
    minutes = range(needed.span.start, needed.span.end, 60)
    series = {
        key: Series(dict.fromkeys(minutes, COUNTS[key.partition(":")[0]])) for key in needed.queries
    }
    run.apply(Observed(Observation(a_reading(run.rollout.weight), series)))


def test_a_canary_that_fails_beside_a_stable_path_without_an_error_is_rolled_back() -> None:
    """Kayenta passed it: a ratio to zero errors was no number."""
    run = a_run(COMPARED)
    for _ in range(15):
        if run.rollout.phase is Phase.PROGRESSING:
            tick(run)
    assert run.rollout.phase is Phase.ROLLING_BACK
    assert run.replay.consistent
