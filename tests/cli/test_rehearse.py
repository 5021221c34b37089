"""rehearse: the whole policy in virtual time, as text, as JSON, and as a check in CI."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from tests.cli.conftest import Desk
from tests.simulation.worlds import POLICY, scenario
from tests.support.stage import SHORT_POLICY

# The events of the shipped scenarios are in the second step, so this policy bakes there for long.
LADDER: dict[str, Any] = {
    "criteria": {
        "works": {**SHORT_POLICY["criteria"]["works"], "window": "5m", "failure_limit": 2}
    },
    "steps": [
        {"weight": 10, "bake": "20m"},
        {"weight": 50, "bake": "1h"},
        {"weight": 100, "bake": "20m"},
    ],
}
# No request takes less than a millisecond: the start is refused.
HOPELESS: dict[str, Any] = {
    "metrics": {"direct": {**POLICY["metrics"]["direct"], "counts": "stable"}},
    "criteria": {
        "quick": {
            "kind": "threshold",
            "judge": "threshold",
            "metric": "direct",
            "max": 1,
            "window": "1m",
            "failure_limit": 1,
        }
    },
}


@pytest.fixture
def policy(desk: Desk) -> str:
    """A policy file of three steps, an hour and forty minutes long."""
    return desk.another_policy("ladder", **LADDER)


@pytest.mark.parametrize(
    ("scenario", "status", "ended", "weights", "final"),
    [
        ("healthy", Exit.DONE, "succeeded", [10, 50, 100], 100),
        ("error-burst", Exit.ROLLED_BACK, "rolled_back", [10, 50], 0),
        ("silent", Exit.UNDECIDED, "paused", [10], 10),
        ("meddling-human", Exit.UNDECIDED, "paused", [10], 75),
        ("console-up", Exit.UNDECIDED, "paused", [10], 100),
        ("contradiction", Exit.UNDECIDED, "paused", [10], 10),
        ("cdk-reset", Exit.ROLLED_BACK, "rolled_back", [10, 50], 0),
        ("alias-reset", Exit.UNDECIDED, "paused", [10], 0),
        ("second-owner", Exit.DONE, "succeeded", [10, 50, 100], 100),
        ("metrics-outage", Exit.DONE, "succeeded", [10, 50, 100], 100),
        ("slow-lambda", Exit.DONE, "succeeded", [10, 50, 100], 100),
    ],
)
def test_a_scenario_ends_as_its_summary_says(
    desk: Desk, policy: str, scenario: str, status: Exit, ended: str, weights: list[int], final: int
) -> None:
    result = desk.run("rehearse", policy, "--scenario", scenario, "--json")
    data = result.data
    assert result.status == status
    assert (data["schema"], data["status"]) == ("rehearse/1", ended)
    assert (data["weights"], data["final_weight"]) == (weights, final)
    assert data["ticks"] > 0
    assert data["reason"]


def test_after_drift_the_weight_is_left_alone(desk: Desk, policy: str) -> None:
    data = desk.run("rehearse", policy, "--scenario", "meddling-human", "--json").data
    kinds = [entry["kind"] for entry in data["timeline"]]
    assert kinds[kinds.index("paused") :] == ["paused"]
    assert data["calls"]["lambda:UpdateFunctionConfiguration"] == 1


def test_the_timeline_says_when_which_weight_and_what_decided(desk: Desk, policy: str) -> None:
    lines = desk.run("rehearse", policy, "--scenario", "error-burst").out.splitlines()
    assert lines[0] == (
        "ladder, scenario error-burst, seed 1: 10 % for 20m, 50 % for 1h, 100 % for 20m"
    )
    timeline = [re.sub(r"^2026-01-05 \d\d:\d\d ", "", line) for line in lines[2:-6]]
    assert [line.split("  ")[:2] for line in map(str.strip, timeline) if "%  " in line[:14]] == [
        ["0 → 10 %", "started"],
        ["10 %", "applied"],
        ["10 → 50 %", "advanced"],
        ["50 %", "applied"],
        ["50 → 0 %", "rolling_back"],
        ["0 %", "rolled_back"],
        ["0 %", "drained"],
    ]
    assert timeline[3].strip().startswith("criterion works passes: success was ")
    assert "rolling_back  criterion works fails: success was below 99% " in timeline[-3]
    assert timeline[-2].endswith("  0 %  rolled_back   0 % is applied")
    assert "  0 %  drained       drain confirmed, " in timeline[-1]
    assert lines[-6:-1] == [
        "",
        "      criterion  target  measured  samples  evidence",
        lines[-4],
        lines[-3],
        "",
    ]
    assert lines[-3].startswith("measured over all judged minutes of a step, from 2026-01-05 ")
    assert re.fullmatch(r"FAIL  works +≥ 99% +9\d\.\d+% +[\d ]+  regression detected", lines[-4])
    assert re.match(
        r"rolled_back at 0 % after \d+m, watched for 10m more; \d+ ticks \(applied: 10 % > 50 %\): "
        "criterion works fails",
        lines[-1],
    )


def test_the_rehearsal_logs_nothing_but_may(desk: Desk, policy: str) -> None:
    assert desk.run("rehearse", policy, "--scenario", "metrics-outage").err == ""
    ended = desk.run("rehearse", policy, "--scenario", "metrics-outage", "--verbose")
    assert "metrics_unavailable" in {event["event"] for event in ended.events}


def test_the_progress_line_is_for_terminals_and_is_gone_at_the_end(
    desk: Desk, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    desk.run("rehearse", policy)
    assert re.search(r"\r\x1b\[2K2026-01-05 09:\d\d UTC  50 %  baking ", terminal.getvalue())
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_the_same_seed_gives_the_same_timeline_and_another_seed_another(
    desk: Desk, policy: str
) -> None:
    first, again, other_seed = (
        desk.run("rehearse", policy, "--scenario", "error-burst", "--seed", seed, "--json").out
        for seed in ("1", "1", "2")
    )
    assert first == again != other_seed


def test_fewer_ticks_are_made_when_they_are_further_apart(desk: Desk, policy: str) -> None:
    often, seldom = (
        desk.run("rehearse", policy, "--scenario", "silent", "--interval", every, "--json").data
        for every in ("1m", "5m")
    )
    assert seldom["status"] == often["status"] == "paused"
    assert seldom["ticks"] < often["ticks"] / 4


@pytest.mark.parametrize(
    ("scenario", "expected", "status"),
    [
        pytest.param("silent", "paused", Exit.DONE, id="it ended as expected"),
        pytest.param("silent", "succeeded", Exit.CHECK_FAILED, id="it did not"),
    ],
)
def test_expect_turns_the_end_into_a_check(
    desk: Desk, policy: str, scenario: str, expected: str, status: Exit
) -> None:
    ended = desk.run("rehearse", policy, "--scenario", scenario, "--expect", expected)
    assert ended.status == status
    assert ("expected succeeded, but it ended paused" in ended.err) == (status != Exit.DONE)


def test_an_unknown_scenario_is_named_with_those_that_there_are(desk: Desk, policy: str) -> None:
    ended = desk.run("rehearse", policy, "--scenario", "sunny")
    assert ended.status == Exit.USAGE
    assert "no scenario is called 'sunny'" in ended.err
    assert "healthy, " in ended.err


def test_a_scenario_may_be_a_file(desk: Desk, policy: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nsummary: Somebody ends it.\ntraffic: {requests_per_minute: 3000}\n"
        "stable: {median_ms: 100}\ncanary: {median_ms: 100}\n"
        "events: [{kind: person, at: {step: 1, after: 5m}, weight: 0}]\n"
    )
    data = desk.run("rehearse", policy, "--scenario", str(file), "--json").data
    assert (data["status"], data["reason"]) == ("rolled_back", "found_at_zero")


def rehearse_refused_raises(desk: Desk, folder: Path, **lasting: str) -> dict[str, Any]:
    """Rehearse a rollout whose raise to 50 % is refused; the canary fails from 9:40 on."""
    policy = desk.another_policy("patient", shift_timeout="1h", **LADDER)
    events = [
        {"kind": "refused_raises", "at": {"step": 1}, **lasting},
        {"kind": "errors", "at": {"after": "40m"}, "server_errors": "5%"},
    ]
    world = scenario(events=events).model_dump(mode="json", exclude_none=True)
    file = folder / "refused.yaml"
    file.write_text(json.dumps(world))
    data: dict[str, Any] = desk.run("rehearse", policy, "--scenario", str(file), "--json").data
    return data


def test_a_canary_that_fails_while_its_raise_is_refused_ends_within_minutes(
    desk: Desk, tmp_path: Path
) -> None:
    """Two windows of five minutes fail, an hour before the raise is given up."""
    data = rehearse_refused_raises(desk, tmp_path)
    assert (data["status"], data["reason"]) == ("rolled_back", "gate_failed")
    assert (data["weights"], data["final_weight"]) == ([10], 0)
    (lowered,) = (one for one in data["timeline"] if one["kind"] == "rolling_back")
    assert "2026-01-05T09:40" < lowered["at"] < "2026-01-05T09:55"


def test_a_raise_that_is_refused_for_a_while_is_made_afterwards(desk: Desk, tmp_path: Path) -> None:
    data = rehearse_refused_raises(desk, tmp_path, lasting="35m")
    assert data["weights"] == [10, 50]
    assert {"write_failed", "write_retried"} <= {one["kind"] for one in data["timeline"]}


def test_a_world_that_lets_nothing_start_ends_with_2(desk: Desk) -> None:
    policy = desk.another_policy("hopeless", **HOPELESS)
    ended = desk.run("rehearse", policy)
    assert ended.status == Exit.USAGE
    assert "hopeless was not started" in ended.err


def test_where_nothing_can_be_written_a_rehearsal_says_what_it_needs(
    desk: Desk, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    ended = desk.run("rehearse", policy)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "No such file or directory; name one that can be written to with TMPDIR" in ended.err


# --- operators ----------------------------------------------------------------------------------


def test_a_second_start_is_printed_with_its_refusal(desk: Desk, policy: str) -> None:
    lines = desk.run("rehearse", policy, "--scenario", "second-owner").out.splitlines()
    index = lines.index(
        "A second start was refused: ladder-beside was not started; nothing was changed:"
    )
    assert "the canary has 10 % already by ladder#1" in lines[index + 1]
    data = desk.run("rehearse", policy, "--scenario", "second-owner", "--json").data
    (refusal,) = data["refused"]
    assert "ladder#1" in refusal
    assert data["accepted"] == []


def test_no_second_start_is_printed_where_there_is_none(desk: Desk, policy: str) -> None:
    assert "second start" not in desk.run("rehearse", policy).out


def test_adopt_begins_where_the_canary_has_everything(desk: Desk, policy: str) -> None:
    data = desk.run("rehearse", policy, "--adopt", "--json").data
    assert (data["status"], data["weights"], data["final_weight"]) == ("succeeded", [100], 100)
    assert "lambda:UpdateFunctionConfiguration" not in data["calls"]


@pytest.mark.parametrize(
    ("options", "status", "weights"),
    [
        pytest.param(["--approve"], Exit.DONE, [10, 100], id="approved"),
        pytest.param([], Exit.UNDECIDED, [10], id="not approved"),
    ],
)
def test_a_step_waits_for_its_approval(
    desk: Desk, options: list[str], status: Exit, weights: list[int]
) -> None:
    first, last = SHORT_POLICY["steps"]
    careful = desk.another_policy("careful", steps=[first, {**last, "approval": "required"}])
    ended = desk.run("rehearse", careful, "--interval", "10m", "--json", *options)
    assert (ended.status, ended.data["weights"]) == (status, weights)


def test_a_rehearsal_in_a_store_of_its_own_can_be_looked_at_later(
    desk: Desk, policy: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'rehearsed.db'}"
    assert desk.run("rehearse", policy, "--store", url).status == Exit.DONE
    ended = desk.run("history", "ladder#1", "--store", url)
    assert "succeeded" in ended.out
    assert "(by rehearsal)" in ended.out


def test_a_store_that_is_not_empty_is_no_stage(desk: Desk, policy: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rehearsed.db'}"
    desk.run("rehearse", policy, "--store", url)
    ended = desk.run("rehearse", policy, "--store", url)
    assert ended.status == Exit.USAGE
    assert "needs an empty store" in ended.err


def test_a_scenario_that_does_not_fit_the_policy_says_why(desk: Desk) -> None:
    target = {name: value for name, value in SHORT_POLICY["target"].items() if name != "boolean"}
    policy = desk.another_policy("plain", target=target)
    ended = desk.run("rehearse", policy, "--scenario", "contradiction")
    assert ended.status == Exit.USAGE
    assert "contradiction does not fit: events[0].boolean" in ended.err
