"""Scenario files: the simulated world of a rehearsal, and the fault events in it.

The shipped ones are meant to be copied and changed; every field has a description.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, get_args

from pydantic import AwareDatetime, Field, ValidationError
from pydantic_core import ErrorDetails

from controller.core.policy import Policy
from controller.core.policy.field_types import Model
from controller.errors import PolicyError
from controller.policy_file import yaml_file
from controller.policy_file.mistake import Place, PolicyMistake, suggestion
from controller.policy_file.shape import message
from controller.tools.simulation.scenario.fault_events import (
    Duration,
    Event,
    FaultShares,
    Share,
    Weight,
)
from controller.tools.simulation.scenario.metric_roles import Role


class TrafficProfile(Model):
    """How many requests arrive, on both paths together."""

    requests_per_minute: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        description="Average number of requests a minute; the weight splits them."
    )
    daily_swing: Share = Field(
        default=0.0, description="How far the busiest hour is above the average, like 30%."
    )
    busiest_hour: Annotated[int, Field(ge=0, le=23)] = Field(
        default=14, description="Hour of the day, UTC, with most requests."
    )


class ColdStart(Model):
    """Some requests are slower right after the weight changed."""

    share: Share = Field(description="Share of requests that meet a cold start, like 2%.")
    times: Annotated[float, Field(ge=1, le=1_000)] = Field(
        description="What their latency is multiplied by."
    )
    lasting: Duration = Field(description="How long after the change.")


class PathModel(FaultShares):
    """How a path answers: lognormal latency, and shares of outcomes; one left out is 0."""

    median_ms: Annotated[float, Field(gt=0, le=900_000)] = Field(
        description="Median latency in milliseconds."
    )
    sigma: Annotated[float, Field(gt=0, le=3)] = Field(
        default=0.3,
        description="Spread of the logarithm of latency; p95 = median x exp(1.645 sigma).",
    )
    integration: Annotated[float, Field(gt=0)] = Field(
        default=0.97, le=1, description="Integration latency as a part of latency."
    )
    cold_start: ColdStart | None = Field(
        default=None, description="Slower requests after each change of weight; none if left out."
    )


class FunctionModel(Model):
    """The function that holds the weight, and its control plane."""

    weight: Weight = Field(default=0, description="Weight at the start.")
    live_for: Duration = Field(
        default=timedelta(hours=12),
        description="In a rehearsal that adopts: for how long the canary has had all traffic.",
    )
    update_takes: Duration = Field(
        default=timedelta(seconds=3), description="How long an update stays in progress."
    )
    variables: dict[str, str] = Field(
        default_factory=lambda: {"LOG_LEVEL": "INFO"},
        description="Other variables in its environment.",
    )


class Publication(Model):
    """When the metrics of a minute can be read."""

    delay: Duration = Field(
        default=timedelta(seconds=60), description="Age at which a minute begins to be visible."
    )
    complete: Duration = Field(
        default=timedelta(seconds=120), description="Age at which a minute no longer changes."
    )
    at_first: Share = Field(
        default=0.8, description="Share of the values that are visible at first."
    )

    @cached_property
    def final_after_s(self) -> float:
        """The age in seconds at which a minute no longer changes."""
        return max(self.delay, self.complete).total_seconds()

    def visible(self, age_s: float) -> float:
        """Return the share of a minute's values that can be read `age_s` after its end."""
        if age_s >= self.final_after_s:
            return 1.0
        delay, complete = self.delay.total_seconds(), self.complete.total_seconds()
        if age_s < delay:
            return 0.0
        return self.at_first + (1.0 - self.at_first) * (age_s - delay) / (complete - delay)


_SHIPPED_FOLDER = Path(__file__).parents[1] / "scenarios"


class Scenario(Model):
    """A simulated world, and the fault events in it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = Field(
        description="Name of the scenario."
    )
    summary: Annotated[str, Field(min_length=1, max_length=300)] = Field(
        description="What happens, and how a rollout is expected to end."
    )
    start: AwareDatetime | None = Field(
        default=None, description="Moment at which the rehearsal starts, with a time zone."
    )
    traffic: TrafficProfile = Field(description="How many requests arrive.")
    stable: PathModel = Field(description="The old path.")
    canary: PathModel = Field(description="The new path.")
    function: FunctionModel = Field(
        default=FunctionModel(), description="The function that holds the weight."
    )
    publication: Publication = Field(
        default=Publication(), description="When metrics become visible."
    )
    metrics: Mapping[str, Role] = Field(
        default_factory=dict,
        description="What metrics of the policy measure, by their names there; needed where "
        "neither their AWS namespace nor their use in criteria tells.",
    )
    events: tuple[Event, ...] = Field(default=(), description="What happens.")

    def at_rate(self, per_minute: float) -> "Scenario":
        """Return the scenario with another number of requests a minute, on both paths."""
        traffic = self.traffic.model_copy(update={"requests_per_minute": per_minute})
        return self.model_copy(update={"traffic": traffic})


def scenario_names() -> tuple[str, ...]:
    """Return the names of the shipped scenarios, in alphabetical order."""
    return tuple(sorted(path.stem for path in _SHIPPED_FOLDER.glob("*.yaml")))


def load_scenario(name_or_path: str) -> Scenario:
    """Return the shipped scenario of this name, or the one in the file at this path.

    Raises PolicyError with one line for each mistake in the file, or with the names of the shipped
    scenarios when there is neither.
    """
    if name_or_path in scenario_names():
        return _read(_SHIPPED_FOLDER / f"{name_or_path}.yaml")
    path = Path(name_or_path)
    if not path.is_file():
        raise PolicyError(
            f"no scenario is called {name_or_path!r}, and no file either; "
            f"shipped: {', '.join(scenario_names())}; "
            f"copy one of {_SHIPPED_FOLDER.name}/*.yaml to write your own"
        )
    return _read(path)


def _read(path: Path) -> Scenario:
    source = yaml_file.read(path)
    scenario: Scenario | None = None
    problems: list[PolicyMistake] = []
    try:
        scenario = Scenario.model_validate(source.data)
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
    flaws = source.flaws(problems)
    if scenario is None or flaws:
        raise PolicyError.of(*flaws)
    return scenario


EVENT_TYPES: dict[str, type[Model]] = {
    kind: event
    for event in get_args(get_args(Event)[0])
    for kind in get_args(event.model_fields["kind"].annotation)
}


def _problem(item: ErrorDetails) -> PolicyMistake:
    place: Place = item["loc"]
    model: type[Model] = Scenario
    match place:
        case ("events", index, str(kind), *rest) if kind in EVENT_TYPES:
            # Pydantic puts the kind of an event into its path; the file has no such level.
            place, model = ("events", index, *rest), EVENT_TYPES[kind]
        case ("events", _) if item["type"] == "union_tag_not_found":
            return PolicyMistake((*place, "kind"), f"is required; one of {', '.join(EVENT_TYPES)}")
        case ("events", _) if item["type"] == "union_tag_invalid":
            kind = str(item["input"]["kind"])
            hint = suggestion(kind, EVENT_TYPES)
            return PolicyMistake(
                (*place, "kind"), f"no kind of event is called {kind!r:.60}; {hint}"
            )
    fields = _innermost(model, place).model_fields
    return PolicyMistake(place, message(item, fields), at_key=item["type"] == "extra_forbidden")


def _innermost(model: type[Model], place: Place) -> type[Model]:
    """Return the model that holds the last part of `place`, going down from `model`."""
    for part in place[:-1]:
        field = model.model_fields.get(str(part))
        if field is not None:
            inner = (field.annotation, *get_args(field.annotation))
            models = (one for one in inner if isinstance(one, type) and issubclass(one, Model))
            model = next(models, model)
    return model


# --- The start ------------------------------------------------------------------------------------

DEFAULT_START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def rehearsal_start(policy: Policy, scenario: Scenario) -> datetime:
    """Return the start that the scenario names, or a moment at which `policy` may start.

    A policy may name days of a baseline or a freeze. A rehearsal begins after its baselines were
    measured and outside its freezes, so that a policy need not be changed for it.
    """
    if scenario.start is not None:
        return scenario.start
    baselines_end = _baselines_end(policy)
    begin = DEFAULT_START
    if baselines_end is not None:
        day = baselines_end.date() + timedelta(days=2)
        begin = datetime.combine(day, time(DEFAULT_START.hour), UTC)
    frozen = policy.freeze_at(begin)
    return begin if frozen is None else frozen.until


def live_since(policy: Policy, scenario: Scenario, begin: datetime) -> datetime:
    """Return since when the canary has all traffic in a rehearsal that adopts it at `begin`.

    Not before a baseline was measured, for until then the stable path had the traffic.
    """
    since = begin - scenario.function.live_for
    baselines_end = _baselines_end(policy)
    return since if baselines_end is None else min(begin, max(since, baselines_end))


def _baselines_end(policy: Policy) -> datetime | None:
    """Return the end of the last baseline between days that the policy names; None without any."""
    ends = (
        baseline.to.astimezone(UTC)
        for baseline in policy.frozen_baselines.values()
        if baseline.to is not None
    )
    return max(ends, default=None)
