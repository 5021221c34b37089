"""A search for the variables of a request in the words of a refusal. IAM: none.

It errs on the safe side: words that share as much as PIECE letters or digits in a row with a value
count as a quote. ARNs do not, as AWS names the caller and the function by them, unless one is in a
value.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

PIECE: Final = 8  # letters and digits in a row, of a value that is cut off or spelt otherwise
SHORT: Final = 4  # characters; a shorter value counts only as a whole word

_ARN: Final = re.compile(r"arn:aws[\w-]*:\w+:[\w-]*:\d*:[\w:/.-]+")  # ends before `,` and `=`
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]{6,}")


def may_quote(text: str, variables: Mapping[str, str]) -> bool:
    """Tell whether `text` may have the name of a variable, a value, or a piece of one.

    Escapes of JSON, Python, URLs and HTML, base64, and values that are cut off are seen through.
    """
    own = "\n".join(variables.values())
    words = _ARN.sub(lambda arn: arn[0] if arn[0] in own else "", text)
    pieces = {piece for variable in variables.values() for piece in _pieces(variable)}
    return any(name in reading for reading in _readings(text) for name in variables) or any(
        any(_has(reading, variable) for variable in variables.values())
        or not pieces.isdisjoint(_pieces(reading))
        for reading in _readings(words)
    )


def _has(text: str, value: str) -> bool:
    if len(value) >= SHORT:
        return value in text
    return bool(value) and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _pieces(text: str) -> Iterator[str]:
    """Yield all letters and digits of `text` that follow each other, in groups of PIECE."""
    plain = re.sub(r"[\W_]", "", text)
    return (plain[at : at + PIECE] for at in range(len(plain) - PIECE + 1))


def _readings(text: str) -> Iterator[str]:
    """Yield `text` as it is, without its escapes, and what it may have in base64."""
    from base64 import urlsafe_b64decode
    from html import unescape
    from urllib.parse import unquote_plus

    yield text
    yield unescape(unquote_plus(text))
    for one in _BASE64.findall(text.translate(str.maketrans("+/", "-_"))):
        whole = one[:-1] if len(one) % 4 == 1 else one
        yield urlsafe_b64decode(f"{whole}==").decode(errors="replace")
