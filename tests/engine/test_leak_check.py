"""The leak check after a rollback, on the real adapters: by requests, and by log events."""

from pathlib import Path
from typing import Any

import pytest

from controller.core.judge.stored_series import series_of
from controller.core.observation import Series
from controller.engine.execute import TickOutcome
from controller.process import logging
from controller.tools.simulation.fakes.errors import apply_outage
from tests.support.core import Alert, Finding, Label, Phase, Severity, replay, sentence_of
from tests.support.stage import (
    METRICS,
    SHORT_POLICY,
    Stage,
    function_with,
    open_stage,
    short_policy,
)
from tests.tools.simulation.service_model import hold_to_model
from tests.tools.simulation.worlds import MINUTE, scenario

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]
GATEWAY, DIRECT = '{ $.event = "gateway_call" }', '{ $.event = "direct_call" }'
GROUP = "/aws/lambda/handler"
SEARCH = ("logs", "FilterLogEvents")
VERIFIED = short_policy(verify_rollback={"absent": GATEWAY, "present": DIRECT})
# Only its log shows whether requests still reach the canary: no criterion counts them.
BY_LOG = short_policy(
    metrics={"server_errors": SHORT_POLICY["metrics"]["server_errors"]},
    criteria={
        "few": {
            "kind": "threshold", "judge": "threshold", "metric": "server_errors", "max": 5,
            "window": "1m", "failure_limit": 1, "min_samples": 50,
        },
    },
    verify_rollback={"absent": GATEWAY, "present": DIRECT},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


def roll_back(stage: Stage) -> None:
    """Start, and tick until 0% is applied."""
    stage.world.interceptors.append(hold_to_model)
    stage.start()
    for _ in range(10):
        if stage.tick().rollout.phase is Phase.ROLLED_BACK:
            stage.notices.clear()
            return
    raise AssertionError(stage.rollout.sentence)


def leak_check(stage: Stage) -> Finding:
    finding = stage.rollout.leak_check
    assert finding is not None
    return finding


def sick(**parts: Any) -> Any:
    return scenario(function=function_with(), **{"events": SICK, **parts})


def test_a_rollback_that_requests_followed_is_confirmed_and_no_more_metrics_are_read(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, sick()) as stage:
        roll_back(stage)
        visits = stage.ticks(15)
        assert (leak_check(stage).label, leak_check(stage).measured) == (Label.CONFIRMED, 0)
        assert [notice.severity for notice in stage.notices] == [Severity.INFO]
        assert {visit.alerts for visit in visits} == {()}
        kinds = [one.kind for one in stage.store.history(stage.rollout.id)]
        assert kinds[-2:] == ["rolled_back", "leak_checked"]
        reads = stage.world.calls[METRICS]
        stage.tick()
        assert stage.world.calls[METRICS] == reads


# --- Log events -----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [VERIFIED, BY_LOG], ids=["with requests", "alone"])
def test_a_verified_rollback_is_confirmed_and_replayed_from_the_counts(
    tmp_path: Path, policy: Any
) -> None:
    with open_stage(tmp_path, sick(), policy) as stage:
        roll_back(stage)
        visits = stage.ticks(15)
        assert leak_check(stage).label is Label.CONFIRMED
        assert f"{DIRECT} was logged at least 1,000 times" in sentence_of(leak_check(stage))
        assert {visit.alerts for visit in visits} == {()}
        history = stage.store.history(stage.rollout.id)
        assert history[-1].kind == "leak_checked"
        seen = series_of(history[-1].body["observation"]["series"])
        assert seen["log:absent"] == Series()
        assert sum(seen["log:present"].points.values()) == 1_000
        assert replay(stage.rollout, history).consistent
        searches = stage.world.calls[SEARCH]
        stage.tick()
        assert stage.world.calls[SEARCH] == searches  # the leak check has ended


@pytest.mark.parametrize("policy", [VERIFIED, BY_LOG], ids=["with requests", "alone"])
def test_an_event_of_the_canary_after_the_rollback_is_a_page_and_exit_5(
    tmp_path: Path, policy: Any
) -> None:
    """By its metrics every request went back; the log shows a caller that still uses the canary."""
    with open_stage(tmp_path, sick(), policy) as stage:
        roll_back(stage)
        for minute in range(3, 6):
            moment = stage.world.clock.now() + minute * MINUTE
            stage.world.add_log_event(GROUP, moment, '{"event": "gateway_call"}')
        visits: list[TickOutcome] = stage.ticks(15)
        assert [visit.alerts for visit in visits if visit.alerts] == [(Alert.ROLLBACK_UNCONFIRMED,)]
        (page,) = stage.notices
        assert page.severity is Severity.CRITICAL
        failure = "leak check failed, requests still reach the canary"
        assert f"{failure}: {GATEWAY} was logged once in {GROUP}" in page.text
        history = stage.store.history(stage.rollout.id)
        assert [one["label"] for one in history[-1].body["findings"]] == ["failed"]
        assert replay(stage.rollout, history).consistent


@pytest.mark.parametrize("how", ["denied", "throttle", "timeout"])
def test_logs_that_cannot_be_read_stop_no_tick_and_are_reported(tmp_path: Path, how: str) -> None:
    def refuse(service: str, operation: str, request: Any, proceed: Any) -> Any:
        return apply_outage(service, operation, how, proceed) if service == "logs" else proceed()

    with open_stage(tmp_path, sick(), BY_LOG) as stage:
        roll_back(stage)
        stage.world.interceptors.append(refuse)
        visits = stage.ticks(15)
        assert {(visit.problem, visit.alerts, visit.saved) for visit in visits} == {("", (), True)}
        assert leak_check(stage).label is Label.UNOBSERVABLE
        assert f"{GROUP} could not be searched (logs:FilterLogEvents): " in sentence_of(
            leak_check(stage)
        )
        assert replay(stage.rollout, stage.store.history(stage.rollout.id)).consistent
