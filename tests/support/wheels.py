"""Wheels without a network: the installed packages, packed again, and an index of them."""

import base64
import csv
import hashlib
import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from socket import create_server, socket
from threading import Thread
from typing import Final
from zipfile import ZipFile

from tests.support.action import ROOT

LOCKS: Final = ("requirements.lock", "requirements-build.lock")
_MADE_BY_INSTALLERS: Final = {"INSTALLER", "REQUESTED", "direct_url.json", "RECORD"}


def copy_action_with_wheels(wheels: Path, root: Path, stub: str = "") -> Path:
    """Copy what the action needs to `root`, with lock files of the wheels that are packed here.

    The wheels go to `wheels`. Their hashes differ from those of the published wheels.
    stub: the Python code of a program that replaces rolloutctl and needs no library but Click.
    Returns the folder of the action.
    """
    shutil.copytree(ROOT / "deploy" / "github", root / "deploy" / "github")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root)
    if stub:
        (root / "controller").mkdir()
        (root / "controller" / "__main__.py").write_text(stub)
    else:
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "controller", root / "controller", ignore=unwanted)
    wheels.mkdir()
    for lock in LOCKS:
        names = ["click"] if stub and lock == "requirements.lock" else locked(lock)
        (root / lock).write_text("".join(pack(name, wheels) for name in names))
    return root / "deploy" / "github"


def locked(lock: str) -> list[str]:
    """Return the names of the packages in a lock file."""
    return re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)


def pack(name: str, wheels: Path) -> str:
    """Pack the installed package `name` as a wheel, and return its line of a lock file."""
    try:
        package = distribution(name)
    except PackageNotFoundError:  # a requirement of other platforms
        return ""
    tag = re.findall(r"^Tag: (\S+)", package.read_text("WHEEL") or "", re.MULTILINE)[-1]
    escaped = re.sub(r"[-_.]+", "_", package.metadata["Name"]).lower()
    wheel = wheels / f"{escaped}-{package.version}-{tag}.whl"
    _write(package, wheel, f"{_info(package)}/RECORD")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{package.metadata['Name']}=={package.version} --hash=sha256:{digest}\n"


def _write(package: Distribution, wheel: Path, record: str) -> None:
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    with ZipFile(wheel, "w") as archive:
        for file in package.files or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            if file.name in _MADE_BY_INSTALLERS and str(file.parent) == _info(package):
                continue
            body = Path(str(file.locate())).read_bytes()
            archive.writestr(str(file), body)
            digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
            writer.writerow([str(file), f"sha256={digest}", len(body)])
        writer.writerow([record, "", ""])
        archive.writestr(record, rows.getvalue())


def _info(package: Distribution) -> str:
    (folder,) = {str(file.parent) for file in package.files or () if file.name == "METADATA"}
    return folder


@dataclass(slots=True)
class Index:
    """A package index on loopback. requested_paths: the path of each request."""

    url: str
    requested_paths: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make pip use this index, without a cache."""
        return {"PIP_INDEX_URL": self.url, "PIP_NO_CACHE_DIR": "1"}


@contextmanager
def index(wheels: Path) -> Iterator[Index]:
    """Yield an index of the wheels in a folder, and stop it afterwards."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            packages.requested_paths.append(self.path)
            folder, _, file = self.path.removeprefix("/simple/").rstrip("/").partition("/")
            body = (wheels / file).read_bytes() if file else _page(wheels, folder)
            self.send_response(200)
            self.send_header("Content-Type", "application/zip" if file else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        packages = Index(f"http://127.0.0.1:{server.server_port}/simple/")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield packages
        finally:
            server.shutdown()
            thread.join()


def _page(wheels: Path, project: str) -> bytes:
    files = sorted(one.name for one in wheels.glob(f"{project.replace('-', '_')}-*.whl"))
    return "".join(f'<a href="{name}">{name}</a>\n' for name in files).encode()


@contextmanager
def silent_index() -> Iterator[tuple[Index, socket]]:
    """Yield an index that accepts connections and never answers, with its socket."""
    with create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield Index(f"http://127.0.0.1:{listening.getsockname()[1]}/simple/"), listening


def connected(listening: socket) -> bool:
    """Tell whether a client has connected."""
    try:
        listening.accept()[0].close()
    except BlockingIOError:
        return False
    return True
