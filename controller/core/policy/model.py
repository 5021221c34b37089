"""The policy of a rollout: its target, metrics, criteria and ladder of steps. `version: 1`.

Field descriptions are in the JSON Schema (`rolloutctl schema`), `explain` and `docs/policy.md`.
Reasons of defaults are in `docs/contributors/defaults.md`. `policy_file/crosscheck.py` checks the
fields against each other.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from controller.core.policy.comparison import Comparison, FrozenBaseline, Increase
from controller.core.policy.criteria import CRITERIA
from controller.core.policy.criteria.alarms_logs_signoffs import LogEvents
from controller.core.policy.criteria.measured import SuccessRate
from controller.core.policy.criteria.traffic import BurnRate
from controller.core.policy.field_types import Form, Model, Name
from controller.core.policy.freeze import Freeze, Frozen
from controller.core.policy.hooks import Hook, Hooks
from controller.core.policy.judge_settings import DEFAULT_FALSE_ROLLBACK, Budget, Criterion
from controller.core.policy.kind_registry import MissingKind
from controller.core.policy.metric import CountedPath, Metric
from controller.core.policy.metric_uses import Uses, counts_of, known_counts
from controller.core.policy.notify import (
    SUMMARY_EVERY,
    Channels,
    SummaryEvery,
)
from controller.core.policy.targets import DEFAULT_WARMUP, Target, TargetSpec
from controller.core.policy.verify_rollback import VerifyRollback
from controller.core.units import (
    MINUTE_S,
    DurationRange,
    ceil_to,
    floor_to,
    format_duration,
    quote_value,
)

MaxBadRequests: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)]
"""Bad requests that a step may be expected to serve until a fault is found."""

OnInconclusive: TypeAlias = Literal["pause", "rollback", "advance"]

POLICY_NAME_PATTERN = r"^[a-z][a-z0-9-]{0,62}$"
# How long a gate waits for data where its policy does not say.
_DATA_WAIT = timedelta(hours=24)
# A gate also judges what is newest: at most this much, so that no tick has to read more.
_LONGEST_LOOK_BACK = timedelta(days=1)


class Step(Model):
    """A weight and how long it bakes."""

    example: ClassVar[str] = "{weight: 50, bake: 1h}"

    weight: Annotated[int, Field(ge=1, le=100, strict=True)] = Field(
        description="Percent of traffic on the canary."
    )
    bake: Annotated[timedelta, DurationRange("1m", "14d")] = Field(
        description="How long to stay after the warm-up. Extended to the end of the last open "
        "window of any criterion."
    )
    warmup: Annotated[timedelta, DurationRange("0s", "6h")] | None = Field(
        default=None,
        examples=["5m"],
        description="Time after the weight was read back that is not judged. The policy's when "
        "left out.",
    )
    criteria: tuple[Name, ...] | None = Field(
        default=None,
        examples=[["success", "latency"]],
        description="Criteria of this step's gate. All of the policy when left out.",
    )
    approval: Literal["required"] | None = Field(
        default=None, description="The step waits until an operator approves it."
    )
    max_bad_requests: MaxBadRequests | None = Field(
        default=None,
        examples=[100],
        description="Bad requests that this step may be expected to serve. The policy's number "
        "when left out.",
    )


# Rises when a field changes its meaning, and not with a new field.
NEWEST_VERSION: Final = 1


def _version_number(value: object) -> object:
    if type(value) in (float, bool):  # 1.0 and true equal 1, and may be slips
        raise ValueError(f"expected 1, not {quote_value(value)}")
    if isinstance(value, int) and value > NEWEST_VERSION:
        raise ValueError(f"{value} is of a newer rolloutctl; this one reads {NEWEST_VERSION}")
    return value


# Probes may come twice as fast as their declared rate.
PROBE_MARGIN: Final = 2.0


class Policy(Model):
    """How one change is rolled out: target, metrics, criteria and steps."""

    version: Annotated[Literal[1], BeforeValidator(_version_number)] = Field(
        description="Version of the policy format."
    )
    name: Annotated[
        str,
        Field(pattern=POLICY_NAME_PATTERN),
        Form("a name (a small letter, then small letters, digits, -; at most 63)"),
    ] = Field(
        examples=["checkout"],
        description="Name of the policy. Its rollouts are called name#1, name#2, ...",
    )
    summary: Annotated[str, Field(max_length=200)] = Field(
        default="",
        examples=["Move checkout to the new path."],
        description="One sentence for people.",
    )
    target: Target
    metrics: dict[Name, Metric] = Field(description="Measurements by name.")
    criteria: dict[Name, Annotated[Criterion, CRITERIA]] = Field(
        description="Conditions that must pass, by id."
    )
    steps: tuple[Step, ...] = Field(
        examples=[[{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "24h"}]],
        description="The weights, each with its bake. They climb and end at 100.",
    )
    warmup: Annotated[timedelta, DurationRange("0s", "6h")] = Field(
        default=DEFAULT_WARMUP,
        description="Time after a weight was read back that only the circuit breaker judges. With "
        "an appconfig target its `cache` when left out.",
    )
    evaluation_delay: Annotated[timedelta, DurationRange("2m", "1h")] = Field(
        default=timedelta(seconds=180),
        description="Age at which a closed CloudWatch period counts as final and is judged.",
    )
    max_hold: Annotated[timedelta, DurationRange("0s", "14d")] | None = Field(
        default=None,
        examples=["2h"],
        description="How long a gate may stay inconclusive after the bake. 2 x bake when left out.",
    )
    max_wait: Annotated[timedelta, DurationRange("0s", "14d")] | None = Field(
        default=None,
        examples=["24h"],
        description="How much longer a hold may last while a source does not answer, or requests "
        "are fewer than min_samples. Missed ticks count against max_hold. 24h when left out.",
    )
    on_inconclusive: OnInconclusive = Field(
        default="pause",
        description="What follows when max_hold is over. `advance` is recorded as unproven.",
    )
    on_drift_up: Literal["pause", "rollback"] = Field(
        default="pause",
        description="What follows when the weight was raised outside rolloutctl.",
    )
    shift_timeout: Annotated[timedelta, DurationRange("1m", "1h")] = Field(
        default=timedelta(minutes=10),
        description="How long a raise may stay unfinished before it is rolled back.",
    )
    rollback_timeout: Annotated[timedelta, DurationRange("1m", "1h")] = Field(
        default=timedelta(minutes=5),
        description="How long a rollback may stay unconfirmed before it is critical.",
    )
    verify_rollback: VerifyRollback | None = Field(
        default=None,
        description="Log events that show whether requests reach the canary after a rollback.",
    )

    false_rollback: Budget | None = Field(
        default=None,
        examples=["1%"],
        description="Chance that the sequential judge rolls back a healthy rollout, by any "
        "criterion at any time. 1% when left out.",
    )
    probes_per_minute: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        default=None,
        examples=[6],
        description="Requests a minute that something sends to the canary at every weight, also at "
        "0%.",
    )
    max_bad_requests: MaxBadRequests | None = Field(
        default=None,
        examples=[1_000],
        description="Bad requests that a step may be expected to serve. An advance waits while its "
        "traffic is too high for that.",
    )
    freeze: Freeze | None = Field(
        default=None, description="When no step is taken. Rollbacks are never frozen."
    )
    hooks: Hooks | None = Field(
        default=None,
        description="Hooks that are called before a step, and may block it, or after it.",
    )
    notify: Channels | None = Field(
        default=None, description="Channels that get messages. The log has them in any case."
    )
    summary_every: SummaryEvery | None = Field(
        default=None,
        examples=["1h"],
        description="How often a bake at 100% sends a summary to the channels. 1h when left out, "
        "0s for never.",
    )

    def gate(self, step: int) -> dict[str, Criterion]:
        """Return the criteria that gate step number `step`, by id."""
        names = self.steps[step].criteria
        return {name: self.criteria[name] for name in names} if names else self.criteria

    @cached_property
    def periods_s(self) -> tuple[frozenset[int], ...]:
        """The periods of the criteria that gate each step, in seconds."""
        return tuple(
            frozenset(int(one.period.total_seconds()) for one in self.gate(step).values())
            for step in range(len(self.steps))
        )

    def judged_after(self, step: int) -> frozenset[str]:
        """Return the criteria that gate a step after number `step`, by id."""
        return frozenset().union(*(self.gate(one) for one in range(step + 1, len(self.steps))))

    @property
    def budget(self) -> float:
        """The chance of a false rollback that all sequential criteria share."""
        return DEFAULT_FALSE_ROLLBACK if self.false_rollback is None else self.false_rollback

    def sequential_criteria(self) -> dict[str, Criterion]:
        """Return the criteria whose evidence adds up over the whole rollout, by id."""
        return {
            name: criterion for name, criterion in self.criteria.items() if criterion.sequential
        }

    @cached_property
    def counts(self) -> Mapping[str, CountedPath]:
        """Whose requests each metric counts, by name: what the policy states, or its use shows."""
        references = {name: criterion.references for name, criterion in self.criteria.items()}
        return {
            name: counts_of(
                metric,
                known_counts(self.target, metric),
                Uses.of(metric, self.metrics, references),
            )
            for name, metric in self.metrics.items()
        }

    def diluted_metrics(self, criterion: str) -> tuple[str, ...]:
        """Return the metrics that `criterion` judges although they count both paths."""
        return self.judged_metrics(criterion, "both")

    def judged_metrics(self, criterion: str, counts: CountedPath) -> tuple[str, ...]:
        """Return the metrics that `criterion` judges and whose requests are those of `counts`."""
        judged = {one.metric for one in self.criteria[criterion].judged}
        return tuple(
            count for count in self.counts if count in judged and self.counts[count] == counts
        )

    def comparisons(self) -> Iterator[tuple[str, Comparison]]:
        """Yield what criteria compare, each with its id; nothing of one that compares no values."""
        for name, criterion in self.criteria.items():
            yield from ((name, comparison) for comparison in criterion.comparisons)

    @property
    def stable_requests(self) -> tuple[str, ...]:
        """The metrics that count the requests of the stable path alone, by name."""
        names = dict.fromkeys(comparison.requests[1] for _, comparison in self.comparisons())
        return tuple(name for name in names if self.counts.get(name) == "stable")

    @property
    def frozen_baselines(self) -> dict[str, FrozenBaseline]:
        """The baseline of each criterion that reads one before the start, by id."""
        return {
            name: comparison.measured.over
            for name, comparison in self.comparisons()
            if isinstance(comparison.measured, Increase)
            and isinstance(comparison.measured.over, FrozenBaseline)
        }

    def warmup_of(self, step: int) -> timedelta:
        """Return the unjudged time at the start of step number `step`."""
        step_warmup = self.steps[step].warmup
        return self.warmup if step_warmup is None else step_warmup

    def planned_time_of(self, step: int) -> timedelta:
        """Return how long step number `step` takes by its warm-up and its bake."""
        return self.warmup_of(step) + self.steps[step].bake

    @property
    def shortest_duration(self) -> timedelta:
        """The time from the first weight to success when every gate passes without a hold."""
        planned = sum(map(self.planned_time_of, range(len(self.steps))), timedelta())
        return planned + len(self.steps) * self.evaluation_delay

    def settled_end(self, now: datetime, period_s: int = MINUTE_S) -> int:
        """Return the end of the last period whose datapoints are final at `now`, in unix seconds.

        period_s: the length of a period.
        """
        return floor_to(now - self.evaluation_delay, period_s)

    def bake_end_of(self, step: int, judged_from: int) -> int:
        """Return when the bake of step number `step` is over, in unix seconds.

        That is the end of the last window of any criterion of the gate that the bake reaches into.
        judged_from: its first judged second.
        """
        baked = judged_from + int(self.steps[step].bake.total_seconds())
        return max(ceil_to(baked, one) for one in self.periods_s[step])

    def max_hold_of(self, step: int) -> timedelta:
        """Return how long the gate of step number `step` may hold after its bake."""
        bake = self.steps[step].bake
        return 2 * bake if self.max_hold is None else self.max_hold

    @property
    def data_wait(self) -> timedelta:
        """How much longer a gate may hold where it waits for data."""
        return _DATA_WAIT if self.max_wait is None else self.max_wait

    def longest_hold_of(self, step: int) -> timedelta:
        """Return how long the gate of step number `step` may hold where it waits for data."""
        return self.max_hold_of(step) + self.data_wait

    def look_back_of(self, step: int) -> timedelta:
        """Return how far the gate of step number `step` looks back for what is newest.

        The length of its bake, and at most a day.
        """
        return min(self.steps[step].bake, _LONGEST_LOOK_BACK)

    def max_bad_requests_of(self, step: int) -> int | None:
        """Return how many bad requests step number `step` may be expected to serve; None: any."""
        own = self.steps[step].max_bad_requests
        return self.max_bad_requests if own is None else own

    @property
    def limits_exposure(self) -> bool:
        """True where an advance may have to wait for less traffic."""
        return any(self.max_bad_requests_of(step) for step in range(1, len(self.steps)))

    @property
    def missing_kinds(self) -> list[str]:
        """Why kinds that this stored policy names cannot be used here; empty when all can."""
        sources = dict.fromkeys(one.source for one in self.metrics.values() if one.source)
        kinds: list[Model] = [self.target, *self.criteria.values(), *sources, *(self.notify or ())]
        return [kind.problem for kind in kinds if isinstance(kind, MissingKind)]

    def log_group_of(self, searched: LogEvents | VerifyRollback) -> str:
        """Return the log group in which the events of `searched` are counted."""
        return searched.log_group or self.target.log_group

    def needs_approval(self, step: int) -> bool:
        """Tell whether step number `step` needs the approval of an operator before it is taken."""
        return self.steps[step].approval == "required"

    def freeze_at(self, now: datetime) -> Frozen | None:
        """Return the frozen period that `now` lies in; None when there is none."""
        return None if self.freeze is None else self.freeze.at(now)

    def hooks_at(self, trigger: str) -> dict[str, Hook]:
        """Return the hooks of `trigger`, like `before_start`, by their addresses."""
        return {} if self.hooks is None else self.hooks.at(trigger)

    @property
    def summary_period(self) -> timedelta | None:
        """How often a bake at 100% is summed up; None: never."""
        every = SUMMARY_EVERY if self.summary_every is None else self.summary_every
        return every if self.notify and every else None

    def steps_text(self) -> str:
        """Return the steps in one line: `10% for 1h, 50% for 1h, 100% for 24h`."""
        return ", ".join(f"{step.weight}% for {format_duration(step.bake)}" for step in self.steps)

    @model_validator(mode="after")
    def _warm_as_the_target(self) -> Self:
        if "warmup" not in self.model_fields_set:
            object.__setattr__(self, "warmup", self.target.default_warmup)  # it is frozen
        return self

    # --- what a start decides -------------------------------------------------------------------

    def resolved(self, target: TargetSpec) -> "Policy":
        """Return the policy with `target`, and its values for `${name}` in dimensions of metrics.

        A name without a value stays as it is.
        """
        metrics = {name: metric.resolved(target.values) for name, metric in self.metrics.items()}
        return self.model_copy(update={"target": target, "metrics": metrics})

    def resolved_as(self, other: "Policy") -> "Policy":
        """Return the policy with what the target of `other`, a resolved policy, has found."""
        return self.resolved(self.target.resolved_as(other.target))

    def relaxed(self, criterion: str, worst: float) -> "Policy":
        """Return the policy with the value `worst` as the bound of one criterion."""
        relaxed = self.criteria[criterion].with_bound(worst)
        return self.model_copy(update={"criteria": {**self.criteria, criterion: relaxed}})

    # --- storing --------------------------------------------------------------------------------

    def snapshot(self) -> str:
        """Return the policy as canonical JSON: same meaning, same text."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True, exclude_none=True),
            sort_keys=True,
            separators=(",", ":"),
        )

    def digest(self) -> str:
        """Return the SHA-256 of the snapshot, in hexadecimal."""
        return digest_of(self.snapshot())


def digest_of(snapshot: str) -> str:
    """Return the SHA-256 of a stored policy, in hexadecimal: of its text, every byte of it."""
    return hashlib.sha256(snapshot.encode()).hexdigest()


def failure_criteria(gate: Mapping[str, Criterion | None]) -> list[str]:
    """Return the criteria of `gate` that count failed requests, success rates first."""
    return [
        name
        for kind in (SuccessRate, BurnRate)
        for name, one in gate.items()
        if isinstance(one, kind)
    ]
