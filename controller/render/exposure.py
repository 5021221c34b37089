"""The exposure of a rollout as text and as JSON data: bad requests served, and to expect."""

from controller.core.rollout import Reason, Rollout
from controller.core.units import clock_text, count_text, number_text
from controller.immutable import Immutable, field, picked
from controller.operations.recorded.exposure import Exposure
from controller.ports.json_view import Count, Number, Percent, Tenths, Time


class ExpectedData(Immutable):
    """What an outage at one step would cost: every request of the canary fails."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    per_minute: Number = field(name="requests_per_minute")
    """The traffic of both paths that it is worked out from."""
    minutes: Count
    """Minutes from the first bad request until 0% is written."""
    found: bool
    """Whether a criterion finds it within the step; false: the minutes are those of the step."""
    bad_requests: Tenths
    """Requests that would fail until then."""
    budget: Count | None = field(name="max_bad_requests")
    """How many the policy allows, so that an advance waits above that; null: any number."""


class StepExposureData(Immutable):
    """What the recorded minutes of one step cost."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    criterion: str
    """The criterion that counts failures; empty: the step has none."""
    requests: Number
    """Requests of the canary."""
    failures: Number = field(name="bad_requests")
    """Requests of the canary that failed."""
    excess: Number
    """How many more that are than at the share of the stable path, or at the allowed share."""
    budget: Count | None = field(name="max_bad_requests")
    """How many the policy lets the step be expected to serve; null: any number."""


class ExposureData(Immutable):
    """The bad requests of a rollout, by its history: its hourly entries and its transitions."""

    requests: Number
    """Requests of the canary."""
    failures: Number = field(name="bad_requests")
    """Requests of the canary that failed."""
    excess: Number
    """How many more that are than at the share of the stable path, or at the allowed share."""
    recorded_to: Time | None
    """End of the newest minute that is counted; null: none is."""
    steps: list[StepExposureData]
    """Each step that was reached."""
    expected: ExpectedData | None
    """What an outage at the next step would cost; null: none follows, or the traffic is unknown."""


def _served_text(exposure: Exposure) -> str:
    """Return the bad requests that were served, in all and by step."""
    if not exposure.criterion:
        return "bad requests are not counted"
    if exposure.recorded_to is None:
        return "no minute with requests is recorded yet"
    steps = ", ".join(
        f"{step.weight}%: {number_text(round(step.failures))}" for step in exposure.steps
    )
    return (
        f"{count_text(round(exposure.failures), 'bad request')} served of "
        f"{number_text(round(exposure.requests))}, {number_text(round(exposure.excess))} of them "
        f"more than usual ({steps}), as recorded to {clock_text(exposure.recorded_to)}"
    )


def exposure_text(exposure: Exposure) -> str:
    """Return what was served, and what is expected of the next step where that has a limit."""
    expected = exposure.expected
    if expected is None or expected.budget is None:
        return _served_text(exposure)
    return f"{_served_text(exposure)}; {expected.text}"


def exposure_fact(rollout: Rollout, exposure: Exposure | None) -> str:
    """Return what was served and what is expected, which the reason of a wait has already."""
    if exposure is None:
        return ""
    waits = rollout.reason is Reason.OVER_EXPOSURE_BUDGET
    return _served_text(exposure) if waits else exposure_text(exposure)


def exposure_data(exposure: Exposure) -> ExposureData:
    """Return `exposure` as documents have it."""
    expected = exposure.expected
    return picked(
        ExposureData,
        exposure,
        steps=[picked(StepExposureData, step) for step in exposure.steps],
        expected=None if expected is None else picked(ExpectedData, expected),
    )
