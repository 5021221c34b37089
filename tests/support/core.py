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
from controller.adapters.stores.codec import SCHEMA
from controller.core.commands import ALLOWED_PHASES, GATED_VERBS
from controller.core.conditions import Condition, ConditionKind
from controller.core.decide import decide
from controller.core.decision import Alert, Decision, Lower, Notice, Record, Shift
from controller.core.events import (
    Command,
    Commanded,
    DriftResolution,
    Event,
    LateRaise,
    LostSave,
    Observed,
    Started,
    Verb,
    WriteFailed,
)
from controller.core.history import Entry, append, broken_link, observation_data
from controller.core.judge.criteria_table import rows, table
from controller.core.judge.evidence import (
    BaselineMeasurement,
    RolloutEvidence,
    SignOff,
    StepInterval,
    Tally,
)
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate import judge_gate, query_plan
from controller.core.judge.sentences import sentence_of
from controller.core.judge.tick_evidence import (
    evidence_of,
    restore_series,
    seal_if_due,
    trim_series,
)
from controller.core.message import Message, Severity
from controller.core.next_action import next_action, waits_for
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
from controller.core.rollout import (
    FINAL_PHASES,
    Live,
    Paused,
    Pending,
    Phase,
    Position,
    Progressing,
    Reason,
    RolledBack,
    RollingBack,
    Rollout,
    State,
    Succeeded,
)
from controller.core.stats.combined_tests import Fold
from controller.core.transitions import is_raise_frozen
from controller.engine.outbox import hook_record
from controller.errors import StoreError, UsageError
from controller.operations.replay.replay import Replay, replay
from controller.policy_file.check.parse import PolicyProblems, parse

Target: TypeAlias = TargetReading | UnreadableTarget
Measured: TypeAlias = Mapping[str, Series]
Seen: TypeAlias = Observed | Commanded | LostSave | LateRaise
"""The events that come with an observation."""

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
    "Condition",
    "ConditionKind",
    "Consent",
    "Decision",
    "DriftResolution",
    "Entry",
    "Event",
    "Finding",
    "Fold",
    "HookAnswer",
    "Label",
    "LateRaise",
    "Live",
    "LostSave",
    "Lower",
    "Measured",
    "Message",
    "Notice",
    "Observation",
    "Observed",
    "Paused",
    "Pending",
    "Phase",
    "Policy",
    "PolicyProblems",
    "Position",
    "Progressing",
    "QueryStatus",
    "Reason",
    "Record",
    "Replay",
    "RolledBack",
    "RollingBack",
    "Rollout",
    "RolloutEvidence",
    "Seen",
    "Series",
    "Severity",
    "Shift",
    "SignOff",
    "Started",
    "State",
    "StepInterval",
    "StoreError",
    "Succeeded",
    "Tally",
    "Target",
    "TargetReading",
    "UnreadableTarget",
    "UpdateStatus",
    "UsageError",
    "Verb",
    "Verdict",
    "WriteFailed",
    "append",
    "broken_link",
    "codec",
    "decide",
    "evidence_of",
    "hook_record",
    "is_raise_frozen",
    "judge_gate",
    "next_action",
    "observation_data",
    "parse",
    "query_plan",
    "replay",
    "restore_series",
    "rows",
    "seal_if_due",
    "sentence_of",
    "table",
    "trim_series",
    "waits_for",
]
