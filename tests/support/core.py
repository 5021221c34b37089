"""The core, as its tests see it: a module of `controller.core` that moves is followed here alone.

Tests of `tests/core` import what they need of the engine from here. The judge is asked as `decide`
asks it: a rollout and an observation make evidence (`evidence_of`), and evidence makes findings
(`judge`). What was folded before is in the rollout; `seal_if_due` folds more.
"""

from controller.core.commands import Command, Verb
from controller.core.decide import Commanded, Observed, decide
from controller.core.decision import Alert, Decision, Severity
from controller.core.judge.criteria_table import rows, table
from controller.core.judge.evidence import BaselineMeasurement, SignOff, StepInterval, Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate import judge, query_plan
from controller.core.judge.tick_evidence import (
    evidence_of,
    restore_series,
    seal_if_due,
    trim_series,
)
from controller.core.observation import (
    AlarmReading,
    AlarmState,
    Observation,
    QueryStatus,
    Series,
    TargetReading,
    UnreadableTarget,
)
from controller.core.policy import Policy
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.core.stats.combined_tests import Fold

__all__ = [
    "AlarmReading",
    "AlarmState",
    "Alert",
    "BaselineMeasurement",
    "Command",
    "Commanded",
    "Decision",
    "Finding",
    "Fold",
    "Intent",
    "Label",
    "Observation",
    "Observed",
    "Phase",
    "Policy",
    "QueryStatus",
    "Reason",
    "Rollout",
    "Series",
    "Severity",
    "SignOff",
    "StepInterval",
    "Tally",
    "TargetReading",
    "UnreadableTarget",
    "Verb",
    "Verdict",
    "decide",
    "evidence_of",
    "judge",
    "query_plan",
    "restore_series",
    "rows",
    "seal_if_due",
    "table",
    "trim_series",
]
