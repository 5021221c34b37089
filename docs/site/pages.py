"""Hooks of MkDocs: the pages of the site are the Markdown files of the repository, at their places.

Each file that a page links to is on the site as well, and each folder as a list of its files, so a
link means the same on the site as in the repository.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]
_PAGES: Final = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "docs/contributors/*.md",
    "docs/decisions/*.md", "deploy/*.md",
    "deploy/*/*.md",  # below that are the packages of Node, once they are installed
)  # fmt: skip
_LINK: Final = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
# What stands behind the language of a block is for the tests, and no option of the highlighter.
_INFO: Final = re.compile(r"^(`{3,}\w+) .*$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, the files that they link to, and a list for each folder that they link to."""
    pages = {path for pattern in _PAGES for path in ROOT.glob(pattern)}
    linked = {path for page in pages for path in _linked(page)}
    folders = {path for path in linked if path.is_dir()}
    listed = {path for folder in folders for path in _files(folder)}
    for path in sorted(pages | (linked - folders) | listed):
        files.append(File.generated(config, _uri(path), abs_src_path=str(path)))
    for folder in sorted(folders):
        files.append(File.generated(config, f"{_uri(folder)}/index.md", content=_list(folder)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Return the text as Python-Markdown reads it: it differs from that of GitHub in details."""
    folder = (ROOT / page.file.src_uri).parent
    text = _INFO.sub(r"\1", markdown)
    return _LINK.sub(lambda link: _of_a_folder(folder, link), text)


def _of_a_folder(folder: Path, link: re.Match[str]) -> str:
    is_folder = (folder / link[1]).is_dir()
    return f"{link[0].rstrip('/')}/index.md" if is_folder else link[0]


def _linked(page: Path) -> Iterator[Path]:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        path = (page.parent / link).resolve()
        if path.exists():  # MkDocs reports the others
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


def _uri(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
