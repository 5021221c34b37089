"""The parts of a simulated world in a scenario file: traffic, paths, function, publication."""

from datetime import timedelta
from functools import cached_property
from typing import Annotated

from pydantic import Field

from controller.core.policy.field_types import Model
from controller.tools.simulation.scenario.fault_events import Duration, FaultShares, Share, Weight


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
