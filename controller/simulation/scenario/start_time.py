"""When a rehearsal begins, and since when an adopted canary has had its traffic.

A policy may name days of a baseline or a freeze. A rehearsal begins after its baselines were
measured and outside its freezes, so that a policy need not be changed for it.
"""

from datetime import UTC, datetime, time, timedelta

from controller.core.policy import Policy
from controller.simulation.scenario.scenario import Scenario

DEFAULT_START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def rehearsal_start(policy: Policy, scenario: Scenario) -> datetime:
    """Return the start that the scenario names, or a moment at which `policy` may start."""
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
        one.to.astimezone(UTC) for one in policy.frozen_baselines.values() if one.to is not None
    )
    return max(ends, default=None)
