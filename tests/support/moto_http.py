"""moto's load balancers over HTTP, for programs in another process.

moto has a server of its own, which needs flask. ministack keeps no weights of target groups.
"""

import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from moto.core.request import Request
from moto.core.responses import BaseResponse
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response
from moto.elbv2.models import elbv2_backends
from moto.elbv2.responses import ELBV2Response

from tests.support.emulator import REGION

_EC2: Final[tuple[str, type[BaseResponse]]] = ("ec2", EC2Response)
_ELBV2: Final[tuple[str, type[BaseResponse]]] = ("elasticloadbalancing", ELBV2Response)


@cache
def endpoint() -> str:
    """Return the URL of the calls of EC2 and of ELBv2, served until this process ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def empty() -> None:
    """Delete everything in the account."""
    for backends in (ec2_backends, elbv2_backends):
        backends.reset()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _one_at_a_time = threading.Lock()

    def do_POST(self) -> None:
        """Answer one call."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        host, service = _EC2 if b"Version=2015-12-01" not in body else _ELBV2
        url = f"https://{host}.{REGION}.amazonaws.com/"
        request = Request.from_primitives("POST", url, dict(self.headers), body)
        with self._one_at_a_time:
            status, _, answer = service.dispatch(request, url, self.headers)
        content = answer.encode() if isinstance(answer, str) else answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""
