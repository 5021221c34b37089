"""No value of another variable is ever written: not where it is told, not where it is kept.

Whole lives of a rollout are played by every verb, in worlds in which something goes wrong, and
everything that came of it is searched for values that were planted in the function.
"""

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ParamValidationError
from moto import mock_aws

from controller.adapters.aws import Clients
from controller.adapters.clock import SystemClock
from controller.adapters.dynamodb.table import create_table
from controller.cli import main
from controller.simulation.refusals import refusal
from tests.adapters.odd_lambda import READ, UPDATE, fails, happens_but, meets, unreadable
from tests.cli.conftest import Desk, MakeDesk
from tests.emulator import REGION
from tests.planted import PLANTED, chain, files, leaks, quoting, spellings
from tests.simulation.worlds import FUNCTION, MINUTE
from tests.stage import SHORT

HELD = json.dumps(dict(PLANTED))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_value_is_found_however_it_is_spelt(name: str) -> None:
    """What finds nothing anywhere would be of no use."""
    value, everything = PLANTED[name], dict(PLANTED)
    told = [value, repr(everything), json.dumps(everything), json.dumps(HELD), ascii(value)]
    told += quoting({name: value}).values() if len(value) < 50 else []
    for text in told:
        assert name in {found for found, _ in leaks([text])}, text
    assert name in {found for found, _ in leaks([b"\xff\x00" + value.encode() + b"\x00"])}
    assert leaks(["nothing", f"{name} is not set", *PLANTED]) == set()
    assert spellings(value)


# --- what goes wrong ------------------------------------------------------------------------------


def _refused(how: str) -> Callable[[Desk], None]:
    def plant(desk: Desk) -> None:
        text = quoting(desk.world.function(FUNCTION).variables)[how]
        meets(desk.world, UPDATE, fails(refusal(UPDATE, "InvalidParameterValueException", text)))

    return plant


def _too_large(desk: Desk) -> None:
    error = refusal(UPDATE, "RequestTooLargeException", HELD, status=413)
    error.response["message"] = HELD  # type: ignore[typeddict-unknown-key]  # as botocore's parser
    meets(desk.world, UPDATE, fails(error))


def _by_a_proxy(desk: Desk) -> None:
    meets(desk.world, UPDATE, fails(refusal(UPDATE, "502", HELD, status=502)), times=2)


def _by_botocore(desk: Desk) -> None:
    meets(desk.world, UPDATE, fails(ParamValidationError(report=HELD)))


def _not_read_back(desk: Desk) -> None:
    meets(desk.world, UPDATE, unreadable)


def _not_decrypted(desk: Desk) -> None:
    meets(desk.world, READ, unreadable)


def _nothing(_: Desk) -> None:
    pass


WRONG: dict[str, tuple[Callable[[Desk], None], dict[str, Any]]] = {
    "nothing": (_nothing, {}),
    "the release is sick": (
        _nothing,
        {"events": [{"kind": "errors", "path": "canary", "server_errors": "30%"}]},
    ),
    "another hand raises": (
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
    "botocore refuses a write": (_by_botocore, {}),
}


# --- what is written ------------------------------------------------------------------------------


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of DynamoDB, with a table for rollouts."""
    with mock_aws():
        client = Session("test", "test", region_name=REGION).client("dynamodb")
        create_table(client, "rollouts", SystemClock())
        yield client


def _verbs(desk: Desk) -> Iterator[tuple[str, ...]]:
    """Yield what a rollout is asked in its life, and let time pass in between."""
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
    desk.world.clock.advance(4 * MINUTE)
    yield "tick", "--json"
    yield "rollback", "orders", "--dry-run"
    yield "rollback", "orders", "--reason", "r", "--json"
    desk.world.clock.advance(8 * MINUTE)
    yield "tick", "--json"
    yield "rollback", "--function", FUNCTION, "--percentage", "PERCENT", "--boolean", "ENABLE"
    yield "rollback", "--function", FUNCTION, "--percentage", "PERCENTAGE"
    yield "rollback", desk.policy
    yield "start", desk.policy, "--retry", "--reason", "r", "--adopt"
    yield from [("history", "orders", *more) for more in ((), ("--json",))]
    yield from [("replay", "orders", *more) for more in ((), ("--json",))]
    yield ("run", desk.policy, "--for", "2m", "--json")


@pytest.mark.parametrize("store", ["file", "table"])
@pytest.mark.parametrize("wrong", WRONG)
def test_nothing_that_a_run_writes_has_a_value_of_another_variable(
    desk_in: MakeDesk, table: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    wrong: str, store: str,
) -> None:  # fmt: skip
    plant, played = WRONG[wrong]
    desk = desk_in(function={"variables": dict(PLANTED)}, **played)
    if store == "table":
        monkeypatch.setenv("ROLLOUTCTL_STORE", "dynamodb://rollouts")
        clients = {"dynamodb": table, **{one: desk.world.client(one) for one in ("lambda",)}}
        monkeypatch.setattr(
            Clients, "get", lambda _, one: clients.get(one) or desk.world.client(one)
        )
    plant(desk)

    written: list[str | bytes] = []
    for words in _verbs(desk):
        ended = desk.run(*words)
        written += [ended.out, ended.err]
        assert ended.status in {0, 1, 2, 3, 4, 5, 6, 7, 75}
        written += files(tmp_path)  # while a WAL may be there, too

    kept = table.scan(TableName="rollouts")["Items"]
    assert bool(kept) == (store == "table")
    assert leaks([*written, json.dumps(kept, default=str), *map(str, kept)]) == set()
    left = desk.world.function(FUNCTION).variables
    assert {name: left[name] for name in PLANTED} == PLANTED
