"""The history that `backtest` reads: the days of one account are never taken for another's."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.aws.clients import Clients
from controller.errors import Exit
from controller.tools.simulation.world import CALLER
from tests.cli.conftest import CliHarness
from tests.cli.conftest import desk as desk
from tests.cli.conftest import desk_in as desk_in


class Signed:
    """Whose credentials the process has, as STS says."""

    def __init__(self) -> None:
        self.arn: str | None = CALLER["Arn"]

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Callable[[], Any]
    ) -> Any:
        """Answer as an interceptor of the world."""
        if service != "sts":
            return proceed()
        if self.arn is None:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, operation)
        return {**proceed(), "Arn": self.arn}


@pytest.fixture
def signed(desk: CliHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Signed:
    """The caller, whose profile is the empty one whatever the account is."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Clients, "get", lambda _self, service, **_: _client(desk, service))
    signed = Signed()
    desk.world.interceptors.append(signed)
    return signed


def _client(desk: CliHarness, service: str) -> Any:
    client = desk.world.client(service)
    client.meta = SimpleNamespace(region_name="eu-central-1")
    return client


def reads(desk: CliHarness) -> bool:
    """Backtest one day; tell whether CloudWatch was asked for it."""
    ended = desk.run("backtest", desk.policy, "--days", "1")
    assert ended.status in (Exit.DONE, Exit.USAGE), ended.err
    return "days from CloudWatch" in ended.err


def test_two_accounts_behind_one_profile_share_no_day(desk: CliHarness, signed: Signed) -> None:
    assert reads(desk)
    assert not reads(desk)
    signed.arn = "arn:aws:sts::999999999999:assumed-role/people/operator"
    assert reads(desk)
    assert not reads(desk)


def test_a_session_of_another_name_in_the_account_shares_its_days(
    desk: CliHarness, signed: Signed
) -> None:
    assert reads(desk)
    signed.arn = "arn:aws:sts::123456789012:assumed-role/ci/run-7"
    assert not reads(desk)


@pytest.mark.parametrize("arn", [None, "", "no arn"])
def test_without_an_account_nothing_is_kept_or_taken(
    desk: CliHarness, signed: Signed, arn: str | None, tmp_path: Path
) -> None:
    signed.arn = arn
    ended = desk.run("backtest", desk.policy, "--days", "1")
    assert ended.status == Exit.USAGE
    assert "AWS does not say whose metrics these are" in ended.err
    assert not (tmp_path / "cache").exists()
