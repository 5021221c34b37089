"""The core, as its tests see it: a module of `controller.core` that moves is followed here alone.

Tests of `tests/core` and their builders import from here what they need of the engine. Some test
one unit with a vocabulary of its own, and import that unit besides:

- `test_units.py`: durations, percents and numbers as text
- `test_history.py`: entries as JSON data
- `policy/`: the models of a policy, its kinds, and the check of its time zones
- `transitions/test_paused_raise.py`: the window of `verify` (`controller.operations`)
"""

from collections.abc import Mapping
from typing import TypeAlias

from controller.adapters.stores import codec
from controller.core.commands import ALLOWED_PHASES, GATED_VERBS, Command, DriftResolution, Verb
from controller.core.decide import (
    Commanded,
    Event,
    LateRaise,
    LostSave,
    Observed,
    decide,
    with_refused_rollback,
)
from controller.core.decision import Alert, Decision, Lower, Notice, Record, Severity, Shift
from controller.core.history import Entry, append, broken_link, observation_data
from controller.core.judge.criteria_table import rows, table
from controller.core.judge.evidence import BaselineMeasurement, SignOff, StepInterval, Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate import judge_gate, query_plan
from controller.core.judge.sentences import sentence_of
from controller.core.judge.tick_evidence import (
    evidence_of,
    restore_series,
    seal_if_due,
    trim_series,
)
from controller.core.message import Message, Page
from controller.core.observation import (
    AlarmReading,
    AlarmState,
    Consent,
    HookAnswer,
    Observation,
    QueryStatus,
    Series,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
)
from controller.core.policy import Policy
from controller.core.rollout import FINAL_PHASES, SCHEMA, Intent, Phase, Reason, Rollout
from controller.core.stats.combined_tests import Fold
from controller.core.transitions import is_raise_frozen, start_rollout
from controller.engine.outbox import hook_record
from controller.errors import StoreError, UsageError
from controller.operations.replay.replay import Replay, replay
from controller.policy_file.check.parse import PolicyProblems, parse

Target: TypeAlias = TargetReading | UnreadableTarget
Measured: TypeAlias = Mapping[str, Series]

__all__ = [
    "ALLOWED_PHASES",
    "FINAL_PHASES",
    "GATED_VERBS",
    "SCHEMA",
    "AlarmReading",
    "AlarmState",
    "Alert",
    "BaselineMeasurement",
    "Command",
    "Commanded",
    "Consent",
    "Decision",
    "DriftResolution",
    "Entry",
    "Event",
    "Finding",
    "Fold",
    "HookAnswer",
    "Intent",
    "Label",
    "LateRaise",
    "LostSave",
    "Lower",
    "Measured",
    "Message",
    "Notice",
    "Observation",
    "Observed",
    "Page",
    "Phase",
    "Policy",
    "PolicyProblems",
    "QueryStatus",
    "Reason",
    "Record",
    "Replay",
    "Rollout",
    "Series",
    "Severity",
    "Shift",
    "SignOff",
    "StepInterval",
    "StoreError",
    "Tally",
    "Target",
    "TargetReading",
    "UnreadableTarget",
    "UpdateStatus",
    "UsageError",
    "Verb",
    "Verdict",
    "append",
    "broken_link",
    "codec",
    "decide",
    "evidence_of",
    "hook_record",
    "is_raise_frozen",
    "judge_gate",
    "observation_data",
    "parse",
    "query_plan",
    "replay",
    "restore_series",
    "rows",
    "seal_if_due",
    "sentence_of",
    "start_rollout",
    "table",
    "trim_series",
    "with_refused_rollback",
]
