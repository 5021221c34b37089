"""Public addresses: the table of the document, on every installed Python."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.http import addresses
from controller.adapters.http.addresses import (
    effective_address,
    is_public,
)
from tests.docs.tables.addresses import RANGES

ROWS = {
    **{address: True for row in RANGES for address in row.public},
    **{address: False for row in RANGES for address in row.not_public},
}
ASK = """
import json, runpy, sys
told = runpy.run_path(sys.argv[1])
answers = {one: told["is_public"](one) for one in json.load(sys.stdin)}
print(json.dumps([list(sys.version_info[:2]), answers]))
"""


@pytest.mark.parametrize(("address", "public"), ROWS.items())
def test_an_address_is_public_or_not(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "1.2.3", "01.2.3.4", "::g", "8.8.8.8/8"]
)
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


def test_an_address_that_stands_for_another_is_compared_as_that() -> None:
    for address in ("::ffff:10.0.0.5", "64:ff9b::10.0.0.5", "2002:a00:5::1", "10.0.0.5"):
        assert str(effective_address(address)) == "10.0.0.5"


@pytest.mark.parametrize("minor", range(11, 15))
def test_every_python_gives_the_same_answers(minor: int) -> None:
    for python in pythons(minor):
        process = subprocess.run(
            [python, "-c", ASK, addresses.__file__],
            input=json.dumps([*ROWS]),
            capture_output=True,
            text=True,
        )
        if process.returncode:  # the name is no working program
            continue
        version, answers = json.loads(process.stdout)
        if version == [3, minor]:
            assert answers == ROWS
            return
    pytest.skip(f"no Python 3.{minor} is here")


def pythons(minor: int) -> Iterator[str]:
    """Yield possible programs of a Python of that version."""
    if sys.version_info[:2] == (3, minor):
        yield sys.executable
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, root.glob(f"versions/3.{minor}.*/bin/python"))
    if named := shutil.which(f"python3.{minor}"):
        yield named
