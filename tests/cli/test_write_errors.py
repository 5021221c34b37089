"""The reason of a failed weight write is in the tick, status, history and messages.

Each row is an answer of Lambda to a write, by a rollout whose canary fails, or by one that raises.
The live weight of the function never changes.
"""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from controller.errors import Exit
from controller.immutable import Immutable
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed, client_error
from tests.cli.conftest import CliHarness, Ended, MakeDesk
from tests.support.stage import SHORT_POLICY, WRITE
from tests.tools.simulation.worlds import FUNCTION, MINUTE

SICK: Final = {"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}
STATE: Final = "The function is currently in the following state: {}"

# Lambda's error: code, message, HTTP status; and its explanation for people.
REFUSALS: Final[dict[str, tuple[str, str, int, str]]] = {
    "a missing permission": ("AccessDeniedException", "not authorized", 403, "grant the action"),
    "a key": ("KMSAccessDeniedException", "access was denied", 502, "kms:Encrypt"),
    "throttling": ("TooManyRequestsException", "Rate exceeded", 429, "run again in a moment"),
    "an environment that is too large": ("InvalidParameterValueException", "4KB", 400, "4096"),
    "a function that failed": ("ResourceConflictException", STATE, 409, "deploy it again"),
    "a function that is pending": ("ResourceConflictException", STATE, 409, "until it is created"),
    "a conflict that changes nothing": (
        "ResourceConflictException", "busy", 409, "another change is in progress",
    ),
}  # fmt: skip
STATES: Final = {"a function that failed": "Failed", "a function that is pending": "Pending"}


class Refusing(Immutable):
    """An interceptor in which Lambda refuses every write, and answers with `state`."""

    code: str
    words: str
    status: int
    state: str = ""
    write: tuple[str, str] = WRITE

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == self.write:
            raise client_error(operation, self.code, self.words, status=self.status)
        answer = proceed()
        if self.state and operation == "GetFunctionConfiguration":
            reasons = {"StateReasonCode": "InternalError", "StateReason": "no image"}
            return {**answer, "State": self.state, **reasons}
        return answer


def refuse(desk: CliHarness, refusal: str) -> tuple[Refusing, str]:
    """Let Lambda refuse writes; return the interceptor, and the explanation for people."""
    code, message, status, explanation = REFUSALS[refusal]
    layer = Refusing(code, message, status, STATES.get(refusal, ""))
    desk.world.interceptors.append(layer)
    if "large" in refusal:
        room = {f"NOTE_{index}": "x" * 1_000 for index in range(5)}
        desk.world.function(FUNCTION).variables.update(room)
    return layer, explanation


def mend(desk: CliHarness, layer: Refusing) -> None:
    """Let Lambda accept writes again."""
    desk.world.interceptors.remove(layer)
    variables = desk.world.function(FUNCTION).variables
    for name in [name for name in variables if name.startswith("NOTE_")]:
        del variables[name]


def ticked(desk: CliHarness, until: str) -> Ended:
    """Tick once a minute until the rollout is in the phase `until`, and return the last tick."""
    for _ in range(30):
        desk.world.clock.advance(MINUTE)
        ended = desk.run("tick", "--early", "--json")
        if ended.data["rollouts"][0]["phase"] == until:
            return ended
    raise AssertionError(f"the rollout never was {until}")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_rollback_that_cannot_be_written_says_why_from_the_first_tick_on(
    desk_in: MakeDesk, refusal: str
) -> None:
    desk = desk_in(events=[SICK])
    desk.run("start", desk.policy)
    layer, explanation = refuse(desk, refusal)

    ended = ticked(desk, "rolling_back")

    assert (ended.status, desk.weight) == (Exit.UNCONFIRMED, 10)
    status = desk.state()
    assert layer.code in status["write_error"]
    assert explanation in status["write_error"]
    assert (status["weight"], status["seen_weight"]) == (0, 10)
    first = status["sentence"]
    page = desk.run("status", "orders").out
    assert "10% live, going to 0%" in page.splitlines()[0]
    assert layer.code in page
    assert any(layer.code in str(entry) for entry in desk.entries())
    notices = [event["notice"] for event in ended.events if event["event"] == "notice_sent"]
    assert any(layer.code in notice for notice in notices)
    assert desk.run("status", "orders", "--exit-code").status == Exit.UNCONFIRMED

    by_hand = desk.run("rollback", "orders", "--reason", "a person, too", "--json")
    assert (by_hand.status, desk.weight) == (Exit.UNCONFIRMED, 10)
    assert layer.code in by_hand.data["write_error"]
    assert by_hand.data["sentence"] == first  # the first cause

    mend(desk, layer)
    after = ticked(desk, "rolled_back")
    assert (after.status, desk.weight) == (Exit.DONE, 0)
    status = desk.state()
    assert (status["write_error"], status["sentence"]) == ("", first)
    assert desk.run("replay", "orders").status == Exit.DONE


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_raise_that_cannot_be_written_says_why_and_records_it_once(
    desk_in: MakeDesk, refusal: str
) -> None:
    desk = desk_in()
    desk.run("start", desk.policy)
    layer, explanation = refuse(desk, refusal)

    ended = ticked_until(desk, "write_error")

    assert (ended.status, desk.weight) == (Exit.DONE, 10)
    data = ended.data["rollouts"][0]
    assert explanation in data["write_error"]
    desk.world.clock.advance(MINUTE)
    desk.run("tick", "--early")
    kinds = [entry["kind"] for entry in desk.entries()]
    assert kinds.count("write_failed") == 1
    assert "10% live, going to 100%" in desk.run("status", "orders").out.splitlines()[0]

    mend(desk, layer)
    desk.ticks(3)
    status = desk.state()
    assert (desk.weight, status["write_error"]) == (100, "")
    assert desk.run("replay", "orders").status == Exit.DONE


def ticked_until(desk: CliHarness, field: str) -> Ended:
    """Tick once a minute until `field` of the rollout is set."""
    for _ in range(30):
        desk.world.clock.advance(MINUTE)
        ended = desk.run("tick", "--early", "--json")
        if ended.data["rollouts"][0][field]:
            return ended
    raise AssertionError(f"{field} was never set")


ALIAS: Final = {"kind": "lambda-alias", "function": FUNCTION, "alias": "live"}


def test_a_conflict_of_an_alias_is_told_and_its_timeout_names_it(
    desk_in: MakeDesk, table: Any
) -> None:
    desk = desk_in(policy={**SHORT_POLICY, "target": ALIAS, "shift_timeout": "5m"})
    desk.run("start", desk.policy)
    layer = Refusing("ResourceConflictException", "busy", 409, write=("lambda", "UpdateAlias"))
    desk.world.interceptors.append(layer)

    ticked_until(desk, "write_error")
    page = desk.run("status", "orders").out
    desk.world.interceptors.remove(layer)
    assert "ResourceConflictException" in page
    assert [entry["kind"] for entry in desk.entries()].count("write_failed") == 1

    desk.ticks(3)
    assert (desk.weight, desk.state()["write_error"]) == (100, "")
