"""The exposure of a rollout as text and as JSON data: bad requests served, and to expect."""

from controller.core.judge.exposure import ExpectedExposure
from controller.core.units import clock_text, count_text, number_text
from controller.immutable import Immutable, picked
from controller.operations.report.exposure import Exposure, StepExposure
from controller.ports.json_view import Count, Percent, Time, json_number


class ExpectedData(Immutable):
    """What an outage at one step would cost: every request of the canary fails."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    requests_per_minute: float
    """The traffic of both paths that it is worked out from."""
    minutes: Count
    """Minutes from the first bad request until 0 % is written."""
    found: bool
    """Whether a criterion finds it within the step; false: the minutes are those of the step."""
    bad_requests: float
    """Requests that would fail until then."""
    max_bad_requests: Count | None
    """How many the policy allows, so that an advance waits above that; null: any number."""


class StepExposureData(Immutable):
    """What the recorded minutes of one step cost."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    criterion: str
    """The criterion that counts failures; empty: the step has none."""
    requests: float
    """Requests of the canary."""
    bad_requests: float
    """Requests of the canary that failed."""
    excess: float
    """How many more that are than at the share of the stable path, or at the allowed share."""
    max_bad_requests: Count | None
    """How many the policy lets the step be expected to serve; null: any number."""


class ExposureData(Immutable):
    """The bad requests of a rollout, by its history: its hourly entries and its transitions."""

    requests: float
    """Requests of the canary."""
    bad_requests: float
    """Requests of the canary that failed."""
    excess: float
    """How many more that are than at the share of the stable path, or at the allowed share."""
    recorded_to: Time | None
    """End of the newest minute that is counted; null: none is."""
    steps: list[StepExposureData]
    """Each step that was reached."""
    expected: ExpectedData | None
    """What an outage at the next step would cost; null: none follows, or the traffic is unknown."""


def served_text(exposure: Exposure) -> str:
    """Return the bad requests that were served, in all and by step."""
    if not exposure.criterion:
        return "bad requests are not counted"
    if exposure.recorded_to is None:
        return "no minute with requests is recorded yet"
    steps = ", ".join(
        f"{one.weight} %: {number_text(round(one.failures))}" for one in exposure.steps
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
        return served_text(exposure)
    return f"{served_text(exposure)}; {expected.text}"


def exposure_data(exposure: Exposure) -> ExposureData:
    """Return `exposure` as documents have it."""
    expected = exposure.expected
    return ExposureData(
        requests=json_number(exposure.requests),
        bad_requests=json_number(exposure.failures),
        excess=json_number(exposure.excess),
        recorded_to=exposure.recorded_to,
        steps=[_step_data(one) for one in exposure.steps],
        expected=None if expected is None else expected_data(expected),
    )


def expected_data(expected: ExpectedExposure) -> ExpectedData:
    """Return what an outage is expected to cost."""
    return picked(
        ExpectedData,
        expected,
        requests_per_minute=json_number(expected.per_minute),
        bad_requests=json_number(round(expected.bad_requests, 1)),
        max_bad_requests=expected.budget,
    )


def _step_data(step: StepExposure) -> StepExposureData:
    return picked(
        StepExposureData,
        step,
        requests=json_number(step.requests),
        bad_requests=json_number(step.failures),
        excess=json_number(step.excess),
        max_bad_requests=step.budget,
    )
