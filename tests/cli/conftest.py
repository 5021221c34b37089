"""The command line at a simulated account: only the AWS clients and the clock are fakes."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from boto3.session import Session
from moto import mock_aws

from controller import cli
from controller.adapters.aws.clients import Clients
from controller.adapters.stores.dynamodb.table import TABLE_DEFINITION
from controller.bootstrap import account
from controller.bootstrap.account import AwsAccount
from controller.core.policy import Channel
from controller.errors import Exit
from controller.tools.simulation.scenario.scenario import Scenario
from controller.tools.simulation.world import CALLER, World
from tests.support.core import Message, Policy, Rollout
from tests.support.emulator import REGION
from tests.support.json_schemas import validated
from tests.support.stage import SHORT_POLICY, function_with
from tests.tools.simulation.worlds import MINUTE, START, scenario

# What a history adds to the name that an operator claimed.
VERIFIED: Final = f"(identity from AWS: {CALLER['Arn']})"


class Ended(NamedTuple):
    """The result of a command: exit status, stdout and stderr."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON document on stdout: an IAM policy, or one that fits its schema."""
        document = json.loads(self.out)
        return document if "Statement" in document else validated(document)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log events on stderr."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]


@dataclass(slots=True)
class CliHarness:
    """An operator's terminal, with one policy and one simulated account.

    policy: the file of the short policy; world: the account.
    """

    policy: str
    world: World
    capsys: pytest.CaptureFixture[str] = field(repr=False)

    def run(self, *arguments: str) -> Ended:
        """Run one command."""
        self.capsys.readouterr()
        status = cli.main(arguments)
        return Ended(status, *self.capsys.readouterr())

    def ticks(self, number: int, *options: str) -> Ended:
        """Tick once a minute; return how the last tick ended."""
        for _ in range(number - 1):
            self.world.clock.advance(MINUTE)
            self.run("tick", "--early", *options)
        self.world.clock.advance(MINUTE)
        return self.run("tick", "--early", *options)

    def state(self, rollout: str = "orders") -> Any:
        """Return the status of a rollout as JSON data."""
        return self.run("status", rollout, "--json").data

    def entries(self, rollout: str = "orders") -> list[dict[str, Any]]:
        """Return the history of a rollout as JSON data."""
        entries: list[dict[str, Any]] = self.run("history", rollout, "--json").data["entries"]
        return entries

    def start_payments(self) -> str:
        """Start `payments`, a rollout of a function of its own; return its policy file."""
        self.world.add_function("payments", {})
        target = {**SHORT_POLICY["target"], "function": "payments"}
        policy = self.another_policy("payments", target=target)
        assert self.run("start", policy).status == Exit.DONE
        return policy

    @property
    def store(self) -> Path:
        """The file of the store."""
        return Path(self.policy).parent / "rollouts.db"

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Execute a statement on the store, as another program does; return its rows."""
        with closing(sqlite3.connect(self.store)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def another_policy(self, name: str, **parts: Any) -> str:
        """Write the short policy under another name, with whole `parts` of it replaced."""
        return write_policy(Path(self.policy).parent, {**SHORT_POLICY, **parts, "name": name})

    @property
    def weight(self) -> int:
        """The percent of traffic on the canary now."""
        return self.world.weight_now()


def write_policy(folder: Path, policy: Mapping[str, Any]) -> str:
    """Write a policy file and return its path."""
    path = folder / f"{policy['name']}.yaml"
    path.write_text(json.dumps(policy))
    return str(path)


MakeDesk = Callable[..., CliHarness]


@pytest.fixture
def desk_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> MakeDesk:
    """Return a factory of desks: `policy` as data, other arguments are parts of the scenario."""

    def make(policy: Mapping[str, Any] = SHORT_POLICY, **played: Any) -> CliHarness:
        played_scenario: Scenario = scenario(**{"function": function_with(), **played})
        world = World.for_policy(
            Policy.model_validate(policy), played_scenario, seed=1, start=START
        )
        monkeypatch.setattr(Clients, "get", lambda _self, service, **_: world.client(service))
        monkeypatch.setattr(Clients, "single_try", lambda _self, service, _: world.client(service))
        monkeypatch.setattr(account, "SystemClock", lambda: world.clock)
        monkeypatch.setenv("ROLLOUTCTL_STORE", f"sqlite:///{tmp_path / 'rollouts.db'}")
        monkeypatch.setenv("ROLLOUTCTL_BY", "tester")
        return CliHarness(write_policy(tmp_path, policy), world, capsys)

    return make


@pytest.fixture
def desk(desk_in: MakeDesk) -> CliHarness:
    """A desk in a healthy world."""
    return desk_in()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of DynamoDB, with a table that is the store from now on."""
    other_clients = Clients.get
    with mock_aws():
        client = Session("test", "test", region_name=REGION).client("dynamodb")
        client.create_table(TableName="rollouts", **TABLE_DEFINITION)
        monkeypatch.setenv("ROLLOUTCTL_STORE", "dynamodb://rollouts")
        monkeypatch.setattr(
            Clients, "get",
            lambda self, service, **how: (
                client if service == "dynamodb" else other_clients(self, service, **how)
            ),
        )  # fmt: skip
        yield client


@pytest.fixture
def message_kinds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of the delivered messages, in order."""
    kinds: list[str] = []

    def deliver(self: AwsAccount, channel: Channel, rollout: Rollout, message: Message) -> None:
        kinds.append(message.kind)

    monkeypatch.setattr(AwsAccount, "deliver", deliver)
    return kinds
