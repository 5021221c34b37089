"""Builds the site: python docs/site/build.py [FOLDER]; its pages are then in FOLDER/site.

The pages are the Markdown files of the repository, at their places. Each file that a page links to
is on the site as well, and each folder as a list of its files, so a link means the same on the site
as in the repository. The playground is on it once it is built.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
PLAYGROUND: Final = ROOT / "build" / "playground" / "files"
_PAGES: Final = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "docs/contributors/*.md",
    "docs/decisions/*.md", "deploy/*.md",
    "deploy/*/*.md",  # below that are the packages of Node, once they are installed
)  # fmt: skip
_LINK: Final = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
# What stands behind the language of a block is for the tests, and no option of the highlighter.
_INFO: Final = re.compile(r"^(`{3,}\w+) .*$", re.MULTILINE)
_OF_PLAYGROUND: Final = re.compile(r"^<(?:link|script) .*\n", re.MULTILINE)
_VERSION: Final = re.compile(r'^version = "(.+)"$', re.MULTILINE)


def main(folder: Path) -> int:
    """Build the site in `folder`; return the exit status of the generator."""
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.rmtree(folder / "site", ignore_errors=True)
    shutil.copytree(HERE / "assets", pages)
    lay_out(pages)
    if PLAYGROUND.exists():
        shutil.copytree(PLAYGROUND, pages / "playground")
    else:
        page = pages / "docs" / "playground.md"
        page.write_text(_OF_PLAYGROUND.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    settings = (HERE / "mkdocs.yml").read_text(encoding="utf-8")
    if "REPOSITORY_URL" not in os.environ:
        settings = settings.replace("content.action.edit,", "")  # there would be no such page
    config = folder / "mkdocs.yml"
    config.write_text(settings, encoding="utf-8")
    generator = Path(sys.executable).with_name("zensical")
    version = _VERSION.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[0]
    variables = {"SITE_VERSION": f"rolloutctl {version}", **os.environ}
    status = subprocess.run(
        [generator, "build", "--clean", "--strict", "-f", config], env=variables, check=False
    ).returncode
    if status == 0:
        for hidden in pages.glob(".*"):  # which Zensical leaves out
            shutil.copytree(hidden, folder / "site" / hidden.name)
    return status


def lay_out(target: Path) -> None:
    """Write the pages, the files that they link to, and lists of linked folders, to `target`."""
    pages = {path for pattern in _PAGES for path in ROOT.glob(pattern)}
    linked = {path for page in pages for path in _linked(page)}
    folders = {path for path in linked if path.is_dir()}
    listed = {path for folder in folders for path in _files(folder)}
    for path in pages | (linked - folders) | listed:
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            copy.write_text(_markdown(path), encoding="utf-8")
        else:
            shutil.copyfile(path, copy)
    for folder in folders:
        (target / folder.relative_to(ROOT) / "index.md").write_text(_list(folder), encoding="utf-8")


def _markdown(page: Path) -> str:
    """Return the text as Python-Markdown reads it: it differs from that of GitHub in details."""
    text = _INFO.sub(r"\1", page.read_text(encoding="utf-8"))
    return _LINK.sub(lambda link: _of_a_folder(page.parent, link), text)


def _of_a_folder(folder: Path, link: re.Match[str]) -> str:
    is_folder = (folder / link[1]).is_dir()
    return f"{link[0].rstrip('/')}/index.md" if is_folder else link[0]


def _linked(page: Path) -> Iterator[Path]:
    """Yield the files and folders that `page` links to. Raises ValueError for a dead link."""
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        path = (page.parent / link).resolve()
        if not path.exists():
            raise ValueError(f"{page.relative_to(ROOT)}: {link} leads nowhere")
        yield path


def _list(folder: Path) -> str:
    lines = [f"- [{_title(path)}]({path.name})" for path in sorted(_files(folder))]
    return "\n".join([f"# {folder.name.capitalize()}", "", *lines, ""])


def _title(path: Path) -> str:
    if path.suffix != ".md":
        return path.name
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()))
