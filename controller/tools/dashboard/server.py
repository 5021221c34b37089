"""HTTP for the dashboard: on this machine alone, each request within limits of size and time.

Every program on this machine and every page in the browser can send it requests. So a request needs
the cookie, which the code in the printed address was exchanged for, and an act also needs what only
a page of this dashboard has.
"""

import hmac
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_urlsafe
from socketserver import TCPServer
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from controller.errors import StoreError, UsageError
from controller.process import signals
from controller.tools.dashboard.site import Answer, Site, message

Headers: TypeAlias = Callable[[str], Sequence[str]]
"""Returns all values of a header, by its name in any case."""

_SECRET_BYTES: Final = 32
_FORM: Final = "application/x-www-form-urlencoded"
_FORWARDED: Final = re.compile(r"forwarded|x-forwarded-.*", re.IGNORECASE)
# Enough for a reason of 500 characters, each of which may take twelve bytes in a form.
MAX_FORM_BYTES: Final = 8_192


class RefusedError(Exception):
    """A request that is not answered. text: why, in a sentence with what to do."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class Guard:
    """The secrets of one dashboard, which end with its process.

    host: where it listens, as browsers write it into the header Host. form_token: in each form.
    """

    def __init__(self, host: str) -> None:
        self.host, self.form_token = host, token_urlsafe(_SECRET_BYTES)
        self._code, self._cookie = token_urlsafe(_SECRET_BYTES), ""
        # Cookies know no ports: two dashboards in one browser have two names.
        self._cookie_name = f"rolloutctl-{host.rpartition(':')[2]}"
        self._lock = threading.Lock()

    @property
    def origin(self) -> str:
        """The origin of the pages of this dashboard."""
        return f"http://{self.host}"

    @property
    def address(self) -> str:
        """The address that is printed; its code works once."""
        return f"{self.origin}/?code={self._code}"

    def exchange(self, code: str) -> str:
        """Return the header that sets the cookie; empty for a wrong code, or a used one."""
        with self._lock:
            if self._cookie or not _same(code, self._code):
                return ""
            self._cookie = token_urlsafe(_SECRET_BYTES)
        return f"{self._cookie_name}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"

    def check_host(self, headers: Headers) -> None:
        """Raise RefusedError where another site has its name point to this machine."""
        if list(headers("Host")) != [self.host]:
            text = f"This dashboard answers at {self.origin} alone."
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, text)

    def check_cookie(self, headers: Headers) -> None:
        """Raise RefusedError for a request without the cookie of this dashboard."""
        # Cookies know no port: those of other programs on this machine come too, in any form.
        pairs = [
            one.strip().partition("=") for line in headers("Cookie") for one in line.split(";")
        ]
        found = next((value for name, _, value in pairs if name == self._cookie_name), "")
        if not (self._cookie and _same(found, self._cookie)):
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "Open the address that `rolloutctl dashboard` printed. Its code works once, in one "
                "browser; for another one, start `rolloutctl dashboard` again.",
            )

    def check_form(self, headers: Headers, names: Sequence[str]) -> None:
        """Raise RefusedError for a form that is not read. names: of the headers of the request."""
        if is_forwarded(names):
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "This request came through a proxy (Forwarded or X-Forwarded): from there, people "
                "can look and not act.",
            )
        if list(headers("Origin")) != [self.origin]:
            text = f"This form was not sent by a page of {self.origin}."
            raise RefusedError(HTTPStatus.FORBIDDEN, text)
        if [one.partition(";")[0].strip() for one in headers("Content-Type")] != [_FORM]:
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"A form is sent as {_FORM}.")
        lengths = headers("Content-Length")
        if headers("Transfer-Encoding") or len(lengths) != 1 or not lengths[0].isdecimal():
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "A form is sent with its length.")
        if len(lengths[0]) > len(str(MAX_FORM_BYTES)) or int(lengths[0]) > MAX_FORM_BYTES:
            text = f"A form has at most {MAX_FORM_BYTES:,} bytes."
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)

    def check_token(self, form: Mapping[str, str]) -> None:
        """Raise RefusedError for a form that is not from a page that this dashboard made."""
        if not _same(form.get("token", ""), self.form_token):
            text = "The token of this form is missing or wrong: load the page again."
            raise RefusedError(HTTPStatus.FORBIDDEN, text)


def is_forwarded(names: Sequence[str]) -> bool:
    """Tell whether a request came through a proxy, by the names of its headers."""
    return any(_FORWARDED.fullmatch(name) for name in names)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


LOOPBACK: Final = "127.0.0.1"
# A browser has six connections to a host, and a stream takes one of them.
MAX_STREAMS: Final = 12
MAX_REQUESTS: Final = 48
_IDLE_S: Final = 10.0  # a client that sends or takes nothing for so long is left
_MAX_FIELDS: Final = 8

# Scripts and styles of this dashboard alone; the charts place their labels by style attributes.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    # Without a referrer, forms would be sent with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


class DashboardServer(ThreadingHTTPServer):
    """Serves a site behind its guard.

    guard, site: who may look and act, and what answers then. streams: one for each live page.
    stopping: is set when all streams end.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_REQUESTS

    def __init__(self, make_site: Callable[[Guard], Site], port: int = 0) -> None:
        """Listen at `port`; 0: a free one. Raises UsageError when that is impossible."""
        self._requests = threading.BoundedSemaphore(MAX_REQUESTS)
        self.streams = threading.BoundedSemaphore(MAX_STREAMS)
        self.stopping = threading.Event()
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise UsageError(f"--port: {port} cannot be listened at: {error.strerror}") from error
        self.guard = Guard(f"{LOOPBACK}:{self.server_address[1]}")
        self.site = make_site(self.guard)
        self.context = copy_context()  # so that log lines have the facts of this thread

    def server_bind(self) -> None:
        """Bind without asking a name server for the name of this machine, as the base does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def start(self) -> None:
        """Serve in threads, until `stop`."""
        with signals.blocked():
            threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self, within_s: float) -> None:
        """End all streams, let running acts end, and close.

        After a stop signal an act hurries, and is waited for `within_s`; else to its end.
        """
        self.stopping.set()
        self.shutdown()
        self.site.wait_for_acts(within_s if signals.stop_requested() else None)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; one request too many is not answered."""
        if not self._requests.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._requests.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is no error, and `Site` answers all others."""


class _Handler(BaseHTTPRequestHandler):
    server: DashboardServer
    protocol_version = "HTTP/1.1"
    server_version = "rolloutctl"
    sys_version = ""
    timeout = _IDLE_S

    def do_GET(self) -> None:
        with self._refusals():
            guard, url = self.server.guard, urlsplit(self.path)
            self._check_headers()
            code = dict(parse_qsl(url.query)).get("code", "")
            if url.path == "/" and code:
                return self._exchange(code)
            guard.check_cookie(self._values)
            if url.path == "/events" or url.path.startswith("/events/rollouts/"):
                return self._stream(unquote(url.path[len("/events/rollouts/") :]))
            forwarded = is_forwarded(self.headers.keys())
            return self._send(self.server.site.get(url.path, forwarded=forwarded))

    def do_POST(self) -> None:
        with self._refusals():
            self._check_headers()
            self.server.guard.check_cookie(self._values)
            self.server.guard.check_form(self._values, self.headers.keys())
            form = self._read_form()
            self.server.guard.check_token(form)
            path = urlsplit(self.path).path
            try:
                answer = self.server.context.copy().run(self.server.site.post, path, form)
            except signals.StoppedError:
                text = "The dashboard ends; look at the rollout on a terminal: rolloutctl status"
                answer = message(HTTPStatus.SERVICE_UNAVAILABLE, "Stopped", text)
            self._send(answer)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Answer a request that is refused within the context."""
        try:
            yield
        except RefusedError as refusal:
            self._send(message(refusal.status, "This request was refused", str(refusal)))

    def _check_headers(self) -> None:
        """Raise RefusedError where a header cannot be read, and may hide one, or names no host."""
        if self.headers.defects or self.headers.get_payload():
            raise RefusedError(HTTPStatus.BAD_REQUEST, "A header of this request is malformed.")
        self.server.guard.check_host(self._values)

    def _values(self, name: str) -> list[str]:
        return self.headers.get_all(name, [])

    def _read_form(self) -> dict[str, str]:
        """Return the fields of a form. Raises RefusedError."""
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) != length:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "The form broke off.")
        try:
            text = body.decode(errors="replace")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError as error:
            text = "The form has too many fields."
            raise RefusedError(HTTPStatus.BAD_REQUEST, text) from error

    # --- answers --------------------------------------------------------------------------------

    def _exchange(self, code: str) -> None:
        cookie = self.server.guard.exchange(code)
        if not cookie:
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "The code of this address is wrong, or it was used already: it works once. Start "
                "`rolloutctl dashboard` again for a new one.",
            )
        self._send(Answer(HTTPStatus.SEE_OTHER, location="/"), cookie)

    def _begin(self, status: int, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)

    def _send(self, answer: Answer, cookie: str = "") -> None:
        body = answer.body.encode()
        self._begin(answer.status, answer.kind)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        if answer.location:
            self.send_header("Location", answer.location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, rollout_id: str) -> None:
        """Send the stamp of a page whenever it changes, until the tab or the dashboard ends."""
        if not self.server.streams.acquire(blocking=False):
            text = f"More than {MAX_STREAMS} pages are open at a time: this one is not live."
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, text)
        try:
            self._begin(HTTPStatus.OK, "text/event-stream")
            self.end_headers()
            last = ""
            while not self.server.stopping.is_set():
                try:
                    stamp = self.server.site.stamp(rollout_id)
                except StoreError:
                    stamp = "problem"  # the page names it
                self.wfile.write(b": \n\n" if stamp == last else f"data: {stamp}\n\n".encode())
                last = stamp
                self.server.stopping.wait(self.server.site.feed.interval_s)
        except OSError:
            pass  # the tab is closed
        finally:
            self.server.streams.release()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is no HTTP, or whose method is not answered, without a page."""
        self._begin(code, "text/plain")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing: what was done is in the history, and reads are many."""
