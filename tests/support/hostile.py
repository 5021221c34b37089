"""Hostile texts from outside, and a check of outputs for what they would make a reader do."""

import re
from collections.abc import Iterator
from typing import Final
from unicodedata import category

# Each attacks the program that displays it, and contains `pwned`.
HOSTILE_TEXTS: Final = {
    "a workflow command": "::error::pwned",
    "a workflow command on a line of its own": "x\n::error::pwned",
    "a workflow command behind blanks": "x\r\n \t\xa0::add-mask::pwned",
    "a workflow command in disguise": "\ufe0f:\ufe0f:error::pwned",
    "an old workflow command": "x ##[error]pwned",
    "an old workflow command in disguise": "x #\ufe0f#\ufe0f[error]pwned",
    "a screen that is cleared": "\x1b[2J\x1b[Hpwned",
    "the title of a window": "\x1b]0;pwned\x07",
    "the title of a window in C1": "\x9d0;pwned\x9c",
    "a carriage return": "x\rpwned",
    "a backspace": "x\x08\x08pwned",
    "a NUL, a bell and a DEL": "\x00\x07\x7fpwned",
    "a tab, a VT and an FF": "x\t\x0b\x0cpwned",
    "a next line": "x\x85::error::pwned",
    "a line separator": "x\u2028::error::pwned",
    "a paragraph separator": "x\u2029::error::pwned",
    "bidi overrides": "\u202d\u202epwned\u202c",
    "bidi embeddings": "\u202a\u202bpwned\u202c",
    "bidi isolates": "\u2066\u2067\u2068pwned\u2069",
    "bidi marks": "\u200e\u200f\u061cpwned",
    "nothing to see": "p\u200bw\u200cn\u200de\u2060d\ufeff\xadpwned",
    "letters that show nothing": "\u3164\u115f\u1160\uffa0\u2800\ufe00\U000e0101pwned",
    "tags": "\U000e0001\U000e0070\U000e0077pwned",
    "half a character": "\ud83dpwned",
    "a byte that was no UTF-8": "\udc9bpwned",
    "private characters": "\ue000\U000f0000pwned",
    "what no Unicode has": "\u0378\uffff\U0010ffffpwned",
}
# Texts that people really write.
HARMLESS_TEXTS: Final = (
    "Checkout über das API-Gateway: 50% (größer/gleich)",
    "日本語の説明、全角　スペース",
    "مرحبا بالعالم",
    "no-break\xa0space, thin\u2009space, a::b, # and [x]",
    "🚀 ⚠️ ✓ … – “quoted”",
)
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u2800\u3164\uffa0\ufe00-\ufe0e\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)


def unsafe_parts(output: str) -> Iterator[str]:
    """Yield the parts of `output` that attack a terminal, a CI runner or a human reader."""
    for line in output.split("\n"):
        yield from (f"U+{ord(one):04X}" for one in line if category(one) in _UNSAFE_CATEGORIES)
        yield from (f"U+{ord(one):04X}" for one in _INVISIBLE.findall(line))
        visible = line.replace("\ufe0f", "")
        if visible.lstrip().startswith("::") or "##[" in visible:
            yield line
        if visible.lstrip().startswith("pwned"):
            yield f"a line of its own: {line}"
