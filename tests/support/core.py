"""The core, as its tests see it: a module of `controller.core` that moves is followed here alone.

Tests and their builders import from here what they need of the core. Those of one unit with a
vocabulary of its own, such as the formulas of `controller.core.stats`, import that unit besides.
"""

from collections.abc import Mapping
from typing import TypeAlias

from controller.adapters.stores import codec
from controller.core.commands import ALLOWED_PHASES, GATED_VERBS
from controller.core.decide import decide
from controller.core.decision import Alert, Decision, Notice, Record, SetWeight, SetZero
from controller.core.events import (
    Command,
    Commanded,
    DriftResolution,
    Event,
    LateRaise,
    LostSave,
    Observed,
    StartCause,
    Started,
    Verb,
    WriteFailed,
)
from controller.core.history import Entry, append, broken_link, observation_data
from controller.core.judge.evidence import (
    BaselineMeasurement,
    RolloutEvidence,
    SignOff,
    StepInterval,
    Tally,
)
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate import judge_gate, query_plan
from controller.core.judge.judgement import judge
from controller.core.judge.stored_series import restore_series, trim_series
from controller.core.message import Message, Severity
from controller.core.notice_rules import Condition, ConditionKind
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
    StableUse,
    State,
    Succeeded,
)
from controller.core.stats.combined_tests import SequentialState
from controller.core.transitions.pending_raise import is_raise_frozen
from controller.core.words.criteria_table import rows, table
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import next_action, waits_for
from controller.engine.outbox import hook_record
from controller.errors import StoreError, UsageError
from controller.tools.replay import Replay, replay
from tests.support.parsed import PolicyProblems, parse

Target: TypeAlias = TargetReading | UnreadableTarget
Measured: TypeAlias = Mapping[str, Series]
Seen: TypeAlias = Observed | Commanded | LostSave | LateRaise
"""The events that come with an observation."""
