"""Builds the playground in build/playground/files: a rehearsal in the browser.

rolloutctl and what it imports run in Pyodide, a Python for browsers. Pyodide is pinned by
package-lock.json, the wheels by requirements.lock, which also has the hashes of those for browsers.
"""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipFile

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
WORK: Final = ROOT / "build" / "playground"
FILES: Final = WORK / "files"
PYODIDE: Final = WORK / "node_modules" / "pyodide"

# What a rehearsal imports: whole packages, and parts of them.
PACKAGES: Final = (
    "annotated_types", "botocore/__init__.py", "botocore/exceptions.py", "botocore/vendored",
    "click", "jinja2", "markupsafe", "msgspec", "pydantic", "pydantic_core", "ruamel", "structlog",
    "tenacity", "typing_extensions.py", "typing_inspection", "tzdata",
)  # fmt: skip
# What it does not import of Python itself and of pydantic.
UNUSED: Final = (
    "_pyrepl", "doctest.py", "mailbox.py", "pdb.py", "pydantic/v1", "pydoc.py", "pydoc_data",
    "unittest", "wsgiref", "xmlrpc",
)  # fmt: skip
# The first that has a wheel. MarkupSafe has none for browsers, and works without its extension.
PLATFORMS: Final = ("pyemscripten_2026_0_wasm32", "manylinux2014_x86_64")
# Compressed here, since not every server does it.
PACKED: Final = ("pyodide.asm.wasm", "python_stdlib.zip", "rolloutctl.zip")
FIRST: Final = {"policy": "checkout", "scenario": "error-burst"}


def main() -> None:
    """Build it."""
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, WORK)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", cwd=WORK)
    unpack_sources(WORK / "sources")
    run("node", HERE / "bundle.mjs", PYODIDE, WORK / "sources", WORK)
    shutil.copy(PYODIDE / "pyodide.asm.wasm", WORK)
    for name in PACKED:
        packed = gzip.compress((WORK / name).read_bytes(), 9, mtime=0)
        (FILES / f"{name}.packed").write_bytes(packed)
    for name in ("pyodide.mjs", "pyodide.asm.mjs"):
        shutil.copy(PYODIDE / name, FILES)
    for name in ("playground.js", "playground.css", "worker.js"):
        shutil.copy(HERE / name, FILES)
    # Pyodide's own list has 350 packages on another host.
    lock = json.loads((PYODIDE / "pyodide-lock.json").read_text(encoding="utf-8"))
    write_json("pyodide-lock.json", {"info": lock["info"], "packages": {}})
    size = sum(file.stat().st_size for file in FILES.iterdir())
    write_json("examples.json", {**examples(), "first": FIRST, "megabytes": round(size / 1e6)})


def unpack_sources(folder: Path) -> None:
    """Write what becomes an archive to `folder`: rolloutctl with its packages, and Python's own."""
    shutil.rmtree(folder, ignore_errors=True)
    program = folder / "rolloutctl"
    for wheel in wheels():
        extract(wheel, program, keeps=lambda name: name.startswith(PACKAGES))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "controller", program / "controller", ignore=ignored)
    shutil.copy(HERE / "play.py", program)
    extract(PYODIDE / "python_stdlib.zip", folder / "python_stdlib", keeps=lambda _: True)


def wheels() -> Iterator[Path]:
    """Yield the wheels of requirements.lock, for browsers."""
    folder = WORK / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    run(
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "--no-deps", "--only-binary=:all:", *platforms,
        "--python-version", "3.14", "--implementation", "cp", "--abi", "cp314",
        "--dest", folder, "--requirement", ROOT / "requirements.lock",
    )  # fmt: skip
    yield from folder.iterdir()


def extract(archive: Path, folder: Path, keeps: Callable[[str], bool]) -> None:
    """Extract the files of `archive` that are used, of the names that `keeps` is true of."""
    with ZipFile(archive) as opened:
        for name in opened.namelist():
            is_of_another_system = name.endswith(".so") and "wasm32" not in name
            if keeps(name) and not (name.startswith(UNUSED) or is_of_another_system):
                opened.extract(name, folder)


def examples() -> dict[str, dict[str, str]]:
    """Return the texts of the shipped policies and scenarios by name."""
    folders = {
        "policy": ROOT / "policies",
        "scenario": ROOT / "controller" / "tools" / "simulation" / "scenarios",
    }
    return {
        kind: {one.stem: one.read_text(encoding="utf-8") for one in sorted(folder.glob("*.yaml"))}
        for kind, folder in folders.items()
    }


def write_json(name: str, content: object) -> None:
    """Write a file of the playground."""
    (FILES / name).write_text(json.dumps(content), encoding="utf-8")


def run(*command: object, cwd: Path | None = None) -> None:
    """Run `command`; raise when it fails."""
    subprocess.run([str(word) for word in command], check=True, cwd=cwd)


if __name__ == "__main__":
    main()
