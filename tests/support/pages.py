"""A page as a reader of HTML finds it: its elements, and the text of each."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

_VOID: Final = frozenset({"meta", "link", "br", "path", "rect"})


@dataclass(slots=True)
class Element:
    """One element. inside: the tags around it, the outermost first. texts: of all that is in it."""

    tag: str
    attributes: dict[str, str]
    inside: tuple[str, ...]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of everything in it."""
        return "".join(self.texts)


@dataclass(slots=True)
class Page(HTMLParser):
    """The elements of a page, in order."""

    elements: list[Element] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, tuple(one.tag for one in self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and any(one.tag == tag for one in self._open):
            if self._open.pop().tag == tag:  # elements that may be left open end with it
                break

    def handle_data(self, data: str) -> None:
        for one in self._open:
            one.texts.append(data)

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements called `tag` with these attributes (`class_` is `class`)."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [
            element
            for element in self.elements
            if element.tag == tag and wanted.items() <= element.attributes.items()
        ]

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """Return the texts of the elements called `tag`, each with single blanks."""
        return [" ".join(one.text.split()) for one in self.all(tag, **attributes)]


def read_page(text: str) -> Page:
    """Return the page whose HTML is `text`."""
    page = Page()
    page.feed(text)
    page.close()
    return page


def outside_references(page: Page) -> list[str]:
    """Return what a browser would run or ask a host for when it opens the page."""
    found = [
        element.tag
        for element in page.elements
        if element.tag in ("script", "iframe", "img", "object")
    ]
    for element in page.elements:
        for name, value in element.attributes.items():
            asks = name in ("src", "srcset", "action") or (name == "href" and element.tag == "link")
            if name.startswith("on") or (asks and not value.startswith("data:")):
                found.append(f"{element.tag} {name}={value}")
    return found
