"""rollback: with a store, with a damaged one, and without any."""

from pathlib import Path

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.cli.test_start_and_tick import take_no_writes
from tests.engine.test_isolation import FailingWrites
from tests.support.cases import cases
from tests.support.stage import SECRET, WRITE
from tests.tools.simulation.worlds import FUNCTION, MINUTE

BARE = ("--function", FUNCTION, "--percentage", "PERCENTAGE", "--boolean", "ENABLED")


WITHOUT_A_STORE = (
    "without a store: rolloutctl rollback POLICY.yaml, or rolloutctl rollback with the names of "
    "the target (rolloutctl rollback --help)"
)


def at_10(desk: CliHarness) -> CliHarness:
    """Put 10% of traffic on the canary, by a rollout."""
    desk.run("start", desk.policy)
    assert desk.weight == 10
    return desk


FORGED = "why\n2026-01-05 09:00         0%  succeeded  \x1b[2Jall is well \u202e"


def test_a_reason_forges_no_line_of_the_history(desk: CliHarness) -> None:
    at_10(desk)
    printed = desk.run("rollback", "orders", "--reason", FORGED)
    history = desk.run("history", "orders").out
    assert history.splitlines()[-2].startswith(
        "2026-01-05 09:00    10 → 0%  rolling_back  why 2026-01"
    )
    assert not {"\x1b", "\u202e"} & {*history, *printed.out, *printed.err}
    assert not any(line.startswith("2026-01-05 09:00         0%  succeeded") for line in
                   history.splitlines())  # fmt: skip


def test_a_blank_reason_is_the_usual_one(desk: CliHarness) -> None:
    at_10(desk)
    desk.run("rollback", "orders", "--reason", " \n ")
    assert "rolling_back  requested by an operator  (by" in desk.run("history", "orders").out


def test_a_rollback_of_what_another_rollout_owns_by_now_prints_a_warning(desk: CliHarness) -> None:
    at_10(desk)
    desk.run("rollback", "orders")
    desk.world.clock.advance(MINUTE)
    assert desk.run("start", desk.another_policy("payments")).status == Exit.DONE
    assert desk.weight == 10
    ended = desk.run("rollback", "orders", "--json")
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    (warning,) = ended.data["warnings"]
    assert warning.startswith("orders#1 does not own arn:aws:lambda:")
    assert warning.endswith(" any more: the weight belonged to payments#1")
    assert f"warning: {warning}\n" in ended.err
    assert desk.run("rollback", "payments", "--json").data["warnings"] == []


def never_started(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the store without a rollout of this policy."""


def broken_store(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.store.write_text("no database")


def container_without_store(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUTCTL_STORE")
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4")


def odd_store(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store raise an unforeseen exception."""

    def of_name(self: SqliteStore, name: str) -> None:
        raise KeyError(name)

    assert desk.run("store", "init").status == Exit.DONE
    monkeypatch.setattr(SqliteStore, "of_name", of_name)


def damaged_record(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    at_10(desk)
    desk.sql("UPDATE rollouts SET state = '{'")


@cases("trouble, record_becomes", {
    "it was never started": (never_started, ""),
    "the store raises an unforeseen exception": (odd_store, "found_at_zero"),
    "the store is no store": (broken_store, "found_at_zero"),
    "a container without a store": (container_without_store, "found_at_zero"),
    "the record is damaged": (damaged_record, "no tick decides"),
})  # fmt: skip
def test_a_policy_file_rolls_back_whatever_is_wrong_with_the_store(
    desk: CliHarness, trouble: object, record_becomes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble(desk, monkeypatch)  # type: ignore[operator]
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "40"})
    desk.world.clock.advance(MINUTE)
    ended = desk.run("rollback", desk.policy)
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert "not recorded: " in ended.err
    becomes = [words for words in ("found_at_zero", "no tick decides") if words in ended.err]
    assert becomes == ([record_becomes] if record_becomes else [])
    assert "0% is applied" in ended.out


def test_a_policy_with_a_mistake_says_in_a_line_what_works_without_a_store(
    desk: CliHarness, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("steps: [", encoding="utf-8")
    *_, last = desk.run("rollback", str(wrong)).err.splitlines()
    assert last == WITHOUT_A_STORE


def test_a_name_cannot_be_rolled_back_without_the_store_that_knows_it(desk: CliHarness) -> None:
    ended = desk.run("rollback", "orders")
    assert ended.status == Exit.USAGE
    assert "there is no store at " in ended.err
    assert ended.err.endswith(f"; {WITHOUT_A_STORE} (docs/troubleshooting.md#error-no-store)\n")
    at_10(desk)
    ended = desk.run("rollback", "payments")
    assert ended.status == Exit.USAGE
    assert "no rollout is called 'payments'" in ended.err
    assert "rollouts.db, which has orders; " in ended.err
    assert ended.err.endswith(
        f"; {WITHOUT_A_STORE} (docs/troubleshooting.md#error-unknown-rollout)\n"
    )


@pytest.mark.parametrize("reference", ["orders", "{policy}"], ids=["a name", "a policy file"])
@cases("takes, status, words", {
    "in force": ("2s", Exit.DONE, "0% is applied"),
    "not in force in time": ("1h", Exit.UNCONFIRMED, "0% is NOT yet applied"),
})  # fmt: skip
def test_a_rollback_that_cannot_be_recorded_ends_as_it_was_read_back(
    desk_in: MakeDesk, reference: str, takes: str, status: Exit, words: str
) -> None:
    desk = at_10(desk_in(events=[{"kind": "slow_updates", "at": {"step": 1}, "takes": takes}]))
    take_no_writes(desk)
    ended = desk.run("rollback", reference.format(policy=desk.policy), "--json")
    assert (ended.status, desk.weight) == (status, 0 if status is Exit.DONE else 10)
    assert f"{words}, but it could not be recorded: " in ended.err
    assert "the disk is full" in ended.err
    assert (ended.data["saved"], ended.data["phase"] == "rolled_back") == (False, not status)
    notices = [event for event in ended.events if event["event"] == "notice_sent"]
    assert [notice["notice"] for notice in notices] == [
        "orders#1 is rolling back to 0%: requested by an operator"
    ]


@cases("names, variables, words", {
    "the percentage alone": (
        ["--percentage", "NEW_PATH_PERCENTGE"], {"NEW_PATH_PERCENTAGE": "50"},
        "NEW_PATH_PERCENTGE is not set on handler; was NEW_PATH_PERCENTAGE or",
    ),
    "both": (
        ["--percentage", "NEW_PATH_PERCENTGE", "--boolean", "NEW_PATH_ENABELD"],
        {"NEW_PATH_PERCENTAGE": "50", "NEW_PATH_ENABLED": "false"},
        "NEW_PATH_PERCENTGE is not set on handler, and NEW_PATH_ENABELD does not "
        "contradict that; was NEW_PATH_PERCENTAGE",
    ),
    "the percentage next to a boolean that is false": (
        ["--percentage", "NEW_PATH_PERCENTGE", "--boolean", "NEW_PATH_ENABLED"],
        {"NEW_PATH_PERCENTAGE": "50", "NEW_PATH_ENABLED": "false"},
        "and NEW_PATH_ENABLED does not contradict that",
    ),
    "something else altogether": (
        ["--percentage", "WEIGHT"], {"NEW_PATH_PERCENTAGE": "50"},
        "no variable there has a similar name",
    ),
    "a secret for the percentage": (
        ["--percentage", "API_KEY"], {"API_KEY": SECRET},
        "API_KEY of handler has (7 characters, not shown) where",
    ),
    "a secret for the boolean": (
        ["--percentage", "PERCENTAGE", "--boolean", "API_KEY"],
        {"API_KEY": SECRET, "PERCENTAGE": "50"},
        "API_KEY of handler has (7 characters, not shown) where",
    ),
})  # fmt: skip
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["done", "dry"])
def test_a_bare_rollback_refuses_mistyped_names(
    desk: CliHarness, names: list[str], variables: dict[str, str], words: str, dry: list[str]
) -> None:
    desk.world.set_variables(FUNCTION, variables)
    desk.world.clock.advance(MINUTE)
    ended = desk.run("rollback", "--function", FUNCTION, *names, *dry)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "nothing was lowered" in ended.err
    assert words in ended.err
    assert not any(value in ended.err for value in (SECRET, "50", "false"))
    assert not desk.world.calls[WRITE]


@cases("names, variables, words", {
    "a boolean that is true below 100": (
        ["--percentage", "PCT", "--boolean", "SOME"],
        {"PCT": "50", "FLAG": "false", "SOME": "true"},
        "on handler, SOME is true where PCT is 50, so one of them belongs to something else",
    ),
    "a boolean that is true at 0": (
        ["--percentage", "PCT", "--boolean", "SOME"], {"PCT": "0", "SOME": "true"},
        "SOME is true where PCT is 0",
    ),
    "a boolean that is false at 100": (
        ["--percentage", "PCT", "--boolean", "SOME"],
        {"PCT": "100", "FLAG": "true", "SOME": "false"},
        "SOME is false where PCT is 100",
    ),
    "a number above 100": (
        ["--percentage", "OTHER", "--boolean", "FLAG"],
        {"PCT": "100", "FLAG": "true", "OTHER": "120"},
        "OTHER of handler has 120 where a number from 0 to 100 is expected, which would be lost",
    ),
    "a number below 0": (
        ["--percentage", "OTHER"], {"OTHER": "-5"}, "-5 where a number from 0 to 100 is expected"
    ),
})  # fmt: skip
def test_a_bare_rollback_overwrites_no_variables_that_contradict_what_they_are_named(
    desk: CliHarness, names: list[str], variables: dict[str, str], words: str
) -> None:
    desk.world.set_variables(FUNCTION, variables)
    desk.world.clock.advance(MINUTE)
    before = dict(desk.world.function(FUNCTION).variables)
    ended = desk.run("rollback", "--function", FUNCTION, *names)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert words in ended.err
    assert desk.world.function(FUNCTION).variables == before

    forced = desk.run("rollback", "--function", FUNCTION, *names, "--force")
    assert forced.status == Exit.DONE
    assert desk.world.function(FUNCTION).variables[names[1]] == "0"


def test_a_boolean_that_stands_alone_is_lowered(desk: CliHarness) -> None:
    function = desk.world.function(FUNCTION)
    function.variables.clear()
    function.variables.update(ENABLED="true", API_KEY=SECRET)
    ended = desk.run("rollback", *BARE)
    assert ended.status == Exit.DONE
    assert function.variables == {"PERCENTAGE": "0", "ENABLED": "false", "API_KEY": SECRET}
    assert "warning: PERCENTAGE is not set on handler" in ended.err


FULL = {"USE_API_GATEWAY_PERCENTAGE": "100", "USE_API_GATEWAY": "true", "DEBUG": "true"}
BOTH = (
    f"rolloutctl rollback --function {FUNCTION} --percentage USE_API_GATEWAY_PERCENTAGE "
    "--boolean USE_API_GATEWAY"
)


def at_100(desk: CliHarness) -> tuple[str, ...]:
    """Put all traffic on the canary by two variables; return names without the boolean."""
    desk.world.set_variables(FUNCTION, FULL)
    desk.world.clock.advance(MINUTE)
    return ("--function", FUNCTION, "--percentage", "USE_API_GATEWAY_PERCENTAGE")


def test_a_boolean_that_was_left_on_leaves_a_rollback_unconfirmed(desk: CliHarness) -> None:
    ended = desk.run("rollback", *at_100(desk))
    assert (ended.status, ended.out.splitlines()) == (
        Exit.UNCONFIRMED,
        [
            "handler: NOT confirmed: USE_API_GATEWAY_PERCENTAGE=0",
            f"to lower both: {BOTH}",
        ],
    )
    assert "warning: USE_API_GATEWAY is on, seems to belong to" in ended.err
    again = desk.run(*BOTH.split()[1:], "--json")
    assert (again.status, again.data["confirmed"], again.data["warnings"]) == (0, True, [])


def test_a_program_reads_that_a_boolean_was_left_on(desk: CliHarness) -> None:
    data = desk.run("rollback", *at_100(desk), "--json").data
    (warning,) = data["warnings"]
    assert (data["confirmed"], warning.endswith(f"; if it does: {BOTH}")) == (False, True)


def test_a_mistyped_boolean_is_refused_with_the_command_that_was_meant(desk: CliHarness) -> None:
    ended = desk.run("rollback", *at_100(desk), "--boolean", "USE_API_GATEWY")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "USE_API_GATEWY is not set on handler; was USE_API_GATEWAY" in ended.err
    assert BOTH in ended.err
    assert not desk.world.calls[WRITE]


def test_a_policy_file_without_a_boolean_is_taken_at_its_word(desk: CliHarness) -> None:
    at_100(desk)
    target = {
        "kind": "lambda-env",
        "function": FUNCTION,
        "percentage": "USE_API_GATEWAY_PERCENTAGE",
    }
    ended = desk.run("rollback", desk.another_policy("payments", target=target))
    assert ended.status == Exit.DONE
    assert "warning: USE_API_GATEWAY is on, seems" in ended.err


def test_mistyped_names_are_refused_although_lambda_did_not_answer_at_first(
    desk_in: MakeDesk,
) -> None:
    outage = {"kind": "lambda_outage", "lasting": "30s", "how": "throttle"}
    desk = desk_in(events=[outage])
    ended = desk.run("rollback", "--function", FUNCTION, "--percentage", "PERCENTGE")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "was PERCENTAGE meant?" in ended.err


@cases("given, words", {
    "nothing": ([], "name a rollout, a policy file, or the names of a target"),
    "half a target": (["--function", "f"], "needs --function and --percentage"),
    "a rollout and a target": (["orders", "--function", "f"], "not both"),
    "a wrong name": (["--function", "f", "--percentage", "TZ"], "this names no target"),
    "a version": (
        ["--function", "F:1", "--percentage", "PERCENTAGE"],
        "rolloutctl: this names no target: --function: expected the name or ARN of a function, "
        "without version or alias, not 'F:1'\n",
    ),
    "too short a name": (
        ["--function", "f", "--percentage", "P"],
        "rolloutctl: this names no target: --percentage: expected an environment variable (a "
        "letter, then letters, digits, _; at least 2), not 'P'\n",
    ),
})  # fmt: skip
def test_rollback_touches_nothing_when_given(
    desk: CliHarness, given: list[str], words: str
) -> None:
    ended = desk.run("rollback", *given)
    assert ended.status == Exit.USAGE
    assert words in ended.err
    assert not desk.world.calls


def test_an_environment_that_cannot_be_read_is_not_wiped(desk_in: MakeDesk) -> None:
    denied = {"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}
    desk = at_10(desk_in(events=[denied]))
    desk.world.clock.advance(2 * MINUTE)
    assert desk.run("rollback", "orders").status == Exit.UNCONFIRMED
    bare = desk.run("rollback", *BARE)
    assert bare.status == Exit.UNCONFIRMED
    assert bare.out.startswith("handler: NOT confirmed: the environment of handler cannot be read")
    assert desk.world.function(FUNCTION).variables["API_KEY"] == SECRET


@cases("variables, dry, words", {
    "was written": ({"PERCENTAGE": "0", "ENABLED": "false"}, [], "0% was written and recorded"),
    "had nothing to write": ({}, [], "0% was recorded again"),
    "was a dry run": ({"PERCENTAGE": "0"}, ["--dry-run"], "was rolled back already\n"),
})  # fmt: skip
def test_a_second_rollback_says_that_0_percent_was_written_only_if_it(
    desk: CliHarness, variables: dict[str, str], dry: list[str], words: str
) -> None:
    at_10(desk)
    desk.run("rollback", "orders")
    function = desk.world.function(FUNCTION)
    for name in ("PERCENTAGE", "ENABLED"):
        del function.variables[name]
    function.variables.update(variables)
    writes = desk.world.calls[WRITE]
    ended = desk.run("rollback", "orders", *dry)
    assert (ended.status, words in ended.err) == (Exit.DONE, True), ended.err
    assert desk.world.calls[WRITE] - writes == ("written" in words)


# --- a request for the next tick ------------------------------------------------------------------


def test_a_requested_rollback_is_left_to_the_next_tick(desk: CliHarness, table: object) -> None:
    at_10(desk)
    ended = desk.run("rollback", "orders", "--request", "--reason", "it is bad", "--by", "bot")
    assert ended.status == Exit.DONE
    assert ended.out == (
        "orders#1: the rollback is requested; the tick that visits it next carries it out\n"
    )
    assert desk.weight == 10
    desk.ticks(1)
    assert desk.weight == 0
    assert desk.state()["sentence"] == "it is bad (request of bot)"


def test_a_program_reads_what_was_requested(desk: CliHarness, table: object) -> None:
    at_10(desk)
    tried = desk.run("rollback", "orders", "--request", "--json", "--dry-run").data
    assert (tried["requested"], tried["would"]) == (False, ["request the rollback of orders#1"])
    desk.ticks(1)
    assert desk.weight == 10
    requested = desk.run("rollback", "orders", "--request", "--json").data
    assert (requested["rollout"], requested["requested"]) == ("orders#1", True)


def test_nothing_is_requested_of_a_rollout_that_goes_back_already(
    desk: CliHarness, table: object
) -> None:
    at_10(desk)
    desk.world.interceptors.append(FailingWrites([FUNCTION]))
    desk.run("rollback", "orders#1")
    ended = desk.run("rollback", "orders", "--request")
    assert (ended.status, ended.out) == (Exit.DONE, "orders#1 is rolling back already\n")


@cases("words, problem", {
    "no rollout": (["--request"], "--request is about a rollout: name it"),
    "the names of a target": ([*BARE, "--request"], "--request is about a rollout: name it"),
    "rollouts in a file": (["orders", "--request"], "rollouts in a file take no requests"),
})  # fmt: skip
def test_a_request_needs_a_rollout_in_a_table(
    desk: CliHarness, words: list[str], problem: str
) -> None:
    at_10(desk)
    ended = desk.run("rollback", *words)
    assert ended.status == Exit.USAGE
    assert problem in ended.err
    assert desk.weight == 10
