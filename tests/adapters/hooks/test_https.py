"""HTTPS hooks: the request, its signature, the meaning of answers, and retries."""

import hashlib
import hmac
import runpy
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.adapters.hooks import PAUSE, TRIES, HttpsHooks, printable_line, signature
from controller.core.policy import HttpsHook, SecretReference
from controller.errors import DeliveryError
from controller.ports.account import Egress
from controller.ports.notify import HookCall
from controller.process.settings import read_egress
from controller.tools.simulation.clock import VirtualClock
from tests.docs.tables.hook_answers import BODIES, PAGE, SENT, Body, Sent
from tests.support.core import Consent, HookAnswer
from tests.support.https_stub import Host, breaks_off, drips, in_turn, responds
from tests.support.rollouts import NOON

KEY = "hunter2"
CALL = HookCall("before_advance", "checkout#1:1:before_advance[0]:now", '{"weight": 50}')
RECEIVER = Path(__file__).parents[3] / "docs" / "hooks" / "receiver.py"
LOCAL = ("localhost",)
EGRESS = Egress(private_names=frozenset(LOCAL))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


def hook(stub: Host, path: str = "/gate") -> HttpsHook:
    secret = {"environment": "KEY"}
    return HttpsHook.model_validate({"kind": "https", "url": stub.url(path), "secret": secret})


def hooks(clock: VirtualClock) -> HttpsHooks:
    return HttpsHooks(lambda _place: KEY, clock, EGRESS)


def ask(stub: Host, clock: VirtualClock, within_s: float = 10, **how: Any) -> HookAnswer:
    within = timedelta(seconds=within_s)
    return hooks(clock).ask(hook(stub), CALL, within=within, **{"private": LOCAL, **how})


def test_a_call_arrives_with_its_delivery_and_a_signature_over_time_and_body(
    stub: Host, clock: VirtualClock
) -> None:
    stub.answer = responds(204, b"")
    assert ask(stub, clock) == HookAnswer(Consent.GIVEN)
    (got,) = stub.requests
    assert (got.path, got.body) == ("/gate", CALL.body.encode())
    assert got.headers["X-Rolloutctl-Delivery"] == CALL.delivery
    stamp = got.headers["X-Rolloutctl-Timestamp"]
    assert stamp == str(int(NOON.timestamp()))
    digest = hmac.new(KEY.encode(), f"{stamp}.{CALL.body}".encode(), hashlib.sha256).hexdigest()
    assert got.headers["X-Rolloutctl-Signature"] == f"v1={digest}"


def recipe() -> Any:
    """Return the names that the receiver of the page about hooks defines."""
    return SimpleNamespace(**runpy.run_path(str(RECEIVER)))


def headers(**changed: str | None) -> dict[str, str]:
    """Return the headers of a call as a web framework does; None leaves one out."""
    stamp = "1795521600"
    sent = {"Timestamp": stamp, "Signature": signature(KEY, stamp, b'{"weight": 50}'), **changed}
    return {f"X-Rolloutctl-{name}": value for name, value in sent.items() if value is not None}


def test_the_recipe_of_the_document_verifies_what_is_sent_and_nothing_else() -> None:
    body, stamp = b'{"weight": 50}', 1795521600
    verified = recipe().verified
    assert verified(KEY, headers(), body, now=stamp + 60)
    assert not verified("another", headers(), body, now=stamp)
    assert not verified(KEY, headers(), body + b" ", now=stamp)
    assert not verified(KEY, headers(Timestamp="1795521601"), body, now=stamp)
    assert not verified(KEY, headers(), body, now=stamp + 3600)  # a replay


@pytest.mark.parametrize(
    "changed",
    [
        {"Signature": None},
        {"Timestamp": None},
        {"Signature": None, "Timestamp": None},
        {"Signature": ""},
        {"Signature": "v1="},
        {"Signature": "junk"},
        {"Signature": "v1=" + "0" * 64},
        {"Signature": "v1=" + "0" * 100_000},
        {"Signature": "v1=gr\xfcn"},
        {"Signature": "v1=\u0661"},
        {"Signature": "\udcff\ud800"},
        {"Timestamp": ""},
        {"Timestamp": "now"},
        {"Timestamp": "-1795521600"},
        {"Timestamp": "1795521600.0"},
        {"Timestamp": " 1795521600"},
        {"Timestamp": "1795521600\n"},
        {"Timestamp": "1_795_521_600"},
        {"Timestamp": "\u0661\u0667"},
        {"Timestamp": "\udcff"},
        {"Timestamp": "9" * 10_000},
    ],
    ids=ascii,
)
def test_the_receiver_of_the_document_refuses_junk_without_an_error(
    changed: dict[str, str | None],
) -> None:
    answer = recipe().receive(KEY, headers(**changed), b'{"weight": 50}', 1795521600, pytest.fail)
    assert answer == (401, b"")


def test_the_receiver_of_the_document_compares_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    verified = recipe().verified
    assert verified(KEY, headers(), b'{"weight": 50}', now=1795521600)
    assert not verified(KEY, headers(Signature="v1=0"), b'{"weight": 50}', now=1795521600)
    assert compared == [len("v1=") + 64] * 2


@pytest.mark.parametrize(
    ("against", "expected"),
    [
        (None, HookAnswer(Consent.GIVEN)),
        ("a release is under way", HookAnswer(Consent.REFUSED, "a release is under way")),
    ],
)
def test_the_receiver_of_the_document_and_what_it_answers_fit_what_asks(
    stub: Host, clock: VirtualClock, against: str | None, expected: HookAnswer
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        now, body = NOON.timestamp(), stub.requests[-1].body
        responds(*recipe().receive(KEY, handler.headers, body, now, lambda _call: against))(handler)

    stub.answer = answer
    assert ask(stub, clock) == expected


@pytest.mark.parametrize("row", BODIES, ids=lambda row: row.shown)
def test_a_body_is_consent_a_refusal_or_no_answer(
    stub: Host, clock: VirtualClock, row: Body
) -> None:
    stub.answer = responds(200, row.body)
    assert ask(stub, clock) == HookAnswer(row.consent, row.said)
    assert len(stub.requests) == 1


@pytest.mark.parametrize("row", SENT, ids=lambda row: row.shown)
def test_what_a_host_sends_is_consent_a_refusal_or_no_answer(
    stub: Host, clock: VirtualClock, row: Sent
) -> None:
    stub.answer = row.answer
    assert ask(stub, clock) == HookAnswer(row.consent, row.said)
    assert len(stub.requests) == row.tries


def test_an_answer_without_consent_is_not_tried_again_until_one_comes(
    stub: Host, clock: VirtualClock
) -> None:
    stub.answer = in_turn(responds(200, PAGE), responds(204, b""))
    assert ask(stub, clock).consent is Consent.FAILED
    assert len(stub.requests) == 1


def test_a_notified_hook_has_accepted_the_call_whatever_its_body_is(
    stub: Host, clock: VirtualClock
) -> None:
    """After a repeated call the host would act twice."""
    for answer in (responds(200, PAGE), breaks_off(b"accepted")):
        stub.answer = answer
        hooks(clock).tell(hook(stub), CALL, within=timedelta(seconds=5), private=LOCAL)
    assert len(stub.requests) == 2


def test_a_transient_failure_is_retried_with_the_same_delivery(
    stub: Host, clock: VirtualClock
) -> None:
    stub.answer = in_turn(responds(503), responds(429), responds(204, b""))
    assert ask(stub, clock) == HookAnswer(Consent.GIVEN)
    assert [request.headers["X-Rolloutctl-Delivery"] for request in stub.requests] == [
        CALL.delivery
    ] * TRIES
    assert clock.now() - NOON == (TRIES - 1) * PAUSE


def test_a_refusal_is_not_tried_again(stub: Host, clock: VirtualClock) -> None:
    stub.answer = responds(403)
    ask(stub, clock)
    assert len(stub.requests) == 1


def test_a_slow_answer_is_none_when_the_time_is_over(stub: Host, clock: VirtualClock) -> None:
    stub.answer = drips(0.02)
    answer = ask(stub, clock, within_s=0.3)
    assert answer.consent is Consent.FAILED
    assert answer.message == "localhost gave no whole answer within 0.3 seconds"
    assert len(stub.requests) == 1


def test_an_address_that_is_not_public_is_refused_unless_its_host_is_allowed(
    stub: Host, clock: VirtualClock
) -> None:
    answer = ask(stub, clock, private=())
    assert answer.consent is Consent.FAILED
    assert "127.0.0.1, which is not public" in answer.message
    assert not stub.requests
    assert clock.now() == NOON  # it is not tried again


def test_a_wrong_setting_is_reported_and_is_no_consent(stub: Host, clock: VirtualClock) -> None:
    egress = read_egress({"ROLLOUTCTL_EGRESS_PROXY": "proxy.example"})
    answer = HttpsHooks(lambda _place: KEY, clock, egress).ask(
        hook(stub), CALL, within=timedelta(seconds=5), private=LOCAL
    )
    assert (answer.consent, answer.message) == (Consent.FAILED, egress.problem)
    assert "ROLLOUTCTL_EGRESS_PROXY" in answer.message


def test_without_its_key_a_call_is_not_made(stub: Host, clock: VirtualClock) -> None:
    def no_key(_place: SecretReference) -> str:
        raise DeliveryError("the environment variable KEY is not set, or empty")

    answer = HttpsHooks(no_key, clock, EGRESS).ask(
        hook(stub), CALL, within=timedelta(seconds=5), private=LOCAL
    )
    assert answer == HookAnswer(Consent.FAILED, "the environment variable KEY is not set, or empty")
    assert not stub.requests


def test_reading_the_key_takes_of_the_time_of_the_call(stub: Host, clock: VirtualClock) -> None:
    def slow(_place: SecretReference) -> str:
        clock.sleep(timedelta(seconds=10))
        return KEY

    answer = HttpsHooks(slow, clock, EGRESS).ask(
        hook(stub), CALL, within=timedelta(seconds=10), private=LOCAL
    )
    assert answer == HookAnswer(Consent.FAILED, "no time was left")
    assert not stub.requests


def test_a_notified_hook_that_does_not_accept_is_an_error(stub: Host, clock: VirtualClock) -> None:
    seconds = timedelta(seconds=5)
    hooks(clock).tell(hook(stub), CALL, within=seconds, private=LOCAL)
    stub.answer = responds(404)
    with pytest.raises(DeliveryError, match="https localhost did not take it: the answer was 404"):
        hooks(clock).tell(hook(stub), CALL, within=seconds, private=LOCAL)
    with pytest.raises(DeliveryError, match="was not reached: localhost has the address"):
        hooks(clock).tell(hook(stub), CALL, within=seconds, private=())


def test_the_reason_of_a_hook_is_one_short_printable_line() -> None:
    assert printable_line("a\x1b[2J\n\tb\u202e  c") == "a\\u001b[2J b\\u202e c"
    assert len(printable_line("x" * 5_000)) == 400
