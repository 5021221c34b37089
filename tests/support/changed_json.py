"""JSON documents with one part changed, for properties of what reads them."""

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

# What another program, a person or a broken disk may have put in a place.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=20),
    st.sampled_from(["", "0", "1e999", "2026-11-24T12:00:00+00:00", "\ud800", "a" * 5_000]),
    st.just({}),
    st.just([]),
    st.just([[[[{}]]]]),
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> str:
    """Return `document` as JSON text, in which one part was replaced, removed, added or moved."""
    whole = deepcopy(document)
    place = draw(st.sampled_from(_places(whole)))
    parent = whole
    for key in place[:-1]:
        parent = parent[key]
    if not place:
        return json.dumps(draw(VALUES))
    match draw(st.sampled_from(["replace", "remove", "add", "swap"])):
        case "replace":
            parent[place[-1]] = draw(VALUES)
        case "remove":
            del parent[place[-1]]
        case "add" if isinstance(parent, dict):
            parent[draw(st.text(max_size=10))] = draw(VALUES)
        case _:
            parent[place[-1]] = deepcopy(whole)
    return json.dumps(whole)


@st.composite
def spliced(draw: st.DrawFn, text: str) -> str:
    """Return `text` with a piece of it replaced by another, mostly not JSON any more."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 30)))
    pieces = st.sampled_from(["", '"', "{", "}", "[", "]", ",", ":", "\\", "NaN", "1e400", "\x00"])
    return text[:start] + draw(st.one_of(pieces, st.text(max_size=5))) + text[end:]


def _places(value: Any) -> Sequence[tuple[Any, ...]]:
    """Return the path of each value in `value`, its own (empty) first."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        items = []
    return [(), *((key, *place) for key, one in items for place in _places(one))]
