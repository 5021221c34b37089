"""A failed check that an operator passes by its name: what a start does, records and refuses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.errors import UsageError
from controller.operations.start import StartRequest, retry, start
from controller.tools.replay import replay
from tests.support.cases import cases
from tests.support.stage import SHORT_POLICY, Stage, open_stage, short_policy
from tests.tools.simulation.worlds import HOUR, scenario

REASON = "it is published with the first failure"
NAME = "metric server_errors"


def unpublished(**parts: Any) -> Any:
    """Return the short policy with a failure metric that is not published yet."""
    errors = {"namespace": "Shop", "name": "Failures", "statistic": "Sum", "missing": "zero"}
    return short_policy(metrics={**SHORT_POLICY["metrics"], "server_errors": errors}, **parts)


def begin(stage: Stage, *despite: str, reason: str = REASON) -> Any:
    reason = reason if despite else ""
    return start(stage.runner, StartRequest(unpublished(), despite=despite, reason=reason))


def test_a_failed_check_refuses_a_start_and_says_how_to_pass_it(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage, pytest.raises(UsageError) as refused:
        begin(stage)
    assert f"to start anyway: --despite '{NAME}' --reason TEXT" in str(refused.value)


def test_a_check_that_is_passed_is_recorded_with_what_it_found_and_why(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        started = begin(stage, NAME)
        assert any("passed by --despite: " + NAME in warning for warning in started.warnings)
        first = stage.store.history("orders#1")[0]
        assert f"despite a failed check ({NAME}): {REASON}" in str(first.body["sentence"])
        cause: Any = first.body["cause"]
        assert cause["despite"] == {NAME: "Shop has no Failures in this account and region"}
        assert cause["despite_reason"] == REASON
        stage.tick()
        replayed = replay(stage.rollout, stage.store.history("orders#1"))
        assert replayed.consistent


def test_a_start_that_passes_nothing_stores_nothing_of_it(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        requested = StartRequest(stage.policy, "one", despite=("reach",), reason=REASON)
        started = start(stage.runner, requested)  # a check that does not fail needs no pass
        cause: Any = stage.store.history(started.rollout.id)[0].body["cause"]
        assert not {"despite", "despite_reason"} & cause.keys()
        assert "despite" not in str(stage.store.history("orders#1")[0].body["sentence"])


def test_a_retry_passes_a_check_with_the_reason_it_has(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        begin(stage, NAME)
        stage.runner.roll_back("orders#1", "support is paged")
        stage.world.clock.advance(HOUR)
        with pytest.raises(UsageError, match="Shop has no Failures"):
            retry(stage.runner, "orders#1", "mended")
        retry(stage.runner, "orders#1", "mended", despite=(NAME,))
        sentence = str(stage.store.history("orders#2")[0].body["sentence"])
        assert sentence.endswith(f"retried: mended; despite a failed check ({NAME})")


BOTH_PATHS: Mapping[str, Any] = {
    "metrics": {
        name: {"path": "both", "measure": name}
        for name in ("requests", "client_errors", "server_errors")
    },
    "traffic": {"requests_per_minute": 60},
}


@cases("played, despite, reason, said", {
    "a name that no check has":
        ({}, "metrc", REASON, f"no check is called 'metrc'; failed: '{NAME}'"),
    "no reason": ({}, NAME, "", f"--despite needs --reason TEXT, which is recorded in the history; "
                  f"failed: '{NAME}'"),
    "metrics of both paths":
        (BOTH_PATHS, "canary metrics", REASON, "check 'canary metrics' cannot be passed; failed"),
    "the weight itself": ({}, "weight", REASON, "the check 'weight' cannot be passed"),
})  # fmt: skip
def test_what_cannot_be_passed_names_what_failed(
    tmp_path: Path, played: dict[str, Any], despite: str, reason: str, said: str
) -> None:
    with open_stage(tmp_path, scenario(**played)) as stage:
        stage.world.clock.advance(2 * HOUR)
        with pytest.raises(UsageError) as refused:
            begin(stage, despite, reason=reason)
        assert said in str(refused.value)
        assert stage.store.of_name("orders") == ()


def test_a_reason_without_a_check_is_a_mistake(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage, pytest.raises(UsageError, match="--despite CHECK"):
        start(stage.runner, StartRequest(stage.policy, "one", reason=REASON))


def test_a_pass_is_of_its_check_alone(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.world.set_variables("handler", {"PERCENTAGE": "40"})
        stage.world.clock.advance(HOUR)
        with pytest.raises(UsageError, match="the canary has 40% already") as refused:
            begin(stage, NAME)
        assert "Failures" not in str(refused.value)
