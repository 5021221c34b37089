"""The site of `make docs`, built once for the tests of it, and a browser to read it with."""

import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from tests.support.browser import Browser, chromium, open_browser

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ROOT / ".venv-docs" / "bin" / "python"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    if not PYTHON.exists():
        pytest.skip("the site generator is not installed: make docs")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([PYTHON, ROOT / "docs/site/build.py", folder], check=True)
    (folder / "site" / "404.html").unlink()  # its links begin at the root of a server
    return folder / "site"


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The address of a server of the site."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One tab for the tests of a file."""
    program = chromium()
    if program is None:
        pytest.skip("no Chromium is installed")
    with open_browser(program) as opened:
        yield opened
