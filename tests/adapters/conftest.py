"""Contract suites are shared by the tests of several adapters; their asserts explain themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import aws_stub
from tests.support.aws_stub import Endpoint
from tests.support.https_stub import Host, certificate, host

pytest.register_assert_rewrite(
    "tests.adapters.contracts.alarms",
    "tests.adapters.contracts.alb_weights",
    "tests.adapters.contracts.logs",
    "tests.adapters.contracts.metrics",
    "tests.adapters.contracts.routing",
    "tests.adapters.contracts.store",
    "tests.adapters.contracts.target",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the promises in a suite's CANNOT as strict expected failures: `-rx` lists them."""
    for item in items:
        contract = getattr(item, "cls", None)
        gaps = getattr(contract, "CANNOT", {})
        if unknown := [name for name in gaps if not hasattr(contract, name)]:
            raise pytest.UsageError(f"{contract}: there are no promises {unknown}")
        reason = gaps.get(getattr(item, "originalname", item.name))
        if reason:
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """An endpoint for all services, with credentials in this process."""
    with aws_stub.endpoint() as running:
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """An HTTPS host called localhost, whose certificate this process trusts."""
    signed = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(signed))
    with host(signed) as running:
        yield running
