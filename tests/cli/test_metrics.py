"""metrics: the current values next to the limits of the criteria."""

import signal
from functools import partial
from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.cases import cases
from tests.support.stage import METRICS, FailingCall
from tests.tools.simulation.worlds import MINUTE, POLICY


@pytest.fixture
def measured(desk_in: MakeDesk) -> CliHarness:
    """A desk whose canary has had 40% of traffic for twenty minutes, without a rollout."""
    desk = desk_in(POLICY)
    desk.run("store", "init")
    assert desk.run("set-weight", desk.policy, "40").status == Exit.DONE
    desk.world.clock.advance(20 * MINUTE)
    return desk


def table(out: str) -> dict[str, str]:
    """Return the rows by their first cell, with single spaces."""
    lines = [" ".join(line.split()) for line in out.splitlines()]
    return {line.partition(" ")[0]: line for line in lines if line}


def test_it_is_one_call(measured: CliHarness) -> None:
    measured.run("metrics", measured.policy)
    assert measured.world.calls[METRICS] == 1


def test_no_traffic_is_said_and_is_not_0(desk_in: MakeDesk) -> None:
    desk = desk_in(POLICY, traffic={"requests_per_minute": 0})
    desk.world.clock.advance(20 * MINUTE)
    ended = desk.run("metrics", desk.policy)
    assert "requests Sum no traffic" in table(ended.out)["requests"]
    assert " 0 " not in ended.out
    data = desk.run("metrics", desk.policy, "--json").data
    assert {one["value"] for one in data["gauges"]} == {None}
    standing = {one["title"]: one["standing"] for one in data["gauges"]}
    assert standing.pop("fast") == "not shown here"  # its baseline is frozen at the start
    assert set(standing.values()) == {"no traffic"}


def test_json_has_every_minute(measured: CliHarness) -> None:
    data = measured.run("metrics", measured.policy, "--minutes", "7", "--json").data
    assert (data["schema"], data["minutes"]) == ("metrics/1", 7)
    assert {len(one["points"]) for one in data["gauges"] if one["of"]} == {7}


def test_a_rollout_is_named_as_well_as_a_policy_and_brings_its_baseline(desk_in: MakeDesk) -> None:
    desk = desk_in(POLICY)
    desk.world.clock.advance(20 * MINUTE)
    assert desk.run("start", desk.policy).status == Exit.DONE
    desk.world.clock.advance(20 * MINUTE)
    for reference in ("orders", desk.policy):
        data = desk.run("metrics", reference, "--json").data
        (latency,) = [one for one in data["gauges"] if one["title"] == "latency p95"]
        assert [one["criterion"] for one in latency["expected"]] == ["fast"]


def test_a_file_needs_no_store(measured: CliHarness, tmp_path: Path) -> None:
    (tmp_path / "rollouts.db").write_text("no database")
    assert measured.run("metrics", measured.policy).status == Exit.DONE


def test_metrics_that_are_denied_name_their_action(measured: CliHarness) -> None:
    measured.world.interceptors.append(FailingCall(METRICS))
    ended = measured.run("metrics", measured.policy)
    assert (ended.status, ended.out) == (Exit.INTERNAL, "")
    assert "metrics could not be read (cloudwatch:GetMetricData)" in ended.err


def test_watch_shows_it_anew_until_time_is_up(measured: CliHarness) -> None:
    begin = measured.world.clock.now()
    ended = measured.run("metrics", measured.policy, "--watch", "--timeout", "2m")
    heads = [line for line in ended.out.splitlines() if line.startswith("orders, ")]
    assert (ended.status, len(heads), len(set(heads))) == (Exit.DONE, 3, 3)
    assert measured.world.clock.now() - begin == 2 * MINUTE


def test_watch_outlives_a_look_that_is_not_answered(measured: CliHarness) -> None:
    layer = FailingCall(METRICS)
    measured.world.interceptors.append(layer)
    measured.world.clock.at(
        measured.world.clock.now() + MINUTE, lambda: measured.world.interceptors.remove(layer)
    )
    ended = measured.run("metrics", measured.policy, "--watch", "--timeout", "3m")
    assert ended.status == Exit.DONE
    assert "no answer (1 of 5 in a row): metrics could not be read" in ended.err
    assert "orders, 5 minutes until" in ended.out


def test_watch_draws_where_a_terminal_can(
    measured: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.cli.streams.has_cursor", lambda _: True)
    ended = measured.run("metrics", measured.policy, "--watch", "--timeout", "1m")
    assert ended.status == Exit.DONE
    assert "orders, 5 minutes until 2026-01-05 09:21" in ended.out


def test_watch_ends_with_ctrl_c(measured: CliHarness) -> None:
    interrupt = partial(signal.raise_signal, signal.SIGINT)
    measured.world.clock.at(measured.world.clock.now() + 2 * MINUTE, interrupt)
    ended = measured.run("metrics", measured.policy, "--watch")
    assert (ended.status, ended.err) == (130, "")
    assert "orders, 5 minutes until" in ended.out


@cases("options, why", {
    "--interval": (["--interval", "5s"], "--interval needs"),
    "--watch --json": (["--watch", "--json"], "--watch draws tables"),
    "no minute": (["--minutes", "0"], "0 is not in the range"),
    "too many": (["--minutes", "181"], "181 is not in the range"),
})  # fmt: skip
def test_what_makes_no_sense_is_refused(measured: CliHarness, options: list[str], why: str) -> None:
    ended = measured.run("metrics", measured.policy, *options)
    assert ended.status == Exit.USAGE
    assert not ended.out or ended.data["schema"] == "error/1"
    assert why in ended.err
