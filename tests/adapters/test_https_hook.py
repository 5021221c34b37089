"""Hooks behind HTTPS: what arrives, who signed it, what an answer means, how often one tries."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.https import MOST_ANSWER
from controller.adapters.https_hook import PAUSE, TRIES, HttpsHooks, clean, signature
from controller.core.hook_call import HookCall
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import HttpsHook, Kept
from controller.errors import DeliveryError
from controller.simulation.clock import VirtualClock
from tests.https_stub import Answering, Host, answers, breaks_off, certificate, drips, host, in_turn
from tests.rollouts import NOON

KEY = "hunter2"
CALL = HookCall("before_advance", "checkout#1:1:before_advance[0]:now", '{"weight": 50}')
TEXT = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
LOCAL = ("localhost",)
UNREAD = "it answered in JSON that could not be read to its end"


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    signed = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(signed))
    with host(signed) as running:
        yield running


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


def hook(stub: Host, path: str = "/gate") -> HttpsHook:
    secret = {"environment": "KEY"}
    return HttpsHook.model_validate({"kind": "https", "url": stub.url(path), "secret": secret})


def hooks(clock: VirtualClock) -> HttpsHooks:
    return HttpsHooks(lambda _place: KEY, clock)


def ask(stub: Host, clock: VirtualClock, within_s: float = 10, **how: Any) -> HookAnswer:
    within = timedelta(seconds=within_s)
    return hooks(clock).ask(hook(stub), CALL, within=within, **{"private": LOCAL, **how})


def test_a_call_arrives_with_its_delivery_and_a_signature_over_time_and_body(
    stub: Host, clock: VirtualClock
) -> None:
    assert ask(stub, clock) == HookAnswer(Consent.GIVEN)
    (got,) = stub.got
    assert (got.path, got.body) == ("/gate", CALL.body.encode())
    assert got.headers["X-Rolloutctl-Delivery"] == CALL.delivery
    stamp = got.headers["X-Rolloutctl-Timestamp"]
    assert stamp == str(int(NOON.timestamp()))
    digest = hmac.new(KEY.encode(), f"{stamp}.{CALL.body}".encode(), hashlib.sha256).hexdigest()
    assert got.headers["X-Rolloutctl-Signature"] == f"v1={digest}"


def test_the_recipe_of_the_document_verifies_what_is_sent_and_nothing_else() -> None:
    (recipe,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(recipe, names)  # noqa: S102 - it is our own document
    body, stamp = b'{"weight": 50}', "1795521600"
    sent = {
        "X-Rolloutctl-Timestamp": stamp,
        "X-Rolloutctl-Signature": signature(KEY, stamp, body),
    }
    verified = names["verified"]
    assert verified(KEY, sent, body, now=1795521600 + 60)
    assert not verified("another", sent, body, now=1795521600)
    assert not verified(KEY, sent, body + b" ", now=1795521600)
    assert not verified(KEY, {**sent, "X-Rolloutctl-Timestamp": "1795521601"}, body, now=1795521600)
    assert not verified(KEY, sent, body, now=1795521600 + 3600)  # somebody replays it


@pytest.mark.parametrize(
    ("answer", "consent", "said"),
    [
        pytest.param(answers(204, b""), Consent.GIVEN, "", id="nothing more"),
        pytest.param(answers(200, b"fine"), Consent.GIVEN, "", id="no JSON"),
        pytest.param(answers(200, b'{"allow": true}'), Consent.GIVEN, "", id="yes"),
        pytest.param(answers(200, b"[1]"), Consent.GIVEN, "", id="JSON of another kind"),
        pytest.param(
            answers(200, b'{"allow": false, "reason": "a release\\n is under way"}'),
            Consent.REFUSED,
            "a release is under way",
            id="no, and why",
        ),
        pytest.param(
            answers(200, b'{"allow": false}'), Consent.REFUSED, "it gave no reason", id="no"
        ),
        pytest.param(
            answers(200, b'{"log": "%s", "allow": false}' % (b"x" * MOST_ANSWER)),
            Consent.FAILED,
            UNREAD,
            id="more than is read, and the rest may say no",
        ),
        pytest.param(
            answers(200, b'{"allow": false, "reason": "gr\xfcn"}'),
            Consent.FAILED,
            UNREAD,
            id="no, in another encoding",
        ),
        pytest.param(
            answers(200, b'\n{"a": ' * 100_000), Consent.FAILED, UNREAD, id="nested without end"
        ),
        pytest.param(
            breaks_off(b'{"allow": false}'),
            Consent.FAILED,
            "localhost broke off in the middle of its answer",
            id="broken off",
        ),
        pytest.param(answers(403, b""), Consent.REFUSED, "the answer was 403", id="forbidden"),
        pytest.param(answers(409, b""), Consent.REFUSED, "the answer was 409", id="a conflict"),
        pytest.param(answers(404, b""), Consent.FAILED, "the answer was 404", id="a wrong path"),
        pytest.param(answers(503, b""), Consent.FAILED, "the answer was 503", id="an outage"),
        pytest.param(
            answers(307, b"", Location="https://localhost/"),
            Consent.FAILED,
            "the answer was 307; redirects are not followed",
            id="a redirect",
        ),
    ],
)
def test_an_answer_is_consent_a_refusal_or_none(
    stub: Host, clock: VirtualClock, answer: Answering, consent: Consent, said: str
) -> None:
    stub.answer = answer
    assert ask(stub, clock) == HookAnswer(consent, said)


def test_what_may_pass_is_tried_again_with_the_same_delivery(
    stub: Host, clock: VirtualClock
) -> None:
    stub.answer = in_turn(answers(503), answers(429), answers(200))
    assert ask(stub, clock) == HookAnswer(Consent.GIVEN)
    assert [one.headers["X-Rolloutctl-Delivery"] for one in stub.got] == [CALL.delivery] * TRIES
    assert clock.now() - NOON == (TRIES - 1) * PAUSE


def test_tries_have_an_end(stub: Host, clock: VirtualClock) -> None:
    stub.answer = answers(500)
    assert ask(stub, clock).consent is Consent.FAILED
    assert len(stub.got) == TRIES


def test_a_refusal_is_not_tried_again(stub: Host, clock: VirtualClock) -> None:
    stub.answer = answers(403)
    ask(stub, clock)
    assert len(stub.got) == 1


def test_a_slow_answer_is_none_when_the_time_is_over(stub: Host, clock: VirtualClock) -> None:
    stub.answer = drips(0.02)
    answer = ask(stub, clock, within_s=0.3)
    assert answer.consent is Consent.FAILED
    assert answer.said == "localhost gave no whole answer within 0.3 seconds"
    assert len(stub.got) == 1


def test_a_big_answer_is_read_in_part_and_its_consent_stands(
    stub: Host, clock: VirtualClock
) -> None:
    stub.answer = answers(200, b" " * 1_000_000)
    assert ask(stub, clock).consent is Consent.GIVEN


def test_an_address_that_is_not_public_is_refused_unless_its_host_is_allowed(
    stub: Host, clock: VirtualClock
) -> None:
    answer = ask(stub, clock, private=())
    assert answer.consent is Consent.FAILED
    assert "127.0.0.1, which is not public" in answer.said
    assert not stub.got


def test_without_its_key_a_call_is_not_made(stub: Host, clock: VirtualClock) -> None:
    def no_key(_place: Kept) -> str:
        raise DeliveryError("the environment variable KEY is not set, or empty")

    answer = HttpsHooks(no_key, clock).ask(
        hook(stub), CALL, within=timedelta(seconds=5), private=LOCAL
    )
    assert answer == HookAnswer(Consent.FAILED, "the environment variable KEY is not set, or empty")
    assert not stub.got


def test_reading_the_key_takes_of_the_time_of_the_call(stub: Host, clock: VirtualClock) -> None:
    def slow(_place: Kept) -> str:
        clock.sleep(timedelta(seconds=10))
        return KEY

    answer = HttpsHooks(slow, clock).ask(
        hook(stub), CALL, within=timedelta(seconds=10), private=LOCAL
    )
    assert answer == HookAnswer(Consent.FAILED, "no time was left")
    assert not stub.got


def test_who_is_told_afterwards_and_takes_it_not_is_said(stub: Host, clock: VirtualClock) -> None:
    seconds = timedelta(seconds=5)
    hooks(clock).tell(hook(stub), CALL, within=seconds, private=LOCAL)
    stub.answer = answers(404)
    with pytest.raises(DeliveryError, match="https localhost did not take it: the answer was 404"):
        hooks(clock).tell(hook(stub), CALL, within=seconds, private=LOCAL)
    with pytest.raises(DeliveryError, match="was not reached: localhost has the address"):
        hooks(clock).tell(hook(stub), CALL, within=seconds, private=())


def test_what_a_hook_says_is_one_short_line_that_no_terminal_obeys() -> None:
    assert clean("a\x1b[2J\n\tb\u202e  c") == "a\\u001b[2J b\\u202e c"
    assert len(clean("x" * 5_000)) == 400
