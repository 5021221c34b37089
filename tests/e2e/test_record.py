"""A recording of an account: what it writes, what it never writes, and what it leaves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.adapters.contracts.benches import EmulatedLambda
from tests.adapters.contracts.routing_benches import AliasBench, alias_in
from tests.aws_facts import recordings
from tests.e2e.account import FUNCTION, OTHERS, POLICY, Account
from tests.e2e.program import Program
from tests.support.planted_secrets import PLANTED, leaks

RULE: Final = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/none/1/2/3"
WRITES: Final = ("--write", "handler", "live", RULE)


@pytest.fixture
def alias(shop: Account) -> AliasBench:
    """The alias `live` of the function `handler`, whose environment has secrets."""
    client = shop.client("lambda")
    bench = alias_in(EmulatedLambda(client, f"arn:aws:iam::{shop.number}:role/handler"))
    assert isinstance(bench, AliasBench)
    client.update_function_configuration(
        FunctionName="handler", Environment={"Variables": dict(PLANTED)}
    )
    shop.settled("handler")
    return bench


def test_reading_writes_no_secret_and_nothing_to_the_account(
    shop: Account, alias: AliasBench, environment: Mapping[str, str], tmp_path: Path
) -> None:
    before = shop.revision(), shop.revision("handler")
    ended = Program(environment).run("record", str(tmp_path / "out"))
    assert ended.status == 0, ended.err
    texts = [path.read_text() for path in (tmp_path / "out").iterdir()]
    assert len(texts) == 9
    assert not leaks([*texts, ended.out, ended.err])
    for name in (shop.number, "handler", FUNCTION, *OTHERS, *PLANTED):
        assert not any(name in text for text in texts), name
    assert (shop.revision(), shop.revision("handler")) == before


def test_writes_are_written_back_and_fed_to_the_facts(
    shop: Account, alias: AliasBench, environment: Mapping[str, str], tmp_path: Path
) -> None:
    ended = Program(environment).run("record", str(tmp_path / "out"), *WRITES)
    assert ended.status == 0, ended.err
    assert "handler: its variables as before, with a new RevisionId\n" in ended.out
    assert "handler:live: without weights as before, with a new RevisionId\n" in ended.out
    assert f"{RULE}: not written" in ended.out
    assert shop.environment("handler") == PLANTED
    assert alias.weight() == 0
    recorded = recordings.calls_of(tmp_path / "out")
    for service, calls in recorded.items():
        for call in calls:
            assert recordings.refused_by_product(service, call) == ""
    emulated = list(recordings.outcomes(recorded["lambda"]))
    simulated = list(recordings.outcomes(recordings.calls_of_the_fakes()))
    # The emulator takes an update during another one; AWS refuses it, and so do the fakes.
    assert [one for one in range(len(simulated)) if emulated[one] != simulated[one]] == [1]


@pytest.mark.parametrize("named", ["name", "ARN"])
def test_what_a_rollout_owns_is_not_written(
    shop: Account, environment: Mapping[str, str], tmp_path: Path, named: str
) -> None:
    program = Program(environment)
    assert program.run("store", "init").status == 0
    assert program.run("start", str(POLICY), "--revision", "one").status == 0
    before = shop.revision()
    arn = f"arn:aws:lambda:us-east-1:{shop.number}:function:{FUNCTION}"
    function = FUNCTION if named == "name" else arn
    ended = program.run("record", str(tmp_path / "out"), "--write", function, "live", RULE)
    assert ended.status == 2
    assert f"{POLICY.stem}#1 owns" in ended.err
    assert shop.revision() == before
    assert not list((tmp_path / "out").iterdir())
