"""The egress settings for hooks and webhooks, on the command line."""

from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.support.connect_proxy import connect_proxy
from tests.support.https_stub import certificate, host, responds

PRIVATE, PROXY = "ROLLOUTCTL_PRIVATE_HOSTS", "ROLLOUTCTL_EGRESS_PROXY"


@pytest.mark.parametrize(
    ("variable", "value"), [(PRIVATE, "10.0.0.5/8"), (PROXY, "http://me:hunter2@proxy")]
)
@pytest.mark.parametrize("verb", ["start", "run", "doctor"])
def test_a_wrong_setting_is_refused_before_anything_is_touched(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch, verb: str, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    ended = desk.run(verb, desk.policy)
    assert ended.status == Exit.USAGE
    assert variable in ended.err
    assert "hunter2" not in ended.err
    assert not desk.world.calls


@pytest.mark.parametrize("variable", [PRIVATE, PROXY])
def test_a_wrong_setting_stops_no_tick_and_no_rollback(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    desk.run("start", desk.policy)
    monkeypatch.setenv(variable, "://")
    ended = desk.run("tick")
    assert ended.status == Exit.DONE
    (problem,) = [
        event["problem"] for event in ended.events if event["event"] == "hooks_unreachable"
    ]
    assert problem.startswith(variable)
    assert desk.run("rollback", "orders", "--reason", "enough").status == Exit.DONE
    assert desk.weight == 0


def gated(desk: CliHarness, url: str) -> str:
    """Write a policy with a hook at `url` before its start, and return the file."""
    hook = {"kind": "https", "url": url, "secret": {"environment": "HOOK_KEY"}}
    hooks = {"before_start": [hook], "private_hosts": ["localhost"]}
    return desk.another_policy("gated", hooks=hooks)


def test_a_private_host_of_a_policy_is_asked_where_the_operator_allows_it(
    desk: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    https_certificate = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(https_certificate))
    monkeypatch.setenv("HOOK_KEY", "hunter2")
    with host(https_certificate, responds(204, b"")) as stub:
        policy = gated(desk, stub.url())
        refused = desk.run("start", policy)
        assert (refused.status, stub.requests, desk.weight) == (Exit.USAGE, [], 0)
        assert f"{PRIVATE} has to allow it as well" in refused.err
        monkeypatch.setenv(PRIVATE, "localhost")
        assert desk.run("start", policy).status == Exit.DONE
        assert len(stub.requests) == 1


def test_a_hook_is_asked_through_the_proxy_that_is_set(
    desk: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    https_certificate = certificate(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(https_certificate))
    monkeypatch.setenv("HOOK_KEY", "hunter2")
    with host(https_certificate, responds(204, b"")) as stub, connect_proxy() as proxy:
        monkeypatch.setenv(PROXY, proxy.url("me:hunter3@"))
        started = desk.run("start", gated(desk, stub.url(name="hooks.example")))
        assert started.status == Exit.DONE
        assert len(stub.requests) == len(proxy.requests) == 1
        assert "hunter" not in started.out + started.err
