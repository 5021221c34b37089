"""Cuts botocore's models to the operations that the program calls; used by image and zip.

    python deploy/cut_models.py SITE_PACKAGES

botocore reads the model of a whole service, as JSON, before the first call to it: a third of a
megabyte for DynamoDB, of which a tick makes three different calls. SITE_PACKAGES has rolloutctl and
botocore; other services are removed from there, and so are operations that are never called, and
all documentation.

Which operations are called is read from the source: each one whose name, in either spelling, is an
attribute or a text in it. So nothing that is called is missing, and a few are kept for their name.
"""

import ast
import gzip
import json
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from botocore import xform_name

from controller.adapters.aws.clients import SERVICES

# botocore calls these itself: to get credentials, and to find the region of a bucket.
CREDENTIALS: Final = ("signin", "sso", "sso-oidc", "sts")
BOTOCORES_OWN: Final = frozenset({"HeadBucket"})
# Under these names endpoints.json has the services whose own name it does not use.
_PREFIXES: Final = frozenset({"elasticloadbalancing", "monitoring", "oidc", "portal.sso"})
_MODEL: Final = "service-2.json"


def main() -> None:
    """Cut the models in the folder that the command line names; print their size."""
    (folder,) = map(Path, sys.argv[1:])
    data = folder / "botocore" / "data"
    cut_models(data, folder / "controller")
    size = sum(one.stat().st_size for one in data.rglob("*") if one.is_file())
    sys.stdout.write(f"{data}: {size / 1_000:,.0f} kB\n")


def cut_models(data: Path, source: Path) -> None:
    """Remove from `data`, the data folder of botocore, what the code in `source` never asks for."""
    kept, names = {*SERVICES, *CREDENTIALS}, {*_names(source), *BOTOCORES_OWN}
    for folder in [one for one in data.iterdir() if one.is_dir()]:
        if folder.name not in kept:
            shutil.rmtree(folder)
            continue
        versions = sorted(path.parent for path in folder.glob(f"*/{_MODEL}*"))
        for old in (one for one in folder.iterdir() if one != versions[-1]):
            shutil.rmtree(old)
        wanted = None if folder.name in CREDENTIALS else names
        _cut_service(versions[-1], wanted)
    endpoints = data / "endpoints.json"
    regions = json.loads(endpoints.read_text(encoding="utf-8"))
    for partition in regions["partitions"]:
        partition["services"] = {
            name: one for name, one in partition["services"].items() if name in kept | _PREFIXES
        }
    _write(endpoints, regions)


def _names(source: Path) -> Iterator[str]:
    """Yield the attributes and texts in all modules below `source`."""
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _cut_service(folder: Path, names: Collection[str] | None) -> None:
    """Cut the model in `folder` to the operations in `names`; None: to all, without their texts."""
    for examples in folder.glob("examples-1.json*"):
        examples.unlink()
    (path,) = folder.glob(f"{_MODEL}*")
    packed = path.suffix == ".gz"
    model = json.loads(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    path.unlink()
    model["operations"] = {
        name: one
        for name, one in model["operations"].items()
        if names is None or _is_called(name, one, names)
    }
    # Any operation may be answered with any error.
    errors = [name for name, one in model["shapes"].items() if one.get("exception")]
    reached = set(_reached(model, errors))
    model["shapes"] = {name: one for name, one in model["shapes"].items() if name in reached}
    _write(folder / _MODEL, _without_texts(model))


def _is_called(name: str, operation: Mapping[str, Any], names: Collection[str]) -> bool:
    return (
        name in names
        or xform_name(name) in names
        or "endpointoperation" in operation  # botocore asks it where to send the others
    )


def _reached(model: Mapping[str, Any], errors: Iterable[str]) -> Iterator[str]:
    """Yield the names of the shapes that the operations, and `errors`, are made of."""
    waiting, seen = [*_shape_names(model["operations"]), *errors], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _shape_names(model["shapes"][name])
    yield from seen


def _shape_names(part: Any) -> Iterator[str]:
    """Yield each shape that `part` of a model refers to: {"shape": name}, at any depth."""
    if isinstance(part, dict):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        part = part.values()
    elif not isinstance(part, list):
        return
    for one in part:
        yield from _shape_names(one)


def _without_texts(part: Any) -> Any:
    """Return `part` of a model without what it says to people."""
    if isinstance(part, list):
        return [_without_texts(one) for one in part]
    if not isinstance(part, dict):
        return part
    # A shape may have a member with this name, which is no text.
    return {
        name: _without_texts(one)
        for name, one in part.items()
        if name != "documentation" or not isinstance(one, str)
    }


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
