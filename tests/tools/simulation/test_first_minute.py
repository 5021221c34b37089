"""The start of a rehearsal: after the baselines of the policy, and outside its freezes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.tools.simulation.scenario.scenario import DEFAULT_START, live_since, rehearsal_start
from tests.support.core import Policy
from tests.tools.simulation.worlds import HOUR, POLICY, scenario

WEEK = {"frozen": "direct", "from": "2026-11-09T00:00:00Z", "to": "2026-11-16T02:00:00+02:00"}
MEASURED = datetime(2026, 11, 16, tzinfo=UTC)


def policy(baseline: dict[str, Any] | None = None, **parts: Any) -> Policy:
    """Return a policy whose latency is compared with `baseline`."""
    fast = {**POLICY["criteria"]["fast"], **({"baseline": baseline} if baseline else {})}
    return Policy.model_validate(
        {**POLICY, "criteria": {**POLICY["criteria"], "fast": fast}, **parts}
    )


def frozen(begin: str, end: str) -> dict[str, Any]:
    return {"zone": "UTC", "dates": [{"from": begin, "to": end}]}


@pytest.mark.parametrize(
    ("policy_data", "played", "begin"),
    [
        pytest.param({}, {}, DEFAULT_START, id="no days are named: always the same moment"),
        pytest.param(
            {"baseline": WEEK},
            {},
            datetime(2026, 11, 18, 9, tzinfo=UTC),
            id="a baseline names days: the second morning after them",
        ),
        pytest.param(
            {"baseline": WEEK},
            {"start": "2026-12-01T12:00:00Z"},
            datetime(2026, 12, 1, 12, tzinfo=UTC),
            id="the scenario names a moment: then",
        ),
        pytest.param(
            {"freeze": frozen("2026-01-05T08:00", "2026-01-05T12:00")},
            {},
            datetime(2026, 1, 5, 12, tzinfo=UTC),
            id="frozen: when that is over",
        ),
        pytest.param(
            {"freeze": frozen("2026-01-05T10:00", "2026-01-05T12:00")},
            {},
            DEFAULT_START,
            id="frozen later: before that",
        ),
    ],
)
def test_a_rehearsal_begins_when_its_policy_may_start(
    policy_data: dict[str, Any], played: dict[str, Any], begin: datetime
) -> None:
    assert rehearsal_start(policy(**policy_data), scenario(**played)) == begin


@pytest.mark.parametrize(
    ("baseline", "live_for", "begin", "since"),
    [
        pytest.param(None, "3h", MEASURED, MEASURED - 3 * HOUR, id="for the given time"),
        pytest.param(
            WEEK,
            "3h",
            MEASURED + timedelta(days=2),
            MEASURED + timedelta(days=2) - 3 * HOUR,
            id="the baseline lies before that",
        ),
        pytest.param(
            WEEK, "30d", MEASURED + 5 * HOUR, MEASURED, id="never while the baseline was measured"
        ),
        pytest.param(WEEK, "3h", MEASURED - HOUR, MEASURED - HOUR, id="never after the begin"),
    ],
)
def test_the_canary_is_live_after_the_baseline_was_measured(
    baseline: dict[str, Any] | None, live_for: str, begin: datetime, since: datetime
) -> None:
    assert live_since(policy(baseline), scenario(function={"live_for": live_for}), begin) == since
