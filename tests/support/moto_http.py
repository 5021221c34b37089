"""moto's load balancers over HTTP, for programs in another process.

moto has a server of its own, which needs flask. ministack keeps no weights of target groups.
"""

import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto.core.request import Request
from moto.core.responses import BaseResponse

from tests.support.emulator import REGION


@cache
def endpoint() -> str:
    """Return the URL of the calls of EC2 and of ELBv2, served until this process ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def empty() -> None:
    """Delete everything in the account."""
    from moto.ec2.models import ec2_backends
    from moto.elbv2.models import elbv2_backends

    for backends in (ec2_backends, elbv2_backends):
        backends.reset()


@cache
def _services() -> dict[str, type[BaseResponse]]:
    """Return what answers the calls of each host. To import it takes a second."""
    from moto.ec2.responses import EC2Response
    from moto.elbv2.responses import ELBV2Response

    return {"ec2": EC2Response, "elasticloadbalancing": ELBV2Response}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or the body waits 40 ms for the acknowledged headers
    _one_at_a_time = threading.Lock()

    def do_POST(self) -> None:
        """Answer one call."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        host = "elasticloadbalancing" if b"Version=2015-12-01" in body else "ec2"
        url = f"https://{host}.{REGION}.amazonaws.com/"
        request = Request.from_primitives("POST", url, dict(self.headers), body)
        with self._one_at_a_time:
            status, _, answer = _services()[host].dispatch(request, url, self.headers)
        content = answer.encode() if isinstance(answer, str) else answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""
