"""The ground truth of a target, one module for each kind.

It is read from the simulated account, past the API and without the code of the adapter: the oracle
checks the adapter, and must not share its bugs.
"""

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from controller.core.policy import TargetSpec
from controller.tools.simulation.world import World
from tests.chaos.fault_plan import TargetKind
from tests.chaos.ground_truth.alb_weights import AlbWeightsTruth
from tests.chaos.ground_truth.appconfig import AppConfigTruth
from tests.chaos.ground_truth.lambda_alias import LambdaAliasTruth
from tests.chaos.ground_truth.lambda_env import LambdaEnvTruth
from tests.chaos.ground_truth.truth import GroundTruth, TargetState, changed_names

__all__ = [
    "KINDS",
    "GroundTruth",
    "TargetState",
    "changed_names",
    "drawn_kind",
    "kind_of",
    "open_ground_truth",
]

KINDS: Final[Mapping[TargetKind, type[GroundTruth]]] = {
    "lambda-env": LambdaEnvTruth,
    "lambda-alias": LambdaAliasTruth,
    "alb-weights": AlbWeightsTruth,
    "appconfig": AppConfigTruth,
}


def kind_of(target: TargetSpec) -> TargetKind:
    """Return the kind of `target`."""
    return next(kind for kind in KINDS if kind == target.kind)


def drawn_kind(seed: int) -> TargetKind:
    """Return the kind that `seed` draws where every kind is played."""
    return Random(f"target:{seed}").choice(tuple(KINDS))


def open_ground_truth(target: TargetSpec, world: World) -> GroundTruth:
    """Return the ground truth of `target` in `world`."""
    kind: Any = KINDS[kind_of(target)]
    opened: GroundTruth = kind(target, world)
    return opened
