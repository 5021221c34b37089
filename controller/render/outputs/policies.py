"""The JSON of verbs on policy files: validate, plan and rehearse."""

from typing import Annotated, Any

from controller.operations.feasibility import ShortfallKind
from controller.ports.json_types import (
    Count,
    Document,
    Moment,
    Percent,
    one_of,
)
from controller.render.exposure import ExpectedData, ExposureData
from controller.render.outputs.rollouts import RolloutData

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
