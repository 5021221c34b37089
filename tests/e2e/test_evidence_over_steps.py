"""The shipped policy, read by percentiles, as the emulator has no counts above a limit."""

import re
from pathlib import Path

import pytest

from tests.e2e.account import SHIPPED
from tests.e2e.on_call import MINUTE, Desk
from tests.support.deep_rows import deep_after

pytestmark = pytest.mark.ministack

_BETWEEN = "exceedance: percentiles"


@pytest.fixture
def policy(desk: Desk) -> Path:
    """The shipped policy without counts above a limit (TC)."""
    return desk.another_policy(
        SHIPPED,
        **{
            "metric: duration,": f"metric: duration, {_BETWEEN},",
            "metric: latency,": f"metric: latency, {_BETWEEN},",
            "metric: integration,": f"metric: integration, {_BETWEEN},",
        },
    )


def test_a_healthy_release_advances_and_each_step_records_its_findings(
    desk: Desk, policy: Path
) -> None:
    desk.start(policy)
    assert {tick.status for tick in desk.ticks(168 * MINUTE, every=24 * MINUTE)} == {0}
    assert desk.account.pair() == ("100", "true")
    first, second = (one for one in desk.history() if one["kind"] == "advanced")
    for step in (first, second):
        findings = {one["criterion"]: one for one in step["findings"]}
        assert findings["SC-004"]["reason"] == "proven"
        assert findings["SC-004"]["facts"]["failures"] == 0
        latency = findings["SC-003"]["facts"]
        assert (latency["form"], latency["statistic"]) == ("slow against control", "p95")
        assert (latency["factor"], latency["read_between"]) == (1.05, "percentiles")
    assert desk.run("replay", "execution-api").status == 0


@pytest.mark.parametrize(
    ("failing", "slow", "criterion"),
    deep_after(1, [pytest.param(0, True, "SC-003"), pytest.param(12, False, "SC-004")]),
)
def test_a_release_that_is_worse_than_its_control_goes_back(
    desk: Desk, policy: Path, failing: int, slow: bool, criterion: str
) -> None:
    desk.start(policy)
    desk.serve(72 * MINUTE)
    assert desk.tick().status == 0
    assert desk.account.pair() == ("50", "false")
    for answer in desk.ticks(40 * MINUTE, every=4 * MINUTE, failing=failing, slow=slow):
        assert answer.status == 0
        if desk.account.pair() == ("0", "false"):
            break
    status = desk.status()
    assert (status["phase"], status["reason"]) == ("rolled_back", "gate_failed")
    assert status["sentence"].startswith(f"criterion {criterion} fails: ")
    assert re.search(r", limit \d+\.$", status["sentence"])
    assert desk.run("replay", "execution-api").status == 0
