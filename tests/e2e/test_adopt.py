"""Adoption: a service that was switched to 100% by hand is judged for a day afterwards."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.account import AT_100_BY_HAND, OTHERS, SHIPPED, Account
from tests.e2e.on_call import HOUR, Desk
from tests.e2e.stored_items import ON_BOTH_STORES
from tests.support.emulator import Emulator

pytestmark = [pytest.mark.ministack, ON_BOTH_STORES]

QUIET = SHIPPED.with_name("quiet-service.yaml")
# There are no metrics of the stable path: a fixed baseline (ms) replaces the week of the policy.
FIXED_BASELINE = {
    "{frozen: direct, from: 2026-11-09T00:00:00Z, to: 2026-11-16T00:00:00Z}": "{fixed: 240}",
    "  direct: ": "  # direct: ",
}


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account whose function has the boolean at "true", and no percentage."""
    created = Account.of(ministack, account)
    created.create(pair=AT_100_BY_HAND)
    return created


@pytest.fixture
def policy(desk: Desk) -> Path:
    """The policy of a quiet service, with a fixed baseline."""
    return desk.another_policy(QUIET, **FIXED_BASELINE)


def test_a_quiet_service_at_100_percent_is_watched_for_a_day_and_nothing_is_written(
    desk: Desk, policy: Path
) -> None:
    assert desk.run("store", "init").status == 0
    before, revision = desk.account.environment(), desk.account.revision()

    adopted = desk.start(policy, "--adopt")
    statuses = []
    for _ in range(14):  # its windows of two hours begin at even hours
        desk.account.call_gateway_rarely(desk.now, desk.now + 2 * HOUR)
        desk.move_clock(2 * HOUR)
        statuses.append(desk.tick().status)

    assert adopted["weight"] == 100
    assert set(statuses) == {0}
    assert desk.account.environment() == before == {**OTHERS, **AT_100_BY_HAND}
    assert desk.account.revision() == revision
    final = desk.status("quiet-service")
    assert (final["phase"], final["weight"], final["label"]) == (
        "succeeded",
        100,
        "no regression detected",
    )
    transitions = desk.history("quiet-service")
    assert [transition["kind"] for transition in transitions] == [
        "started",
        "succeeded",
    ]  # applied before the start
    started, succeeded = (datetime.fromisoformat(transition["at"]) for transition in transitions)
    assert timedelta(hours=24) <= succeeded - started <= timedelta(hours=28)


def test_an_adopted_service_is_rolled_back_in_both_variables(desk: Desk, policy: Path) -> None:
    assert desk.run("store", "init").status == 0
    desk.start(policy, "--adopt")

    assert desk.run("rollback", "quiet-service").status == 0

    assert desk.account.pair() == ("0", "false")
    assert desk.account.others() == OTHERS
