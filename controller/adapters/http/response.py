"""One answer over HTTP, read so that its end is told from a broken connection. IAM: none.

http.client takes a connection that ends among the header lines, or after a part of a body whose
length was not announced, for the end of the answer. An empty body must not come about that way.
"""

from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BufferedReader
from typing import Any, Final

# So much of an answer is read; the rest is left where it is.
MOST_ANSWER: Final = 16_384

_LINE_ENDS: Final = (b"\r\n", b"\n")

BROKE_OFF: Final = "broke off in the middle of its answer"
NO_END: Final = "closed the connection without saying that its answer ends there"
TOO_LONG: Final = f"gave an answer longer than {MOST_ANSWER // 1024} KiB"
AMBIGUOUS_LENGTH: Final = "announced the length of its answer in a way that cannot be relied on"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host answered: its status, and the beginning of the body.

    flaw: why `body` may not be what was sent, to follow the name of the host; empty: it is whole.
    """

    status: int
    body: bytes
    flaw: str = ""


class _Lines(BufferedReader):
    """Knows the last line that was read: the empty one ends the headers, and chunks."""

    last = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last


class LineTrackingResponse(HTTPResponse):
    """A response of http.client that keeps the last line of its headers, or of its chunks."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # Kept beside `fp`, which http.client drops at the end.
        self.lines = _Lines(self.fp.detach())
        self.fp = self.lines


def read_answer(response: HTTPResponse) -> Answer:
    """Return the answer of a WholeResponse, with its flaw if it has one. Raises TimeoutError."""
    try:
        body = response.read(MOST_ANSWER + 1)
    except TimeoutError:
        raise
    except (OSError, HTTPException, ValueError):
        # TLS without its goodbye, a reset, or a chunk that is none
        open_ended = response.length is None and not response.chunked
        return Answer(response.status, b"", NO_END if open_ended else BROKE_OFF)
    return Answer(response.status, body[:MOST_ANSWER], _flaw(response, body))


def _flaw(response: HTTPResponse, body: bytes) -> str:
    if _is_length_ambiguous(response):
        return AMBIGUOUS_LENGTH
    if len(body) > MOST_ANSWER:
        return TOO_LONG
    ended = isinstance(response, LineTrackingResponse) and response.lines.last in _LINE_ENDS
    return BROKE_OFF if response.length or not ended else ""


def _is_length_ambiguous(response: HTTPResponse) -> bool:
    """Tell whether the headers announce the length in no way, in two, or against the status."""
    lengths = {one.strip() for one in response.headers.get_all("Content-Length", [])}
    codings = [one.strip().lower() for one in response.headers.get_all("Transfer-Encoding", [])]
    if response.status == 204:  # http.client reads no body then, whatever was sent
        return bool(codings or lengths - {"0"})
    if codings:
        return codings != ["chunked"] or bool(lengths)
    return len(lengths) > 1 or any(not (one.isascii() and one.isdigit()) for one in lengths)
