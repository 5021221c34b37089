"""The tables of hook answers: for the page of hooks, and for the tests of both adapters."""

from collections.abc import Iterator, Sequence

from controller.adapters.http.response import MAX_RESPONSE_BYTES
from controller.immutable import Immutable
from tests.support.core import Consent
from tests.support.https_stub import Responder, breaks_off, responds, sends

GIVEN, REFUSED, FAILED = Consent.GIVEN, Consent.REFUSED, Consent.FAILED
_WORDS = {GIVEN: "consent", REFUSED: "a refusal", FAILED: "no answer"}

ENVELOPE = b'{"statusCode": 200, "body": "{\\"allow\\": true}"}'
PAGE = b"<!doctype html><title>Welcome</title>"


class Body(Immutable):
    """A complete body, sent by a host with status 200, or returned by a function.

    said: the detail that is stored. of_function: consent and detail from a function, where they
    differ.
    """

    shown: str
    body: bytes
    consent: Consent
    said: str = ""
    of_function: tuple[Consent, str] | None = None


class Sent(Immutable):
    """Another response of a host than a complete body with status 200. tries: number of calls."""

    shown: str
    answer: Responder
    consent: Consent
    said: str = ""
    tries: int = 1


def _failed(shown: str, body: bytes, said: str) -> Body:
    return Body(shown, body, FAILED, said)


_NO_OBJECT = "its answer is {}, and no JSON object"
_NEITHER = '"allow" is neither true nor false in its answer'
_NO_JSON = "its answer is no JSON, or not all of it"

BODIES: Sequence[Body] = (
    Body("an empty body", b"", GIVEN, of_function=(FAILED, "it answered with nothing")),
    Body('`{"allow": true}`', b'{"allow": true}', GIVEN),
    Body(
        "the same with other fields and spaces around it",
        b' {"reason": "quiet day", "allow": true, "seen": [1, {"a": null}]}\r\n ',
        GIVEN,
    ),
    Body(
        '`{"allow": false, "reason": "a release is under way"}`',
        b'{"allow": false, "reason": "a release\\n is under way"}',
        REFUSED,
        "a release is under way",
    ),
    Body('`{"allow": false}`', b'{"allow": false}', REFUSED, "it gave no reason"),
    Body(
        'a refusal whose reason is no text, as in `{"allow": false, "reason": 7}`',
        b'{"allow": false, "reason": 7}',
        REFUSED,
        "it gave no reason",
    ),
    _failed("`null`", b"null", _NO_OBJECT.format("null")),
    _failed("`false`", b"false", _NO_OBJECT.format("true or false")),
    _failed("`true`", b"true", _NO_OBJECT.format("true or false")),
    _failed('`"false"`', b'"false"', _NO_OBJECT.format("a text")),
    _failed('`"true"`', b'"true"', _NO_OBJECT.format("a text")),
    _failed("`1`", b"1", _NO_OBJECT.format("a number")),
    _failed('`[{"allow": true}]`', b'[{"allow": true}]', _NO_OBJECT.format("a list")),
    _failed("`{}`", b"{}", 'its answer has no "allow"'),
    _failed('`{"Allow": true}`', b'{"Allow": true}', 'its answer has no "allow"'),
    _failed('`{"allow": null}`', b'{"allow": null}', _NEITHER),
    _failed('`{"allow": "true"}`', b'{"allow": "true"}', _NEITHER),
    _failed('`{"allow": "false"}`', b'{"allow": "false"}', _NEITHER),
    _failed('`{"allow": 1}`', b'{"allow": 1}', _NEITHER),
    _failed(
        "the envelope of API Gateway, with an `allow` inside",
        ENVELOPE,
        'its answer is an API Gateway response; "allow" has to stand at the top',
    ),
    _failed("an HTML page", PAGE, _NO_JSON),
    _failed("`ok`, or any other text", b"ok", _NO_JSON),
    _failed("spaces and line ends alone", b" \r\n", _NO_JSON),
    _failed("JSON that breaks off", b'{"allow": tr', _NO_JSON),
    _failed("two objects after each other", b'{"allow": true}{"allow": false}', _NO_JSON),
    _failed(
        'a key that is there twice, as in `{"allow": false, "allow": true}`',
        b'{"allow": false, "allow": true}',
        'its JSON has "allow" twice',
    ),
    _failed(
        "`NaN`, `Infinity` or `-Infinity` anywhere",
        b'{"allow": true, "load": NaN}',
        "its answer has NaN, which is no JSON",
    ),
    _failed(
        "more than 32 levels",
        b'{"allow": true, "a": ' + b"[" * 32 + b"]" * 32 + b"}",
        "its JSON is nested too deeply",
    ),
    _failed("5,000 levels", b"[" * 5_000 + b"]" * 5_000, "its JSON is nested too deeply"),
    _failed(
        "another encoding than UTF-8",
        b'{"allow": true, "reason": "gr\xfcn"}',
        "its answer is not in UTF-8",
    ),
    _failed("a byte order mark in front", b'\xef\xbb\xbf{"allow": true}', _NO_JSON),
)

_FINE = b'{"allow": true}'
_BROKE_OFF = "localhost broke off in the middle of its answer"
_NO_END = "localhost closed the connection without saying that its answer ends there"
_UNCLEAR = "localhost announced the length of its answer in a way that cannot be relied on"
_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\nf\r\n" + _FINE


def _two_lengths(first: bytes, second: bytes) -> bytes:
    return b"Content-Length: %s\r\nContent-Length: %s\r\n\r\n" % (first, second)


SENT: Sequence[Sent] = (
    Sent("204, which has no body", responds(204, b""), GIVEN),
    Sent("another 2xx with an empty body", responds(299, b""), GIVEN),
    Sent("chunks to their end", sends(_CHUNKED + b"\r\n0\r\n\r\n", goodbye=False), GIVEN),
    Sent(
        "a body without a length, closed by TLS (`close_notify`)",
        sends(_OK + b"\r\n" + _FINE, goodbye=True),
        GIVEN,
    ),
    Sent(
        "a body without a length, where the connection just ends",
        sends(_OK + b"\r\n" + _FINE, goodbye=False),
        FAILED,
        _NO_END,
        3,
    ),
    Sent(
        "nothing without a length, where the connection just ends",
        sends(_OK + b"\r\n", goodbye=False),
        FAILED,
        _NO_END,
        3,
    ),
    Sent("less than `Content-Length`", breaks_off(b'{"allow": false}'), FAILED, _BROKE_OFF, 3),
    Sent(
        "less than `Content-Length`, and JSON all the same",
        breaks_off(_FINE + b" "),
        FAILED,
        _BROKE_OFF,
        3,
    ),
    Sent("chunks without an end", sends(_CHUNKED + b"\r\n", goodbye=True), FAILED, _BROKE_OFF, 3),
    Sent("a chunk that is cut", sends(_CHUNKED[:-1], goodbye=True), FAILED, _BROKE_OFF, 3),
    Sent(
        "a last chunk without the empty line",
        sends(_CHUNKED + b"\r\n0\r\n", goodbye=True),
        FAILED,
        _BROKE_OFF,
        3,
    ),
    Sent(
        "header lines that break off",
        sends(_OK + b"Content-Type: applicat", goodbye=True),
        FAILED,
        _BROKE_OFF,
        3,
    ),
    Sent("a status line alone", sends(_OK, goodbye=True), FAILED, _BROKE_OFF, 3),
    Sent(
        "two lengths that differ",
        sends(_OK + _two_lengths(b"0", b"16") + b'{"allow": false}', goodbye=True),
        FAILED,
        _UNCLEAR,
        3,
    ),
    Sent(
        "a length that is no number",
        sends(_OK + b"Content-Length: some\r\n\r\n" + _FINE, goodbye=True),
        FAILED,
        _UNCLEAR,
        3,
    ),
    Sent(
        "a line among the headers that is no header, as in `Content-Length : 15`",
        sends(_OK + b"Content-Length : 15\r\n\r\n", goodbye=True),
        FAILED,
        _UNCLEAR,
        3,
    ),
    Sent(
        "a line among the headers that has only a carriage return",
        sends(_OK + b"A: b\r\n\r\r\nContent-Length: 15\r\n\r\n", goodbye=True),
        FAILED,
        _UNCLEAR,
        3,
    ),
    Sent(
        "204 with a length",
        sends(b'HTTP/1.1 204 \r\nContent-Length: 16\r\n\r\n{"allow": false}', goodbye=True),
        FAILED,
        _UNCLEAR,
        3,
    ),
    Sent(
        "another transfer coding than chunks",
        sends(_OK + b"Transfer-Encoding: gzip\r\n\r\n", goodbye=True),
        FAILED,
        _UNCLEAR,
        3,
    ),
    Sent(
        "more than 16 KiB",
        responds(200, _FINE + b" " * MAX_RESPONSE_BYTES),
        FAILED,
        "localhost gave an answer longer than 16 KiB",
        3,
    ),
    *(
        Sent(f"{status}", responds(status, _FINE), REFUSED, f"the answer was {status}")
        for status in (401, 403, 409, 412, 423)
    ),
    *(
        Sent(
            f"a redirect: {status}",
            responds(status, _FINE, Location="/elsewhere"),
            FAILED,
            f"the answer was {status}; redirects are not followed",
        )
        for status in (301, 307)
    ),
    Sent("another status: 404", responds(404, _FINE), FAILED, "the answer was 404"),
    Sent("103, without more", responds(103, b""), FAILED, "the answer was 103"),
    Sent("429", responds(429, _FINE), FAILED, "the answer was 429", 3),
    Sent("5xx: 503", responds(503, _FINE), FAILED, "the answer was 503", 3),
)


def bodies() -> list[list[str]]:
    """Return the table of complete bodies."""
    head = ["body, or what the function returned", "from a host (200)", "from a function"]
    return [head, *([body.shown, *_verdicts(body)] for body in BODIES)]


def _verdicts(row: Body) -> Iterator[str]:
    yield _WORDS[row.consent]
    yield _WORDS[row.of_function[0] if row.of_function else row.consent]


def sent() -> list[list[str]]:
    """Return the table of other responses."""
    head = ["what the host sends", "is", "tries"]
    return [head, *([one.shown, _WORDS[one.consent], str(one.tries)] for one in SENT)]
