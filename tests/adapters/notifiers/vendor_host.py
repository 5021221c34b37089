"""A stand-in for a host of another company, which channels reach under its real name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.ports.account import Egress, Proxy
from tests.support.connect_proxy import connect_proxy
from tests.support.https_stub import Host, certificate, host


@contextmanager
def vendor_host(
    name: str, folder: Path, patch: pytest.MonkeyPatch
) -> Iterator[tuple[Host, Egress]]:
    """Yield a host that has a trusted certificate for `name`, and the egress that leads to it."""
    signed = certificate(folder, name)
    patch.setenv("SSL_CERT_FILE", str(signed))
    with host(signed) as stub, connect_proxy() as proxy:
        proxy.upstream = stub.port
        yield stub, Egress(proxy=Proxy("127.0.0.1", proxy.port))
