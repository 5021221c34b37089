"""One walk for each kind of role: the commands that the role is for."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from controller.immutable import Immutable
from controller.tools.iam import Job
from tests.e2e.account import BOOLEAN, FUNCTION, PERCENTAGE
from tests.e2e.on_call import HOUR, MINUTE, ROLLOUT, Answer, Desk
from tests.e2e.stored_items import URL

OTHER_URL: Final = "dynamodb://elsewhere"  # the destination of copied rollouts

# Each answer, and whether the command succeeded under the role.
Taken: TypeAlias = Iterator[tuple[Answer, bool]]

_VERIFIED: Final = """\
verify_rollback:
  absent: '{ $.event = "gateway_called" }'
  present: '{ $.event = "direct_call" }'

steps:
"""
# Changes of the shipped policy: no baseline of a day, and log events of the leak check.
FIXED: Final = {
    "{frozen: direct_duration, window: 24h}": "{fixed: 240}",
    "steps:\n": _VERIFIED,
}
_SMALLER: Final = {f"  boolean: {BOOLEAN}": ""}


class Walk(Immutable):
    """A walk. prepare: what another caller has done before. take: the commands of the role.

    store: the table in which the role acts, when rollouts are stored in tables.
    """

    prepare: Callable[[Desk], object]
    take: Callable[[Desk], Taken]
    store: str = URL


def _started(desk: Desk) -> None:
    assert desk.run("store", "init").status == 0
    desk.start(desk.another_policy(**FIXED))


def _ended(desk: Desk, store: str) -> None:
    """Make a rollout of another name that was rolled back, and still has both locks."""
    older = desk.another_policy(**FIXED, **{"name: execution-api": "name: older"})
    assert desk.run("store", "init", "--store", store).status == 0
    desk.start(older, "--store", store)
    assert desk.run("rollback", "older", "--store", store).status == 0
    desk.move_clock(MINUTE)


def _finished(desk: Desk) -> None:
    """Roll the rollout back, and wait until its watch of 0% has ended."""
    assert desk.run("rollback", ROLLOUT).status == 0
    desk.move_clock(16 * MINUTE)


def _tick(desk: Desk, *which: str) -> Taken:
    """Walk through a raise, a rollback, its leak check, and drift after it."""
    tick = ("tick", "--json", *which)
    desk.serve(72 * MINUTE)
    yield (answer := desk.run(*tick)), answer.status == 0 and desk.account.pair()[0] == "50"
    desk.serve(30 * MINUTE, failing=3)
    yield (answer := desk.run(*tick)), answer.status == 0 and desk.account.pair()[0] == "0"
    desk.serve_directly(12 * MINUTE)
    answer = desk.run("tick", ROLLOUT, "--json")
    yield answer, answer.status == 0 and "AccessDenied" not in answer.out
    desk.account.change(**{PERCENTAGE: "50"})
    desk.move_clock(MINUTE)
    yield (answer := desk.run(*tick)), answer.status == 0 and desk.account.pair() == ("0", "false")


def _tick_of_the_policy(desk: Desk) -> Taken:
    yield from _tick(desk, "--policy", ROLLOUT)


def _start_fix(desk: Desk) -> Taken:
    yield from _start(desk, "--fix", "--reason", "the release of noon fails")


def _start(desk: Desk, *options: str) -> Taken:
    """Walk through a start that takes the locks of an older rollout over, and a `run`.

    The older rollout has one more variable.
    """
    hour = [desk.now - hours * HOUR for hours in (3, 2)]
    desk.account.call_directly(*hour)
    window = "from: {:%Y-%m-%dT%H:%M:00Z}, to: {:%Y-%m-%dT%H:%M:00Z}".format(*hour)
    changes = {"window: 24h": window, "steps:\n": _VERIFIED, **_SMALLER}
    policy = desk.another_policy(**changes)
    answer = desk.run("start", policy, *options)
    went = answer.status == 0 and "AccessDenied" not in answer.out
    went &= "not checked: grant" not in answer.out
    yield answer, went and desk.account.pair()[0] == "10"
    yield (answer := desk.run("run", policy, "--timeout", "1s")), answer.status == 3


def _people(desk: Desk) -> Taken:
    """Walk through the operator commands, with a promote that is refused by a failing gate."""
    for words in (
        ["pause", ROLLOUT],
        ["resume", ROLLOUT],
        ["set-weight", ROLLOUT, "12", "--force"],
        ["resume", ROLLOUT, "--keep"],
    ):
        yield (answer := desk.run(*words)), answer.status == 0
    yield from _look(desk)
    desk.serve(30 * MINUTE, failing=3)
    answer = desk.run("promote", ROLLOUT, "--reason", "in a hurry")
    yield answer, desk.account.pair()[0] != "50"
    yield (answer := desk.run("rollback", ROLLOUT)), answer.status == 0


def _look(desk: Desk) -> Taken:
    looks = [["status"], *([verb, ROLLOUT] for verb in ("status", "history", "replay"))]
    for words in looks:
        yield (answer := desk.run(*words)), answer.status == 0


def _request(desk: Desk) -> Taken:
    """Request a rollback, which moves nothing before the next tick."""
    yield from _look(desk)
    answer = desk.run("rollback", ROLLOUT, "--request")
    yield answer, answer.status == 0 and desk.account.pair()[0] == "10"


def _look_at_all(desk: Desk) -> Taken:
    yield from _look(desk)
    yield (answer := desk.run("status", "--all")), answer.status == 0


def _people_of_all(desk: Desk) -> Taken:
    yield (answer := desk.run("status", "--all")), answer.status == 0
    yield from _people(desk)


def _investigate(desk: Desk) -> Taken:
    """Walk through metrics, logs and verify, where a denied call shows in one line only."""
    policy = desk.another_policy(**FIXED)
    desk.serve(20 * MINUTE)
    for words in (["metrics", ROLLOUT], ["logs", ROLLOUT], ["verify", policy]):
        answer = desk.run(*words)
        read = "AccessDenied" not in answer.out + answer.err
        yield (
            answer,
            answer.status in (0, 7) and read,
        )  # 7: the traffic share does not match the weight


def _init(desk: Desk) -> Taken:
    yield (answer := desk.run("store", "init")), answer.status == 0


def _own(desk: Desk) -> Taken:
    file = desk.folder / "recipients.yaml"
    file.write_text("orders: []")
    for words in (("--set", str(file)), (), ("--remove",)):
        yield (answer := desk.run("store", "recipients", *words)), answer.status == 0
    rules = desk.folder / "rules.yaml"
    rules.write_text("version: 1\nowner: platform team\n")
    for words in ((str(rules),), (), ("--remove",)):
        yield (answer := desk.run("store", "rules", *words)), answer.status == 0


def _check(desk: Desk) -> Taken:
    yield (answer := desk.run("store", "check")), answer.status == 0


def _of_the_first_format(desk: Desk) -> None:
    """Start a rollout in a table that has no format yet, as a template makes one."""
    assert desk.run("store", "init").status == 0
    key = {"pk": {"S": "FORMAT"}, "sk": {"S": "FORMAT"}}
    table = URL.removeprefix("dynamodb://")
    desk.account.client("dynamodb").delete_item(TableName=table, Key=key)
    desk.start(desk.another_policy(**FIXED))


def _upgrade(desk: Desk) -> Taken:
    for dry in (("--dry-run",), ()):
        answer = desk.run("store", "upgrade", *dry)
        yield answer, answer.status == 0 and f"{ROLLOUT}#1" in answer.out


def _leaving(desk: Desk) -> None:
    _started(desk)
    _finished(desk)
    assert desk.run("store", "init", "--store", OTHER_URL).status == 0


def _arriving(desk: Desk) -> None:
    """Prepare the destination: an older rollout of the same target, and part of a copy.

    The older rollout has one more variable; an interrupted copy has left an item.
    """
    _ended(desk, OTHER_URL)
    left = {"pk": {"S": f"HISTORY#{ROLLOUT}#1"}, "sk": {"S": "000000000999.000"}}
    table = OTHER_URL.removeprefix("dynamodb://")
    desk.account.client("dynamodb").put_item(TableName=table, Item=left)
    assert desk.run("store", "init").status == 0
    desk.start(desk.another_policy(**FIXED, **_SMALLER))
    _finished(desk)


def _copy(desk: Desk) -> Taken:
    yield (answer := desk.run("store", "copy", URL, OTHER_URL)), answer.status == 0


_TO: Final = ("--email", "oncall@example.com")


# CloudFormation of the emulator does not support alarms on metric math.
_PLAIN: Final = f"""\
version: 1
name: execution-api
target: {{kind: lambda-env, function: {FUNCTION}, percentage: {PERCENTAGE}}}
metrics:
  latency: {{namespace: AWS/ApiGateway, name: Latency, statistic: p95, dimensions: {{ApiName: a}}}}
criteria:
  p95-latency: {{kind: threshold, judge: threshold, metric: latency, max: 500}}
steps: [{{weight: 100, bake: 1h}}]
"""


def plain_policy(desk: Desk, limit: int) -> Path:
    """Write a policy of the same name with one alarm of this limit; return its path."""
    path = desk.folder / f"plain-{limit}.yaml"
    path.write_text(_PLAIN.replace("max: 500", f"max: {limit}"))
    return path


def _watched(desk: Desk) -> None:
    """Deploy a stack with another limit before."""
    _started(desk)
    assert desk.run("monitoring", "deploy", plain_policy(desk, 400), *_TO).status == 0


def _watch(desk: Desk) -> Taken:
    """Walk through a failed update of a stack, a change, a removal, a plan and a new stack."""
    answer = desk.run("monitoring", "deploy", desk.another_policy(**FIXED))
    yield answer, "(metric math) is not supported" in answer.err
    for verb, *options in (
        ("deploy",), ("plan",), ("remove", "--yes"), ("plan",), ("deploy", *_TO),
    ):  # fmt: skip
        answer = desk.run("monitoring", verb, plain_policy(desk, 500), *options)
        yield answer, answer.status == 0 and not answer.err


def _draft(desk: Desk) -> Taken:
    """Walk through `init` in an account with one function, which it finds by itself."""
    answer = desk.run("init", "-o", desk.folder / "first.yaml", "--json")
    yield answer, answer.status == 0 and not answer.data["notes"]


def _doctor(desk: Desk) -> Taken:
    answer = desk.run("doctor", desk.another_policy(**FIXED), "--json")
    yield answer, answer.status in (0, 7) and "not authorized" not in answer.out


WALKS: Final[Mapping[Job, Walk]] = {
    Job.TICK: Walk(_started, _tick_of_the_policy),
    Job.START: Walk(lambda desk: _ended(desk, URL), _start),
    Job.OPERATE: Walk(_started, _people),
    Job.INVESTIGATE: Walk(_started, _investigate),
    Job.READ: Walk(_started, _look),
    Job.LOWER: Walk(_started, _request),
    Job.STORE_INIT: Walk(lambda _: None, _init),
    Job.OWNER: Walk(_started, _own),
    Job.STORE_CHECK: Walk(_started, _check),
    Job.STORE_UPGRADE: Walk(_of_the_first_format, _upgrade),
    Job.COPY_FROM: Walk(_leaving, _copy),
    Job.COPY_TO: Walk(_arriving, _copy, OTHER_URL),
    Job.FIX: Walk(lambda desk: _ended(desk, URL), _start_fix),
}
# The walks of roles that are not bound to a policy.
UNBOUND: Final[Mapping[Job, Walk]] = {
    Job.TICK: Walk(_started, _tick),
    Job.OPERATE: Walk(_started, _people_of_all),
    Job.READ: Walk(_started, _look_at_all),
}
# Walked with everything that is granted; what each of these says without an action, the tests of
# the adapters show.
BESIDE: Final[Mapping[Job, Walk]] = {
    Job.MONITORING: Walk(_watched, _watch),
    Job.DOCTOR: Walk(_watched, _doctor),
    Job.INIT: Walk(lambda _: None, _draft),
}
