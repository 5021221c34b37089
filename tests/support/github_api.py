"""GitHub's REST API on loopback, as far as comments on pull requests need it."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.support.action import TOKEN

REPOSITORY: Final = "shop/orders"
WORKFLOW: Final = "github-actions[bot]"


@dataclass(slots=True)
class GitHub:
    """The API. comments: of each pull request. pulls: the pull requests of each commit.

    status: the answer to each write. delay_s: before each answer. location: where each request is
    redirected to. requests: the method and the path of each. tokens: what came with them.
    """

    port: int
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    pulls: dict[str, list[int]] = field(default_factory=dict)
    status: int = 200
    delay_s: float = 0.0
    location: str = ""
    requests: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v3"

    def add(self, number: int, body: str, author: str = WORKFLOW) -> dict[str, Any]:
        """Add a comment, and return it."""
        identity = 1 + sum(map(len, self.comments.values()))
        comment = {
            "id": identity,
            "user": {"login": author},
            "body": body,
            "html_url": f"https://github.invalid/{number}#issuecomment-{identity}",
        }
        self.comments.setdefault(number, []).append(comment)
        return comment

    def bodies(self, number: int, author: str = WORKFLOW) -> list[str]:
        """Return the comments of an author on a pull request."""
        found = self.comments.get(number, [])
        return [one["body"] for one in found if one["user"]["login"] == author]

    @property
    def writes(self) -> list[str]:
        """The methods of the requests that wrote something."""
        return [request.split()[0] for request in self.requests if not request.startswith("GET ")]

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Return the status and the document of an answer."""
        route, _, query = path.removeprefix(f"/api/v3/repos/{REPOSITORY}/").partition("?")
        if method != "GET" and self.status >= 300:
            return self.status, {"message": "Resource not accessible by integration"}
        if found := re.fullmatch(r"issues/(\d+)/comments", route):
            comments = self.comments.setdefault(int(found[1]), [])
            if method == "POST":
                return 201, self.add(int(found[1]), body["body"])
            page = int(re.findall(r"\bpage=(\d+)", query)[0])
            return 200, comments[100 * (page - 1) : 100 * page]
        if found := re.fullmatch(r"issues/comments/(\d+)", route):
            (one,) = [
                comment
                for comments in self.comments.values()
                for comment in comments
                if comment["id"] == int(found[1])
            ]
            one["body"] = body["body"]
            return 200, one
        if found := re.fullmatch(r"commits/(\w+)/pulls", route):
            return 200, [{"number": number} for number in self.pulls.get(found[1], [])]
        return 404, {"message": "Not Found"}


@contextmanager
def github() -> Iterator[GitHub]:
    """Yield the API, and stop it afterwards."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            api.requests.append(f"{self.command} {self.path}")
            api.tokens.add(self.headers.get("Authorization"))
            time.sleep(api.delay_s)
            status, document = (
                (302, {}) if api.location else api.answer(self.command, self.path, body)
            )
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            if api.location:
                self.send_header("Location", api.location)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = respond  # noqa: N815 - http.server spells them so

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api = GitHub(server.server_port)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield api
        server.shutdown()


def job(api: GitHub, folder: Path, event: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a job. event: what started it, which is written into `folder`."""
    file = folder / "event.json"
    file.write_text(json.dumps(event), encoding="utf-8")
    return {
        "GITHUB_API_URL": api.url,
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": "4711",
        "GITHUB_SERVER_URL": "https://github.invalid",
    }


AUTHORIZED: Final = f"Bearer {TOKEN}"
