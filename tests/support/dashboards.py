"""A dashboard over the store of a stage, and what a program on the same machine gets from it."""

import http.client
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple
from urllib.parse import urlencode

from controller.adapters.stores.sqlite import SqliteStore, one_call_at_a_time
from controller.core.events import Command, Verb
from controller.engine.execute import TickOutcome
from controller.ports.store import Store
from controller.tools.dashboard.feed import Feed
from controller.tools.dashboard.server import LOOPBACK, DashboardServer
from controller.tools.dashboard.site import Button, Site, rollout_path
from controller.tools.dashboard.verb import report_maker
from controller.tools.rehearse.rehearsal import simulated_account
from tests.support.pages import Page, read_page
from tests.support.stage import Stage

POLL: Final = timedelta(seconds=1)
FORM: Final = "application/x-www-form-urlencoded"


class Reply(NamedTuple):
    """An answer: its status, its headers by lower-case name, and its body."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def page(self) -> Page:
        """The body as a reader finds it."""
        return read_page(self.body)


class Stream:
    """The stream of a page."""

    def __init__(self, connection: socket.socket) -> None:
        self._lines = connection.makefile("rb")

    def next_stamp(self) -> str:
        """Wait for the next event, and return what it says."""
        for line in self._lines:
            if line.startswith(b"data: "):
                return line.removeprefix(b"data: ").decode().strip()
        raise AssertionError("the stream has ended")


@dataclass(slots=True)
class Visitor:
    """A program that sends requests to a dashboard.

    cookie: empty until it has one. lines: what the dashboard said on the terminal.
    """

    server: DashboardServer
    cookie: str = ""
    lines: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: str | None = None, **headers: str | None) -> Reply:
        """Send a request with `headers`, by names in which _ is -; None leaves one out."""
        host, port = self.server.guard.host.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        sent = {"Cookie": self.cookie} if self.cookie else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {name: value for name, value in named.items() if value is not None}
        connection.putrequest(method, path, skip_host="Host" in named)
        for name, value in sent.items():
            connection.putheader(name, value)
        content = None if body is None else body.encode()
        if content is not None and "Content-Length" not in named:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        text = answer.read().decode()
        connection.close()
        return Reply(answer.status, found, text)

    def get(self, path: str, **headers: str | None) -> Reply:
        """Return the page at `path`."""
        return self.send("GET", path, **headers)

    @contextmanager
    def stream(self, path: str = "/events") -> Iterator["Stream"]:
        """Open the stream of a page, whose first event has come."""
        with socket.create_connection((LOOPBACK, self.server.server_port), timeout=30) as opened:
            head = f"GET {path} HTTP/1.1\r\nHost: {self.server.guard.host}\r\n"
            opened.sendall(f"{head}Cookie: {self.cookie}\r\n\r\n".encode())
            stream = Stream(opened)
            stream.next_stamp()
            yield stream

    def enter(self) -> Reply:
        """Open the printed address, and keep its cookie."""
        reply = self.get(self.server.guard.address.removeprefix(self.server.guard.origin))
        self.cookie = reply.headers.get("set-cookie", "").partition(";")[0]
        return reply

    def fields(self, rollout_id: str, verb: str) -> dict[str, str]:
        """Return the hidden fields of the form of `verb` on the page of a rollout."""
        page = self.get(rollout_path(rollout_id)).page
        actions = [one.attributes["action"] for one in page.all("form")]
        number = actions.index(f"{rollout_path(rollout_id)}/{verb}")
        hidden = [one.attributes for one in page.all("input", type="hidden")]
        return {one["name"]: one["value"] for one in hidden[2 * number : 2 * number + 2]}

    def act(
        self, rollout_id: str, verb: str, fields: Mapping[str, str], **headers: str | None
    ) -> Reply:
        """Send a form as a browser does; `headers` replace those of a browser."""
        sent = {"Origin": self.server.guard.origin, "Content_Type": FORM, **headers}
        return self.send("POST", f"{rollout_path(rollout_id)}/{verb}", urlencode(fields), **sent)


@contextmanager
def open_dashboard(
    stage: Stage,
    allowed: Collection[Button] = tuple(Button),
    *,
    store: Store | None = None,
    poll: timedelta = POLL,
) -> Iterator[Visitor]:
    """Yield a visitor of a dashboard over the store of `stage`, as another process serves it."""
    runner, lines = stage.another_runner(), list[str]()
    lock = threading.Lock()

    def run_act(rollout_id: str, verb: Verb, reason: str, version: int) -> TickOutcome:
        with lock:
            return runner.run_command(rollout_id, Command(verb, reason), version)

    with SqliteStore(stage.file, durable=False) as file:
        read = store or one_call_at_a_time(file)
        metrics = simulated_account(stage.world, seed=0).metrics()
        server = DashboardServer(
            lambda guard: Site(
                Feed(read, stage.world.clock, poll),
                report_maker(read, stage.world.clock, metrics),
                run_act,
                allowed=allowed,
                actor="tester" if allowed else "",
                token=guard.form_token,
                on_act=lines.append,
            )
        )
        server.start()
        try:
            yield Visitor(server, lines=lines)
        finally:
            server.stop(within_s=5)
