"""A proxy on loopback that takes CONNECT, and resolves every name to loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

OPEN = b"HTTP/1.1 200 Connection established\r\nVia: stub\r\n\r\n"

# What it does with a connection whose request it has read: None opens the way.
Behaviour = Callable[[socket.socket], object] | None


@dataclass(slots=True)
class ConnectProxy:
    """The proxy. behaviour: what it does with a request; asked: the requests, each as its lines."""

    port: int
    behaviour: Behaviour = None
    requests: list[list[str]] = field(default_factory=list)

    def url(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}"


def tunnel_response(raw: bytes) -> Behaviour:
    """Answer with these bytes, and hang up."""
    return lambda connection: connection.sendall(raw)


@contextmanager
def connect_proxy() -> Iterator[ConnectProxy]:
    """Yield a proxy, and stop it and its connections afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = ConnectProxy(server.getsockname()[1])
        threads: list[threading.Thread] = []
        over = threading.Event()

        def accept() -> None:
            while True:
                connection, _ = server.accept()
                if over.is_set():
                    connection.close()
                    return
                thread = threading.Thread(target=_serve, args=(proxy, connection, over))
                thread.start()
                threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield proxy
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", proxy.port)).close()
            for thread in (accepting, *threads):
                thread.join()


def _serve(proxy: ConnectProxy, connection: socket.socket, over: threading.Event) -> None:
    with connection, suppress(OSError):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1) or b"\r\n\r\n"
        lines = head.decode().split("\r\n")
        proxy.requests.append(lines[:-2])
        if proxy.behaviour is not None:
            proxy.behaviour(connection)
            return
        port = int(lines[0].split()[1].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as there:
            connection.sendall(OPEN)
            back = threading.Thread(target=_copy, args=(there, connection, over))
            back.start()
            _copy(connection, there, over)
            back.join()


def _copy(source: socket.socket, sink: socket.socket, over: threading.Event) -> None:
    """Pass on what comes, until one side ends."""
    source.settimeout(0.05)
    while not over.is_set():
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
