"""The kinds of criteria that a gate is made of, each with its bound and its judge.

success_rate       share of requests that did not fail (SC-004)
latency_increase   latency against a baseline (SC-003)
threshold          any metric, or a ratio of two, against a bound
traffic            requests reached the canary
share              share of requests on the canary against the weight
burn_rate          error budget that a pair of windows burns
alarm              state of a CloudWatch alarm
log_events         an event that is absent from the log, or present in it
attestation        signature of an operator
"""

from typing import ClassVar, Final

from controller.core.policy.comparison import NotCompared
from controller.core.policy.judge_settings import Criterion
from controller.core.policy.kind_registry import MissingKind, Registry


class MissingCriterion(Criterion, MissingKind):
    """A stored criterion whose kind has no usable model here: it is never judged."""

    judged_by: ClassVar[str] = (
        "controller.core.judge.criteria.alarms_logs_signoffs:MissingCriterionJudge"
    )

    def compares(self) -> NotCompared:
        return NotCompared(self.problem)


CRITERIA: Final = Registry(
    "criterion",
    "rolloutctl.criteria",
    {
        "success_rate": "controller.core.policy.criteria.measured:SuccessRate",
        "latency_increase": "controller.core.policy.criteria.measured:LatencyIncrease",
        "threshold": "controller.core.policy.criteria.measured:Threshold",
        "traffic": "controller.core.policy.criteria.traffic:Traffic",
        "share": "controller.core.policy.criteria.traffic:Share",
        "burn_rate": "controller.core.policy.criteria.traffic:BurnRate",
        "alarm": "controller.core.policy.criteria.alarms_logs_signoffs:Alarm",
        "log_events": "controller.core.policy.criteria.alarms_logs_signoffs:LogEvents",
        "attestation": "controller.core.policy.criteria.alarms_logs_signoffs:Attestation",
    },
    Criterion,
    MissingCriterion,
)
