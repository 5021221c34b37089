"""A criterion that fails already refuses a start, whichever step it gates."""

from pathlib import Path
from typing import Any

import pytest

from controller.operations.start import check_start
from tests.support.cases import cases
from tests.support.stage import SHORT_POLICY, open_stage, short_policy
from tests.tools.simulation.worlds import POLICY

# No request is answered within a millisecond.
QUICK = {"kind": "threshold", "metric": "direct", "max": 1}


def refusals(folder: Path, judge: str, gates: list[list[str]]) -> tuple[str, ...]:
    """Return the refusals of a start with these gates at 10 and at 100%."""
    overrides: dict[str, Any] = {
        "metrics": {
            **SHORT_POLICY["metrics"],
            "direct": {**POLICY["metrics"]["direct"], "counts": "stable"},
        },
        "criteria": {
            **SHORT_POLICY["criteria"],
            "quick": {
                **QUICK,
                "judge": judge,
                **({"window": "1m"} if judge == "threshold" else {}),
            },
        },
        "steps": [
            {"weight": weight, "bake": "3m", "criteria": gate}
            for weight, gate in zip((10, 100), gates, strict=True)
        ],
    }
    with open_stage(folder, policy=short_policy(**overrides)) as stage:
        return check_start(stage.runner, stage.policy).refusals


@cases("gates", {
    "of both steps": [["works", "quick"], ["works", "quick"]],
    "of the first step": [["works", "quick"], ["works"]],
    "of the last step": [["works"], ["works", "quick"]],
})  # fmt: skip
@pytest.mark.parametrize("judge", ["sequential", "threshold"])
def test_a_criterion_that_fails_already_is_an_obstacle(
    tmp_path: Path, judge: str, gates: list[list[str]]
) -> None:
    (refusal,) = refusals(tmp_path, judge, gates)
    assert refusal.startswith("fails already, before the start: criterion quick fails: ")
