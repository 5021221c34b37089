"""The value of another variable is never printed, logged, sent or stored.

Rollouts are played from start to end by every verb, in worlds in which something fails; then all
output and storage is searched for values that were planted in the function.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError

from controller.errors import Exit
from controller.tools.simulation.fakes.errors import client_error
from tests.adapters.targets.odd_lambda import READ, UPDATE, fails, happens_but, meets, unreadable
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.planted_secrets import PLANTED, files, leaks, quoting, spellings
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import FUNCTION, MINUTE, scenario

HELD = json.dumps(dict(PLANTED))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_value_is_found_however_it_is_spelt(name: str) -> None:
    """The search itself works: otherwise its silence would prove nothing."""
    value, everything = PLANTED[name], dict(PLANTED)
    encodings = [value, repr(everything), json.dumps(everything), json.dumps(HELD), ascii(value)]
    encodings += quoting({name: value}).values() if len(value) < 50 else []
    for text in encodings:
        assert name in {found for found, _ in leaks([text])}, text
    assert name in {found for found, _ in leaks([b"\xff\x00" + value.encode() + b"\x00"])}
    assert leaks(["nothing", f"{name} is not set", *PLANTED]) == set()
    assert spellings(value)


# --- failures -------------------------------------------------------------------------------------


def _refused(how: str) -> Callable[[CliHarness], None]:
    def plant(desk: CliHarness) -> None:
        text = quoting(desk.world.function(FUNCTION).variables)[how]
        meets(
            desk.world, UPDATE, fails(client_error(UPDATE, "InvalidParameterValueException", text))
        )

    return plant


def _too_large(desk: CliHarness) -> None:
    error = client_error(UPDATE, "RequestTooLargeException", HELD, status=413)
    error.response["message"] = HELD  # as botocore's parser does
    meets(desk.world, UPDATE, fails(error))


def _by_a_proxy(desk: CliHarness) -> None:
    meets(desk.world, UPDATE, fails(client_error(UPDATE, "502", HELD, status=502)), times=2)


def _as_aws(status: int, code: str) -> Callable[[CliHarness], None]:
    def plant(desk: CliHarness) -> None:
        error = client_error(UPDATE, code, HELD, status=status)
        error.response["message"] = HELD
        meets(desk.world, UPDATE, fails(error), times=2)

    return plant


def _by_botocore(desk: CliHarness) -> None:
    meets(desk.world, UPDATE, fails(ParamValidationError(report=HELD)))


def _not_read_back(desk: CliHarness) -> None:
    meets(desk.world, UPDATE, unreadable)


def _not_decrypted(desk: CliHarness) -> None:
    meets(desk.world, READ, unreadable)


def _nothing(_: CliHarness) -> None:
    pass


WRONG: dict[str, tuple[Callable[[CliHarness], None], dict[str, Any]]] = {
    "nothing": (_nothing, {}),
    "the release is sick": (
        _nothing,
        {"events": [{"kind": "errors", "path": "canary", "server_errors": "30%"}]},
    ),
    "drift up": (
        _nothing,
        {"events": [{"kind": "person", "at": {"step": 1, "after": "1m"}, "weight": 60}]},
    ),
    "updates fail": (_nothing, {"events": [{"kind": "failed_updates"}]}),
    "answers are lost": (
        _nothing,
        {"events": [{"kind": "lambda_outage", "how": "lost_response"}]},
    ),
    "the key is denied later": (
        _nothing,
        {"events": [{"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}]},
    ),
    "the key is denied": (_not_decrypted, {}),
    "the key is denied after a write": (_not_read_back, {}),
    **{f"a write is refused {how}": (_refused(how), {}) for how in quoting({"A": "b"})},
    "a write is too large": (_too_large, {}),
    "a proxy refuses a write": (_by_a_proxy, {}),
    "a proxy refuses a write as AWS does, 403": (_as_aws(403, "AccessDeniedException"), {}),
    "a proxy refuses a write as AWS does, 409": (_as_aws(409, "ResourceConflictException"), {}),
    "a proxy refuses a write as AWS does, 429": (_as_aws(429, "TooManyRequestsException"), {}),
    "a proxy refuses a write as AWS does, 503": (_as_aws(503, "ServiceException"), {}),
    "botocore refuses a write": (_by_botocore, {}),
}


# --- output and storage ---------------------------------------------------------------------------


def _verbs(desk: CliHarness) -> Iterator[tuple[str, ...]]:
    """Yield the commands on a rollout from start to end, and let time pass in between."""
    yield "plan", desk.policy, "--live"
    yield "plan", desk.policy, "--live", "--json"
    yield "start", desk.policy, "--dry-run"
    yield "start", desk.policy, "--json"
    yield ("tick", "--dry-run")
    for options in ((), ("--json",), ("--scheduled",), ()):
        desk.world.clock.advance(MINUTE)
        yield ("tick", *options)
    yield from [("status",), ("status", "--all", "--json"), ("status", "orders", "--json")]
    yield "pause", "orders", "--json"
    yield "resume", "orders", "--keep", "--json"
    yield "promote", "orders", "--reason", "r", "--dry-run"
    yield "set-weight", desk.policy, "30", "--json"
    yield "set-weight", desk.policy, "30", "--force"
    yield from [("verify", desk.policy), ("metrics", "orders", "--json"), ("logs", desk.policy)]
    desk.world.clock.advance(4 * MINUTE)
    yield "tick", "--json"
    yield "rollback", "orders", "--dry-run"
    yield "rollback", "orders", "--reason", "r", "--json"
    desk.world.clock.advance(8 * MINUTE)
    yield "tick", "--json"
    yield "rollback", "--function", FUNCTION, "--percentage", "PERCENT", "--boolean", "ENABLE"
    yield "rollback", "--function", FUNCTION, "--percentage", "PERCENTAGE"
    yield "rollback", desk.policy
    yield "retry", desk.policy, "--reason", "r", "--adopt"
    yield from [("history", "orders", *more) for more in ((), ("--json",))]
    yield from [("replay", "orders", *more) for more in ((), ("--json",))]
    yield "report", "orders", "--html", f"{desk.policy}.report.html"
    yield "status", "--html", f"{desk.policy}.status.html"
    yield ("run", desk.policy, "--timeout", "2m", "--json")


# A table is written by the same code whatever failed: a few cases of it are enough.
ALIKE = [wrong for wrong in WRONG if wrong.startswith("a write is refused ")][1:]
STORIES = [
    pytest.param(
        wrong,
        "file",
        marks=pytest.mark.deep if wrong in ALIKE else (),
        id=f"{wrong}, in a file",
    )
    for wrong in WRONG
]
STORIES += [
    pytest.param(
        wrong,
        "table",
        marks=() if wrong == "drift up" else pytest.mark.deep,
        id=f"{wrong}, in a table",
    )
    for wrong in ("nothing", "drift up", "a write is refused as JSON")
]


@pytest.mark.parametrize(("wrong", "store"), STORIES)
def test_nothing_that_a_run_writes_has_a_value_of_another_variable(
    desk_in: MakeDesk, request: pytest.FixtureRequest, tmp_path: Path, wrong: str, store: str
) -> None:
    plant, played = WRONG[wrong]
    desk = desk_in(function={"variables": dict(PLANTED)}, **played)
    table = request.getfixturevalue("table") if store == "table" else None
    plant(desk)

    written: set[str | bytes] = set()
    for arguments in _verbs(desk):
        ended = desk.run(*arguments)
        assert ended.status in {*Exit}
        written |= {ended.out, ended.err, *files(tmp_path)}  # while a WAL may be there, too

    items = table.scan(TableName="rollouts")["Items"] if table else []
    assert leaks([*written, *map(str, items)]) == set()
    assert bool(items) == (store == "table")
    variables = desk.world.function(FUNCTION).variables
    assert {name: variables[name] for name in PLANTED} == PLANTED


@pytest.mark.parametrize("name", PLANTED)
def test_a_variable_that_is_no_weight_is_named_and_not_shown(
    desk_in: MakeDesk, tmp_path: Path, name: str
) -> None:
    """A policy, or an operator in a hurry, names the wrong variable."""
    desk = desk_in(function={"variables": dict(PLANTED)})
    wrong = desk.another_policy("wrong", target={**SHORT_POLICY["target"], "percentage": name})
    written: set[str | bytes] = set()
    for arguments in (
        ("start", wrong),
        ("plan", wrong, "--live", "--json"),
        ("store", "init"),
        ("set-weight", wrong, "40"),
        ("verify", wrong),
        ("rollback", "--function", FUNCTION, "--percentage", name, "--dry-run"),
        ("rollback", "--function", FUNCTION, "--percentage", "PERCENTAGE", "--boolean", name),
    ):
        ended = desk.run(*arguments)
        written |= {ended.out, ended.err, *files(tmp_path)}

    assert leaks(written) == set()
    assert any(f"{name}=(" in str(one) for one in written)
    remaining = desk.world.function(FUNCTION).variables
    assert {name: remaining[name] for name in PLANTED} == PLANTED


@pytest.mark.parametrize("call", [READ, UPDATE])
@pytest.mark.parametrize("verb", [("tick",), ("rollback", "orders#1"), ("verify", "orders#1")])
def test_an_unexpected_error_is_reported_without_a_value(
    desk_in: MakeDesk, tmp_path: Path, call: str, verb: tuple[str, ...]
) -> None:
    """The error names where it was raised, and quotes nothing."""
    desk = desk_in(function={"variables": dict(PLANTED)})
    assert desk.run("start", desk.policy).status == Exit.DONE
    desk.world.clock.advance(5 * MINUTE)
    meets(desk.world, call, happens_but(RuntimeError("an unforeseen failure")))

    ended = desk.run(*verb)

    if (verb[0], call) != ("verify", UPDATE):  # which writes nothing
        assert "unexpected RuntimeError" in ended.err
    if verb[0] == "rollback" and call == UPDATE:  # what was raised was raised after the write
        assert (ended.status, desk.weight) == (Exit.DONE, 0)
    assert "an unforeseen failure" not in ended.out + ended.err
    assert leaks([ended.out, ended.err, *files(tmp_path)]) == set()


@pytest.mark.parametrize("options", [(), ("--json",), ("--verbose",), ("--verbose", "--json")])
def test_a_rehearsal_writes_none_of_the_world_that_it_plays(
    desk: CliHarness, tmp_path: Path, options: tuple[str, ...]
) -> None:
    played = tmp_path / "played"
    played.mkdir()
    scenario_data = scenario(function={"variables": dict(PLANTED)}).model_dump(mode="json")
    (played / "mine.yaml").write_text(json.dumps(scenario_data, ensure_ascii=False))
    store = f"sqlite:///{tmp_path / 'rehearsed.db'}"

    ended = desk.run(
        "rehearse", desk.policy, "--scenario", str(played / "mine.yaml"), "--store", store, *options
    )

    assert ended.status == Exit.DONE, ended.err
    (played / "mine.yaml").unlink()
    assert leaks([ended.out, ended.err, *files(tmp_path)]) == set()
