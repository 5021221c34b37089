"""Metrics of the canary that count requests while its weight is 0 refuse a start."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.operations.start import check_start
from tests.support.stage import SHORT_POLICY, Stage, open_stage, short_policy
from tests.tools.simulation.worlds import HOUR, MINUTE, scenario

# Every request of the gateway, whichever path it came by; the policy takes them for the canary's.
SHARED = {
    name: {"path": "both", "measure": name}
    for name in ("requests", "client_errors", "server_errors")
}
MISTAKEN = "requests counted"


def stated(counts: str) -> dict[str, Any]:
    """Return the short policy's parts in which each metric says so, and a sign-off that gates."""
    signed = {"kind": "attestation", "statement": "The canary works."}
    return {
        "metrics": {
            name: {**one, "counts": counts} for name, one in SHORT_POLICY["metrics"].items()
        },
        "criteria": {**SHORT_POLICY["criteria"], "signed": signed},
    }


def refusals(
    folder: Path,
    per_minute: float = 60,
    prepare: Callable[[Stage], object] = lambda stage: None,
    *,
    adopt: bool = False,
    **policy: Any,
) -> str:
    played = scenario(metrics=SHARED, traffic={"requests_per_minute": per_minute})
    with open_stage(folder, played, short_policy(**policy)) as stage:
        stage.world.clock.advance(2 * HOUR)
        prepare(stage)
        return " ".join(check_start(stage.runner, stage.policy, adopt=adopt).refusals)


def test_steady_requests_at_0_percent_refuse_a_start_and_are_explained(tmp_path: Path) -> None:
    said = refusals(tmp_path)
    assert MISTAKEN in said
    assert all(hint in said for hint in ("counts: both", "probes_per_minute"))


@pytest.mark.parametrize(
    ("per_minute", "policy"),
    [(60, stated("both")), (60, stated("stable")), (60, {"probes_per_minute": 60}), (0, {})],
    ids=["counts: both", "counts: stable", "declared probes", "no requests"],
)
def test_what_is_declared_or_absent_refuses_nothing(
    tmp_path: Path, per_minute: float, policy: dict[str, Any]
) -> None:
    assert not refusals(tmp_path, per_minute, **policy)


def test_more_requests_than_the_declared_probes_refuse_a_start(tmp_path: Path) -> None:
    assert MISTAKEN in refusals(tmp_path, probes_per_minute=6)


def test_a_person_who_tries_the_canary_out_refuses_nothing(tmp_path: Path) -> None:
    burst = {"kind": "traffic", "times": 60, "at": {"after": "100m"}, "lasting": "5m"}
    played = scenario(metrics=SHARED, traffic={"requests_per_minute": 0.01}, events=[burst])
    with open_stage(tmp_path, played) as stage:
        stage.world.clock.advance(2 * HOUR)
        assert not check_start(stage.runner, stage.policy).refusals


def at_10_percent(stage: Stage) -> None:
    stage.world.set_variables("handler", {"PERCENTAGE": "10"})
    stage.world.clock.advance(MINUTE)


def test_a_live_weight_that_is_adopted_is_no_foreign_traffic(tmp_path: Path) -> None:
    assert MISTAKEN not in refusals(tmp_path, prepare=at_10_percent, adopt=True)


@pytest.mark.parametrize(("later", "refused"), [(25, False), (60, True)])
def test_requests_of_an_earlier_rollout_are_left_out(
    tmp_path: Path, later: int, refused: bool
) -> None:
    """A rollout that has just ended had requests of its own; a quarter of an hour later, none."""
    played = scenario(metrics=SHARED, traffic={"requests_per_minute": 60})
    with open_stage(tmp_path, played, short_policy(**stated("both"))) as stage:
        rollout = stage.start()
        stage.tick()
        stage.runner.roll_back(rollout.id, "not today")
        stage.world.clock.advance(timedelta(minutes=later))
        assert (MISTAKEN in " ".join(check_start(stage.runner, short_policy()).refusals)) is refused
