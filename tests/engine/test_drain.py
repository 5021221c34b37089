"""The drain after a rollback, on the real adapters: ticks measure it, and report it once."""

from pathlib import Path
from typing import Any

import pytest

from controller.engine.execute import Visit
from controller.process import logging
from controller.simulation.scenario.scenario import Scenario
from tests.simulation.worlds import POLICY, scenario
from tests.support.core import Alert, Label, Phase, Severity
from tests.support.stage import (
    METRICS,
    SHORT_POLICY,
    Stage,
    function_with,
    open_stage,
    short_policy,
)

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]
# The canary's metric also counts what the stable path serves: callers that the weight cannot lower.
LEAKING = {"requests": {"path": "stable", "measure": "requests"}}


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


def sick(**parts: Any) -> Scenario:
    return scenario(function=function_with(), **{"events": SICK, **parts})


def ticks_after_rollback(stage: Stage) -> list[Visit]:
    """Start, tick until 0 % is applied, and for 15 minutes more."""
    stage.start()
    for _ in range(10):
        if stage.tick().rollout.phase is Phase.ROLLED_BACK:
            stage.notices.clear()
            return stage.ticks(15)
    raise AssertionError(stage.rollout.sentence)


def test_a_rollback_that_requests_followed_is_confirmed_and_no_more_metrics_are_read(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, sick()) as stage:
        visits = ticks_after_rollback(stage)
        drain = stage.rollout.drain
        assert drain is not None
        assert (drain.label, drain.measured) == (Label.CONFIRMED, 0)
        assert [one.severity for one in stage.notices] == [Severity.INFO]
        assert {visit.alerts for visit in visits} == {()}
        assert [one.kind for one in stage.store.history(stage.rollout.id)][-2:] == [
            "rolled_back", "drained",
        ]  # fmt: skip
        reads = stage.world.calls[METRICS]
        stage.tick()
        assert stage.world.calls[METRICS] == reads


def test_requests_that_stay_after_a_rollback_page_once_and_are_in_the_history(
    tmp_path: Path,
) -> None:
    gateway = {**POLICY["metrics"]["requests"], "namespace": "Custom", "counts": "both"}
    policy = short_policy(metrics={**SHORT_POLICY["metrics"], "requests": gateway})
    with open_stage(tmp_path, sick(metrics=LEAKING), policy) as stage:
        visits = ticks_after_rollback(stage)
        assert [visit.alerts for visit in visits if visit.alerts] == [(Alert.ROLLBACK_UNCONFIRMED,)]
        (page,) = stage.notices
        assert page.severity is Severity.CRITICAL
        assert (
            "drain failed, requests still reach the canary: metric requests counted " in page.text
        )
        entry = stage.store.history(stage.rollout.id)[-1]
        assert (entry.kind, entry.body["weight_to"]) == ("drained", 0)
        assert [one["label"] for one in entry.body["findings"]] == ["failed"]
        assert entry.body["observation"]["series"]["requests:Sum@60"]["points"]
