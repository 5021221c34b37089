"""An operator's rollback writes 0% before it waits for the store, whatever fault that has.

Real processes, the emulator, and a proxy that injects faults. The tests check the weight, the exit
status, and how long after its start a process has written 0%.
"""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from controller.errors import Exit
from tests.e2e.account import BOOLEAN, FUNCTION, PERCENTAGE, POLICY, Account
from tests.e2e.calls import Call
from tests.e2e.faults import Exchange, Fault, body, drip, hang, never_made, page, refused
from tests.e2e.on_call import Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import ON_A_TABLE
from tests.support.deep_rows import named_after, pairs
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack

# From the start of the process until 0% is written; without limits of its own it takes minutes.
LIMIT_S: Final = 30.0
BARE: Final = ("--function", FUNCTION, "--percentage", PERCENTAGE, "--boolean", BOOLEAN)

StoreFault: TypeAlias = Callable[[Path], Any]


class Stopwatch:
    """Forwards calls, and records when each was answered, in seconds since `start`."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.took: list[float] = []

    def __call__(self, exchange: Exchange) -> None:
        reply = exchange.carry_out()
        self.took.append(time.monotonic() - self.start)
        exchange.answer(reply)


def writes(call: Call) -> bool:
    return call.operation == "UpdateFunctionConfiguration"


def of_the_store(call: Call) -> bool:
    dynamodb = ("GetItem", "Query", "Scan", "UpdateItem", "PutItem", "TransactWriteItems")
    return call.operation in dynamodb


def timed(program: Program, watched: Proxy, *command: str | Path) -> tuple[Any, float]:
    """Run `command`; return its answer, and the seconds until its first write was answered."""
    clock = Stopwatch()
    watched.spoil(writes, repeat(clock))
    answer = program.run(*command)
    took_s = min(clock.took, default=float("inf"))
    sys.stdout.write(f"0% after {took_s:.1f} s\n")  # with -rP, for contributors/reliability.md
    return answer, took_s


# --- SQLite -------------------------------------------------------------------------------------


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let another connection lock the file exclusively."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE rollouts SET version = version")
        yield


def _changed(statement: str) -> StoreFault:
    @contextmanager
    def fault(file: Path) -> Iterator[None]:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.executescript(statement)
        yield

    return fault


@contextmanager
def _no_database(file: Path) -> Iterator[None]:
    for one in file.parent.glob(f"{file.name}*"):
        if one.suffix != ".json":
            one.unlink()
    file.write_bytes(b"\x00garbage" * 1_000)
    yield


@contextmanager
def _torn(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    yield


@contextmanager
def _gone(file: Path) -> Iterator[None]:
    for one in file.parent.glob(f"{file.name}*"):
        if one.suffix != ".json":
            one.unlink()
    yield


NOT_UTF_8: Final = """
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = CAST(X'435245415445FFFE' AS TEXT) WHERE name = 'rollouts';
"""

FILES: Final[dict[str, StoreFault]] = {
    "hangs: another process holds it": _locked,
    "its state is cut off": _changed("UPDATE rollouts SET state = '{'"),
    "is not UTF-8": _changed("UPDATE rollouts SET state = CAST(X'FF' AS TEXT)"),
    "has lost its tables": _changed("DROP TABLE locks; DROP TABLE history"),
    "has an error text that is not UTF-8": _changed(NOT_UTF_8),
    "is no database": _no_database,
    "is torn": _torn,
    "is gone": _gone,
}
GIVEN: Final[dict[str, str | Path]] = {
    "by id": "execution-api#1",
    "by name": "execution-api",
    "by policy": POLICY,
}


@pytest.mark.parametrize(("fault", "given"), pairs(FILES, GIVEN, 4))
def test_a_file_that_cannot_be_used_costs_the_record_and_not_the_rollback(
    started: Desk,
    program: Program,
    watched: Proxy,
    store_url: str,
    fault: StoreFault,
    given: str | Path,
) -> None:
    with fault(Path(store_url.removeprefix("sqlite:///"))):
        answer, took_s = timed(program, watched, "rollback", given, "--json")
    assert started.account.pair() == ("0", "false")
    assert took_s < LIMIT_S
    assert (answer.status, answer.data["recorded"]) == (Exit.DONE, False)
    assert "Traceback" not in answer.err


def test_a_sound_file_has_the_record_with_the_weight_before(
    started: Desk, program: Program, watched: Proxy
) -> None:
    answer, took_s = timed(program, watched, "rollback", "execution-api#1", "--reason", "enough")
    assert (answer.status, started.account.pair()) == (Exit.DONE, ("0", "false"))
    assert took_s < LIMIT_S
    begun, done = started.history()[-2:]
    assert (begun["kind"], begun["reason"]) == ("rolling_back", "rollback_requested")
    assert (begun["by"], begun["sentence"]) == ("oncall", "enough")
    assert (begun["weight_from"], done["kind"]) == (10, "rolled_back")
    assert len([call for call in watched.calls if writes(call)]) == 1


def test_a_function_of_another_account_is_not_lowered_for_a_damaged_record(
    started: Desk, program: Program, ministack: Emulator, store_url: str
) -> None:
    """Credentials of another account reach a function of the same name."""
    other = Account.of(ministack, "222222222222")
    other.create(pair={PERCENTAGE: "10", BOOLEAN: "false"})
    with _changed("UPDATE rollouts SET state = '{'")(Path(store_url.removeprefix("sqlite:///"))):
        elsewhere = program.elsewhere(AWS_ACCESS_KEY_ID=other.number)
        answer = elsewhere.run("rollback", "execution-api#1", "--json")
    assert (answer.status, answer.data["confirmed"]) == (Exit.UNCONFIRMED, False)
    assert (started.account.pair(), other.pair()) == (("10", "false"), ("10", "false"))


def test_a_policy_whose_variables_are_missing_in_the_function_writes_none(
    started: Desk, program: Program, store_url: str
) -> None:
    policy = started.another_policy(POLICY, **{f"percentage: {PERCENTAGE}": "percentage: MISTYPED"})
    before = started.account.environment()
    with _changed("UPDATE rollouts SET state = '{'")(Path(store_url.removeprefix("sqlite:///"))):
        answer = program.run("rollback", policy)
    assert (answer.status, started.account.environment()) == (Exit.UNCONFIRMED, before)
    assert "MISTYPED" in answer.err + answer.out


# --- DynamoDB -----------------------------------------------------------------------------------

DIGITS: Final = body(b'{"Count": "x", "Items": 7}')
FAULTS: Final[dict[str, Fault]] = {
    "hangs": hang,
    "answers null": body(b"null"),
    "drips": drip(0.25),
    "answers a list": body(b"[]"),
    "answers of the wrong shape": DIGITS,
    "answers with a page": page(200),
    "refuses": refused(400, "AccessDeniedException", "no"),
    "is not reached": never_made,
    "fails": refused(500, "InternalServerError", "it is us"),
}


@ON_A_TABLE
@pytest.mark.parametrize("fault", named_after(2, FAULTS))
def test_a_table_that_cannot_be_used_costs_the_record_and_not_the_rollback(
    started: Desk, program: Program, watched: Proxy, fault: Fault
) -> None:
    watched.spoil(of_the_store, repeat(fault))
    answer, took_s = timed(program, watched, "rollback", POLICY, "--json")
    assert started.account.pair() == ("0", "false")
    assert took_s < LIMIT_S
    assert (answer.status, answer.data["recorded"]) == (Exit.DONE, False)


@ON_A_TABLE
@pytest.mark.parametrize("fault", named_after(1, {"hangs": hang, "drips": drip(0.25)}))
def test_an_id_in_a_table_that_does_not_answer_is_the_only_rollback_that_fails(
    started: Desk, program: Program, watched: Proxy, fault: Fault
) -> None:
    watched.spoil(of_the_store, repeat(fault))
    begun = time.monotonic()
    answer = program.run("rollback", "execution-api#1")
    assert time.monotonic() - begun < LIMIT_S
    assert (answer.status, started.account.pair()) == (Exit.INTERNAL, ("10", "false"))
    assert "rolloutctl rollback POLICY.yaml" in answer.err


# --- bare names ---------------------------------------------------------------------------------


def test_bare_names_need_no_store(
    started: Desk, program: Program, watched: Proxy, store_url: str
) -> None:
    with _locked(Path(store_url.removeprefix("sqlite:///"))):
        answer, took_s = timed(program, watched, "rollback", *BARE)
    assert (answer.status, started.account.pair()) == (Exit.DONE, ("0", "false"))
    assert took_s < LIMIT_S


def test_a_boolean_that_does_not_look_like_one_is_refused_unless_forced(
    started: Desk, program: Program
) -> None:
    """Which values do not: tests/adapters/targets/test_variable_name_warnings.py."""
    started.account.change(**{BOOLEAN: "yes"})
    before = started.account.environment()
    refusal = program.at(started.now).run("rollback", *BARE)
    assert (refusal.status, started.account.environment()) == (Exit.USAGE, before)
    assert BOOLEAN in refusal.err
    forced = program.at(started.now).run("rollback", *BARE, "--force")
    assert (forced.status, started.account.pair()) == (Exit.DONE, ("0", "false"))


def test_one_name_for_both_variables_is_refused(started: Desk, program: Program) -> None:
    before = started.account.environment()
    names = ("--function", FUNCTION, "--percentage", PERCENTAGE, "--boolean", PERCENTAGE)
    answer = program.at(started.now).run("rollback", *names, "--force")
    assert (answer.status, started.account.environment()) == (Exit.USAGE, before)


# --- concurrent ticks ---------------------------------------------------------------------------


def test_a_tick_that_finds_0_meanwhile_does_not_keep_its_reason(
    started: Desk, program: Program, watched: Proxy
) -> None:
    """The tick saves its found_at_zero between the write of the rollback and its record."""
    with watched.holding(lambda call: call.operation.startswith("POST")) as held:
        words = ("rollback", "execution-api#1", "--reason", "enough")
        running = program.elsewhere("ROLLOUTCTL_BY").begin(*words)
        held.wait()  # sts:GetCallerIdentity, after the write and before the record
        assert started.account.pair() == ("0", "false")
        started.account.settled()
        started.tick()
        assert started.status()["reason"] == "found_at_zero"
    assert running.answer().status == Exit.DONE
    status = started.status()
    assert (status["phase"], status["reason"]) == ("rolled_back", "rollback_requested")
    assert status["sentence"] == "enough"


def test_a_first_raise_in_flight_is_refused_after_the_rollback(
    desk: Desk, program: Program, watched: Proxy
) -> None:
    """The weight is 0% already, and is written nevertheless."""
    with watched.holding(writes) as held:
        starting = program.begin("start", POLICY)
        held.wait()
        answer = program.elsewhere(AWS_ENDPOINT_URL=desk.account.emulator.endpoint).run(
            "rollback", "execution-api#1", "--reason", "too early"
        )
        assert answer.status == Exit.DONE
    starting.answer()
    assert desk.account.pair() == ("0", "false")
    status = desk.status()
    assert (status["phase"], status["reason"]) == ("rolled_back", "rollback_requested")
