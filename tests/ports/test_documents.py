"""A document is printed part by part, and is the text that `json.dumps` gives for the whole."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from controller.immutable import Immutable
from controller.ports.json_view import document_parts


class Item(Immutable):
    """A member of a list."""

    value: Any


class Listing(Immutable):
    """A document with a list that may be an iterator."""

    name: str
    items: Iterable[Item]


VALUES = [
    pytest.param([], id="an empty list"),
    pytest.param([1, 2.5, 1e16, 1e-7, None, True, [], {}, {"a": [{}]}], id="every kind of value"),
    pytest.param(["ü ≥ \n \u0085 \u2028", "\x7f"], id="characters that are not ASCII"),
    pytest.param(["a", float("nan")], id="what is no number, in a changed entry"),
    pytest.param(["\ud800"], id="half a character, in a changed entry"),
]


@pytest.mark.parametrize("values", VALUES)
def test_an_iterator_is_printed_as_the_list_that_it_makes(values: list[Any]) -> None:
    document = Listing("all", (Item(value) for value in values))
    expected = {
        "schema": "listing/1",
        "name": "all",
        "items": [{"value": value} for value in values],
        "would": [],
    }

    text = "".join(document_parts("listing", document, {"would": []}))

    assert text == json.dumps(expected, indent=2, ensure_ascii=False)


def test_a_member_is_made_when_the_one_before_it_is_printed() -> None:
    made: list[int] = []

    def items() -> Iterator[Item]:
        for number in range(1_000):
            made.append(number)
            yield Item(number)

    parts = document_parts("listing", Listing("all", items()))

    assert next(part for part in parts if '"value": 3' in part)
    assert made == [0, 1, 2, 3]
