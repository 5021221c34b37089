"""A target that something else moves: rolloutctl judges, writes nothing, and answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from moto import mock_aws

from controller.cli import main
from controller.core.decision import Alert
from controller.core.events import Command, Verb
from controller.core.observation import TargetReading
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.words.next_action import next_action
from controller.engine.execute import TickOutcome
from controller.engine.exit_status import of_rollback
from controller.errors import Exit
from controller.operations.start import StartRequest, start
from controller.policy_file.loader import loads
from controller.ports.account import Account
from controller.ports.target import ObservedTarget
from controller.testing import account_of, installed
from controller.tools.rehearse.rehearsal import RehearsalSetup, rehearsal
from tests.examples.dynamodb_flag import DynamoDbFlag, FlagItem
from tests.examples.test_dynamodb_flag import POLICY, an_item

MINUTE = timedelta(minutes=1)


class ObservedFlag(DynamoDbFlag):
    """A flag that a pipeline moves."""

    opened_by: ClassVar[str] = f"{__name__}:ObservedItem"
    observed: ClassVar[bool] = True

    kind: Literal["observed-flag"]  # type: ignore[assignment] # another kind, on purpose


class ObservedItem(ObservedTarget):
    """Reads the item, and never writes it."""

    def __init__(self, target: ObservedFlag, account: Account) -> None:
        self._item = FlagItem(target, account)

    def read(self) -> TargetReading:
        return self._item.read()


class Pipeline:
    """A started rollout, and the pipeline that moves the weight."""

    def __init__(self, setup: RehearsalSetup) -> None:
        self._setup = setup
        request = StartRequest(setup.policy, revision="r1")
        self.rollout: Rollout = start(setup.runner, request).rollout
        self.alerts: tuple[Alert, ...] = ()
        self._moves = 0

    def moves_to(self, weight: int) -> None:
        """Set the weight, as the pipeline does, and tick."""
        target = self._setup.policy.target
        assert isinstance(target, ObservedFlag)
        item = FlagItem(target, account_of(self._setup.world))
        item.shift_to(weight, item.read().token)
        self._moves += 1
        self.ticks(1)

    def ticks(self, minutes: int) -> Rollout:
        for _ in range(minutes):
            self._setup.world.clock.advance(MINUTE)
            visit = self._setup.runner.visit(self.rollout.id)
            self.rollout, self.alerts = visit.rollout, visit.alerts
        return self.rollout

    def asks(self, command: Command) -> TickOutcome:
        """Run the command of an operator."""
        return self._setup.runner.run_command(self.rollout.id, command)

    @property
    def recorded(self) -> list[str]:
        """The kinds of the entries in the history."""
        return [one.kind for one in self._setup.runner.store.history(self.rollout.id)]

    @property
    def writes(self) -> int:
        """The writes that the pipeline did not make."""
        return self._setup.world.calls["dynamodb", "UpdateItem"] - self._moves


OBSERVED_POLICY = POLICY.replace("dynamodb-flag", "observed-flag")


@contextmanager
def pipeline(scenario: str) -> Iterator[Pipeline]:
    policy = loads(OBSERVED_POLICY, "p.yaml")
    with rehearsal(policy, scenario, seed=1) as setup:
        yield Pipeline(setup)


@pytest.fixture(autouse=True)
def package() -> Iterator[None]:
    with installed("rolloutctl.targets", {"observed-flag": f"{__name__}:ObservedFlag"}):
        yield


def test_each_decision_is_the_answer_and_waits_for_the_weight() -> None:
    with pipeline("healthy") as moved:
        assert moved.ticks(120).reason is Reason.WAITING  # longer than shift_timeout
        assert (moved.rollout.phase, moved.rollout.weight) == (Phase.PROGRESSING, 10)
        assert "flags/new-checkout is moved outside rolloutctl" in moved.rollout.sentence
        assert moved.rollout.write_error == ""
        assert next_action(moved.rollout).at is None
        moved.moves_to(0)  # the item changes, and its weight does not
        assert moved.rollout.reason is Reason.WAITING
        moved.moves_to(10)
        assert moved.rollout.pending is None
        assert moved.ticks(30).weight == 50
        assert moved.rollout.pending
        moved.moves_to(50)
        assert moved.ticks(30).weight == 100
        moved.moves_to(100)
        assert moved.ticks(60).phase is Phase.SUCCEEDED
        assert moved.writes == 0


ERRORS = """\
name: errors-after-an-hour
summary: After an hour at the first step the canary answers 5% of requests with a 5xx.
traffic: {requests_per_minute: 3000}
stable: {median_ms: 150}
canary: {median_ms: 144}
events:
  - {kind: errors, at: {step: 1, after: 1h}, path: canary, server_errors: 5%}
"""


def test_the_live_weight_is_judged_while_the_next_one_is_waited_for(tmp_path: Path) -> None:
    scenario = tmp_path / "errors.yaml"
    scenario.write_text(ERRORS, encoding="utf-8")
    with pipeline(str(scenario)) as moved:
        moved.moves_to(10)
        assert moved.ticks(50).reason is Reason.WAITING
        assert moved.ticks(30).phase is Phase.ROLLING_BACK
        assert moved.rollout.reason is Reason.GATE_FAILED
        assert moved.writes == 0


def test_a_rollback_is_an_answer_too_and_unconfirmed_until_the_weight_is_0() -> None:
    with pipeline("healthy") as moved:
        moved.moves_to(10)
        visit = moved.asks(Command(Verb.ROLLBACK, "looks bad"))
        assert visit.rollout.phase is Phase.ROLLING_BACK
        assert of_rollback(visit) is Exit.UNCONFIRMED
        assert visit.rollout.write_error == ""
        assert moved.ticks(1).phase is Phase.ROLLING_BACK
        assert not moved.alerts
        assert moved.ticks(10).phase is Phase.ROLLING_BACK  # longer than rollback_timeout
        assert moved.alerts == (Alert.ROLLBACK_UNCONFIRMED,)
        moved.moves_to(0)
        assert moved.rollout.phase is Phase.ROLLED_BACK
        moved.moves_to(10)
        assert moved.ticks(5).phase is Phase.ROLLED_BACK  # reported, and left alone
        assert "lowered_again" not in moved.recorded
        assert moved.writes == 0


def test_a_weight_ahead_of_the_answer_is_drift() -> None:
    with pipeline("healthy") as moved:
        moved.moves_to(10)
        moved.moves_to(100)
        assert moved.rollout.phase is Phase.PAUSED


@mock_aws
@pytest.mark.parametrize(
    "command", [("rollback",), ("set-weight", "50")], ids=lambda command: str(command[0])
)
def test_a_dry_run_lists_no_write_that_the_real_command_refuses(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.chdir(tmp_path)
    item = an_item()
    item.shift_to(10, item.read().token)
    policy = tmp_path / "p.yaml"
    policy.write_text(OBSERVED_POLICY, encoding="utf-8")
    verb, *weight = command
    real = main([verb, str(policy), *weight]), capsys.readouterr()
    dry = main([verb, str(policy), *weight, "--dry-run"]), capsys.readouterr()
    assert dry[0] == real[0] != Exit.DONE
    for _, printed in (real, dry):
        assert "only observes this kind of target" in printed.out + printed.err
        assert "would" not in printed.out.replace("would: nothing", "")
    assert item.read().has_applied(10)
