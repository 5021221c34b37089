"""rollback: with a store, with a damaged one, and without any."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.errors import Exit
from tests.cli.conftest import VERIFIED, Desk, MakeDesk
from tests.simulation.worlds import FUNCTION, MINUTE
from tests.support.stage import SECRET, WRITE

BARE = ("--function", FUNCTION, "--percentage", "PERCENTAGE", "--boolean", "ENABLED")


WITHOUT_A_STORE = (
    "without a store: rolloutctl rollback POLICY.yaml, or rolloutctl rollback with the names of "
    "the target (rolloutctl rollback --help)"
)


def at_10(desk: Desk) -> Desk:
    """Put 10 % of traffic on the canary, by a rollout."""
    desk.run("start", desk.policy)
    assert desk.weight == 10
    return desk


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param(["orders"], id="by name"),
        pytest.param(["orders#1"], id="by id"),
        pytest.param(["{policy}"], id="by policy file"),
    ],
)
def test_a_rollout_is_rolled_back_and_says_so(desk: Desk, reference: list[str]) -> None:
    at_10(desk)
    ended = desk.run("rollback", *(one.format(policy=desk.policy) for one in reference), "--json")
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert (ended.data["schema"], ended.data["phase"]) == ("rollback/1", "rolled_back")
    assert desk.run("status", "orders#1", "--json").data["phase"] == "rolled_back"


def test_the_reason_of_a_person_is_in_the_history(desk: Desk) -> None:
    at_10(desk)
    desk.run("rollback", "orders", "--reason", "support is paged")
    last = desk.run("history", "orders").out.splitlines()[-2:]
    assert last == [
        f"2026-01-05 09:00    10 → 0 %  rolling_back  support is paged  (by tester {VERIFIED})",
        f"2026-01-05 09:00         0 %  rolled_back   0 % is applied  (by tester {VERIFIED})",
    ]


FORGED = "why\n2026-01-05 09:00         0 %  succeeded  \x1b[2Jall is well \u202e"


def test_a_reason_forges_no_line_of_the_history(desk: Desk) -> None:
    at_10(desk)
    printed = desk.run("rollback", "orders", "--reason", FORGED)
    history = desk.run("history", "orders").out
    assert history.splitlines()[-2].startswith(
        "2026-01-05 09:00    10 → 0 %  rolling_back  why 2026-01"
    )
    assert not {"\x1b", "\u202e"} & {*history, *printed.out, *printed.err}
    assert not any(line.startswith("2026-01-05 09:00         0 %  succeeded") for line in
                   history.splitlines())  # fmt: skip


def test_a_blank_reason_is_the_usual_one(desk: Desk) -> None:
    at_10(desk)
    desk.run("rollback", "orders", "--reason", " \n ")
    assert "rolling_back  requested by an operator  (by" in desk.run("history", "orders").out


def test_a_rollback_of_what_another_rollout_owns_by_now_prints_a_warning(desk: Desk) -> None:
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


def test_bare_names_need_no_store_and_no_rollout(desk: Desk, tmp_path: Path) -> None:
    at_10(desk)
    (tmp_path / "rollouts.db").write_text("no database")
    ended = desk.run("rollback", *BARE)
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert ended.out == "handler: 0 % is applied: PERCENTAGE=0, ENABLED=false\n"
    assert desk.world.function(FUNCTION).variables["API_KEY"] == SECRET


def test_the_next_tick_finds_a_bare_rollback_and_ends_the_rollout(desk: Desk) -> None:
    at_10(desk)
    desk.run("rollback", *BARE)
    desk.world.clock.advance(MINUTE)
    desk.run("tick")
    data = desk.run("status", "orders", "--json").data
    assert (data["phase"], data["reason"]) == ("rolled_back", "found_at_zero")


def never_started(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the store without a rollout of this policy."""


def broken_store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(desk.policy).parent / "rollouts.db").write_text("no database")


def take_no_writes(desk: Desk) -> None:
    with closing(sqlite3.connect(Path(desk.policy).parent / "rollouts.db")) as store, store:
        store.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON rollouts "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )


def container_without_store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUTCTL_STORE")
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4")


def odd_store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store raise an unforeseen exception."""

    def of_name(self: SqliteStore, name: str) -> None:
        raise KeyError(name)

    assert desk.run("store", "init").status == Exit.DONE
    monkeypatch.setattr(SqliteStore, "of_name", of_name)


def damaged_record(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    at_10(desk)
    with closing(sqlite3.connect(Path(desk.policy).parent / "rollouts.db")) as store, store:
        store.execute("UPDATE rollouts SET state = '{'")


@pytest.mark.parametrize(
    ("trouble", "record_becomes"),
    [
        pytest.param(never_started, "", id="it was never started"),
        pytest.param(odd_store, "found_at_zero", id="the store raises an unforeseen exception"),
        pytest.param(broken_store, "found_at_zero", id="the store is no store"),
        pytest.param(container_without_store, "found_at_zero", id="a container without a store"),
        pytest.param(damaged_record, "no tick decides", id="the record is damaged"),
    ],
)
def test_a_policy_file_rolls_back_whatever_is_wrong_with_the_store(
    desk: Desk, trouble: object, record_becomes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble(desk, monkeypatch)  # type: ignore[operator]
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "40"})
    desk.world.clock.advance(MINUTE)
    ended = desk.run("rollback", desk.policy)
    assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert "not recorded: " in ended.err
    becomes = [words for words in ("found_at_zero", "no tick decides") if words in ended.err]
    assert becomes == ([record_becomes] if record_becomes else [])
    assert "0 % is applied" in ended.out


def test_a_name_cannot_be_rolled_back_without_the_store_that_knows_it(desk: Desk) -> None:
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


def test_a_name_in_a_broken_store_says_what_works_without_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_store(desk, monkeypatch)
    ended = desk.run("rollback", "orders")
    assert ended.status == Exit.INTERNAL
    assert ended.err.endswith(f"; {WITHOUT_A_STORE} (docs/troubleshooting.md#error-store)\n")


@pytest.mark.parametrize("reference", ["orders", "{policy}"], ids=["a name", "a policy file"])
@pytest.mark.parametrize(
    ("takes", "status", "words"),
    [
        pytest.param("2s", Exit.DONE, "0 % is applied", id="in force"),
        pytest.param("1h", Exit.UNCONFIRMED, "0 % is NOT yet applied", id="not in force in time"),
    ],
)
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
    notices = [one for one in ended.events if one["event"] == "notice_sent"]
    assert [one["notice"] for one in notices] == [
        "orders#1 is rolling back to 0 %: requested by an operator"
    ]


@pytest.mark.parametrize(
    ("names", "variables", "words"),
    [
        pytest.param(
            ["--percentage", "NEW_PATH_PERCENTGE"],
            {"NEW_PATH_PERCENTAGE": "50"},
            "NEW_PATH_PERCENTGE is not set on handler; was NEW_PATH_PERCENTAGE or",
            id="the percentage alone",
        ),
        pytest.param(
            ["--percentage", "NEW_PATH_PERCENTGE", "--boolean", "NEW_PATH_ENABELD"],
            {"NEW_PATH_PERCENTAGE": "50", "NEW_PATH_ENABLED": "false"},
            "NEW_PATH_PERCENTGE is not set on handler, and NEW_PATH_ENABELD does not "
            "contradict that; "
            "was NEW_PATH_PERCENTAGE",
            id="both",
        ),
        pytest.param(
            ["--percentage", "NEW_PATH_PERCENTGE", "--boolean", "NEW_PATH_ENABLED"],
            {"NEW_PATH_PERCENTAGE": "50", "NEW_PATH_ENABLED": "false"},
            "and NEW_PATH_ENABLED does not contradict that",
            id="the percentage next to a boolean that is false",
        ),
        pytest.param(
            ["--percentage", "WEIGHT"],
            {"NEW_PATH_PERCENTAGE": "50"},
            "no variable there has a similar name",
            id="something else altogether",
        ),
        pytest.param(
            ["--percentage", "API_KEY"],
            {"API_KEY": SECRET},
            "API_KEY of handler has (7 characters, not shown) where",
            id="a secret for the percentage",
        ),
        pytest.param(
            ["--percentage", "PERCENTAGE", "--boolean", "API_KEY"],
            {"API_KEY": SECRET, "PERCENTAGE": "50"},
            "API_KEY of handler has (7 characters, not shown) where",
            id="a secret for the boolean",
        ),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["done", "dry"])
def test_a_bare_rollback_refuses_mistyped_names(
    desk: Desk, names: list[str], variables: dict[str, str], words: str, dry: list[str]
) -> None:
    desk.world.set_variables(FUNCTION, variables)
    desk.world.clock.advance(MINUTE)
    ended = desk.run("rollback", "--function", FUNCTION, *names, *dry)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "nothing was lowered" in ended.err
    assert words in ended.err
    assert not any(value in ended.err for value in (SECRET, "50", "false"))
    assert not desk.world.calls[WRITE]


def test_a_boolean_that_stands_alone_is_lowered(desk: Desk) -> None:
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


def at_100(desk: Desk) -> tuple[str, ...]:
    """Put all traffic on the canary by two variables; return names without the boolean."""
    desk.world.set_variables(FUNCTION, FULL)
    desk.world.clock.advance(MINUTE)
    return ("--function", FUNCTION, "--percentage", "USE_API_GATEWAY_PERCENTAGE")


def test_a_boolean_that_was_left_on_leaves_a_rollback_unconfirmed(desk: Desk) -> None:
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


def test_a_program_reads_that_a_boolean_was_left_on(desk: Desk) -> None:
    data = desk.run("rollback", *at_100(desk), "--json").data
    (warning,) = data["warnings"]
    assert (data["confirmed"], warning.endswith(f"; if it does: {BOTH}")) == (False, True)


def test_a_mistyped_boolean_is_refused_with_the_command_that_was_meant(desk: Desk) -> None:
    ended = desk.run("rollback", *at_100(desk), "--boolean", "USE_API_GATEWY")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "USE_API_GATEWY is not set on handler; was USE_API_GATEWAY" in ended.err
    assert BOTH in ended.err
    assert not desk.world.calls[WRITE]


def test_a_policy_file_without_a_boolean_is_taken_at_its_word(desk: Desk) -> None:
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


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param([], "name a rollout, a policy file, or the names of a target", id="nothing"),
        pytest.param(["--function", "f"], "needs --function and --percentage", id="half a target"),
        pytest.param(["orders", "--function", "f"], "not both", id="a rollout and a target"),
        pytest.param(
            ["--function", "f", "--percentage", "TZ"], "this names no target", id="a wrong name"
        ),
        pytest.param(
            ["--function", "F:1", "--percentage", "PERCENTAGE"],
            "rolloutctl: this names no target: --function: expected the name or ARN of a function, "
            "without version or alias, not 'F:1'\n",
            id="a version",
        ),
        pytest.param(
            ["--function", "f", "--percentage", "P"],
            "rolloutctl: this names no target: --percentage: expected an environment variable (a "
            "letter, then letters, digits, _; at least 2), not 'P'\n",
            id="too short a name",
        ),
    ],
)
def test_rollback_touches_nothing_when_given(desk: Desk, given: list[str], words: str) -> None:
    ended = desk.run("rollback", *given)
    assert ended.status == Exit.USAGE
    assert words in ended.err
    assert not desk.world.calls


@pytest.mark.parametrize("given", [["orders"], BARE], ids=["of a rollout", "of bare names"])
def test_a_dry_rollback_shows_what_it_would_do(desk: Desk, given: list[str]) -> None:
    at_10(desk)
    before = desk.run("status", "orders", "--json").out
    ended = desk.run("rollback", *given, "--dry-run")
    assert ended.status == Exit.DONE
    assert "would: lower handler to 0 %" in ended.out
    assert (desk.weight, desk.world.calls[WRITE]) == (10, 1)
    assert desk.run("status", "orders", "--json").out == before


@pytest.mark.parametrize("reference", [["orders"], BARE], ids=["of a rollout", "of bare names"])
def test_a_rollback_that_is_not_in_force_in_time_ends_with_5(
    desk_in: MakeDesk, reference: list[str]
) -> None:
    slow = {"kind": "slow_updates", "at": {"step": 1}, "takes": "1h"}
    desk = at_10(desk_in(events=[slow]))
    ended = desk.run("rollback", *reference)
    assert (ended.status, desk.weight) == (Exit.UNCONFIRMED, 10)


def test_an_environment_that_cannot_be_read_is_not_wiped(desk_in: MakeDesk) -> None:
    denied = {"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}
    desk = at_10(desk_in(events=[denied]))
    desk.world.clock.advance(2 * MINUTE)
    assert desk.run("rollback", "orders").status == Exit.UNCONFIRMED
    bare = desk.run("rollback", *BARE)
    assert bare.status == Exit.UNCONFIRMED
    assert bare.out.startswith("handler: NOT confirmed: the environment of handler cannot be read")
    assert desk.world.function(FUNCTION).variables["API_KEY"] == SECRET


def test_the_history_names_who_rolled_back(desk: Desk) -> None:
    at_10(desk)
    desk.run("rollback", "orders", "--by", "jo")
    lines = desk.run("history", "orders").out.splitlines()
    assert [line.rpartition("  (by ")[2] for line in lines[-2:]] == 2 * [f"jo {VERIFIED})"]


def test_a_second_rollback_says_first_that_the_weight_was_0_already(desk: Desk) -> None:
    desk.run("start", desk.policy)
    assert "had 0 % already" not in desk.run("rollback", desk.policy).err
    again = desk.run("rollback", desk.policy)
    assert again.err.splitlines()[0].startswith("rolloutctl: handler had 0 % already (")


def test_the_words_of_an_operator_are_named_as_such(desk: Desk) -> None:
    desk.run("start", desk.policy)
    shown = desk.run("rollback", "orders", "--reason", "customers called").out
    assert "because   requested by an operator: customers called" in shown
