"""The JSON of the exposure of a rollout: the bad requests that it served, and those to expect."""

from controller.ports.json_types import Count, Document, Moment, Percent


class ExpectedData(Document):
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


class StepExposureData(Document):
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


class ExposureData(Document):
    """The bad requests of a rollout, by its history: its hourly entries and its transitions."""

    requests: float
    """Requests of the canary."""
    bad_requests: float
    """Requests of the canary that failed."""
    excess: float
    """How many more that are than at the share of the stable path, or at the allowed share."""
    recorded_to: Moment | None
    """End of the newest minute that is counted; null: none is."""
    steps: list[StepExposureData]
    """Each step that was reached."""
    expected: ExpectedData | None
    """What an outage at the next step would cost; null: none follows, or the traffic is unknown."""
