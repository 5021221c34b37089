"""A start as a fix: what is red before does not hold it, and what gets worse rolls it back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.core.policy.criteria import CRITERIA
from controller.core.rollout import Phase
from controller.core.words.findings import sentence_of
from controller.errors import UsageError
from controller.operations.start import StartRequest, check_start, start
from controller.testing import installed
from controller.tools.replay import replay
from tests.support.cases import cases
from tests.support.stage import SHORT_POLICY, Stage, open_stage, short_policy
from tests.tools.simulation.worlds import HOUR, scenario

REASON = "the release of noon fails 5% of all requests"
RED_ALARM = {"kind": "alarm", "at": {"after": "0s"}}
# A count of the load balancer in front of both paths.
_ALL = {"namespace": "Shop", "statistic": "Sum", "missing": "zero", "counts": "both"}
SERVICE: Mapping[str, Mapping[str, Any]] = {
    "ratio": {"kind": "threshold", "metric": "all_errors", "per": "all", "max": "1%"},
    "rate": {"kind": "success_rate", "total": "all", "failures": ["all_errors"], "min": "99%"},
    "windows": {
        "kind": "threshold", "judge": "threshold", "metric": "all_errors", "max": 3, "window": "1m",
    },
    "budget": {
        "kind": "burn_rate", "total": "all", "failures": ["all_errors"], "slo": "99.9%",
        "window": "1m", "windows": [{"factor": 10, "long": "10m", "short": "2m"}],
    },
    "package": {
        "kind": "failure_share", "total": "all", "failures": ["all_errors"], "max": 0.01,
        "window": "1m",
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def package() -> Iterator[None]:
    """Install a package with a criterion kind."""
    with installed(CRITERIA.group, {"failure_share": "tests.support.own_kind:FailureShare"}):
        yield


def a_policy(service: str = "ratio", **parts: Any) -> Any:
    """Return the short policy with an alarm, and a criterion on failures of both paths."""
    names = {"all": "Requests", "all_errors": "Failures"}
    return short_policy(**{
        "metrics": {
            **SHORT_POLICY["metrics"],
            **{name: {**_ALL, "name": metric} for name, metric in names.items()},
        },
        "criteria": {
            **SHORT_POLICY["criteria"],
            "service": SERVICE[service],
            "quiet": {"kind": "alarm", "alarm": "shop-errors"},
        },
        "steps": [{"weight": 10, "bake": "10m"}, {"weight": 100, "bake": "10m"}],
        **parts,
    })  # fmt: skip


@contextmanager
def incident(
    folder: Path, *events: Mapping[str, Any], share: str = "5%", policy: Any = None
) -> Iterator[Stage]:
    """Yield a stage whose stable path has failed this share of its requests for hours."""
    roles = {
        name: {"path": "both", "measure": measure}
        for name, measure in (("all", "requests"), ("all_errors", "server_errors"))
    }
    stable = {"median_ms": 100, "server_errors": share}
    played = scenario(stable=stable, metrics=roles, events=list(events))
    with open_stage(folder, played, policy or a_policy()) as stage:
        stage.world.clock.advance(HOUR)
        yield stage


def start_fix(stage: Stage) -> Any:
    return start(stage.runner, StartRequest(stage.policy, "fix", fix=True, reason=REASON))


def play(stage: Stage, minutes: int = 40) -> None:
    """Tick once a minute until the rollout is over, or time is up."""
    for _ in range(minutes):
        if stage.tick().rollout.final:
            return


def test_what_is_red_refuses_a_start_that_is_no_fix(tmp_path: Path) -> None:
    with incident(tmp_path, RED_ALARM) as stage:
        lines = check_start(stage.runner, stage.policy).refusals
    assert ["alarm of quiet: shop-errors is in ALARM" in lines[0], len(lines)] == [True, 2]
    assert lines[1].startswith("fails already, before the start: criterion service fails")


@pytest.mark.parametrize("service", SERVICE)
def test_a_fix_starts_in_red_and_goes_on_without_what_is_red(tmp_path: Path, service: str) -> None:
    with incident(tmp_path, RED_ALARM, policy=a_policy(service)) as stage:
        started = start_fix(stage)
        text = "started as a fix: quiet and service do not gate until they have been green once"
        first = stage.store.history("orders#1")[0].body
        assert str(first["sentence"]).endswith(f"{text}: {REASON}")
        assert text in started.warnings
        play(stage, 5)
        red = {finding.criterion: finding.gates for finding in stage.rollout.evidence.findings}
        assert red == {"works": True, "service": False, "quiet": False}
        for finding in stage.rollout.evidence.findings:
            waits = "does not gate until it has been green once" in sentence_of(finding)
            assert waits is not finding.gates
        stage.tick_until(100)
        play(stage)
        assert stage.rollout.phase is Phase.SUCCEEDED
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


GREEN = {"kind": "errors", "path": "stable", "server_errors": "0%"}
WORSE = {"kind": "errors", "path": "stable", "server_errors": "30%"}


@pytest.mark.parametrize("service", SERVICE)
def test_what_gets_worse_than_before_rolls_a_fix_back(tmp_path: Path, service: str) -> None:
    worse = {**WORSE, "at": {"step": 1, "after": "1m"}}
    with incident(tmp_path, worse, policy=a_policy(service)) as stage:
        start_fix(stage)
        play(stage)
        assert stage.rollout.phase is Phase.ROLLED_BACK
        assert "criterion service fails" in stage.rollout.sentence
        assert "It failed before the start, and is worse now" in stage.rollout.sentence
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


@pytest.mark.parametrize("service", SERVICE)
def test_a_metric_gates_again_once_it_has_been_green(tmp_path: Path, service: str) -> None:
    bakes = ((10, "10m"), (20, "2h"), (100, "10m"))
    steps = [{"weight": weight, "bake": bake} for weight, bake in bakes]
    events = [
        {**GREEN, "at": {"step": 1}},
        {**GREEN, "server_errors": "3%", "at": {"step": 2, "after": "20m"}},
    ]
    with incident(tmp_path, *events, policy=a_policy(service, steps=steps)) as stage:
        start_fix(stage)
        play(stage, 60)
        kinds = [one.kind for one in stage.store.history("orders#1")]
        assert stage.rollout.phase is Phase.ROLLED_BACK  # of less than the 5% before the start
        assert "criterion service fails" in stage.rollout.sentence
        assert "failed before the start" not in stage.rollout.sentence
        assert "advanced" in kinds
        assert any("service is green for the first time" in notice.text for notice in stage.notices)
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


def test_an_alarm_gates_again_once_it_has_been_ok(tmp_path: Path) -> None:
    red = [{**RED_ALARM, "lasting": "63m"}, {**RED_ALARM, "at": {"after": "70m"}}]
    with incident(tmp_path, *red, share="0%") as stage:
        start_fix(stage)
        stage.ticks(4)
        assert stage.rollout.evidence.fix is not None
        assert list(stage.rollout.evidence.fix.green) == ["quiet"]
        play(stage)
        assert stage.rollout.phase is Phase.ROLLED_BACK
        assert "criterion quiet fails" in stage.rollout.sentence
        assert all("started as a fix" in notice.text for notice in stage.notices)
        assert {notice.kind for notice in stage.notices} >= {"", "green"}
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


def test_a_canary_that_fails_rolls_a_fix_back(tmp_path: Path) -> None:
    failing = {"kind": "errors", "path": "canary", "server_errors": "20%", "at": {"step": 1}}
    with incident(tmp_path, RED_ALARM, failing) as stage:
        start_fix(stage)
        play(stage)
        assert stage.rollout.phase is Phase.ROLLED_BACK
        assert "criterion works fails" in stage.rollout.sentence


@cases("criteria, said", {
    "the alarm alone": (("quiet",), "10%: quiet is red already"),
    "both": (("service", "quiet"), "10%: service and quiet are red already"),
})  # fmt: skip
def test_a_fix_needs_a_criterion_of_the_canary_that_gates(
    tmp_path: Path, criteria: tuple[str, ...], said: str
) -> None:
    steps = [
        {"weight": 10, "bake": "2m", "criteria": list(criteria)},
        {"weight": 100, "bake": "2m"},
    ]
    with incident(tmp_path, RED_ALARM, policy=a_policy(steps=steps)) as stage:
        with pytest.raises(UsageError) as refused:
            start_fix(stage)
        assert f"as a fix, no criterion of the canary would gate {said}" in str(refused.value)
        assert stage.store.of_name("orders") == ()


def test_a_fix_without_a_reason_is_a_mistake(tmp_path: Path) -> None:
    with incident(tmp_path) as stage, pytest.raises(UsageError, match="--fix needs --reason"):
        start(stage.runner, StartRequest(stage.policy, "fix", fix=True))


def test_a_start_in_which_nothing_is_red_is_no_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with incident(tmp_path, share="0%") as stage:
        started = start_fix(stage)
        assert "started as a fix: nothing is red, so every criterion gates" in started.warnings
        assert started.rollout.evidence.fix is None
        assert stage.store.red_before("orders#1") is None
        monkeypatch.setattr(stage.store, "red_before", None)  # no tick of it reads that
        assert [tick.problem for tick in stage.ticks(3)] == ["", "", ""]


def test_a_record_that_says_it_is_a_fix_gates_as_usual_where_no_item_allows_it(
    tmp_path: Path,
) -> None:
    with incident(tmp_path) as stage:
        start_fix(stage)
        stage.store._connection.execute("DELETE FROM fixes")
        visit = stage.tick()
        assert "the store has no item that allows it: all its criteria gate" in visit.problem
        play(stage)
        assert stage.rollout.phase is Phase.ROLLED_BACK
        assert "criterion service fails" in stage.rollout.sentence


def test_a_few_good_minutes_are_not_green(tmp_path: Path) -> None:
    short = {**GREEN, "at": {"step": 1}, "lasting": "4m"}
    with incident(tmp_path, short) as stage:
        start_fix(stage)
        play(stage)
        assert stage.rollout.phase is Phase.SUCCEEDED, stage.rollout.sentence


def test_minutes_before_a_metric_was_green_are_not_held_against_it(tmp_path: Path) -> None:
    policy = a_policy(steps=[{"weight": weight, "bake": "10m"} for weight in (10, 50, 100)])
    green = {**GREEN, "at": {"step": 1, "after": "9m"}}
    with incident(tmp_path, green, policy=policy) as stage:
        start_fix(stage)
        play(stage, 60)
        assert stage.rollout.phase is Phase.SUCCEEDED, stage.rollout.sentence
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


def test_a_metric_that_is_green_passes_on_while_another_criterion_holds(tmp_path: Path) -> None:
    policy = a_policy(
        criteria={
            **SHORT_POLICY["criteria"],
            "service": {**SERVICE["ratio"], "min_samples": 60_000},
            "signed": {"kind": "attestation", "statement": "The incident is over."},
        },
        steps=[{"weight": 10, "bake": "2h"}, {"weight": 100, "bake": "10m"}],
    )
    with incident(tmp_path, {**GREEN, "at": {"step": 1}}, policy=policy) as stage:
        start_fix(stage)
        stage.ticks(130)
        verdicts = {
            finding.criterion: finding.verdict for finding in stage.rollout.evidence.findings
        }
        assert verdicts == {"works": "pass", "service": "pass", "signed": "inconclusive"}
        assert [one.kind for one in stage.store.history("orders#1")].count("green") == 1
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent
