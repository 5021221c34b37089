"""The stack with a Lambda function, on an emulator that runs its zip and asks IAM at every call.

The emulator runs the code by another Python; it has no containers, so not the image.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from controller.errors import Exit
from controller.function import BATCH
from controller.immutable import Immutable
from tests.deploy.stack import Stack, filters
from tests.deploy.switch import value
from tests.e2e import role as roles
from tests.e2e import stored_items
from tests.e2e.account import POLICY, Account
from tests.e2e.fleet import Fleet
from tests.e2e.homes import ended_execution, upload, with_code
from tests.e2e.on_call import MINUTE, ROLLOUT, Desk
from tests.support import emulator
from tests.support.emulator import Emulator

pytestmark = [pytest.mark.ministack, pytest.mark.slow]

MEGABYTE: Final = 1_000_000


@pytest.fixture
def store_url() -> str:
    return stored_items.URL


@pytest.fixture
def ministack(enforcing_ministack: Emulator) -> Emulator:
    return enforcing_ministack


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0 %, and a day of metrics of the stable path."""
    now = datetime.now(UTC)
    shop = Account.of(ministack, account)
    roles.make_role(shop.client("iam"), "handler", {"Service": "lambda.amazonaws.com"})
    shop.create()
    shop.call_directly(now - timedelta(hours=27), now - timedelta(hours=1), every=60)
    shop.call_directly(now - timedelta(hours=1), now)
    return shop


class FunctionHome:
    """A stack with the function, and the ways in which AWS calls it."""

    def __init__(self, desk: Desk, package: bytes, **parameters: str) -> None:
        self.account = desk.account
        printed = desk.run("iam", POLICY, "--parameters", "--unbound", *here(desk.account)).out
        self.parameters = {
            **dict(line.split("=", 1) for line in printed.splitlines()),
            **upload(self.account, "one.zip", package),
            **parameters,
        }
        self.stack = Stack.create(self.account, **self.parameters)

    def client(self, service: str) -> Any:
        """Return a client that waits long: a call that is repeated is a second tick."""
        return self.account.emulator.client(service, self.account.number, patience_s=120)

    def invoke(self, **event: Any) -> dict[str, Any]:
        """Return the answer of the function to `event`."""
        account = self.account
        client = account.emulator.client("lambda", account.number, patience_s=120)
        answer = client.invoke(FunctionName=self.stack.ids["Function"], Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        return found


def here(account: Account) -> tuple[str, ...]:
    """Return the options of the account and the Region."""
    return ("--account", account.number, "--region", emulator.REGION)


def test_a_zip_has_less_than_eight_megabytes(package: bytes) -> None:
    assert MEGABYTE < len(package) < 8 * MEGABYTE


def test_its_role_may_do_what_iam_prints_and_write_its_log(desk: Desk, package: bytes) -> None:
    home = FunctionHome(desk, package)
    words = ("iam", POLICY, "--for", "tick", "--unbound", "--store", stored_items.URL)
    wanted = json.loads(desk.run(*words, *here(desk.account)).out)
    assert home.stack.role_document("TickRole") == wanted
    log = desk.account.client("iam").get_role_policy(
        RoleName=home.stack.ids["TickRole"], PolicyName="write-logs"
    )["PolicyDocument"]
    (statement,) = log["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert home.stack.ids["Logs"] in statement["Resource"][0]


def test_an_invocation_is_a_tick_that_the_dead_mans_switch_counts(
    desk: Desk, package: bytes
) -> None:
    """Time passes for the desk only: the function has the clock of the machine."""
    home = FunctionHome(desk, package)
    begin = desk.now
    desk.move_clock(-40 * MINUTE)
    desk.start()
    desk.serve(40 * MINUTE)
    assert home.invoke() == {"status": 0}
    assert desk.account.pair() == ("10", "false")
    found = desk.account.client("logs").filter_log_events(logGroupName=home.stack.ids["Logs"])
    values = [value(filters("TicksEnded", "function"), one["message"]) for one in found["events"]]
    assert values.count(1.0) == 1

    desk.account.call_gateway(begin - 20 * MINUTE, begin, failing=60)
    assert home.invoke(early=True) == {"status": 0}  # as at an alarm
    desk.account.settled()
    assert desk.account.pair() == ("0", "false")


# --- the map ------------------------------------------------------------------------------------

# What the process of a batch does that has such a rollout: it is killed, as for its memory.
POISON: Final = """
_handle = handle
def handle(event, context):
    if any(one.startswith("poisoned") for one in event.get("rollouts", ())):
        os._exit(137)
    return _handle(event, context)
"""
CHILDREN: Final = "8"


@pytest.fixture(scope="module")
def poisoned(package: bytes) -> bytes:
    """The zip, with a function that is killed by rollouts of one policy."""
    return with_code(package, POISON)


class MapRun(Immutable):
    """How one execution of the map ended.

    children: how many, by their end. causes: why those failed that did.
    """

    status: str
    report: Mapping[str, int]
    children: Mapping[str, int]
    causes: list[str]


def run_maps(home: FunctionHome, number: int = 1) -> list[MapRun]:
    """Start the map so many times at once, as schedules do, and return how each ended."""
    states, machine = home.client("stepfunctions"), home.stack.ids["Map"]
    started = [states.start_execution(stateMachineArn=machine) for _ in range(number)]
    return [_ended(states, one["executionArn"]) for one in started]


def _ended(states: Any, execution: str) -> MapRun:
    found = ended_execution(states, execution)
    (run,) = states.list_map_runs(executionArn=execution)["mapRuns"]
    counts = states.describe_map_run(mapRunArn=run["mapRunArn"])["executionCounts"]
    children = states.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    failed = [one["executionArn"] for one in children if one["status"] == "FAILED"]
    causes = [states.describe_execution(executionArn=one).get("cause", "") for one in failed]
    return MapRun(found["status"], json.loads(found["output"]), counts, causes)


@pytest.mark.parametrize("number", [55, pytest.param(400, marks=pytest.mark.deep)])
def test_a_map_visits_every_rollout_and_a_killed_child_costs_its_batch_alone(
    desk: Desk, poisoned: bytes, number: int
) -> None:
    every = f"arn:aws:lambda:{emulator.REGION}:{desk.account.number}:function:*"
    home = FunctionHome(desk, poisoned, MapChildren=CHILDREN, FunctionArns=every)
    fleet = Fleet(desk, stored_items.URL)
    desk.start()
    healthy = [f"{ROLLOUT}#1", *fleet.add(number - 1)]
    started = datetime.now(UTC)

    (run,) = run_maps(home)
    assert (run.status, run.causes) == ("SUCCEEDED", [])
    assert run.children["succeeded"] == -(-number // BATCH)
    assert run.report == {
        "status": 0, "listed": number, "visited": number, "late": 0, "failed": 0,
    }  # fmt: skip
    assert all(one >= started for one in fleet.updated(healthy).values())

    fleet.make_due(healthy)
    started = datetime.now(UTC)
    for one in run_maps(home, 2):  # what the other has leased, or has just saved, is left to it
        assert (one.status, one.causes) == ("SUCCEEDED", [])
        assert (one.report["visited"], one.report["failed"]) == (number, 0)
    assert all(one >= started for one in fleet.updated(healthy).values())

    fleet.add(1, "poisoned")
    fleet.make_due(healthy)
    started = datetime.now(UTC)
    (run,) = run_maps(home)
    assert (run.status, run.children["failed"]) == ("SUCCEEDED", 1)
    assert run.report["status"] == Exit.INTERNAL
    assert 0 < run.report["failed"] <= BATCH
    visited = [one for one, at in fleet.updated(healthy).items() if at >= started]
    assert len(visited) == number + 1 - run.report["failed"] == run.report["visited"]
