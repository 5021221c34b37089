"""Secret values of environment variables, and a search for them in all output of a run."""

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

# None of these can occur by chance.
PLANTED: Final[Mapping[str, str]] = {
    "SHORT": "Zq7!",
    "LONG": "pl4nted-long-" + "0aZ9" * 300 + "-end",
    "QUOTED": """she said "pl4nted-it's" and `left`""",
    "LINES": "pl4nted-one\npl4nted-two\r\n\tpl4nted-three\n",
    "JSON": '{"token": "pl4nted-json", "of": [1, null], "is": "\\u00e9"}',
    "UNICODE": "Grüße-pl4nted-世界-🚀",
    "URL": "postgres://app:pl4nted%20&3@db.internal:5432/app?sslmode=require",
    "BACKSLASHES": "C:\\pl4nted\\new\\\\",
    "MARKUP": "<pl4nted> & </pl4nted>",
    "SPACES": "  pl4nted spaces  ",
}

_LINE: Final = 6  # the shortest line of a value that is searched for by itself, in characters


def spellings(value: str) -> set[str]:
    """Return `value` in every encoding in which a program may write it.

    A truncated value is found by its beginning, and a split one by its lines.
    """
    plain = {value, value.strip(), value[:32], value[-32:]}
    plain |= {line.strip() for line in value.splitlines() if len(line.strip()) >= _LINE}
    collected = set[str]()
    for text in filter(None, plain):
        once = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        once |= {repr(text)[1:-1], ascii(text)[1:-1]}
        collected |= once
        for one in once:
            collected |= {json.dumps(one)[1:-1], html.escape(one)}
            collected |= {quote(one), quote(one, safe=""), quote_plus(one)}
        collected.add(base64.b64encode(text.encode()).decode().rstrip("=")[:-1])
    return {one for one in collected if len(one) >= len(PLANTED["SHORT"])}


_SPELLINGS: Final = {name: spellings(value) for name, value in PLANTED.items()}


def leaks(texts: Iterable[str | bytes]) -> set[tuple[str, str]]:
    """Return the name of each variable whose value occurs in `texts`, with the text around it."""
    return {
        (name, _context(text, encoding))
        for text in map(_text, texts)
        for name, encodings in _SPELLINGS.items()
        for encoding in encodings
        if encoding in text
    }


def files(folder: Path) -> Iterator[bytes]:
    """Yield the bytes of every file under `folder`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.read_bytes()


def error_texts(error: BaseException | None) -> Iterator[str]:
    """Yield the texts and attributes of an error, its causes and its contexts."""
    while error is not None:
        yield from (str(error), repr(error), repr(vars(error)))
        if error.__context__ is not error.__cause__:
            yield from error_texts(error.__context__)
        error = error.__cause__


def quoting(variables: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a whole environment as AWS, botocore and proxies quote it, by the kind of quote."""
    python = ", ".join(f"{name}={value}" for name, value in variables.items())
    return {
        "as AWS does": f"Value '{{{python}}}' at 'environment.variables' failed to satisfy it",
        "as JSON": f"String measured: {json.dumps(dict(variables))}",
        "as Python": f"Invalid value: {dict(variables)!r}",
        "cut off": f"Value '{{{python[:60]}... at 'environment.variables' failed",
        "URL-escaped": quote(json.dumps(dict(variables))),
    }


def _text(content: str | bytes) -> str:
    return content if isinstance(content, str) else content.decode("utf-8", errors="replace")


def _context(text: str, secret: str) -> str:
    at = text.index(secret)
    return text[max(0, at - 60) : at + 60]
