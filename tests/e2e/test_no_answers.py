"""Invalid answers of every service in every form, against real processes.

A tick visits a failing rollout and a healthy one: whatever a service answers, the tick ends in
time, with a documented exit status and no traceback, and has rolled back what it could.
"""

from itertools import repeat
from pathlib import Path
from typing import Final

import pytest

from controller.errors import Exit
from tests.e2e.account import POLICY
from tests.e2e.calls import Call, Wanted, named
from tests.e2e.faults import Fault, body, garbled, page
from tests.e2e.fleet import SICK_FUNCTION, Fleet, let_it_fail
from tests.e2e.on_call import MINUTE, Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import ON_A_TABLE, URL
from tests.support.deep_rows import named_after, pairs

pytestmark = [pytest.mark.ministack, ON_A_TABLE]

ANSWERS: Final[dict[str, Fault]] = {
    "null": body(b"null"),
    "a list": body(b"[1, 2]"),
    "a string": body(b'"text"'),
    "a number": body(b"7"),
    "bytes": body(bytes(range(128, 256))),
    "nothing": body(b""),
    "an object without anything": body(b"{}"),
    "nested deeply": body(b"[" * 5_000 + b"]" * 5_000),
    "another shape": body(
        b'{"Environment": "x", "FunctionArn": 7, "MetricDataResults": "x", "Items": 1, "Item": []}'
    ),
    "null values": body(
        b'{"FunctionArn": null, "Environment": {"Variables": {"A": null}}, "RevisionId": null, '
        b'"MetricDataResults": [null], "Items": [null], "Item": {"pk": null}}'
    ),
    "an Id that was not requested": body(
        b'{"MetricDataResults": [{"Id": "other", "Timestamps": [1.0], "Values": [1.0], '
        b'"StatusCode": "Complete"}], "FunctionArn": "arn:other", "Items": [{"pk": {"S": "x"}}]}'
    ),
    "a page": page(200),
    "cut in half": garbled,
}

SOME: Final = ("null", "another shape", "a page", "an Id that was not requested", "cut in half")


def of_dynamodb(call: Call) -> bool:
    return call.operation in ("GetItem", "Query", "UpdateItem", "TransactWriteItems")


def not_of_the_list(call: Call) -> bool:
    """Tell whether a call is about one rollout; calls for the list of all are answered."""
    return of_dynamodb(call) and call.operation != "Query"


# The calls with invalid answers, and the exit status of the tick. With an unreadable function there
# is no failing rollout: a tick would try to lower it for a minute.
CALLS: Final[dict[str, tuple[Wanted, Exit]]] = {
    "the function": (named("GetFunctionConfiguration"), Exit.INTERNAL),
    "the metrics": (named("GetMetricData"), Exit.DONE),
    "the list of rollouts": (named("Query"), Exit.INTERNAL),
    "each rollout": (not_of_the_list, Exit.INTERNAL),
}


@pytest.fixture
def fleet(started: Desk, store_url: str) -> Fleet:
    assert store_url == URL
    return Fleet(started, store_url)


# Each answer at each call of an adapter: tests/adapters/aws/test_answer_validation.py.
@pytest.mark.parametrize(
    ("answer", "what"),
    pairs(
        {**{one: ANSWERS[one] for one in SOME}, **ANSWERS},
        {what: what for what in CALLS},
        len(CALLS),
    ),
)
def test_an_invalid_answer_is_a_named_error_or_a_finding(
    fleet: Fleet, started: Desk, program: Program, watched: Proxy, what: str, answer: Fault
) -> None:
    wanted, status = CALLS[what]
    if what != "the function":
        fleet.add_failing()
    let_it_fail(started, 30)
    spoiled = watched.spoil(wanted, repeat(answer))

    tick_answer = program.at(started.now).run("tick", "--json")

    assert spoiled.met
    assert tick_answer.status == status
    assert "Traceback" not in tick_answer.err
    assert tick_answer.count("unexpected_error") == 0
    list_answered = what != "the list of rollouts"
    assert (tick_answer.count("tick_ended"), tick_answer.count("tick_failed")) == (
        list_answered,
        not list_answered,
    )
    assert started.account.pair() == ("10", "false")
    after = program.elsewhere(AWS_ENDPOINT_URL=started.account.emulator.endpoint)
    started.move_clock(3 * MINUTE)  # a lease whose answer was lost has expired
    assert after.at(started.now).run("tick").status == Exit.DONE
    if what != "the function":
        assert started.account.pair(SICK_FUNCTION) == ("0", "false")


@pytest.mark.parametrize("answer", named_after(1, {one: ANSWERS[one] for one in SOME}))
def test_a_write_with_an_invalid_answer_is_executed_and_found_by_a_read(
    fleet: Fleet, started: Desk, program: Program, watched: Proxy, answer: Fault
) -> None:
    """Lambda answers the first write of 0% invalidly, and every later one correctly."""
    fleet.add_failing()
    let_it_fail(started, 30)
    spoiled = watched.spoil(named("UpdateFunctionConfiguration"), [answer])

    tick_answer = program.at(started.now).run("tick", "--json")

    assert (len(spoiled.met), tick_answer.status) == (1, Exit.DONE)
    assert started.account.pair(SICK_FUNCTION) == ("0", "false")


@pytest.mark.parametrize("answer", named_after(1, {one: ANSWERS[one] for one in SOME}))
def test_one_invalid_answer_before_a_valid_one_changes_nothing(
    fleet: Fleet, started: Desk, program: Program, watched: Proxy, answer: Fault
) -> None:
    fleet.add_failing()
    let_it_fail(started, 30)
    met = [
        watched.spoil(wanted, [answer])
        for wanted in (
            named("GetFunctionConfiguration"),
            named("GetMetricData"),
            named("Query"),
            not_of_the_list,
        )
    ]

    tick_answer = program.at(started.now).run("tick", "--json")

    assert all(one.met for one in met)
    assert tick_answer.status == Exit.DONE
    assert started.account.pair(SICK_FUNCTION) == ("0", "false")


COMMANDS: Final[dict[str, list[str | Path]]] = {
    "status": ["status"],
    "history": ["history", "execution-api"],
    "start": ["start", POLICY],
    "pause": ["pause", "execution-api"],
}


@pytest.mark.parametrize(
    ("command", "answer"),
    pairs(COMMANDS, {one: ANSWERS[one] for one in ("null", "another shape", "nested deeply")}, 1),
)
def test_an_operator_command_ends_with_a_named_error(
    started: Desk, program: Program, watched: Proxy, command: list[str | Path], answer: Fault
) -> None:
    watched.spoil(of_dynamodb, repeat(answer))
    command_answer = program.at(started.now).run(*command)
    assert command_answer.status == Exit.INTERNAL
    assert "Traceback" not in command_answer.err
    assert "dynamodb:" in command_answer.err
