"""The Lambda function: what an invocation does and answers, whatever its event and the account."""

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http.client import RemoteDisconnected
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from controller import function
from controller.bootstrap.app import App
from controller.core.visit_order import Visits
from controller.engine.tick import Runner
from controller.errors import Exit, StoreError
from controller.process import signals, workers
from controller.process.workers import Workers
from tests.cli.conftest import CliHarness, MakeDesk
from tests.cli.test_start_and_tick import SICK
from tests.support.cases import cases
from tests.support.stage import READ, ActBefore
from tests.tools.simulation.worlds import MINUTE


class Invocation:
    """The context of an invocation that has so much time left."""

    def __init__(self, left_s: float = 115.0) -> None:
        self._left_s = left_s

    def get_remaining_time_in_millis(self) -> int:
        return round(self._left_s * 1_000)


def invoke(left_s: float = 115.0, **event: Any) -> dict[str, Any]:
    """Return what the function answers, as Lambda sends it."""
    answer: dict[str, Any] = json.loads(json.dumps(function.handle(event, Invocation(left_s))))
    return answer


def events_of(desk: CliHarness) -> list[dict[str, Any]]:
    """Return the log events since the last look."""
    return [json.loads(line) for line in desk.capsys.readouterr().err.splitlines()]


@pytest.fixture
def two(desk_in: MakeDesk) -> CliHarness:
    """Two rollouts, in an account where the canary of one begins to fail."""
    desk = desk_in(events=SICK)
    desk.run("start", desk.policy)
    desk.start_payments()
    desk.capsys.readouterr()
    return desk


def test_without_a_word_it_ticks_every_active_rollout(two: CliHarness) -> None:
    assert invoke() == {"status": Exit.DONE}
    assert [one["event"] for one in events_of(two)].count("tick_completed") == 2


def test_it_ticks_the_policies_of_its_role_alone(two: CliHarness) -> None:
    assert invoke(policies="payments") == {"status": Exit.DONE}
    assert {one["rollout"] for one in events_of(two) if "rollout" in one} == {"payments#1"}


def test_two_shards_tick_each_rollout_once(two: CliHarness) -> None:
    for shard in ("1/2", "2/2"):
        invoke(shard=shard)
    ticked = [one["rollout"] for one in events_of(two) if one["event"] == "tick_completed"]
    assert sorted(ticked) == ["orders#1", "payments#1"]


def test_each_rollout_of_a_batch_has_a_status(two: CliHarness) -> None:
    two.sql("UPDATE rollouts SET state = '{' WHERE id = 'payments#1'")
    answer = invoke(rollouts=["orders#1", "gone#7", "payments#1", "orders#1"])
    assert answer["rollouts"] == {
        "orders#1": Exit.DONE, "gone#7": Exit.USAGE, "payments#1": Exit.INTERNAL,
    }  # fmt: skip
    assert (answer["visited"], answer["late"], answer["failed"]) == (1, 0, 2)
    assert answer["status"] == Exit.INTERNAL


def test_a_rollout_that_another_run_has_leased_is_visited_by_that_run(two: CliHarness) -> None:
    until = (two.world.clock.now() + MINUTE).isoformat()
    two.sql("UPDATE rollouts SET holder = 'x', lease_until = ? WHERE id = 'orders#1'", until)
    answer = invoke(rollouts=["orders#1", "payments#1"])
    assert answer["rollouts"] == {"orders#1": Exit.BUSY, "payments#1": Exit.DONE}
    assert answer["visited"] == 2


def test_a_batch_publishes_no_metrics_of_ticks(
    two: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight batches a minute would be eight ticks."""
    monkeypatch.setenv("ROLLOUTCTL_METRICS", "rolloutctl/shop")
    invoke(rollouts=["orders#1"])
    assert not [one for one in events_of(two) if "_aws" in one]
    invoke()
    assert [one for one in events_of(two) if "_aws" in one]


@cases("event, status", {
    "no list of rollouts": ({"rollouts": "orders#1"}, Exit.USAGE),
    "an empty batch, which is not every rollout": ({"rollouts": []}, Exit.USAGE),
    "an id that is no text": ({"rollouts": [1]}, Exit.USAGE),
    "an unknown task": ({"task": "rollback"}, Exit.USAGE),
    "a name that is none": ({"policies": "?"}, Exit.USAGE),
    "a report of nothing": ({"task": "report"}, Exit.INTERNAL),
    "a shard that is none": ({"shard": "3/2"}, Exit.INTERNAL),
})  # fmt: skip
def test_a_wrong_event_is_answered(two: CliHarness, event: Mapping[str, Any], status: Exit) -> None:
    answer = invoke(**event)
    assert answer["status"] == status
    assert answer["error"]
    ended = events_of(two)
    assert [one["event"] for one in ended][-1] == "invocation_failed"
    assert not [one for one in ended if one["event"] == "tick_completed"]


@pytest.mark.parametrize("error", [StoreError("throttled"), RuntimeError("a fault")])
def test_an_error_is_answered_with_a_status_for_each(
    two: CliHarness, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Runner, "tick", fail)
    answer = invoke(rollouts=["orders#1", "payments#1"])
    assert answer["rollouts"] == {"orders#1": Exit.INTERNAL, "payments#1": Exit.INTERNAL}
    assert answer["failed"] == 2


def test_without_a_store_it_says_so(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUTCTL_STORE", "sqlite:////nowhere/rollouts.db")
    assert invoke()["status"] == Exit.USAGE


# --- its time -----------------------------------------------------------------------------------


def hang(desk: CliHarness, then: Callable[[], object] = lambda: None) -> None:
    """Let the next read of a target last until the run is stopped, and do `then`."""

    def wait() -> None:
        while not signals.stop_requested():
            threading.Event().wait(0.01)
        then()

    desk.world.interceptors.append(ActBefore(READ, wait))


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """The threads of a process that has none yet."""
    new = Workers()
    for name in ("run", "busy"):
        monkeypatch.setattr(workers, name, getattr(new, name))
    return new


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, threads: Workers) -> list[int]:
    """The statuses with which the process has ended; it goes on here."""
    statuses: list[int] = []
    monkeypatch.setattr("os._exit", statuses.append)
    return statuses


def test_it_stops_at_a_safe_point_before_lambda_kills_it(
    desk: CliHarness, ended: list[int]
) -> None:
    desk.run("start", desk.policy)
    hang(desk)
    answer = invoke(function.STOP_S + 0.2, rollouts=["orders#1"])
    assert answer["status"] == Exit.INTERNAL
    assert "the time of this invocation was over" in answer["error"]
    assert answer["rollouts"] == {"orders#1": Exit.INTERNAL}
    assert invoke(rollouts=["orders#1"])["rollouts"] == {"orders#1": Exit.DONE}
    assert ended == []


def test_work_that_goes_on_ends_with_the_process(
    desk: CliHarness, threads: Workers, ended: list[int]
) -> None:
    """Or Lambda would freeze it, and it would write minutes later."""
    desk.run("start", desk.policy)
    done = threading.Event()
    hang(desk, lambda: threads.run(done.wait))
    invoke(function.STOP_S + 0.2)
    done.set()
    assert ended == [Exit.INTERNAL]


def test_a_thread_that_is_idle_or_soon_will_be_does_not_end_the_process(
    desk: CliHarness, threads: Workers, ended: list[int]
) -> None:
    desk.run("start", desk.policy)
    threads.run(lambda: None)
    hang(desk, lambda: threads.run(partial(threading.Event().wait, 0.05)))
    invoke(function.STOP_S + 0.2)
    assert ended == []


# --- the map ------------------------------------------------------------------------------------


def test_what_is_active_is_listed_in_batches(
    two: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke(task="list") == {
        "status": 0, "listed": 2, "late": 0, "batches": [["orders#1", "payments#1"]],
    }  # fmt: skip
    monkeypatch.setattr(function, "BATCH", 1)
    assert invoke(task="list")["batches"] == [["orders#1"], ["payments#1"]]
    assert invoke(task="list", policies="orders")["batches"] == [["orders#1"]]


def test_more_than_step_functions_passes_on_is_late(
    two: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{'a' * 60}{number:04}#1" for number in range(5_000)]
    monkeypatch.setattr(Runner, "visits", lambda *_: Visits(tuple(ids)))
    answer = invoke(task="list")
    assert len(json.dumps(answer)) < 256 * 1024 - 1_000
    in_batches = [one for batch in answer["batches"] for one in batch]
    assert in_batches == ids[: len(in_batches)]
    assert (answer["listed"], answer["late"]) == (5_000, 5_000 - len(in_batches))
    assert answer["late"] < 2_500


WHOLE: dict[str, int] = {"visited": 25, "late": 0, "failed": 0}
PART: dict[str, int] = {"visited": 20, "late": 3, "failed": 2}


@cases("report, event, counts", {
    "all were visited": ({"listed": 50, "late": 0, "results": [WHOLE, WHOLE]}, "map_ended",
        (50, 0, 0, Exit.DONE)),
    "some were late, which is no error":
        ({"listed": 60, "late": 10, "results": [WHOLE, WHOLE]}, "map_ended", (50, 10, 0, 0)),
    "some failed": ({"listed": 50, "late": 0, "results": [WHOLE, PART]}, "map_ended",
        (45, 3, 2, Exit.INTERNAL)),
    "a batch was killed": ({"listed": 50, "late": 0, "results": [WHOLE, None]}, "map_ended",
        (25, 0, 25, Exit.INTERNAL)),
    "a killed batch is left out": ({"listed": 50, "late": 0, "results": [WHOLE]}, "map_ended",
        (25, 0, 25, Exit.INTERNAL)),
    "nothing was visited": ({"listed": 50, "late": 0, "results": [None, None]}, "map_failed",
        (0, 0, 50, Exit.INTERNAL)),
    "nothing was to do": ({"listed": 0, "late": 0, "results": []}, "map_ended", (0, 0, 0, 0)),
})  # fmt: skip
def test_the_report_counts_what_the_batches_did(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch,
    report: Mapping[str, Any], event: str, counts: tuple[int, int, int, int],
) -> None:  # fmt: skip
    monkeypatch.setenv("ROLLOUTCTL_METRICS", "rolloutctl/shop")
    desk.run("start", desk.policy)
    answer = invoke(task="report", **report)
    assert tuple(answer[one] for one in ("visited", "late", "failed", "status")) == counts
    line = events_of(desk)[-1]
    assert (line["event"], line["dry_run"], line["RolloutsFailed"]) == (event, False, counts[2])


def test_the_page_is_written_once_for_all_batches(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[App] = []
    for module in ("controller.function", "controller.cli.tick"):
        monkeypatch.setattr(f"{module}.refresh_status_page", lambda app, _names: pages.append(app))
    monkeypatch.setenv("ROLLOUTCTL_STATUS_PAGE", "s3://pages/status.html")
    desk.run("start", desk.policy)
    invoke(rollouts=["orders#1"])
    assert not pages
    invoke(task="report", listed=1, late=0, results=[WHOLE])
    assert len(pages) == 1


# --- its image ----------------------------------------------------------------------------------


class RuntimeApi(BaseHTTPRequestHandler):
    """The runtime API of Lambda, with one invocation."""

    waiting: ClassVar[list[dict[str, Any]]] = []
    answers: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        event = json.dumps(self.waiting.pop()).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536")
        self.send_header("Lambda-Runtime-Deadline-Ms", "1772366400000")
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answers[self.path] = json.loads(body)
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_the_image_asks_lambda_for_invocations(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        return {"event": event, "left_ms": context.get_remaining_time_in_millis()}

    monkeypatch.setattr(function, "handle", handle)
    monkeypatch.setattr(RuntimeApi, "waiting", [{"task": "list"}])
    monkeypatch.setattr(RuntimeApi, "answers", {})
    with HTTPServer(("127.0.0.1", 0), RuntimeApi) as server:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", f"127.0.0.1:{server.server_port}")
        monkeypatch.setattr(server, "handle_error", lambda *_: None)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(RemoteDisconnected):  # the fake has no second invocation
            function.main()
        server.shutdown()
    (path,) = RuntimeApi.answers
    assert path == "/2018-06-01/runtime/invocation/8476a536/response"
    assert RuntimeApi.answers[path]["event"] == {"task": "list"}
