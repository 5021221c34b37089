"""The ground truth of a target, one module for each kind.

It is read from the simulated account, past the API and without the code of the adapter: the oracle
checks the adapter, and must not share its bugs.
"""

from collections.abc import Mapping
from typing import Any, Final

from controller.core.policy import TargetSpec
from controller.simulation.world import World
from tests.chaos.ground_truth.lambda_env import LambdaEnvTruth
from tests.chaos.ground_truth.truth import GroundTruth, TargetState, changed_names

__all__ = ["KINDS", "GroundTruth", "TargetState", "changed_names", "open_ground_truth"]

KINDS: Final[Mapping[str, type[GroundTruth]]] = {"lambda-env": LambdaEnvTruth}


def open_ground_truth(target: TargetSpec, world: World) -> GroundTruth:
    """Return the ground truth of `target` in `world`."""
    kind: Any = KINDS[target.kind]
    opened: GroundTruth = kind(target, world)
    return opened
