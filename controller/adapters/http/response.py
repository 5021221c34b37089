"""One HTTP answer, read so that a complete one differs from a broken connection. IAM: none.

http.client treats a connection that ends among the header lines, or after a part of a body of
unknown length, as the end of the answer. A broken connection must not look like an empty body,
which is consent.
"""

from http.client import HTTPException, HTTPResponse
from io import BufferedReader
from typing import Any, Final

from controller.immutable import Immutable

# Bytes of a body that are read where a caller takes no more; the rest is ignored.
MAX_RESPONSE_BYTES: Final = 16_384

_LINE_ENDS: Final = (b"\r\n", b"\n")

BROKE_OFF: Final = "broke off in the middle of its answer"
NO_END: Final = "closed the connection without saying that its answer ends there"
TOO_LONG: Final = "gave an answer longer than {} KiB"
AMBIGUOUS_LENGTH: Final = "announced the length of its answer in a way that cannot be relied on"


class HttpAnswer(Immutable):
    """The answer of a host: its status, and the first bytes of the body.

    flaw: why `body` may be incomplete, to follow the name of the host; empty when it is complete.
    retry_after_s: how many seconds the host asks to wait before another request; 0: it asks none.
    """

    status: int
    body: bytes
    flaw: str = ""
    retry_after_s: int = 0


class _Lines(BufferedReader):
    """A reader that remembers its last line: an empty line ends headers and chunks."""

    last = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last


class LineTrackingResponse(HTTPResponse):
    """An HTTPResponse that remembers the last line of its headers or chunks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A second reference, because http.client drops `fp` at the end.
        self.lines = _Lines(self.fp.detach())
        self.fp = self.lines


def read_answer(response: HTTPResponse, most_bytes: int = MAX_RESPONSE_BYTES) -> HttpAnswer:
    """Return the answer of a LineTrackingResponse, with its flaw if any. Raises TimeoutError."""
    try:
        body = response.read(most_bytes + 1)
    except TimeoutError:
        raise
    except (OSError, HTTPException, ValueError):
        # TLS without close_notify, a reset, or an invalid chunk
        open_ended = response.length is None and not response.chunked
        return HttpAnswer(response.status, b"", NO_END if open_ended else BROKE_OFF)
    flaw = _flaw(response, body, most_bytes)
    return HttpAnswer(response.status, body[:most_bytes], flaw, _retry_after_s(response))


def _retry_after_s(response: HTTPResponse) -> int:
    digits = response.headers.get("Retry-After", "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 6 else 0


def _flaw(response: HTTPResponse, body: bytes, most_bytes: int) -> str:
    if _is_length_ambiguous(response):
        return AMBIGUOUS_LENGTH
    if len(body) > most_bytes:
        return TOO_LONG.format(most_bytes // 1024)
    ended = isinstance(response, LineTrackingResponse) and response.lines.last in _LINE_ENDS
    return BROKE_OFF if response.length or not ended else ""


def _is_length_ambiguous(response: HTTPResponse) -> bool:
    """Tell whether the headers announce an invalid length, several, or one against the status.

    Python's parser drops a line that is no header, like `Content-Length : 15`, with all that follow
    it: it notes a defect, or keeps them as a payload. One of them may announce a length.
    """
    if response.headers.defects or response.headers.get_payload():
        return True
    lengths = {one.strip() for one in response.headers.get_all("Content-Length", [])}
    codings = [one.strip().lower() for one in response.headers.get_all("Transfer-Encoding", [])]
    if response.status == 204:  # http.client never reads a body for it
        return bool(codings or lengths - {"0"})
    if codings:
        return codings != ["chunked"] or bool(lengths)
    return len(lengths) > 1 or any(
        not (length.isascii() and length.isdigit()) for length in lengths
    )
