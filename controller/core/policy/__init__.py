"""The model of a policy. `policy_file` reads a file into it and reports the mistakes."""

from controller.core.policy.comparison import (
    Baseline,
    ConcurrentBaseline,
    FixedBaseline,
    FrozenBaseline,
)
from controller.core.policy.criteria import MissingCriterion
from controller.core.policy.criteria.alarms_logs_signoffs import (
    Alarm,
    Attestation,
    LogEvents,
    alarm_name,
)
from controller.core.policy.criteria.measured import LatencyIncrease, SuccessRate, Threshold
from controller.core.policy.criteria.traffic import BurnRate, BurnWindow, Share, Traffic
from controller.core.policy.freeze import Freeze, Frozen
from controller.core.policy.hooks import Hook, Hooks, HttpsHook, LambdaHook
from controller.core.policy.judge_settings import Criterion, MeasuredCriterion
from controller.core.policy.metric import Metric
from controller.core.policy.model import Policy, Step, failure_criteria
from controller.core.policy.notify import (
    Channel,
    SecretReference,
)
from controller.core.policy.targets import TargetSpec
from controller.core.policy.verify_rollback import VerifyRollback

__all__ = [
    "Alarm",
    "Attestation",
    "Baseline",
    "BurnRate",
    "BurnWindow",
    "Channel",
    "ConcurrentBaseline",
    "Criterion",
    "FixedBaseline",
    "Freeze",
    "Frozen",
    "FrozenBaseline",
    "Hook",
    "Hooks",
    "HttpsHook",
    "LambdaHook",
    "LatencyIncrease",
    "LogEvents",
    "MeasuredCriterion",
    "Metric",
    "MissingCriterion",
    "Policy",
    "SecretReference",
    "Share",
    "Step",
    "SuccessRate",
    "TargetSpec",
    "Threshold",
    "Traffic",
    "VerifyRollback",
    "alarm_name",
    "failure_criteria",
]
