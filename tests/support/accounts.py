"""An account of a test: one client for every service, and one secret."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.adapters.clock import SystemClock
from controller.core.policy import SecretReference
from controller.ports.account import Egress
from controller.ports.clock import Clock


def _no_client() -> Any:
    raise AssertionError("a client was opened")


def _no_secret(_reference: SecretReference) -> str:
    raise AssertionError("a secret was read")


@dataclass(frozen=True)
class OneClientAccount:
    """`Account` whose services all have the client that `open_client` returns."""

    open_client: Callable[[], Any] = _no_client
    secret: Callable[[SecretReference], str] = _no_secret
    egress: Egress = field(default_factory=Egress)
    clock: Clock = field(default_factory=SystemClock)
    status_page_url: str = ""

    def client(self, service: str) -> Any:
        return self.open_client()

    def lowering_client(self, service: str) -> Any:
        return self.open_client()

    def single_try(self, service: str, read_s: float) -> Any:
        return self.open_client()

    def jitter(self, low: float, high: float) -> float:
        return low

    def signed(
        self, service: str, region: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        return {**headers, "Authorization": f"signed for {service} in {region}"}

    def read_secret(self, reference: SecretReference) -> str:
        return self.secret(reference)
