"""What a policy says, and whether it makes sense."""

from controller.core.policy.baseline import (
    Baseline,
    ConcurrentBaseline,
    FixedBaseline,
    FrozenBaseline,
)
from controller.core.policy.check import PolicyProblems, parse
from controller.core.policy.criteria import (
    Criterion,
    LatencyIncrease,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.policy.crosscheck import references
from controller.core.policy.freeze import Freeze
from controller.core.policy.model import LambdaEnv, Metric, Policy, Step
from controller.core.policy.problem import Place, Problem
from controller.core.policy.verify import VerifyRollback

__all__ = [
    "Baseline",
    "ConcurrentBaseline",
    "Criterion",
    "FixedBaseline",
    "Freeze",
    "FrozenBaseline",
    "LambdaEnv",
    "LatencyIncrease",
    "Metric",
    "Place",
    "Policy",
    "PolicyProblems",
    "Problem",
    "Step",
    "SuccessRate",
    "Threshold",
    "Traffic",
    "VerifyRollback",
    "parse",
    "references",
]
