"""rolloutctl as a Lambda function: `handle` is its handler, and this module its image's program.

What an invocation does is in its event; all of it is optional:

    {"policies": "a,b", "shard": "1/2"}       tick what is due of all rollouts, or of these
    {"early": true}                           tick every active rollout, due or not
    {"rollouts": ["a#1", "b#3"]}              tick these
    {"task": "list", "policies": "a,b"}       list what is due, in batches
    {"task": "report", "listed": 9, "late": 0, "results": [...]}   log the results

The last three are the states of the Distributed Map in deploy/rolloutctl.yaml. An invocation never
ends with an exception, because Lambda and Step Functions would try it again: the next minute is the
retry. It ends before its leases do, by the time that Lambda gives it.
"""

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, Final, NoReturn

from controller.bootstrap.account import real_account
from controller.bootstrap.app import App
from controller.cli.call import CommandContext
from controller.cli.tick import Selection, policy_names, refresh_status_page, run_tick
from controller.core.visit_order import Shard, in_turns
from controller.engine import exit_status, telemetry
from controller.engine.isolation import problem_of
from controller.engine.slices import TickResult
from controller.errors import Exit, RolloutError, TickDeadlineError, UsageError
from controller.immutable import replace
from controller.process import logging, signals, workers

BATCH: Final = 25  # rollouts; CloudWatch answers the metrics of as many in one call
# Step Functions passes at most 256 KiB from one state to the next.
MOST_LISTED_BYTES: Final = 200_000
# A run that gets a stop signal has ended so long after, at the latest (process/signals.py).
STOP_S: Final = signals.GRACE_S + 2 * signals.CALL_GRACE_S + 2.0
_MOMENT_S: Final = 0.5
_INVOCATION: Final = "/2018-06-01/runtime/invocation"

log = logging.logger()


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Do what `event` names, and return the result.

    The answer has the exit `status` of the same command, and an `error` where it did nothing else.
    A tick of `rollouts` has a status for each of them, and how many were visited (by this or
    another run), late (left to the next tick) and failed.
    """
    ids: Sequence[str] = ()
    call = CommandContext()
    call.configure_logs(dry_run=False)
    try:
        with signals.handle_signals(), _stopped_before_the_end_of(context):
            ids = _ids(event)
            return _task(call, event, ids)
    except signals.StoppedError:
        problem: RolloutError = TickDeadlineError("the time of this invocation was over")
        _end_with_unfinished_work(problem)
    except Exception as error:  # noqa: BLE001 - an exception is an invocation that is repeated
        problem = problem_of(error, "the rollouts", "ticking")
    log.error("invocation_failed", problem=str(problem))
    status = int(problem.exit_status)
    failed = {"status": status, "error": str(problem)}
    return failed | _counts(dict.fromkeys(ids, status), len(ids), 0) if ids else failed


def _end_with_unfinished_work(problem: RolloutError) -> None:
    """End this process where a thread is still busy with a rollout, as any stopped run does.

    Lambda would freeze it in the middle of a call, and let it go on in an invocation minutes later,
    when others have decided. The invocation has failed then; it is not repeated. A thread that has
    next to nothing left to do gets a moment for it.
    """
    if workers.busy():
        threading.Event().wait(_MOMENT_S)
    if workers.busy():
        log.error("invocation_failed", problem=str(problem))
        os._exit(int(problem.exit_status))


def _task(call: CommandContext, event: Mapping[str, Any], ids: Sequence[str]) -> dict[str, Any]:
    task = event.get("task", "tick")
    with call.app_session(ask_caller=False) as app:
        given = event.get("policies")
        policies = policy_names([given] if given else [])
        shard = Shard.parse(event["shard"]) if event.get("shard") else None
        if task == "list":
            return _batches(in_turns(app.runner.visits(policies, shard).due, str))
        if task == "report":
            return _report(app, policies, event)
        if task != "tick":
            raise UsageError(f"no task is called {task!r}: it is list, report or tick")
        if ids:  # one of many batches: the report has the metrics and the page
            ticked = run_tick(
                replace(app, namespace="", status_page=""), Selection(ids), must_exist=False
            )
            return {"status": int(ticked.status), **_of_each(ticked, ids)}
        selection = Selection((), policies, shard, early=event.get("early") is True)
        return {"status": int(run_tick(app, selection).status)}


def _of_each(ticked: TickResult, ids: Sequence[str]) -> dict[str, Any]:
    """Return the status of each of `ids`, and their counts."""
    skipped = {one.rollout_id: one.error for one in ticked.skips}
    late = sum(isinstance(one, TickDeadlineError) for one in skipped.values())
    statuses = {one.rollout.id: int(exit_status.of_tick(one)) for one in ticked.visits}
    statuses |= {one: int(error.exit_status) for one, error in skipped.items()}
    failed = sum(bool(one.problem) for one in ticked.visits) + len(skipped) - late
    return _counts({one: statuses.get(one, int(Exit.INTERNAL)) for one in ids}, failed, late)


def _counts(statuses: Mapping[str, int], failed: int, late: int) -> dict[str, Any]:
    visited = len(statuses) - failed - late
    return {"rollouts": statuses, "visited": visited, "late": late, "failed": failed}


def _batches(ids: Sequence[str]) -> dict[str, Any]:
    """Return `ids` in batches, the most urgent first; what is too much is late.

    All of them are in the account and Region of the table, and are reached by the same role.
    """
    batches, size = list[Sequence[str]](), 0
    for begin in range(0, len(ids), BATCH):
        batch = ids[begin : begin + BATCH]
        size += len(json.dumps(batch))
        if size > MOST_LISTED_BYTES:
            break
        batches.append(batch)
    late = len(ids) - sum(map(len, batches))
    return {"status": int(Exit.DONE), "listed": len(ids), "late": late, "batches": batches}


def _report(app: App, policies: Sequence[str], event: Mapping[str, Any]) -> dict[str, Any]:
    """Log how many rollouts were visited; `map_ended` keeps the dead man's switch from paging.

    A batch that has no result, because its function was killed, has failed as a whole.
    """
    results = [one for one in event["results"] if one]
    visited, late, failed = (
        sum(int(one[name]) for one in results) for name in ("visited", "late", "failed")
    )
    listed, late = int(event["listed"]), late + int(event["late"])
    failed = max(failed, listed - visited - late)
    summary = {"listed": listed, "visited": visited, "late": late, "failed": failed}
    is_alive = visited > 0 or listed == 0
    status = Exit.INTERNAL if failed or not is_alive else Exit.DONE
    metrics = telemetry.map_metrics(summary, app.namespace, app.runner.clock.now())
    if is_alive:
        log.info("map_ended", status=int(status), **summary, **metrics)
    else:
        log.error("map_failed", status=int(status), **summary, **metrics)
    if app.status_page:
        refresh_status_page(app, policies)
    return {"status": int(status), **summary}


def _ids(event: Mapping[str, Any]) -> Sequence[str]:
    """Return the ids in `event`, without duplicates; none: it names none. Raises UsageError."""
    ids = event.get("rollouts")
    if ids is None:
        return ()
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
        raise UsageError("rollouts is a list of ids")
    return tuple(dict.fromkeys(ids))


@contextmanager
def _stopped_before_the_end_of(context: Any) -> Iterator[None]:
    """Stop at a safe point, as at a SIGTERM, so early that Lambda need not kill this process."""
    main = threading.main_thread()
    left_s = context.get_remaining_time_in_millis() / 1_000 - STOP_S
    stop = threading.Timer(left_s, signal.pthread_kill, (main.ident, signal.SIGTERM))
    if threading.current_thread() is main:  # which alone handles signals
        with signals.blocked():
            stop.start()
    try:
        yield
    finally:
        stop.cancel()


class _Context:
    """What `handle` asks an invocation. deadline_ms: when Lambda ends it, since 1970."""

    def __init__(self, deadline_ms: int) -> None:
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._deadline_ms - round(real_account().clock.now().timestamp() * 1_000)


def main() -> NoReturn:
    """Handle invocations, as a container image has to: by the runtime API, until Lambda ends it."""
    connection = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        connection.request("GET", f"{_INVOCATION}/next")
        answer = connection.getresponse()
        event = json.loads(answer.read())
        context = _Context(int(answer.headers["Lambda-Runtime-Deadline-Ms"]))
        identifier = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        result = json.dumps(handle(event, context))
        connection.request("POST", f"{_INVOCATION}/{identifier}/response", result)
        connection.getresponse().read()


if __name__ == "__main__":
    main()
