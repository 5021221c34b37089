"""The JSON of verbs on policy files: validate, plan and rehearse."""

from typing import Annotated, Any

from controller.core.rollout import Phase, Reason
from controller.operations.feasibility import ShortfallKind
from controller.operations.init.survey import Counts
from controller.ports.json_types import (
    Count,
    Document,
    FindingView,
    Moment,
    Percent,
    one_of,
    whole,
)
from controller.render.exposure import ExpectedData, ExposureData
from controller.render.outputs.rollouts import CriterionRow, RolloutData


class Problem(Document):
    """One mistake in a policy file."""

    file: str
    """The file, as the command line named it."""
    line: Annotated[int, whole(1)]
    """Line of the mistake, from 1; 1 for a mistake of the file as a whole."""
    column: Annotated[int, whole(1)]
    """Column of the mistake, from 1; 1 for a mistake of the file as a whole."""
    path: str
    """Path of the value in the policy, such as steps[1].weight; empty: the whole document."""
    message: str
    """What is wrong."""


# --- Gate power -----------------------------------------------------------------------------------


class DetectionData(Document):
    """How long a fault of one size runs before it is rolled back."""

    effect: float
    """Share of requests that fail, or increase of a latency, as a fraction."""
    minutes: Count | None
    """Minutes of the step until the rollback; null: not within the step."""


class ShortfallData(Document):
    """Why a criterion cannot decide within the bake, and what would help."""

    lacks: Annotated[str, one_of(ShortfallKind)]
    """What is missing: large faults go undetected, or samples or requests are too few."""
    needed: float
    """The undetected effect, or the samples or requests that a decision needs."""
    decides_after_the_bake: bool
    """Whether the gate decides later, while it holds after the bake."""
    bake_minutes: Count | None
    """Minutes of bake that suffice; null: a longer bake does not help."""
    requests_per_minute: float | None
    """Requests a minute, of both paths, that suffice; null: unknown, or more do not help."""
    probes_per_minute: float | None
    """Additional requests a minute on the canary that suffice; null: unknown, or no help."""


class CriterionPower(Document):
    """What one criterion can decide in one step; null: never, or it does not apply."""

    samples: float
    """Samples by the end of the bake."""
    min_samples: Count
    """Samples that a pass needs."""
    min_samples_after_minutes: int | None
    """Minutes of the bake until a pass has enough samples; null: never."""
    finds: list[DetectionData]
    """How long faults of a few sizes run before they are rolled back."""
    smallest: float | None
    """Smallest fault that is found within the bake, as a fraction."""
    requests_to_prove: float | None
    """Requests without a failure that prove the rate."""
    proven_from_requests_per_minute: float | None
    """Requests a minute, of both paths, from which on the bake has as many."""
    window_samples: float | None
    """Requests in a window, for a criterion that compares windows."""
    one_failure_breaches_below: float | None
    """With fewer requests in a window, one failure is a breach."""
    canary_share: float
    """Share of the canary in the requests that it judges; below 1: its metrics count both paths."""
    cannot_decide: list[ShortfallData]
    """Why the criterion cannot decide; empty: it can."""


class StepPowerData(Document):
    """What the gate of one step can decide."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    requests: float
    """Requests on the canary during the bake."""
    control_requests: float
    """Requests on the stable path during the bake."""
    criteria: dict[str, CriterionPower]
    """What each criterion of the gate can decide, by id."""
    expected: ExpectedData | None
    """What an outage would cost; null: no criterion of the gate counts failures."""


class PowerData(Document):
    """What each gate can decide at a request rate."""

    requests_per_minute: float
    """The request rate, of both paths together."""
    source: str
    """Where the rate comes from."""
    steps: list[StepPowerData]
    """Each step of the policy."""


# --- validate -------------------------------------------------------------------------------------


class FileCheck(Document):
    """The result for one policy file."""

    file: str
    """The file, as the command line named it."""
    ok: bool
    """Whether the file is a valid policy."""
    problems: list[Problem]
    """Every mistake in it, in the order of the file."""
    warnings: list[Problem]
    """What is valid and probably a mistake, in the order of the file."""
    ladder: str | None
    """The steps for people; null: the file is not valid."""


class ValidateData(Document):
    """The result for each policy file."""

    ok: bool
    """Whether every file is a valid policy."""
    files: list[FileCheck]
    """Each file, in the order of the command line."""


# --- plan -----------------------------------------------------------------------------------------


class PlannedStep(Document):
    """One step of a policy; durations as a policy writes them, such as 1h."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    bake: str
    """How long the step is judged."""
    warmup: str
    """How long it runs before it is judged."""
    max_hold: str
    """How long an inconclusive gate holds after the bake."""
    needs_approval: bool
    """Whether an operator has to approve the step."""
    max_bad_requests: Count | None
    """Bad requests that the step may be expected to serve; null: any number."""
    criteria: list[str]
    """Ids of the criteria that are judged in the step."""
    reports: list[str]
    """Ids of those that only report."""


class FreezeData(Document):
    """The times in which no step is taken."""

    zone: str
    """Time zone of the windows."""
    windows: list[str]
    """The windows as the policy has them, as text."""
    frozen_until: Moment | None
    """End of the current freeze; null: there is none now."""
    next_begin: Moment | None
    """Begin of the next freeze; null: none follows."""
    next_until: Moment | None
    """End of the next freeze; null: none follows."""


class VerifyData(Document):
    """The log events by which a rollback is verified."""

    log_group: str
    """Log group that is read."""
    absent: str
    """Event that must be absent after a rollback."""
    present: str
    """Event that must be present after a rollback."""


class NextTick(Document):
    """What the next tick of the active rollout would do."""

    rollout: RolloutData
    """The rollout as that tick would leave it."""
    would: list[str]
    """What the tick would write."""


class StartCheck(Document):
    """What a start would find in the account."""

    variables: str
    """The variables of the target as they stand, for people."""
    revision: str
    """What would be rolled out."""
    baselines: dict[str, float]
    """Baseline of each criterion that freezes one, in the unit of its metric."""
    warnings: list[str]
    """What a start allows and should be looked at."""
    refusals: list[str]
    """Why a start would be refused; empty: it would not, by these checks."""


class Contacts(Document):
    """The hooks and the channels of a policy."""

    hooks: dict[str, list[str]]
    """Display names of the hooks, by event; empty: there are none."""
    notify: list[str]
    """Display names of the channels; empty: there are none."""


class PolicyPlan(Contacts):
    """A policy as a plan."""

    name: str
    """Name of the policy."""
    digest: str
    """SHA-256 of the policy."""
    target: dict[str, Any]
    """The target as the policy has it; its fields depend on its kind."""
    shortest_s: Count
    """Seconds from the first weight to success when every gate passes at once."""
    steps: list[PlannedStep]
    """Each step."""
    freeze: FreezeData | None
    """When no step is taken; null: the policy has no freeze."""
    verify_rollback: VerifyData | None
    """How a rollback is verified by log events; null: the policy does not ask for it."""
    criteria: dict[str, str]
    """What each criterion asks for and how it is judged, for people, by id."""


class PlanData(PolicyPlan):
    """A policy as a plan, and what comes next."""

    next: str
    """What comes next, for people."""
    exposure: ExposureData | None
    """Bad requests of the active rollout; null: none is active, or without `max_bad_requests`."""
    live: NextTick | StartCheck | None
    """What the next tick or a start would do; null: without --live."""
    power: PowerData | None
    """What each gate can decide at the request rate; null: that is not known."""


# --- rehearse -------------------------------------------------------------------------------------


class RehearsedEntry(Document):
    """One transition of a rehearsal."""

    at: Moment
    """When it was decided, in virtual time."""
    kind: str
    """What happened, such as advanced or rolled_back."""
    weight: Percent
    """Percent that was asked for."""
    reason: Annotated[str, one_of(Reason)]
    """Why, in one word."""
    sentence: str
    """Why, in a sentence for people."""
    findings: list[FindingView]
    """The findings that decided."""


class RehearseData(Document):
    """How a rehearsal ended."""

    policy: str
    """Name of the policy."""
    scenario: str
    """The scenario: its name, or its file."""
    seed: int
    """Seed of the noise."""
    status: Annotated[str, one_of(Phase)]
    """Phase at the end: succeeded, rolled_back or paused; another one when time ran out."""
    reason: Annotated[str, one_of(Reason)]
    """Why the rollout ended there, in one word."""
    sentence: str
    """Why the rollout ended there, in a sentence for people."""
    label: str
    """Weakest evidence of the steps; empty where none was judged."""
    criteria: list[CriterionRow]
    """Each criterion of the policy with its newest finding, by id."""
    weights: list[Percent]
    """Every weight that was applied, in order."""
    final_weight: Percent
    """Percent of traffic on the canary at the end."""
    ticks: Count
    """Number of ticks."""
    started: Moment
    """Begin in virtual time."""
    ended: Moment
    """End in virtual time."""
    calls: dict[str, int]
    """Number of AWS calls by service and operation."""
    refused: list[str]
    """Errors of second starts that the scenario tried."""
    accepted: list[str]
    """Rollouts of second starts that were not refused."""
    findings: list[FindingView]
    """The findings at the end."""
    timeline: list[RehearsedEntry]
    """Every transition."""


# --- Backtest -------------------------------------------------------------------------------------


class BoundChangeData(Document):
    """One bound as it is, and as it would have held."""

    criterion: str
    """Id of the criterion."""
    field: str
    """Key of the bound in the policy, such as min."""
    before: float | str
    """The bound as the policy has it."""
    after: float | str
    """The bound that would have held."""


class SuggestionData(Document):
    """Bounds with which no more starts would have been rolled back than asked for."""

    changes: list[BoundChangeData]
    """What changes in the policy."""
    rolled_back_rate: float
    """The share of all starts that would have been rolled back, estimated."""
    tried: Count
    """Rolled back starts that were played again with these bounds."""


class BacktestPlace(Document):
    """How often one criterion rolled back in one step."""

    criterion: str
    """Id of the criterion."""
    weight: Percent
    """Weight of the step."""
    runs: Count
    """Starts that it rolled back there."""


class BacktestData(Document):
    """How a policy would have ended from every start in a history."""

    policy: str
    """Name of the policy."""
    source: str
    """Where the history is from: a file, or CloudWatch."""
    begin: Moment
    """Begin of the history."""
    end: Moment
    """End of the history."""
    period_seconds: Count
    """Length of one period of the history."""
    runs: Count
    """Starts that were played and counted."""
    promoted: Count
    """Starts that came to their end at 100 %."""
    held: Count
    """Starts that were paused after a hold without a verdict."""
    rolled_back: Count
    """Starts that were rolled back."""
    rolled_back_rate: float
    """Share of the starts that were rolled back."""
    causes: dict[str, int]
    """Starts that each criterion rolled back, by its id; two may roll back one start."""
    held_by: dict[str, int]
    """Held starts in which each criterion was undecided, by its id."""
    places: list[BacktestPlace]
    """Which criterion rolled back in which step, most first."""
    not_counted: dict[str, int]
    """Starts without an outcome: no_baseline, or unfinished at the end of the history."""
    max_false_rollbacks: float | None
    """The largest share that was asked for; null: none."""
    suggestion: SuggestionData | None
    """Bounds that would have held; null: none was needed or found."""
    fault: str | None
    """The fault that was added, as --inject has it; null: none."""
    missed: Count | None
    """Starts that met the fault and were not rolled back; null without a fault."""
    median_delay_minutes: float | None
    """Minutes from the fault to the rollback, median; null: none was found, or no fault."""
    median_bad_requests: float | None
    """Requests that met the fault before the rollback, median; null as above."""
    notes: list[str]
    """What was read otherwise than a rollout reads it."""


class PermanentData(Document):
    """How 100 % becomes permanent."""

    policy: str
    """Name of the policy."""
    rollout: str | None
    """Id of the newest rollout; null: there is none, or no store."""
    phase: Annotated[str, one_of(Phase)] | None
    """Phase of that rollout; null without one."""
    function: str
    """Name of the function."""
    variables: dict[str, str]
    """The variables of the function at 100 %."""
    changes: dict[str, str]
    """The change of the template, as text, by its form: cdk, cloudformation or terraform."""
    undone_by: list[str]
    """What sets the old values again until that change is deployed."""
    checklist: list[str]
    """What remains to be done, in order."""


# --- A new policy ---------------------------------------------------------------------------------


class InitData(Document):
    """A policy that was written."""

    file: str
    """The file."""
    policy: str
    """Name of the policy."""
    target: str
    """Name of what holds the weight, such as a function."""
    ladder: str
    """The steps in one line."""
    metrics: str | None
    """Where requests are counted; null: as in the shipped policy that was copied."""
    resource: str
    """Which one: the name of an API, for example; empty: the only one, or a copy."""
    counts: Annotated[str, one_of(Counts)] | None
    """Whose requests the metrics count; null: as in the shipped policy that was copied."""
    requests_per_minute: float | None
    """Requests a minute, of both paths; null: unknown."""
    weight: Percent | None
    """The live weight; null: unknown."""
    refusals: list[str] | None
    """Why a start would be refused; empty: it would not; null: that is not known."""
    notes: list[str]
    """What to know about it."""
    next: list[str]
    """Commands that come next."""
