"""What a start reads of a stable path that fails before it, and when it trusts that."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.core.observation import MetricQuery, Span
from controller.immutable import Immutable, replace
from controller.operations.start import check_start, retry
from controller.ports.metrics import MetricSource
from tests.support.cases import cases
from tests.support.core import (
    Live,
    Phase,
    Policy,
    QueryStatus,
    Reason,
    Series,
    sentence_of,
)
from tests.support.rollouts import a_rollout, a_state
from tests.support.stage import Stage, function_with, open_stage, short_policy
from tests.tools.simulation.worlds import BACKEND, MINUTE, POLICY, scenario, set_weight

METRICS = {
    **{name: POLICY["metrics"][name] for name in ("requests", "server_errors", "direct_requests")},
    "direct_errors": {
        "namespace": "AWS/Lambda", "name": "Errors", "statistic": "Sum", "dimensions": BACKEND,
    },
}  # fmt: skip
WORKS = {
    "kind": "success_rate", "judge": "sequential", "min": "99.9%",
    "total": "requests", "failures": ["server_errors"],
    "control": {"total": "direct_requests", "failures": ["direct_errors"]},
}  # fmt: skip
FAILS: dict[str, Any] = {"median_ms": 100, "server_errors": "5%"}


def a_policy(**parts: Any) -> Policy:
    steps = [{"weight": 10, "bake": "10m"}, {"weight": 50, "bake": "10m"}]
    return short_policy(
        **{"metrics": METRICS, "criteria": {"works": WORKS}, "steps": steps} | parts
    )


def a_stage(
    folder: Path, policy: Policy | None = None, **world: Any
) -> AbstractContextManager[Stage]:
    """Return a stage of 6,000 requests a minute, whose stable path fails unless `world` says."""
    traffic = {"requests_per_minute": 6_000}
    parts = {"traffic": traffic, "function": function_with(), "stable": FAILS, **world}
    return open_stage(folder, scenario(**parts), policy or a_policy())


def test_a_canary_that_fixes_the_stable_path_goes_through_its_steps(tmp_path: Path) -> None:
    with a_stage(tmp_path) as stage:
        outage = stage.start().evidence.baselines["works"]
        assert outage.value == pytest.approx(0.05, rel=0.05)
        assert outage.samples == pytest.approx(90_000, rel=0.01)
        judgement = stage.tick_until(50).judgement
        assert judgement is not None
        (finding,) = judgement.findings
        assert "is better at a likelihood ratio of" in sentence_of(finding)


def test_a_stable_path_that_begins_to_fail_later_holds_the_same_canary(tmp_path: Path) -> None:
    errors = {"kind": "errors", "at": {"after": "3m"}, "path": "stable", "server_errors": "5%"}
    with a_stage(tmp_path, stable={"median_ms": 100}, events=[errors]) as stage:
        assert stage.start().evidence.baselines == {}
        stage.ticks(20)
        assert (stage.rollout.weight, stage.rollout.reason) == (10, Reason.ON_HOLD)


@cases("hours, known", {"one hour before": (1, False), "three hours before": (3, True)})
def test_a_rollout_shortly_before_may_have_broken_the_stable_path(
    hours: int, known: bool, tmp_path: Path
) -> None:
    with a_stage(tmp_path) as stage:
        stage.start()
        stage.ticks(3)
        stage.runner.roll_back("orders#1", "support is paged")
        stage.tick()
        stage.world.clock.advance(timedelta(hours=hours))
        again = retry(stage.runner, "orders#1", "mended").rollout
        assert bool(again.evidence.baselines) is known


@cases("lasting, waited, known", {
    "the whole time": (None, 30, True),
    "since nine minutes": (None, 12, True),
    "since five minutes": (None, 8, False),
    "it is over since six minutes": ("21m", 30, False),
})  # fmt: skip
def test_an_outage_lasts_for_most_of_the_settled_minutes_and_the_last(
    lasting: str | None, waited: int, known: bool, tmp_path: Path
) -> None:
    errors = {"kind": "errors", "path": "stable", "server_errors": "5%", "lasting": lasting}
    with a_stage(tmp_path, stable={"median_ms": 100}, events=[errors]) as stage:
        stage.world.clock.advance(waited * MINUTE)
        assert bool(check_start(stage.runner, stage.policy).baselines) is known


def test_of_a_canary_that_has_traffic_nothing_is_known(tmp_path: Path) -> None:
    with a_stage(tmp_path) as stage:
        set_weight(stage.world, 10)
        assert check_start(stage.runner, stage.policy, adopt=True).baselines == {}


def an_alias(canary: str, stable: str) -> Policy:
    """Return a policy that releases version `canary` of an alias that serves `stable`."""
    target = {
        "kind": "lambda-alias", "function": "handler", "alias": "live",
        "canary": canary, "stable": stable,
    }  # fmt: skip
    of_alias = {"FunctionName": "handler", "Resource": "handler:live"}
    of_canary, of_stable = ({**of_alias, "ExecutedVersion": one} for one in (canary, stable))
    counts = {
        "requests": {"name": "Invocations", "dimensions": of_canary},
        "server_errors": {"name": "Errors", "dimensions": of_canary},
        "direct_requests": {"name": "Invocations", "dimensions": of_stable},
        "direct_errors": {"name": "Errors", "dimensions": of_stable},
        "live_requests": {"name": "Invocations", "dimensions": of_alias, "counts": "both"},
        "live_errors": {"name": "Errors", "dimensions": of_alias, "counts": "both"},
    }
    lambdas = {"namespace": "AWS/Lambda", "statistic": "Sum"}
    metrics = {name: {**lambdas, **count} for name, count in counts.items()}
    steps = [{"weight": weight, "bake": "10m"} for weight in (10, 100)]
    return a_policy(target=target, metrics=metrics, steps=steps)


def test_of_an_alias_without_weights_the_alias_is_read(tmp_path: Path) -> None:
    """Lambda counts a version by itself only while the alias has weights."""
    with a_stage(tmp_path, an_alias("2", "1")) as stage:
        (outage,) = check_start(stage.runner, stage.policy).baselines.values()
        assert outage.value == pytest.approx(0.05, rel=0.05)


@cases("canary, hours, known", {
    "its version is the stable one since three hours": ("1", 3, True),
    "since one hour": ("1", 1, False),
    "its version was taken back, at an unknown time": ("3", 3, False),
})  # fmt: skip
def test_a_version_is_a_canary_until_its_rollout_has_succeeded(
    canary: str, hours: int, known: bool, tmp_path: Path
) -> None:
    with a_stage(tmp_path, an_alias("2", "1")) as stage:
        identity = stage.runner.observer.targets(stage.policy.target).read().identity
        since = stage.world.clock.now() - timedelta(hours=hours)
        released = [("orders#1", an_alias("8", "7"), 1_440), ("orders#2", an_alias(canary, "8"), 0)]
        for rollout_id, policy, before in released:
            at = since - before * MINUTE
            state = a_state(Phase.SUCCEEDED, policy, since=at, position=Live(1, 100, at))
            facts = {"target": identity, "created": at, "updated": at}
            done = a_rollout(rollout_id, state, policy=policy, **facts)
            stage.store.create(done, [], done.locks)
        assert bool(check_start(stage.runner, stage.policy).baselines) is known


class AnsweredInPart(Immutable):
    """A metric source whose answers are said to be partial."""

    source: MetricSource

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        answers = self.source.read(queries, span)
        return {key: replace(answer, status=QueryStatus.PARTIAL) for key, answer in answers.items()}


def test_of_an_answer_in_part_nothing_is_known(tmp_path: Path) -> None:
    with a_stage(tmp_path) as stage:
        observer = stage.runner.observer
        in_part = AnsweredInPart(observer.metrics)
        stage.rewire(observer=replace(observer, metrics=in_part))
        assert check_start(stage.runner, stage.policy).baselines == {}


def test_a_criterion_that_a_step_leaves_out_would_miss_the_end_of_an_outage(tmp_path: Path) -> None:
    count = {"kind": "threshold", "judge": "threshold", "metric": "server_errors", "max": 9_999}
    gates = [["works"], ["count"], ["works"]]
    policy = a_policy(
        criteria={"works": WORKS, "count": {**count, "window": "1m"}},
        steps=[
            {"weight": weight, "bake": "10m", "criteria": gate}
            for weight, gate in zip((10, 50, 100), gates, strict=True)
        ],
    )
    with a_stage(tmp_path, policy) as stage:
        assert check_start(stage.runner, stage.policy).baselines == {}
