"""logs: what the function has logged, and how often."""

import json
import signal
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from controller.core.units import clock_text
from controller.errors import Exit
from controller.flag import CANARY, EVENT, STABLE
from tests.cli.conftest import CliHarness
from tests.support.cases import cases
from tests.support.stage import READ, FailingCall
from tests.tools.simulation.worlds import FUNCTION, MINUTE, START

GROUP = "/aws/lambda/handler"
LOGS = ("logs", "FilterLogEvents")
SECOND = timedelta(seconds=1)


def check(*, canary: bool) -> str:
    return json.dumps({"event": EVENT, "percentage": 10, "Path": CANARY if canary else STABLE})


@pytest.fixture
def logged(desk: CliHarness) -> CliHarness:
    """A desk ten minutes after a function has logged a little of everything."""
    lines = [
        "START RequestId: 1 Version: $LATEST",
        check(canary=True),
        check(canary=False),
        check(canary=False),
        "[INFO]\t2026\t1\tcalling the backend directly",
    ]
    for second, line in enumerate(lines):
        desk.world.add_log_event(GROUP, START + second * SECOND, line)
    desk.world.clock.advance(10 * MINUTE)
    return desk


def test_events_are_shown_and_counted_by_name_and_path(logged: CliHarness) -> None:
    ended = logged.run("logs", logged.policy)
    assert (ended.status, ended.err) == (Exit.DONE, "")
    assert ended.out.splitlines() == [
        "2026-01-05 09:00:00.000          START  START RequestId: 1 Version: $LATEST",
        f"2026-01-05 09:00:01.000  canary  {EVENT}  {check(canary=True)}",
        f"2026-01-05 09:00:02.000  stable  {EVENT}  {check(canary=False)}",
        f"2026-01-05 09:00:03.000  stable  {EVENT}  {check(canary=False)}",
        "2026-01-05 09:00:04.000          (text)  [INFO] 2026 1 calling the backend directly",
        "",
        f"/aws/lambda/handler, 60 minutes until {clock_text(START + 10 * MINUTE)}",
        "",
        "              canary  stable  other  all",
        "rollout_flag       1       2      0    3",
        "(text)             0       0      1    1",
        "START              0       0      1    1",
    ]


def test_only_one_kind_of_event_is_shown(logged: CliHarness) -> None:
    data = logged.run("logs", logged.policy, "--event", EVENT, "--json").data
    assert data["counts"] == [
        {"event": EVENT, "path": "canary", "count": 1},
        {"event": EVENT, "path": "stable", "count": 2},
    ]
    assert [one["text"] for one in data["events"]] == [
        check(canary=True), check(canary=False), check(canary=False),
    ]  # fmt: skip
    assert logged.run("logs", logged.policy, "--event", "backend", "--json").data["counts"] == [
        {"event": "(text)", "path": None, "count": 1}
    ]


def test_json_says_where_from_and_until_when(logged: CliHarness) -> None:
    data = logged.run("logs", logged.policy, "--minutes", "30", "--json").data
    assert (data["schema"], data["log_group"], data["minutes"], data["end"], data["stopped"]) == (
        "logs/1", GROUP, 30, "2026-01-05T09:10:00+00:00", None,
    )  # fmt: skip
    assert data["events"][0]["at"] == "2026-01-05T09:00:00.000+00:00"


FORGED = "all is well\r\x1b[2Jok\x9b31m \u202e\x00 \x7f"


@pytest.mark.parametrize("options", [[], ["--json"], ["--follow", "--timeout", "1s"]])
def test_what_a_function_logs_moves_no_cursor(logged: CliHarness, options: list[str]) -> None:
    logged.world.add_log_event(GROUP, START + MINUTE, FORGED)
    logged.world.add_log_event(GROUP, START + MINUTE, json.dumps({"event": FORGED}))
    out = logged.run("logs", logged.policy, *options).out
    assert not {*FORGED.replace(" ", "")} & set(out) - {*"all is well ok31m[2J"}
    if options == ["--json"]:
        assert FORGED in [one["text"] for one in json.loads(out)["events"]]


def test_no_event_is_said(logged: CliHarness) -> None:
    ended = logged.run("logs", logged.policy, "--minutes", "5")
    assert (ended.status, ended.out) == (
        Exit.DONE,
        f"no event at all in {GROUP} in 5 minutes until {clock_text(START + 10 * MINUTE)}\n",
    )
    assert logged.run("logs", logged.policy, "--event", "shop").out.startswith("no event shop in")


def test_the_log_group_is_the_one_that_the_function_is_configured_to(logged: CliHarness) -> None:
    logged.world.function(FUNCTION).log_group = "/shop/handler"
    logged.world.add_log_event("/shop/handler", START, "elsewhere")
    assert "elsewhere" in logged.run("logs", logged.policy).out


def test_a_policy_that_names_a_log_group_is_believed(logged: CliHarness) -> None:
    logged.world.add_log_event("/shop/named", START, "named")
    verify = {"log_group": "/shop/named", "absent": "gone", "present": "here"}
    named = logged.another_policy("named", verify_rollback=verify)
    logged.world.interceptors.append(FailingCall(READ))
    assert "named" in logged.run("logs", named).out


def test_a_function_that_may_not_be_read_is_taken_to_log_where_it_usually_does(
    logged: CliHarness,
) -> None:
    logged.world.interceptors.append(FailingCall(READ, "denied"))
    ended = logged.run("logs", logged.policy)
    assert (ended.status, ended.out.count(EVENT)) == (Exit.DONE, 7)
    assert "the log group of handler is not known (lambda:GetFunctionConfiguration)" in ended.err
    assert f"; {GROUP} is read\n" in ended.err


def test_a_denied_log_names_its_action(logged: CliHarness) -> None:
    logged.world.interceptors.append(FailingCall(LOGS, "denied"))
    ended = logged.run("logs", logged.policy)
    assert (ended.status, ended.out) == (Exit.INTERNAL, "")
    assert "(logs:FilterLogEvents): AccessDeniedException" in ended.err
    assert ended.err.endswith(
        "grant the action to this role (docs/troubleshooting.md#error-logs)\n"
    )


def test_a_look_that_stopped_says_so(logged: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.operations.log_tail.MAX_PAGES", 1)
    monkeypatch.setattr("controller.tools.simulation.fakes.logs.MAX_EVENTS", 2)
    ended = logged.run("logs", logged.policy)
    assert ended.status == Exit.DONE
    assert (
        f"reading stopped after 1 page, at {clock_text(START)}: later events are not shown; use "
        "--event or fewer --minutes"
    ) in ended.err


def test_follow_goes_on_with_what_comes(logged: CliHarness) -> None:
    for minute in (11, 12):
        moment = START + minute * MINUTE
        logged.world.clock.at(
            moment, partial(logged.world.add_log_event, GROUP, moment, check(canary=True))
        )
    ended = logged.run("logs", logged.policy, "--follow", "--event", EVENT, "--timeout", "5m")
    assert ended.status == Exit.DONE
    stamps = [line[11:16] for line in ended.out.splitlines()]
    assert stamps == ["09:00", "09:00", "09:00", "09:11", "09:12"]
    assert logged.world.clock.now() == START + 15 * MINUTE


def test_follow_ends_with_ctrl_c(logged: CliHarness) -> None:
    interrupt = partial(signal.raise_signal, signal.SIGINT)
    logged.world.clock.at(logged.world.clock.now() + MINUTE, interrupt)
    ended = logged.run("logs", logged.policy, "--follow")
    assert (ended.status, ended.err, ended.out.count("\n")) == (130, "", 5)


def test_a_rollout_is_named_as_well_as_a_policy(logged: CliHarness) -> None:
    logged.run("start", logged.policy)
    assert logged.run("logs", "orders").out.count(EVENT) == 7


def test_a_file_needs_no_store(logged: CliHarness, tmp_path: Path) -> None:
    (tmp_path / "rollouts.db").write_text("no database")
    assert logged.run("logs", logged.policy).status == Exit.DONE


@cases("options, why", {
    "--interval": (["--interval", "5s"], "--interval needs"),
    "--follow --json": (["--follow", "--json"], "--follow prints lines"),
    "a pattern": (["--event", 'a"b'], "without quotes"),
    "no minute": (["--minutes", "0"], "0 is not in the range"),
})  # fmt: skip
def test_what_makes_no_sense_is_refused(logged: CliHarness, options: list[str], why: str) -> None:
    ended = logged.run("logs", logged.policy, *options)
    assert ended.status == Exit.USAGE
    assert not ended.out or ended.data["schema"] == "error/1"
    assert why in ended.err


LONG = "calling the backend directly, " * 10


@cases("options, longest", {
    "in a pipe nothing is cut": ((), None),
    "a width is asked for": (("--width", "40"), 40),
    "also of what follows": (("--width", "40", "--follow", "--timeout", "1m"), 40),
})  # fmt: skip
def test_rows_are_cut_at_the_width_that_is_given(
    desk: CliHarness, options: tuple[str, ...], longest: int | None
) -> None:
    desk.world.add_log_event(GROUP, START, LONG)
    desk.world.clock.advance(MINUTE)
    row = desk.run("logs", desk.policy, *options).out.splitlines()[0]
    assert len(row) == (longest or len(row))
    assert row.endswith("…") if longest else LONG.strip() in row


def test_on_a_terminal_rows_are_cut_where_it_ends(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.world.add_log_event(GROUP, START, LONG)
    desk.world.clock.advance(MINUTE)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("controller.cli.streams.PrintableStream.isatty", lambda _: True)
    (row, *_) = desk.run("logs", desk.policy).out.splitlines()
    assert (len(row), row[-1]) == (60, "…")


def test_json_has_no_width(desk: CliHarness) -> None:
    assert desk.run("logs", desk.policy, "--json", "--width", "40").status == Exit.USAGE
