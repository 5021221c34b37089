"""Real processes on the real clock: exit statuses, streams, secrets, races, and what is loaded."""

import json
import socket
import time
from pathlib import Path

import pytest

from tests.e2e.account import OTHERS, POLICY, Account
from tests.e2e.on_call import MINUTE, ROLLOUT, Answer, Desk
from tests.e2e.program import Program

pytestmark = pytest.mark.ministack

# Values that cannot occur by chance, plain and JSON-escaped.
SECRETS = {
    form.encode()
    for value in OTHERS.values()
    if len(value) > 8
    for form in (value, json.dumps(value)[1:-1])
}


@pytest.fixture
def program(environment: dict[str, str]) -> Program:
    """The program in the shop, on the real clock."""
    return Program(environment, forked=True)


@pytest.fixture
def from_nothing(environment: dict[str, str]) -> Program:
    """The program in the shop, in a new Python, as a scheduler starts it."""
    return Program(environment)


@pytest.fixture
def started_earlier(desk: Desk) -> Desk:
    """A rollout that was started 72 minutes ago, and is due to advance from 10 to 50%."""
    desk.move_clock(-72 * MINUTE)
    desk.start()
    desk.serve(72 * MINUTE)
    return desk


def secrets_in(*texts: bytes) -> list[bytes]:
    """Return the values of other variables that occur in `texts`."""
    return [secret for secret in SECRETS if any(secret in text for text in texts)]


def test_a_rollout_goes_to_10_percent_and_back_and_no_secret_is_left_anywhere(
    from_nothing: Program, program: Program, shop: Account, tmp_path: Path
) -> None:
    start = from_nothing.run("start", POLICY, "--json")
    at_10 = shop.pair()
    tick = from_nothing.run("tick", "--json")
    back = from_nothing.run("rollback", ROLLOUT, "--reason", "the test is over", "--json")
    after = program.run("tick")
    status = program.run("status", ROLLOUT, "--exit-code")
    history = program.run("history", ROLLOUT, "--json")
    answers = [start, tick, back, after, status, history]

    assert [answer.status for answer in answers] == [0, 0, 0, 0, 4, 0]
    assert (at_10, shop.pair()) == (("10", "false"), ("0", "false"))
    assert shop.others() == OTHERS
    assert (start.data["schema"], start.data["weight"]) == ("start/1", 10)
    assert (tick.data["schema"], tick.data["rollouts"][0]["reason"]) == ("tick/1", "baking")
    assert (back.data["schema"], back.data["phase"]) == ("rollback/1", "rolled_back")
    assert (history.data["schema"], history.data["chain_valid"]) == ("history/1", True)
    assert [answer.count("tick_completed") for answer in answers] == [0, 1, 1, 1, 0, 0]
    (visit,) = [event for event in tick.events if event["event"] == "tick_completed"]
    assert (visit["rollout"], visit["phase"], visit["step"]) == (f"{ROLLOUT}#1", "progressing", 0)
    assert (visit["weight_percent"], visit["seen_percent"]) == (10, 10)
    assert {"reason", "sentence", "next", "alerts", "timestamp", "level"} <= visit.keys()
    printed = [text.encode() for answer in answers for text in (answer.out, answer.err)]
    stored = [file.read_bytes() for file in tmp_path.iterdir()]
    assert any(b"USE_API_GATEWAY_PERCENTAGE=10" in text for text in stored)  # the pair is stored
    assert secrets_in(*printed, *stored) == []


def test_ticks_at_the_same_time_advance_once(program: Program, started_earlier: Desk) -> None:
    running = [program.begin("tick", "--json") for _ in range(3)]
    answers = [one.answer() for one in running]

    assert {answer.status for answer in answers} <= {0, 75}
    assert any(answer.status == 0 for answer in answers)
    for answer in answers:
        assert answer.count("tick_completed") == (answer.status == 0)
        assert answer.count("tick_lost") == (answer.status == 75)
    assert started_earlier.account.pair() == ("50", "false")
    assert program.run("tick").status == 0  # confirms 50%, if none of the three could save it
    kinds = [kind for kind in started_earlier.kinds() if kind != "write_retried"]
    assert kinds == ["started", "applied", "advanced", "applied"]


def test_starts_at_the_same_time_start_once(program: Program, shop: Account) -> None:
    running = [program.begin("start", POLICY, "--json") for _ in range(2)]
    answers = [one.answer() for one in running]

    assert {answer.status for answer in answers} <= {0, 2, 75}
    assert shop.pair() == ("10", "false")
    history = program.run("history", ROLLOUT, "--json").data
    assert history["chain_valid"]
    assert [one["kind"] for one in history["entries"]] == ["started", "applied"]


def test_run_that_reaches_its_limit_ends_undecided_and_leaves_the_rollout_to_others(
    program: Program, shop: Account
) -> None:
    answer = program.run("run", POLICY, "--timeout", "1s", "--interval", "1s", "--json")

    assert answer.status == 3
    assert (answer.data["phase"], answer.data["weight"]) == ("progressing", 10)
    assert shop.pair() == ("10", "false")
    assert program.run("tick").status == 0


def test_a_container_without_a_store_is_refused(program: Program, tmp_path: Path) -> None:
    container = program.elsewhere(
        "ROLLOUTCTL_STORE", ECS_CONTAINER_METADATA_URI_V4="http://127.0.0.1/v4", HOME=str(tmp_path)
    )

    answer = container.run("tick")

    assert answer.status == 2
    assert "--store or ROLLOUTCTL_STORE" in answer.err
    assert list(tmp_path.iterdir()) == []


# --- unreachable accounts -----------------------------------------------------------------------


def error_line(answer: Answer) -> str:
    """Return the only line of an error message."""
    (line,) = answer.err.splitlines()
    assert line.startswith("rolloutctl: ")
    return line


def test_a_tick_without_an_account_is_refused_with_what_to_set(
    program: Program, started_earlier: Desk
) -> None:
    store = started_earlier.stored()
    for missing, advice in {
        "AWS_REGION": "set AWS_REGION",
        "AWS_ACCESS_KEY_ID": "there are no AWS credentials",
    }.items():
        answer = program.elsewhere(missing).run("tick")

        assert answer.status == 2
        assert advice in error_line(answer)
        assert started_earlier.stored() == store


def test_a_tick_without_any_answer_ends_with_1_and_changes_nothing(
    program: Program, started_earlier: Desk
) -> None:
    function = started_earlier.account.revision()
    cut_off = program.elsewhere(AWS_ENDPOINT_URL=f"http://127.0.0.1:{closed_port()}")

    started = time.monotonic()
    answer = cut_off.run("tick", "--json")

    assert time.monotonic() - started < 45  # four attempts at each of two services
    assert answer.status == 1  # so that an alarm on the exit status fires
    (rollout,) = answer.data["rollouts"]
    assert (rollout["phase"], rollout["weight"]) == ("progressing", 10)
    assert rollout["reason"] == "on_hold"
    assert "The target cannot be read: " in rollout["sentence"]
    assert "EndpointConnectionError" in rollout["sentence"]
    assert {one["label"] for one in rollout["findings"]} == {"query failed"}
    assert answer.count("target_unreadable") == answer.count("metrics_unavailable") == 1
    assert started_earlier.account.revision() == function


def closed_port() -> int:
    """Return a port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- imports ------------------------------------------------------------------------------------

HEAVY = (
    "asyncio.events",
    "scipy",
    "numpy",
    "rich",
    "matplotlib",
    "ruamel",
    "controller.tools.simulation",
    "controller.policy_file.loader",
)
LIST_MODULES = """
import gc, json, sys
from controller.__main__ import main
searched = [one["collections"] for one in gc.get_stats()]
sys.argv = ["rolloutctl", "tick", "--json"]
status = main()
again = searched != [one["collections"] for one in gc.get_stats()]
print(json.dumps({"status": status, "gc": again, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def test_a_tick_loads_nothing_and_does_nothing_that_it_does_not_need(
    from_nothing: Program, started_earlier: Desk
) -> None:
    answer = from_nothing.python(LIST_MODULES)

    assert answer.status == 0, answer.err
    *events, last = answer.events
    assert [event["event"] for event in events].count("tick_completed") == 1
    assert last["status"] == 0
    assert "boto3" in last["modules"]
    assert [name for name in last["modules"] if heavy(name)] == []
    assert not last["gc"], "it looked for garbage in cycles, which costs it a third of its time"


def heavy(module: str) -> bool:
    """Tell whether `module` costs more than a tick can afford."""
    return any(module == one or module.startswith(f"{one}.") for one in HEAVY)
