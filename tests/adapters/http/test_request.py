"""One HTTPS request: allowed hosts, time limit, and size limit of the answer."""

import socket
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.http import HttpsError, post
from controller.adapters.http.response import MAX_RESPONSE_BYTES
from controller.ports.account import Egress
from controller.process.settings import read_egress
from tests.docs.tables.addresses import RANGES
from tests.support.https_stub import Host, certificate, drips, host, responds

LOCAL = frozenset({"localhost"})
ALLOWED = Egress(private_names=LOCAL)


def why(
    url: str,
    *,
    within_s: float = 5.0,
    private: frozenset[str] = LOCAL,
    egress: Egress = ALLOWED,
) -> str:
    with pytest.raises(HttpsError) as caught:
        post(url, b"{}", {}, within_s=within_s, private=private, egress=egress)
    return str(caught.value)


def test_what_is_sent_arrives_and_what_is_answered_comes_back(stub: Host) -> None:
    stub.answer = responds(202, b"taken")
    answer = post(
        stub.url("/hook?a=1"),
        b'{"a": 1}',
        {"X-Mark": "7"},
        within_s=5,
        private=LOCAL,
        egress=ALLOWED,
    )
    assert (answer.status, answer.body) == (202, b"taken")
    (got,) = stub.requests
    assert (got.path, got.body, got.headers["X-Mark"]) == ("/hook?a=1", b'{"a": 1}', "7")
    assert got.headers["Host"] == f"localhost:{stub.port}"


def test_a_host_that_is_an_ipv6_address_is_called_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "fd00::abcd"
    resolves_to(monkeypatch, "127.0.0.1")
    signed = certificate(tmp_path, address)
    monkeypatch.setenv("SSL_CERT_FILE", str(signed))
    egress = Egress(private_names=frozenset({address}))
    with host(signed) as running:
        url = running.url(name=f"[{address}]")
        assert post(url, b"", {}, within_s=5, private={address}, egress=egress).status == 200
        assert running.requests[0].headers["Host"] == f"[{address}]:{running.port}"


def test_a_redirect_is_an_answer_and_leads_nowhere(stub: Host) -> None:
    stub.answer = responds(302, b"", Location=stub.url("/elsewhere"))
    assert post(stub.url(), b"", {}, within_s=5, private=LOCAL, egress=ALLOWED).status == 302
    assert [request.path for request in stub.requests] == ["/hook"]


def test_no_more_than_the_beginning_of_an_answer_is_read(stub: Host) -> None:
    stub.answer = responds(200, b"x" * (3 * MAX_RESPONSE_BYTES))
    answer = post(stub.url(), b"", {}, within_s=5, private=LOCAL, egress=ALLOWED)
    assert (len(answer.body), answer.flaw) == (
        MAX_RESPONSE_BYTES,
        "gave an answer longer than 16 KiB",
    )


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_that_drips_is_cut_when_its_time_is_over(stub: Host, announced: bool) -> None:
    """Each byte comes in time, so no limit of a single read would end it.

    The bytes so far are no answer, even without an announced length.
    """
    stub.answer = drips(0.02, announced=announced)
    assert why(stub.url(), within_s=0.3) == ("localhost gave no whole answer within 0.3 seconds")


def test_a_silent_host_is_an_error_when_its_time_is_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        problem = why(f"https://localhost:{port}/", within_s=0.2)
    assert problem == "localhost gave no whole answer within 0.2 seconds"


def test_a_certificate_without_a_trusted_issuer_is_refused(
    stub: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert why(stub.url()) == "localhost gave no answer: self-signed certificate"
    assert not stub.requests


def test_a_certificate_of_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = certificate(tmp_path, "elsewhere.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(signed))
    with host(signed) as other:
        assert "Hostname mismatch" in why(other.url())
        assert not other.requests


OFF = "localhost has the address 127.0.0.1, which is not public; "
NEITHER = (
    f"{OFF}where that is meant, the policy has to name the host, and ROLLOUTCTL_PRIVATE_HOSTS to "
    "allow it"
)
POLICY_ALONE = (
    f"{OFF}the policy names the host, and ROLLOUTCTL_PRIVATE_HOSTS has to allow it as well"
)


@pytest.mark.parametrize(
    ("of_policy", "of_operator", "problem"),
    [
        pytest.param((), "", NEITHER, id="neither"),
        pytest.param(("localhost",), "", POLICY_ALONE, id="the policy alone"),
        pytest.param((), "localhost", NEITHER, id="the operator alone, by name"),
        pytest.param((), "127.0.0.0/8", NEITHER, id="the operator alone, by range"),
        pytest.param(("localhost",), "other", POLICY_ALONE, id="the operator, another name"),
        pytest.param(("localhost",), "10.0.0.0/8", POLICY_ALONE, id="the operator, another range"),
        pytest.param(("other",), "localhost", NEITHER, id="the policy, another name"),
        pytest.param(("localhost",), "localhost", "", id="both, by name"),
        pytest.param(("localhost",), "127.0.0.1", "", id="both, by address"),
        pytest.param(("localhost",), "::1,127.0.0.0/8", "", id="both, by range"),
    ],
)
def test_a_private_host_needs_the_policy_and_the_operator(
    stub: Host, of_policy: tuple[str, ...], of_operator: str, problem: str
) -> None:
    egress = read_egress({"ROLLOUTCTL_PRIVATE_HOSTS": of_operator})
    assert not egress.problem
    if problem:
        assert why(stub.url(), private=frozenset(of_policy), egress=egress) == problem
        assert not stub.requests
    else:
        assert post(stub.url(), b"", {}, within_s=5, private=of_policy, egress=egress).status == 200


def test_every_address_of_a_name_has_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    egress = read_egress({"ROLLOUTCTL_PRIVATE_HOSTS": "10.0.0.0/8"})
    resolves_to(monkeypatch, "8.8.8.8", "10.0.0.1", "::ffff:10.0.0.2", "169.254.169.254")
    host = frozenset({"hooks.example"})
    problem = why("https://hooks.example/", private=host, egress=egress)
    assert "hooks.example has the address 169.254.169.254, which is not public" in problem


@pytest.mark.parametrize("address", [one for row in RANGES for one in row.not_public])
def test_an_address_that_is_not_public_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves_to(monkeypatch, "93.184.215.14", address)
    assert f"hooks.example has the address {address}" in why("https://hooks.example/")


def test_a_wrong_setting_sends_nothing(stub: Host) -> None:
    egress = read_egress({"ROLLOUTCTL_PRIVATE_HOSTS": "localhost", "ROLLOUTCTL_EGRESS_PROXY": "x"})
    assert why(stub.url(), egress=egress).startswith("ROLLOUTCTL_EGRESS_PROXY is no URL of a proxy")
    assert not stub.requests


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(
    stub: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner of a name may change its address a moment later (DNS rebinding)."""
    lookups = resolves_to(monkeypatch, "127.0.0.1")
    assert post(stub.url(), b"", {}, within_s=5, private=LOCAL, egress=ALLOWED).status == 200
    assert lookups == ["localhost", "127.0.0.1"]  # the second one is no look-up: it is a number


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    lookups: list[str] = []
    real = socket.getaddrinfo

    def resolve(name: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        lookups.append(name)
        if name[0].isdigit():
            return real(name, port, *rest, **more)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return lookups


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (
            "http://hooks.example/",
            "only a URL that begins with https:// and names a host is called",
        ),
        ("hooks.example/secret", "only a URL that begins with https:// and names a host is called"),
        ("https:///secret", "only a URL that begins with https:// and names a host is called"),
        ("https://[::1/secret", "what should be a URL is none"),
        ("https://hooks.example:port/secret", "what should be a URL is none"),
        (
            "https://secret:secret@hooks.example/",
            "the URL of hooks.example has a user, a fragment or a strange character in it",
        ),
        (
            "https://hooks.example/secret\x01",
            "the URL of hooks.example has a user, a fragment or a strange character in it",
        ),
    ],
)
def test_another_url_is_not_requested_and_not_quoted(url: str, problem: str) -> None:
    assert why(url) == problem


def test_an_unknown_name_is_an_error() -> None:
    assert why("https://nowhere.invalid/").startswith("nowhere.invalid could not be resolved: ")


def test_a_closed_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert why(f"https://localhost:{port}/") == (
        "localhost could not be reached: Connection refused"
    )
