"""Lambda refuses every raise to 50%: the 10% that stay live are judged by their gate.

Each tick is a process with a moved clock, behind a proxy that refuses the raise and nothing else.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import repeat

import pytest

from tests.e2e.account import OTHERS, PERCENTAGE, POLICY
from tests.e2e.calls import Call
from tests.e2e.faults import refused
from tests.e2e.held_calls import Spoiler
from tests.e2e.on_call import MINUTE, ROLLOUT, Answer, Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import ON_BOTH_STORES

pytestmark = pytest.mark.ministack

DENIED = refused(403, "AccessDeniedException", "no identity-based policy allows the action")
PATIENT = {
    "version: 1": "version: 1\nshift_timeout: 1h",
    "min: 99.9%": "min: 99.9%, window: 1m, failure_limit: 2, min_samples: 50",
}
# Two bad minutes fail, and the data of a minute are final three minutes later.
FAILS_WITHIN = 6 * MINUTE


def weight_in(call: Call) -> str:
    """Return the percentage that a write of the environment asks for; empty for another call."""
    if call.operation != "UpdateFunctionConfiguration":
        return ""
    variables: dict[str, str] = json.loads(call.body)["Environment"]["Variables"]
    return variables[PERCENTAGE]


Tick = Callable[[], Answer]


@pytest.fixture
def at_10(desk: Desk) -> Desk:
    """A healthy rollout at 10% whose bake is over; a raise has an hour to be seen."""
    assert desk.run("store", "init").status == 0
    desk.start(desk.another_policy(POLICY, **PATIENT))
    desk.serve(72 * MINUTE)
    return desk


@pytest.fixture
def tick(at_10: Desk, program: Program) -> Tick:
    """One tick, by a process whose clock is that of the desk."""
    return lambda: program.at(at_10.now).run("tick", "--json")


def refuse_raises(watched: Proxy, until: Callable[[], bool] = lambda: False) -> Spoiler:
    """Let Lambda refuse each raise to 50%, until `until` says otherwise."""
    return watched.spoil(lambda call: weight_in(call) == "50" and not until(), repeat(DENIED))


@ON_BOTH_STORES
def test_a_canary_that_fails_while_its_raise_is_refused_is_at_0_within_minutes(
    at_10: Desk, tick: Tick, watched: Proxy
) -> None:
    raises = refuse_raises(watched)
    assert tick().status == 0
    for _ in range(3):
        at_10.serve(MINUTE)
        assert tick().status == 0
    assert (len(raises.met), at_10.account.pair()) == (4, ("10", "false"))

    failed_for = timedelta()
    while at_10.account.pair() == ("10", "false") and failed_for < FAILS_WITHIN:
        at_10.serve(MINUTE, failing=3)
        failed_for += MINUTE
        assert tick().status == 0

    assert at_10.account.pair() == ("0", "false")
    assert at_10.account.others() == OTHERS
    status = at_10.status()
    assert (status["phase"], status["reason"]) == ("rolled_back", "gate_failed")
    assert status["sentence"].startswith("criterion SC-004 fails: success was below 99.9%")
    assert [weight_in(call) for call in watched.calls if weight_in(call)] == ["0"]
    kinds = [kind for kind in at_10.kinds() if kind != "write_retried"]
    assert kinds == [
        "started", "applied", "advanced", "write_failed", "rolling_back", "rolled_back",
    ]  # fmt: skip
    assert at_10.run("replay", ROLLOUT).status == 0


@ON_BOTH_STORES
def test_a_healthy_canary_is_raised_as_soon_as_lambda_allows_it(
    at_10: Desk, tick: Tick, watched: Proxy
) -> None:
    allowed_at = at_10.now + 20 * MINUTE
    raises = refuse_raises(watched, until=lambda: at_10.now >= allowed_at)
    assert tick().status == 0
    while at_10.now < allowed_at:
        assert at_10.account.pair() == ("10", "false")
        at_10.serve(5 * MINUTE)
        assert tick().status == 0

    assert len(raises.met) == 4
    assert at_10.account.pair() == ("50", "false")
    assert at_10.status()["phase"] == "progressing"
    assert at_10.kinds()[-1] == "applied"
    assert at_10.run("replay", ROLLOUT).status == 0
