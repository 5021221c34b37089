"""Packs each folder in /folder into an archive in /target, with its modules compiled.

It runs in Pyodide under Node: the Python that will run the modules. Compiled in each visitor's
browser, they would take seconds.
"""

import py_compile
from pathlib import Path
from zipfile import ZipFile, ZipInfo


def pack(folder: Path, archive: Path) -> None:
    """Write the files in `folder` to `archive`; the same bytes for the same files.

    They are not compressed one by one: the archive is as a whole.
    """
    with ZipFile(archive, "w") as target:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            name = path.relative_to(folder)
            if path.suffix == ".py":
                name, path = name.with_suffix(".pyc"), compiled(path, str(name))
            target.writestr(ZipInfo(str(name)), path.read_bytes())


def compiled(path: Path, name: str) -> Path:
    """Return the bytecode of the module at `path`, which is never compared with a source."""
    target = Path("module.pyc")  # in the memory of Pyodide
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(path), str(target), name, doraise=True, invalidation_mode=mode)
    return target


for folder in Path("/folder").iterdir():
    pack(folder, Path("/target", f"{folder.name}.zip"))
