"""Throttling, outages and network faults, with the real retries of botocore."""

from collections.abc import Sequence
from itertools import cycle, repeat

import pytest

from controller.adapters.aws.clients import ATTEMPTS
from tests.e2e.account import OTHERS, POLICY
from tests.e2e.calls import Wanted, named
from tests.e2e.faults import (
    Fault,
    answer_lost,
    answer_reset,
    body,
    drip,
    garbled,
    half,
    hang,
    never_made,
    page,
    refused,
    reset,
    slow,
)
from tests.e2e.on_call import MINUTE, ROLLOUT, Answer, Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import (
    ON_A_TABLE,
    ON_BOTH_STORES,
    Table,
    saves_a_rollout,
    takes_a_rollout,
)
from tests.support.deep_rows import deep_after, named_after

pytestmark = pytest.mark.ministack

READ, RAISE, MEASURE = (
    named("GetFunctionConfiguration"), named("UpdateFunctionConfiguration"), named("GetMetricData"),
)  # fmt: skip
PATIENCE_S = 2.0  # instead of botocore's ten seconds for a read
SHORT_S = 1.0

# The errors of each service: Lambda throttles with 429, CloudWatch and DynamoDB with 400.
TOO_MANY = refused(429, "TooManyRequestsException")
THROTTLED = refused(400, "ThrottlingException")
OVER_CAPACITY = refused(400, "ProvisionedThroughputExceededException")
BROKEN = refused(500, "InternalFailure", "it is us")
UNAVAILABLE = refused(503, "ServiceUnavailable", "come back later")


def words(answer: Answer) -> list[str]:
    """Return the messages to the user on stderr: its lines that are no log."""
    return [line for line in answer.err.splitlines() if not line.startswith("{")]


# --- retried faults -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "faults"),
    deep_after(
        2,
        [
            pytest.param(READ, [TOO_MANY, BROKEN, reset], id="a look at the function"),
            pytest.param(saves_a_rollout, [THROTTLED, answer_reset], id="the save"),
            pytest.param(MEASURE, [THROTTLED, UNAVAILABLE, never_made], id="the measurements"),
            pytest.param(takes_a_rollout, [OVER_CAPACITY, BROKEN], id="the lease"),
            pytest.param(READ, [slow(PATIENCE_S + 1)], id="a look that is answered too late"),
            pytest.param(READ, [hang], id="a look that is not answered"),
        ],
    ),
)
@ON_A_TABLE
def test_a_tick_is_as_any_other_although_aws_fails_for_a_moment_in(
    started: Desk, program: Program, watched: Proxy, wanted: Wanted, faults: Sequence[Fault]
) -> None:
    before = Table.of(started.account)
    started.serve(10 * MINUTE)
    spoiled = watched.spoil(wanted, faults)

    answer = program.at(started.now, PATIENCE_S).run("tick", "--json")

    assert (answer.status, answer.count("tick_completed")) == (0, 1)
    assert answer.data["rollouts"][0]["reason"] == "baking"
    assert len(spoiled.met) == len(faults)
    assert len({call.invocation for call in spoiled.met}) == 1  # all are tries of one call
    assert Table.of(started.account).version == before.version + 1
    assert started.tick().status == 0  # the lease is free


@pytest.mark.parametrize(
    "lost",
    deep_after(
        1,
        [
            pytest.param(answer_lost, id="its connection ended"),
            pytest.param(answer_reset, id="its connection was reset"),
            pytest.param(slow(PATIENCE_S + 1), id="it came too late"),
            pytest.param(half, id="half of it came"),
            pytest.param(garbled, id="it made no sense"),
        ],
    ),
)
@ON_A_TABLE
def test_a_raise_whose_answer_was_lost_is_known_by_what_the_function_shows(
    started: Desk, program: Program, watched: Proxy, lost: Fault
) -> None:
    started.serve(72 * MINUTE)
    watched.spoil(RAISE, [lost])

    answer = program.at(started.now, PATIENCE_S).run("tick")

    assert answer.status == 0
    writes = watched.answers_to("UpdateFunctionConfiguration")
    assert writes[-1:] in ([412], [409], [200])  # its first write made the second one conflict
    assert started.account.pair() == ("50", "false")
    assert started.account.others() == OTHERS
    assert started.kinds() == ["started", "applied", "advanced", "applied"]


@pytest.mark.parametrize(
    "lost", named_after(1, {"ended": answer_lost, "reset": answer_reset, "refused": BROKEN})
)
@ON_A_TABLE
def test_a_save_that_is_sent_twice_counts_once(
    started: Desk, program: Program, watched: Proxy, lost: Fault
) -> None:
    before = Table.of(started.account)
    started.serve(72 * MINUTE)
    watched.spoil(named("TransactWriteItems"), [lost])

    assert program.at(started.now).run("tick").status == 0

    saves = [call for call in watched.tries if call.operation == "TransactWriteItems"]
    assert [call.body for call in saves[:2]] == [saves[0].body] * 2  # with the same token
    after = Table.of(started.account)
    assert (after.version, after.entries) == (before.version + 2, [*before.entries, 3, 4])
    assert started.kinds() == ["started", "applied", "advanced", "applied"]


# --- lasting faults -----------------------------------------------------------------------------


def test_a_call_is_tried_four_times_and_then_the_tick_says_what_failed(
    started: Desk, program: Program, watched: Proxy
) -> None:
    started.serve(10 * MINUTE)
    spoiled = watched.spoil(MEASURE, repeat(THROTTLED))

    answer = program.at(started.now).run("tick", "--json")

    assert len(spoiled.met) == ATTEMPTS == 4
    assert answer.status == 0  # missing data is held, not failed
    (event,) = [one for one in answer.events if one["event"] == "metrics_unavailable"]
    assert "ThrottlingException" in event["problem"]
    assert "run again in a moment" in event["problem"]
    assert started.account.pair() == ("10", "false")


@ON_A_TABLE
@pytest.mark.parametrize("fault", named_after(1, {"drips": drip(0.05), "hangs": hang}))
def test_a_function_whose_answer_never_ends_does_not_hold_a_tick(
    started: Desk, program: Program, watched: Proxy, fault: Fault
) -> None:
    started.serve(10 * MINUTE)
    spoiled = watched.spoil(READ, repeat(fault))

    answer = program.at(started.now, SHORT_S).run("tick", "--json")

    assert answer.status == 1
    assert answer.data["rollouts"][0]["reason"] == "target_unreadable"
    assert len(spoiled.met) <= ATTEMPTS
    assert started.account.pair() == ("10", "false")


@ON_BOTH_STORES
def test_lowering_goes_on_through_throttling_resets_and_lost_answers_until_it_is_at_0(
    started: Desk, program: Program, watched: Proxy
) -> None:
    started.serve(30 * MINUTE, failing=3)
    exhausted_retries = [
        TOO_MANY
    ] * ATTEMPTS  # botocore gives up after these, and the lowering loop does not
    spoiled = watched.spoil(RAISE, [*exhausted_retries, reset, BROKEN, never_made, TOO_MANY, reset])
    looks = watched.spoil(READ, [TOO_MANY, reset])

    answer = program.at(started.now).run("tick")

    assert (len(spoiled.met), len(looks.met)) == (9, 2)
    assert answer.status == 0
    assert answer.count("call_retried") >= 1
    assert started.account.pair() == ("0", "false")
    assert started.account.others() == OTHERS
    assert started.kinds() == ["started", "applied", "rolling_back", "rolled_back"]


def test_a_rollback_by_hand_goes_through_an_outage_of_lambda(
    started: Desk, program: Program, watched: Proxy
) -> None:
    watched.spoil(RAISE, [UNAVAILABLE, TOO_MANY, answer_lost])

    answer = program.at(started.now).run("rollback", ROLLOUT, "--json")

    assert (answer.status, answer.data["phase"]) == (0, "rolled_back")
    assert started.account.pair() == ("0", "false")


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "code"),
    deep_after(
        1,
        [
            pytest.param([TOO_MANY], "TooManyRequestsException", id="throttling"),
            pytest.param([BROKEN, UNAVAILABLE], "", id="failures of AWS"),
            pytest.param([reset, never_made], "Connection", id="a broken network"),
            pytest.param(
                [page(200)], "the answer is not one of AWS", id="a page of something else"
            ),
            pytest.param([page(502)], "502", id="a page of a gateway"),
            pytest.param([half], "the answer is not one of AWS", id="half an answer"),
            pytest.param([garbled], "the answer is not one of AWS", id="an answer without sense"),
            pytest.param(
                [
                    body(
                        b'{"FunctionArn": "a", "Environment": "x"}', content_type="application/json"
                    )
                ],
                "the answer is not one of AWS (it cannot be parsed",
                id="an answer of another shape",
            ),
        ],
    ),
)
def test_a_function_that_cannot_be_read_is_reported_in_one_sentence(
    started: Desk, program: Program, watched: Proxy, faults: Sequence[Fault], code: str
) -> None:
    started.serve(10 * MINUTE)
    watched.spoil(READ, cycle(faults))

    answer = program.at(started.now).run("tick", "--json")

    assert answer.status == 1
    (rollout,) = answer.data["rollouts"]
    assert rollout["reason"] == "target_unreadable"
    assert "the target cannot be read; the weight stays as it is: " in rollout["sentence"]
    assert code in rollout["sentence"]
    assert "\n" not in rollout["sentence"]
    assert words(answer) == []
    assert started.account.pair() == ("10", "false")


@pytest.mark.parametrize(
    "faults",
    deep_after(
        1,
        [
            pytest.param([OVER_CAPACITY], id="throttling"),
            pytest.param([never_made, BROKEN], id="a broken network"),
            pytest.param([page(200)], id="a page of something else"),
            pytest.param([half], id="half an answer"),
            pytest.param([garbled], id="an answer without sense"),
        ],
    ),
)
@ON_A_TABLE
def test_a_table_that_does_not_answer_is_reported_in_one_line(
    started: Desk, program: Program, watched: Proxy, faults: Sequence[Fault]
) -> None:
    watched.spoil(lambda call: call.operation in ("Query", "GetItem"), cycle(faults))

    answer = program.at(started.now).run("tick")

    assert answer.status == 1
    (line,) = words(answer)
    assert line.startswith("rolloutctl: cannot ")
    assert "dynamodb:Query, table rollouts" in line
    assert "Traceback" not in answer.err


def test_a_start_in_an_outage_touches_nothing_and_says_so_in_one_line(
    desk: Desk, program: Program, watched: Proxy
) -> None:
    watched.spoil(READ, cycle([UNAVAILABLE, reset]))

    answer = program.at(desk.now).run("start", POLICY)

    assert answer.status == 2
    (line,) = words(answer)
    assert "could not be read (lambda:GetFunctionConfiguration)" in line
    assert desk.account.pair() == ("0", "false")
