"""The tunnel through a proxy: its requests, and what is refused before a request."""

import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest

from controller.adapters.http import MOST_HEAD, HttpsError, post
from controller.ports.account import Egress
from controller.process.settings import read_egress
from tests.support.connect_proxy import (
    OPEN,
    Behaviour,
    ConnectProxy,
    connect_proxy,
    tunnel_response,
)
from tests.support.https_stub import Host, certificate, host, responds

NAME = "hooks.example"


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host that only the proxy can find."""
    signed = certificate(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(signed))
    with host(signed) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with connect_proxy() as running:
        yield running


def through(proxy: ConnectProxy, credentials: str = "", private: str = "") -> Egress:
    url = proxy.url(credentials)
    egress = read_egress({"ROLLOUTCTL_EGRESS_PROXY": url, "ROLLOUTCTL_PRIVATE_HOSTS": private})
    assert not egress.problem
    return egress


def why(url: str, egress: Egress, *, within_s: float = 5.0, private: tuple[str, ...] = ()) -> str:
    with pytest.raises(HttpsError) as caught:
        post(url, b"{}", {}, within_s=within_s, private=private, egress=egress)
    return str(caught.value)


def test_a_call_goes_through_the_proxy_which_alone_resolves_the_name(
    stub: Host, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def resolve(name: str, *rest: object, **more: object) -> object:
        looked_up.append(name)
        return real(name, *rest, **more)  # type: ignore[arg-type] # with the arguments of the caller

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    stub.answer = responds(202, b"taken")
    answer = post(stub.url(name=NAME), b"{}", {}, within_s=5, egress=through(proxy))
    assert (answer.status, answer.body, answer.flaw) == (202, b"taken", "")
    assert proxy.requests == [[f"CONNECT {NAME}:{stub.port} HTTP/1.1", f"Host: {NAME}:{stub.port}"]]
    assert {*looked_up} == {"127.0.0.1"}  # the proxy's address, and the stub's


def test_credentials_go_to_the_proxy_and_not_to_the_host(stub: Host, proxy: ConnectProxy) -> None:
    egress = through(proxy, "me:hunt%40er2@")
    assert post(stub.url(name=NAME), b"{}", {}, within_s=5, egress=egress).status == 200
    credentials = base64.b64encode(b"me:hunt@er2").decode()
    assert f"Proxy-Authorization: Basic {credentials}" in proxy.requests[0]
    assert not [name for name in stub.requests[0].headers if name.lower().startswith("proxy")]


def test_the_certificate_of_the_host_is_verified_behind_the_proxy_too(
    stub: Host, proxy: ConnectProxy
) -> None:
    problem = why(stub.url(name="other.example"), through(proxy))
    assert "Hostname mismatch" in problem
    assert not stub.requests


LOCAL = "is the name of a host that is not public; "
BOTH = "the policy has to name the host, and ROLLOUTCTL_PRIVATE_HOSTS to allow it"
OPERATOR = "the policy names the host, and ROLLOUTCTL_PRIVATE_HOSTS has to allow it as well"


@pytest.mark.parametrize(
    ("name", "of_policy", "of_operator", "refused"),
    [
        pytest.param(NAME, (), "", "", id="a public name"),
        pytest.param("8.8.8.8", (), "", "", id="a public address"),
        pytest.param("[2600:1f18::1]", (), "", "", id="a public address, IPv6"),
        pytest.param("localhost", (), "", LOCAL, id="loopback by name"),
        pytest.param("LOCALHOST.", (), "", LOCAL, id="loopback, spelled otherwise"),
        pytest.param("a.localhost", (), "", LOCAL, id="below localhost"),
        pytest.param("gate", (), "", LOCAL, id="a name without a dot"),
        pytest.param("gate.local", (), "", LOCAL, id="multicast DNS"),
        pytest.param("ip-10-0-0-1.eu-central-1.compute.internal", (), "", LOCAL, id="an instance"),
        pytest.param("gate.home.arpa", (), "", LOCAL, id="a home network"),
        pytest.param("gate.team.svc", (), "", LOCAL, id="a service of Kubernetes"),
        pytest.param("gate.team.svc.cluster.local", (), "", LOCAL, id="a service, in full"),
        pytest.param("gate.corp", (), "", LOCAL, id="a company"),
        pytest.param("GATE.Corp.", (), "", LOCAL, id="a company, spelled otherwise"),
        pytest.param("nas.lan", (), "", LOCAL, id="a router's network"),
        pytest.param("nas.home", (), "", LOCAL, id="a router's network, home"),
        pytest.param("wiki.intranet", (), "", LOCAL, id="an intranet"),
        pytest.param("wiki.private", (), "", LOCAL, id="a private zone"),
        pytest.param("gate.", (), "", LOCAL, id="a name without a dot, but for the last"),
        pytest.param("svc.example", (), "", "", id="a public name that begins so"),
        pytest.param("gatecorp.example", (), "", "", id="a public name that has it in the middle"),
        pytest.param("gate.mycorp", (), "", "", id="a public name that ends with these letters"),
        pytest.param("gate.team.svc", ("gate.team.svc",), "", OPERATOR, id="a service, policy"),
        pytest.param("gate.team.svc", (), "gate.team.svc", BOTH, id="a service, operator"),
        pytest.param("gate.team.svc", ("gate.team.svc",), "gate.team.svc", "", id="a service"),
        pytest.param("127.0.0.1", (), "", "has the address 127.0.0.1", id="loopback"),
        pytest.param("127.1", (), "", "has the address 127.0.0.1", id="loopback, short"),
        pytest.param("2130706433", (), "", "has the address 127.0.0.1", id="loopback, a number"),
        pytest.param("0x7f.1", (), "", "has the address 127.0.0.1", id="loopback, hexadecimal"),
        pytest.param("169.254.169.254", (), "", "has the address 169.254", id="metadata"),
        pytest.param("[::1]", (), "", "has the address ::1", id="loopback, IPv6"),
        pytest.param("[::ffff:a00:1]", (), "", "has the address ::ffff:", id="private, mapped"),
        pytest.param("gate.local", ("gate.local",), "", OPERATOR, id="the policy alone"),
        pytest.param("gate.local", (), "gate.local", BOTH, id="the operator alone"),
        pytest.param(
            "gate.local", ("gate.local",), "10.0.0.0/8", OPERATOR, id="a range says no name"
        ),
        pytest.param("gate.local", ("gate.local",), "gate.local", "", id="both"),
        pytest.param("10.0.0.1", ("10.0.0.1",), "10.0.0.0/8", "", id="both, an address"),
    ],
)
def test_a_proxy_is_asked_for_public_hosts_and_for_allowed_ones(
    proxy: ConnectProxy, name: str, of_policy: tuple[str, ...], of_operator: str, refused: str
) -> None:
    proxy.behaviour = tunnel_response(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    egress = through(proxy, private=of_operator)
    problem = why(f"https://{name}/hook", egress, private=of_policy)
    if refused:
        assert refused in problem
        assert not proxy.requests
    else:
        assert problem.endswith("could not be reached: the egress proxy answered 403")
        (request,) = proxy.requests
        assert request[0] == f"CONNECT {name}:443 HTTP/1.1"


def _hangs(connection: socket.socket) -> None:
    connection.recv(1)  # until the other side is gone


def _drips(connection: socket.socket) -> None:
    """Send a byte now and then, until the other side is gone."""
    while True:
        connection.sendall(b"x")
        sleep(0.02)


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        pytest.param(
            tunnel_response(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
            "answered 407; it wants other credentials in ROLLOUTCTL_EGRESS_PROXY",
            id="other credentials",
        ),
        pytest.param(
            tunnel_response(b"HTTP/1.1 502 hunter2\r\n\r\n<html>"), "answered 502", id="an outage"
        ),
        pytest.param(
            tunnel_response(b"HTTP/1.1 302 Found\r\n\r\n"), "answered 302", id="a redirect"
        ),
        pytest.param(tunnel_response(b""), "answered in no HTTP", id="nothing"),
        pytest.param(tunnel_response(OPEN[:-2]), "answered in no HTTP", id="half an answer"),
        pytest.param(
            tunnel_response(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "answered in no HTTP", id="another one"
        ),
        pytest.param(tunnel_response(b"x" * 3 * MOST_HEAD), "answered in no HTTP", id="too much"),
        pytest.param(_hangs, "gave no answer in time", id="silence"),
        pytest.param(_drips, "gave no answer in time", id="an answer that drips"),
    ],
)
def test_a_proxy_that_opens_no_way_is_named_without_its_words(
    proxy: ConnectProxy, does: Behaviour, expected: str
) -> None:
    proxy.behaviour = does
    within_s = 1.0 if "in time" in expected else 5.0
    egress = through(proxy, "me:hunter2@")
    problem = why(f"https://{NAME}/secret", egress, within_s=within_s)
    assert problem.startswith(f"{NAME} could not be reached: the egress proxy {expected}")
    assert "hunter2" not in problem
    assert "secret" not in problem


def test_bytes_that_a_proxy_slips_in_are_no_answer_of_the_host(proxy: ConnectProxy) -> None:
    proxy.behaviour = tunnel_response(OPEN + b"HTTP/1.1 204 No Content\r\n\r\n")
    assert why(f"https://{NAME}/", through(proxy)).startswith(f"{NAME} gave no answer: ")


def test_a_proxy_that_does_not_run_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    egress = read_egress({"ROLLOUTCTL_EGRESS_PROXY": f"http://me:hunter2@127.0.0.1:{port}"})
    problem = why(f"https://{NAME}/", egress)
    assert problem == "the egress proxy 127.0.0.1 could not be reached: Connection refused"


@pytest.mark.parametrize("name", ["a b.example", "8.8.8.8 HTTP", "gr\xfcn.example", "a\\b.example"])
def test_a_name_that_would_change_the_request_is_not_sent(proxy: ConnectProxy, name: str) -> None:
    problem = why(f"https://{name}/", through(proxy))
    assert problem.endswith("has a character that must not be sent to a proxy")
    assert not proxy.requests


def test_without_the_setting_no_proxy_is_asked(
    stub: Host, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url())
    why(stub.url(name="localhost"), Egress())
    assert not proxy.requests
