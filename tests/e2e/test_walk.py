"""The shipped policy, by `start` and `tick`, on a third-party AWS emulator."""

from datetime import datetime, timedelta
from itertools import groupby, pairwise

import pytest

from tests.e2e.account import OTHERS
from tests.e2e.on_call import HOUR, MINUTE, Desk

pytestmark = pytest.mark.ministack


def test_a_healthy_release_goes_10_50_100_and_ends_as_a_success(desk: Desk) -> None:
    desk.start()
    statuses, pairs = [0], [desk.account.pair()]
    for length, every in ((168 * MINUTE, 24 * MINUTE), (1470 * MINUTE, 147 * MINUTE)):
        for answer in desk.ticks(length, every=every):
            statuses.append(answer.status)
            pairs.append(desk.account.pair())

    assert set(statuses) == {0}
    assert [pair for pair, _ in groupby(pairs)] == [
        ("10", "false"),
        ("50", "false"),
        ("100", "true"),
    ]
    assert desk.account.others() == OTHERS
    final = desk.status()
    assert (final["phase"], final["weight"], final["label"]) == (
        "succeeded",
        100,
        "no regression detected",
    )
    assert {one["verdict"] for one in final["findings"] if one.get("gates", True)} == {"pass"}
    assert desk.run("status", "execution-api", "--exit-code").status == 0

    transitions = desk.history()
    assert [transition["kind"] for transition in transitions] == [
        "started", "applied", "advanced", "applied", "advanced", "applied", "succeeded",
    ]  # fmt: skip
    moments = [datetime.fromisoformat(transition["at"]) for transition in transitions]
    baked = [after - before for before, after in pairwise(moments)][1::2]
    assert [bake // HOUR for bake in baked] == [1, 1, 24]


def test_failing_requests_at_50_percent_take_all_traffic_back_within_half_an_hour(
    desk: Desk,
) -> None:
    desk.start()
    desk.serve(72 * MINUTE)
    assert desk.tick().status == 0
    assert desk.account.pair() == ("50", "false")

    for answer in desk.ticks(30 * MINUTE, every=5 * MINUTE, failing=3):
        assert answer.status == 0
        if desk.account.pair() == ("0", "false"):
            break

    assert desk.account.pair() == ("0", "false")
    assert desk.account.others() == OTHERS
    assert desk.kinds() == [
        "started", "applied", "advanced", "applied", "rolling_back", "rolled_back",
    ]  # fmt: skip
    final = desk.run("status", "execution-api", "--exit-code", "--json")
    assert final.status == 4
    assert (final.data["phase"], final.data["reason"]) == ("rolled_back", "gate_failed")
    assert final.data["sentence"].startswith("criterion SC-004 fails: success was below 99.9%")

    desk.serve_directly(14 * MINUTE)
    assert desk.tick().status == 0
    assert desk.kinds()[-1] == "leak_checked"
    assert desk.status()["leak_check"]["label"] == "confirmed"


def test_a_slower_p95_rolls_back_and_requests_that_go_on_end_a_tick_with_5_once(
    desk: Desk,
) -> None:
    """The average is the same."""
    desk.start()
    desk.serve(72 * MINUTE, slow=True)
    assert desk.tick().status == 0
    assert desk.account.pair() == ("0", "false")
    assert "duration was 300 ms (+25%) against 240 ms" in desk.status()["sentence"]

    assert [answer.status for answer in desk.ticks(12 * MINUTE, every=4 * MINUTE)] == [5, 0, 0]

    assert desk.kinds()[-1] == "leak_checked"
    assert desk.status()["leak_check"]["label"] == "failed"


def test_missing_data_is_held_and_then_paused_but_never_advanced(desk: Desk) -> None:
    desk.start(desk.another_policy(**{"version: 1": "version: 1\nmax_wait: 1h"}))
    phases = []
    for _ in range(14):
        desk.move_clock(20 * MINUTE)
        answer = desk.tick()
        assert answer.status == 0
        (rollout,) = answer.data["rollouts"]
        phases.append((rollout["phase"], rollout["reason"]))

    assert [phase for phase, _ in groupby(phases)] == [
        ("progressing", "baking"),
        ("progressing", "on_hold"),
        ("paused", "inconclusive"),
    ]
    assert desk.account.pair() == ("10", "false")
    assert desk.kinds() == ["started", "applied", "paused"]
    assert desk.run("status", "execution-api", "--exit-code").status == 3


def test_status_says_where_it_stands_what_is_next_and_what_each_criterion_measured(
    desk: Desk,
) -> None:
    desk.start()
    desk.serve(30 * MINUTE)
    desk.tick()

    status = desk.status()

    assert status["name"] == "execution-api"
    assert status["revision"] == desk.account.code()
    assert (status["phase"], status["step"], status["weight"]) == ("progressing", 0, 10)
    assert (status["reason"], status["waiting_for"]) == (
        "baking",
        "the bake, then 3m until its data are final",
    )
    assert status["next"].startswith("50% if every criterion of this step passes, ")
    due = datetime.fromisoformat(status["next_at"]) - datetime.fromisoformat(
        status["live"]["since"]
    )
    assert (
        timedelta(minutes=65) <= due <= timedelta(minutes=72)
    )  # warm-up, bake, window, evaluation delay
    findings = {one["criterion"]: one for one in status["findings"]}
    assert list(findings) == [
        "SC-001", "SC-002", "SC-003", "SC-004", "p95-latency", "p95-integration", "traffic",
    ]  # fmt: skip
    latency = findings["SC-003"]
    assert (latency["verdict"], latency["label"]) == ("inconclusive", "not judged")
    assert latency["measured"] == pytest.approx(0.02)
    assert latency["bound"] == 0.05
    assert latency["samples"] >= 20 * 60
    assert "at most 252 ms (+5%) allowed" in latency["sentence"]
    assert findings["SC-004"]["verdict"] == "pass"
