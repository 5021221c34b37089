"""An endpoint that answers as the facts say."""

from collections.abc import Iterator

import pytest

from tests.support import aws_stub
from tests.support.aws_stub import Endpoint


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """An endpoint for all services, with credentials in this process."""
    with aws_stub.endpoint() as running:
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running
