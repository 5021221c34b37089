"""The zip of the Lambda function, from the installed packages: without a network."""

import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from deploy.cut_models import cut_models
from tests.support.action import ROOT
from tests.support.wheels import locked


def make_package(folder: Path) -> Path:
    """Put what deploy/README.md puts into a zip below `folder`, and return its path."""
    package = folder / "package"
    for name in locked("requirements-image.lock"):
        _copy(name, package)
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "controller", package / "controller", ignore=unwanted)
    cut_models(package / "botocore" / "data", package / "controller")
    archive = folder / "rolloutctl.zip"
    with ZipFile(archive, "w", ZIP_DEFLATED) as opened:
        for path in sorted(one for one in package.rglob("*") if one.is_file()):
            opened.write(path, path.relative_to(package))
    return archive


def _copy(name: str, package: Path) -> None:
    try:
        found = distribution(name)
    except PackageNotFoundError:  # a requirement of other platforms
        return
    for file in found.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = package / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)
