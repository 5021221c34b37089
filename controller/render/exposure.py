"""The exposure of a rollout as text and as JSON data: bad requests served, and to expect."""

from typing import TYPE_CHECKING

from controller.core.judge.exposure import ExpectedExposure
from controller.core.units import clock_text, count_text, number_text
from controller.operations.report.exposure import Exposure, StepExposure
from controller.ports.json_view import json_number

if TYPE_CHECKING:
    from controller.render.outputs.exposure import ExpectedData, ExposureData, StepExposureData


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


def exposure_data(exposure: Exposure) -> "ExposureData":
    """Return `exposure` as plain JSON data."""
    expected, recorded_to = exposure.expected, exposure.recorded_to
    return {
        "requests": json_number(exposure.requests),
        "bad_requests": json_number(exposure.failures),
        "excess": json_number(exposure.excess),
        "recorded_to": None if recorded_to is None else recorded_to.isoformat(),
        "steps": [_step_data(one) for one in exposure.steps],
        "expected": None if expected is None else expected_data(expected),
    }


def expected_data(expected: ExpectedExposure) -> "ExpectedData":
    """Return what an outage is expected to cost as plain JSON data."""
    return {
        "step": expected.step,
        "weight": expected.weight,
        "requests_per_minute": json_number(expected.per_minute),
        "minutes": expected.minutes,
        "found": expected.found,
        "bad_requests": json_number(round(expected.bad_requests, 1)),
        "max_bad_requests": expected.budget,
    }


def _step_data(step: StepExposure) -> "StepExposureData":
    return {
        "step": step.step,
        "weight": step.weight,
        "criterion": step.criterion,
        "requests": json_number(step.requests),
        "bad_requests": json_number(step.failures),
        "excess": json_number(step.excess),
        "max_bad_requests": step.budget,
    }
