"""Clients whose writes are written down, and a deployment through them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from boto3.session import Session

from controller.adapters.monitoring import MonitoringAccount
from controller.core.monitoring import Monitoring, changes
from tests.emulator import REGION

Recorded: TypeAlias = tuple[str, Mapping[str, Any]]

# One for all tests: to read botocore's models takes longer than what a test does with them.
SESSION = Session("test", "test", region_name=REGION)

_WRITES = ("put_", "create_", "subscribe", "delete_", "tag_")


class Recorder:
    """A client that notes every call that changes something."""

    def __init__(self, client: Any, calls: list[Recorded]) -> None:
        self._client, self._calls = client, calls

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not name.startswith(_WRITES):
            return attribute

        def noted(**request: Any) -> Any:
            self._calls.append((name, request))
            return attribute(**request)

        return noted


def topic_arn(monitoring: Monitoring, account: str = "123456789012") -> str:
    """Return what the topic is called."""
    return f"arn:aws:sns:{REGION}:{account}:{monitoring.name}"


def on_moto(monitoring: Monitoring, calls: list[Recorded]) -> MonitoringAccount:
    """Return moto's account, whose writes are noted in `calls`."""
    cloudwatch, sns = (Recorder(SESSION.client(name), calls) for name in ("cloudwatch", "sns"))
    return MonitoringAccount(cloudwatch, sns, REGION, topic_arn(monitoring))


def deployed(monitoring: Monitoring) -> list[Recorded]:
    """Deploy on moto, and return the writes."""
    calls: list[Recorded] = []
    account = on_moto(monitoring, calls)
    for change in changes(monitoring, account.look(monitoring)):
        account.carry_out(monitoring, change)
    return calls
