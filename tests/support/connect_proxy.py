"""A proxy on loopback that accepts CONNECT, and resolves every name to loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

OPEN = b"HTTP/1.1 200 Connection established\r\nVia: stub\r\n\r\n"

# Handles a connection whose request was read; None opens the tunnel.
Behaviour = Callable[[socket.socket], object] | None


@dataclass(slots=True)
class ConnectProxy:
    """The proxy. behaviour: handles a request. requests: all of them, each as its lines.

    upstream: the port that every tunnel leads to; None: the one of the request.
    """

    port: int
    behaviour: Behaviour = None
    upstream: int | None = None
    requests: list[list[str]] = field(default_factory=list)

    def url(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}"


def tunnel_response(raw: bytes) -> Behaviour:
    """Return a behaviour that answers with `raw`, and closes the connection."""
    return lambda connection: connection.sendall(raw)


@contextmanager
def connect_proxy() -> Iterator[ConnectProxy]:
    """Yield a proxy, and stop it and its connections afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = ConnectProxy(server.getsockname()[1])
        threads: list[threading.Thread] = []
        stopped = threading.Event()

        def accept() -> None:
            while True:
                connection, _ = server.accept()
                if stopped.is_set():
                    connection.close()
                    return
                thread = threading.Thread(target=_serve, args=(proxy, connection, stopped))
                thread.start()
                threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield proxy
        finally:
            stopped.set()
            socket.create_connection(("127.0.0.1", proxy.port)).close()
            for thread in (accepting, *threads):
                thread.join()


def _serve(proxy: ConnectProxy, connection: socket.socket, stopped: threading.Event) -> None:
    with connection, suppress(OSError):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1) or b"\r\n\r\n"
        lines = head.decode().split("\r\n")
        proxy.requests.append(lines[:-2])
        if proxy.behaviour is not None:
            proxy.behaviour(connection)
            return
        port = proxy.upstream or int(lines[0].split()[1].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            connection.sendall(OPEN)
            downstream = threading.Thread(target=_copy, args=(upstream, connection, stopped))
            downstream.start()
            _copy(connection, upstream, stopped)
            downstream.join()


def _copy(source: socket.socket, sink: socket.socket, stopped: threading.Event) -> None:
    """Copy data from `source` to `sink` until one side ends."""
    source.settimeout(0.05)
    while not stopped.is_set():
        try:
            data = source.recv(65_536)
        except TimeoutError:
            continue
        except OSError:
            data = b""
        with suppress(OSError):
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
