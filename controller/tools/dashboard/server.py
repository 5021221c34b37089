"""HTTP for the dashboard: on this machine alone, each request within limits of size and time."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from controller.errors import StoreError, UsageError
from controller.process import signals
from controller.tools.dashboard.guard import Guard, Refusal, is_forwarded
from controller.tools.dashboard.site import Answer, Site, message

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
        guard, url = self.server.guard, urlsplit(self.path)
        if refusal := self._malformed() or guard.refuse_host(self._values):
            return self._refuse(refusal)
        code = dict(parse_qsl(url.query)).get("code", "")
        if url.path == "/" and code:
            return self._exchange(code)
        if refusal := guard.refuse_look(self._values):
            return self._refuse(refusal)
        if url.path == "/events" or url.path.startswith("/events/rollouts/"):
            return self._stream(unquote(url.path[len("/events/rollouts/") :]))
        return self._send(
            self.server.site.get(url.path, forwarded=is_forwarded(self.headers.keys()))
        )

    def do_POST(self) -> None:
        guard = self.server.guard
        refusal = self._malformed() or guard.refuse_host(self._values)
        if refusal := refusal or guard.refuse_look(self._values):
            return self._refuse(refusal)
        if refusal := guard.refuse_form(self._values, self.headers.keys()):
            return self._refuse(refusal)
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) != length:
            return self._refuse(Refusal(HTTPStatus.BAD_REQUEST, "The form broke off."))
        try:
            text = body.decode(errors="replace")
            form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError:
            return self._refuse(Refusal(HTTPStatus.BAD_REQUEST, "The form has too many fields."))
        if refusal := guard.refuse_token(form):
            return self._refuse(refusal)
        path = urlsplit(self.path).path
        try:
            answer = self.server.context.copy().run(self.server.site.post, path, form)
        except signals.StoppedError:
            text = "The dashboard ends; look at the rollout on a terminal: rolloutctl status"
            answer = message(HTTPStatus.SERVICE_UNAVAILABLE, "Stopped", text)
        return self._send(answer)

    # --- answers --------------------------------------------------------------------------------

    def _malformed(self) -> Refusal | None:
        """Return why a request is refused whose headers cannot all be read: one may be hidden."""
        if not self.headers.defects and not self.headers.get_payload():
            return None
        return Refusal(HTTPStatus.BAD_REQUEST, "A header of this request is malformed.")

    def _values(self, name: str) -> list[str]:
        return self.headers.get_all(name, [])

    def _exchange(self, code: str) -> None:
        cookie = self.server.guard.exchange(code)
        if cookie:
            self._send(Answer(HTTPStatus.SEE_OTHER, location="/"), cookie)
            return
        text = (
            "The code of this address is wrong, or it was used already: it works once. Start "
            "`rolloutctl dashboard` again for a new one."
        )
        self._refuse(Refusal(HTTPStatus.FORBIDDEN, text))

    def _refuse(self, refusal: Refusal) -> None:
        self._send(message(refusal.status, "This request was refused", refusal.text))

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
            return self._refuse(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text))
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
