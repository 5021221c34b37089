"""The stack with a Lambda function, on an emulator that runs its zip and asks IAM at every call.

The emulator runs the code by another Python; it has no containers, so not the image.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import pytest

from controller.function import BATCH
from controller.immutable import Immutable
from tests.deploy.stack import Stack, filters
from tests.deploy.switch import value
from tests.e2e import role as roles
from tests.e2e import stored_items
from tests.e2e.account import FUNCTION, POLICY, Account
from tests.e2e.calls import NAME_PROCESS, Call
from tests.e2e.faults import Fault, hang, killed_after, killed_before, refused
from tests.e2e.fleet import Fleet
from tests.e2e.homes import ended_execution, follow, upload, with_code
from tests.e2e.invariants import RolloutObserver
from tests.e2e.on_call import MINUTE, ROLLOUT, Desk
from tests.e2e.proxy import Proxy
from tests.support import emulator
from tests.support.deep_rows import deep_after
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
    """An account with the function at 0%, and a day of metrics of the stable path."""
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
        by_name = dict(line.split("=", 1) for line in printed.splitlines())
        uploaded = upload(self.account, "one.zip", package)
        self.stack = Stack.create(self.account, **{**by_name, **uploaded, **parameters})
        self.document = self.stack.role_document("TickRole")
        self.stack.grant_as_emulator("TickRole")
        self.stack.hold_schedule()

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

    def problems(self) -> dict[str, str]:
        """Return the problem of each rollout that was not visited, as the log has it."""
        found = self.account.client("logs").filter_log_events(logGroupName=self.stack.ids["Logs"])
        lines = [json.loads(one["message"]) for one in found["events"] if "{" in one["message"]]
        return {one["rollout"]: one["problem"] for one in lines if one.get("problem")}


def here(account: Account) -> tuple[str, ...]:
    """Return the options of the account and the Region."""
    return ("--account", account.number, "--region", emulator.REGION)


def test_a_zip_has_less_than_eight_megabytes(package: bytes) -> None:
    assert MEGABYTE < len(package) < 8 * MEGABYTE


def test_its_role_may_do_what_iam_prints_and_write_its_log(desk: Desk, package: bytes) -> None:
    home = FunctionHome(desk, package)
    words = ("iam", POLICY, "--for", "tick", "--unbound", "--store", stored_items.URL)
    wanted = json.loads(desk.run(*words, *here(desk.account)).out)
    assert home.document == wanted
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

CHILDREN: Final = "8"


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


def map_home(desk: Desk, package: bytes) -> FunctionHome:
    """Return a home with the map, whose role may write to every function."""
    every = f"arn:aws:lambda:{emulator.REGION}:{desk.account.number}:function:*"
    return FunctionHome(desk, package, MapChildren=CHILDREN, FunctionArns=every)


@pytest.mark.parametrize("number", [55, pytest.param(400, marks=pytest.mark.deep)])
def test_a_map_visits_every_rollout_and_two_at_once_share_them(
    desk: Desk, package: bytes, number: int
) -> None:
    home, fleet = map_home(desk, package), Fleet(desk, stored_items.URL)
    desk.start()
    ids = [f"{ROLLOUT}#1", *fleet.add(number - 1)]
    started = datetime.now(UTC)

    (run,) = run_maps(home)
    assert (run.status, run.causes) == ("SUCCEEDED", [])
    assert run.children["succeeded"] == -(-number // BATCH)
    assert run.report == {
        "status": 0, "listed": number, "visited": number, "late": 0, "failed": 0,
    }  # fmt: skip
    assert all(one >= started for one in fleet.updated(ids).values())

    fleet.make_due(ids)
    started = datetime.now(UTC)
    for one in run_maps(home, 2):  # what the other has leased, or has just saved, is left to it
        assert (one.status, one.causes) == ("SUCCEEDED", [])
        assert (one.report["visited"], one.report["failed"]) == (number, 0)
    assert all(one >= started for one in fleet.updated(ids).values())


# --- children that fail -------------------------------------------------------------------------

# A batch has two rollouts, so that their calls are made side by side.
SMALL_BATCHES: Final = f"BATCH = 2\n{NAME_PROCESS}"
# Each call of a child that raises two rollouts, and which of its kind: the first lease, and so on.
CALLS: Final = (
    ("UpdateItem", 1), ("UpdateItem", 2), ("BatchGetItem", 1), ("GetFunctionConfiguration", 1),
    ("GetMetricData", 1), ("Query", 1), ("TransactWriteItems", 1), ("TransactWriteItems", 2),
    ("UpdateFunctionConfiguration", 1), ("UpdateFunctionConfiguration", 2),
    ("GetFunctionConfiguration", 5), ("TransactWriteItems", 3), ("TransactWriteItems", 4),
)  # fmt: skip
KILLS: Final = [(*call, fault) for call in CALLS for fault in (killed_before, killed_after)]
WRITTEN: Final = [kill for kill in KILLS if "UpdateFunctionConfiguration" in kill]


@dataclass(slots=True)
class KillEach:
    """Kills each process that leases a rollout at one of `kills`, until there is none left.

    victims: by the id of their processes, at which call they are killed. made: how many calls of
    a kind a process has made since its first lease.
    """

    kills: list[tuple[str, int, Fault]]
    victims: dict[int, tuple[str, int, Fault]] = field(default_factory=dict)
    made: Counter[tuple[int, str]] = field(default_factory=Counter)
    met: int = 0

    def fault_of(self, call: Call) -> Fault | None:
        """Return the kill of the process that makes `call`; None where it is not its turn."""
        process, operation = call.process, call.operation
        if operation == "UpdateItem" and process not in self.victims and self.kills:
            self.victims[process] = self.kills.pop()
        if process not in self.victims:
            return None
        self.made[process, operation] += 1
        *wanted, fault = self.victims[process]
        if [operation, self.made[process, operation]] != wanted:
            return None
        self.met += 1
        return fault


@pytest.fixture
def behind_a_proxy(watched: Proxy, package: bytes, tmp_path: Path) -> bytes:
    """The zip, with small batches, behind a proxy, and with a clock that differs by a file."""
    (tmp_path / "clock").write_text("0")
    code = follow(tmp_path / "clock", {"AWS_ENDPOINT_URL": watched.endpoint})
    return with_code(package, code + SMALL_BATCHES)


def due_to_advance(desk: Desk, fleet: Fleet, number: int) -> list[str]:
    """Return the ids of rollouts that go from 10 to 50% at their next visit."""
    desk.move_clock(-72 * MINUTE)
    desk.start()
    ids = [f"{ROLLOUT}#1", *fleet.add(number - 1)]
    desk.serve(72 * MINUTE)
    return ids


@pytest.mark.parametrize("kills", deep_after(1, [WRITTEN, KILLS]), ids=["write", "each call"])
def test_whenever_children_are_killed_the_others_are_visited_and_the_next_map_repairs(
    desk: Desk, watched: Proxy, behind_a_proxy: bytes, tmp_path: Path,
    kills: list[tuple[str, int, Fault]],
) -> None:  # fmt: skip
    home, fleet = map_home(desk, behind_a_proxy), Fleet(desk, stored_items.URL)
    ids = due_to_advance(desk, fleet, 2 * len(kills) + 4)
    functions = [FUNCTION, *(one.removesuffix("#1") for one in ids[1:])]
    observers = [
        RolloutObserver(desk.account, one, None, function)
        for one, function in zip(ids, functions, strict=True)
    ]
    killing = KillEach([*kills])
    watched.spoilers.append(killing)

    (run,) = run_maps(home)

    assert (run.status, killing.met) == ("SUCCEEDED", len(kills))
    failed = 2 * len(kills)
    assert (run.report["failed"], run.report["visited"]) == (failed, len(ids) - failed)
    assert [problem for one in observers for problem in one.violations()] == []
    at_50 = [one for one in functions if desk.account.pair(one)[0] == "50"]
    assert len(at_50) >= len(ids) - failed

    desk.serve(4 * MINUTE)
    (tmp_path / "clock").write_text("240")  # the leases of those that were killed have expired
    for run in run_maps(home, 2):
        assert (run.status, run.report["failed"]) == ("SUCCEEDED", 0)
    assert {desk.account.pair(one)[0] for one in functions} == {"50"}
    assert [problem for one in observers for problem in one.violations()] == []
    assert {one.rollout().weight for one in observers} == {50}


def test_functions_that_cannot_be_reached_cost_the_others_nothing(
    desk: Desk, watched: Proxy, behind_a_proxy: bytes
) -> None:
    """As where one account is throttled, one refuses the role, and one does not answer."""
    home, fleet = map_home(desk, behind_a_proxy), Fleet(desk, stored_items.URL)
    ids = due_to_advance(desk, fleet, 7)
    troubles = {
        "healthy-1": (refused(429, "TooManyRequestsException"), "limit for such calls is reached"),
        "healthy-3": (refused(403, "AccessDeniedException"), "grant the action to this role"),
        "healthy-5": (hang, "no complete answer of lambda within 20 s"),
    }
    for function, (fault, _) in troubles.items():
        watched.spoil(about(function), repeat(fault))

    (run,) = run_maps(home)

    assert (run.status, run.report["failed"]) == ("SUCCEEDED", len(troubles))
    assert run.report["visited"] == len(ids) - len(troubles)
    problems = home.problems()
    assert set(problems) == {f"{one}#1" for one in troubles}
    for function, (_, text) in troubles.items():
        assert text in problems[f"{function}#1"]
        stored = desk.status(function)
        assert (stored["weight"], text in stored["sentence"]) == (10, True)
    others = {one.removesuffix("#1") for one in ids[1:]} - set(troubles)
    assert {desk.account.pair(one)[0] for one in others} == {"50"}


def about(function: str) -> Callable[[Call], bool]:
    """Return a predicate: whether a call is about `function`."""
    return lambda call: f"/functions/{function}/" in call.path
