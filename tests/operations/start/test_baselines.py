"""A baseline with too few datapoints refuses a start."""

from pathlib import Path
from typing import Any

from controller.core.units import clock_text
from controller.operations.start import check_start
from tests.support.cases import cases
from tests.support.stage import SHORT_POLICY, open_stage, short_policy
from tests.tools.simulation.worlds import MINUTE, POLICY, START


def refusals(folder: Path, judge: str, window: str) -> tuple[str, ...]:
    """Return the refusals of a start whose latency baseline is read `window` before it."""
    fast = {**POLICY["criteria"]["fast"], "judge": judge, "window": "1m"}
    fast["baseline"] = {"frozen": "direct", "window": window}
    metrics = {name: POLICY["metrics"][name] for name in ("latency", "direct")}
    overrides: dict[str, Any] = {
        "metrics": {**SHORT_POLICY["metrics"], **metrics},
        "criteria": {**SHORT_POLICY["criteria"], "fast": fast},
    }
    with open_stage(folder, policy=short_policy(**overrides)) as stage:
        return check_start(stage.runner, stage.policy).refusals


def test_how_much_a_latency_varies_takes_eight_stretches_of_five_minutes(tmp_path: Path) -> None:
    assert refusals(tmp_path, "sequential", "30m") == (
        "fast: direct (p95) of {FunctionName: backend} has data of fewer than 8 stretches of 5 "
        "minutes from "
        f"{clock_text(START - 35 * MINUTE)} to {clock_text(START - 5 * MINUTE)}; "
        "take more of the stable path, or give a known value: baseline: {fixed: ...}",
    )


@cases("judge, window", {
    "nine of them are enough": ("sequential", "45m"),
    "the threshold judge needs only the value": ("threshold", "30m"),
})  # fmt: skip
def test_a_baseline_with_enough_data_is_no_obstacle(
    tmp_path: Path, judge: str, window: str
) -> None:
    assert refusals(tmp_path, judge, window) == ()
