"""Text of a policy is one printable line, in every field that there is."""

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from controller.core.policy import Channel, Criterion, TargetSpec
from controller.core.policy.criteria import CRITERIA
from controller.core.policy.kind_registry import Registry
from controller.core.policy.notify import CHANNELS
from controller.core.policy.targets import TARGETS
from controller.errors import PolicyError
from controller.policy_file.loader import loads
from tests.support.core import Policy, PolicyProblems, parse
from tests.support.deep_rows import deep_after
from tests.support.hostile import HOSTILE_TEXTS
from tests.support.rollouts import a_policy

# Where a text may be written, and the kind of each union on the way there.
Leaf: TypeAlias = tuple[tuple[str | int, ...], Mapping[tuple[str | int, ...], str]]
KEY = "x"


def leaves(kind: Any, place: tuple[str | int, ...] = (), kinds: Any = None) -> Iterator[Leaf]:
    """Yield every place below a field of type `kind` that takes something other than a mapping.

    Numbers, times and percents are written as text, too.
    """
    kinds = kinds or {}
    origin = get_origin(kind)
    if kind in FAMILIES:
        for model in FAMILIES[kind].models().values():
            yield from leaves(model, place, kinds)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        tag = kind.model_fields.get("kind")
        inside = {**kinds, place: get_args(tag.annotation)[0]} if tag is not None else kinds
        for name, field in kind.model_fields.items():
            yield from leaves(field.annotation, (*place, field.alias or name), inside)
    elif origin in BELOW:
        for below, part in BELOW[origin](get_args(kind)):
            yield from leaves(below, (*place, *part), kinds)
    elif kind is not type(None) and origin is not Literal:
        yield place, kinds


# The kinds that may stand where the model names their base.
FAMILIES: Mapping[Any, Registry[Any]] = {
    TargetSpec: TARGETS,
    Channel: CHANNELS,
    Criterion: CRITERIA,
}

# What is below a type with arguments, and at which part of a place.
BELOW: Mapping[Any, Callable[[Any], list[tuple[Any, tuple[str | int, ...]]]]] = {
    Annotated: lambda kinds: [(kinds[0], ())],
    Union: lambda kinds: [(kind, ()) for kind in kinds],
    types.UnionType: lambda kinds: [(kind, ()) for kind in kinds],
    dict: lambda kinds: [(kinds[1], (KEY,))],
    tuple: lambda kinds: [(kinds[0], (0,))],
}


def document(leaf: Leaf, text: str) -> Any:
    """Return what a file says that has only `text` at this place; the rest of it is missing."""
    place, kinds = leaf
    data: Any = text
    for length in reversed(range(len(place))):
        part = place[length]
        data = [data] if isinstance(part, int) else {part: data}
        if isinstance(data, dict) and place[:length] in kinds:
            data["kind"] = kinds[place[:length]]
    return data


PARTS = 3
LEAVES = list({(leaf[0], *leaf[1].values()): leaf for leaf in leaves(Policy)}.values())


def problems(data: Any, place: tuple[str | int, ...]) -> list[str]:
    """Return the problems that are reported at this place of a file."""
    with pytest.raises(PolicyProblems) as caught:
        parse(data)
    return [problem.message for problem in caught.value.problems if problem.place == place]


@pytest.mark.parametrize("part", deep_after(1, range(PARTS)))
def test_every_field_refuses_each_with_one_problem(part: int) -> None:
    """Each part has every field and every text."""
    messages = {
        (name, leaf[0]): problems(document(leaf, text), leaf[0])
        for row, (name, text) in enumerate(HOSTILE_TEXTS.items())
        for column, leaf in enumerate(LEAVES)
        if (row + column) % PARTS == part
    }
    assert {place: message for place, message in messages.items() if len(message) != 1} == {}
    words = ("is not printable", "line", "a command by GitHub Actions")
    other = [one for (one,) in messages.values() if not any(word in one for word in words)]
    assert other == []


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
@pytest.mark.parametrize(
    "place", [("metrics",), ("criteria",), ("metrics", KEY, "dimensions"), ()], ids=str
)
def test_so_does_every_key(place: tuple[str, ...], text: str) -> None:
    data: Any = {text: "v" if place[-1:] == ("dimensions",) else {}}
    for part in reversed(place):
        data = {part: data}
    assert len(problems(data, (*place, text))) == 1


FILE = """\
version: 1
name: shop
summary: "clears\\e[2J the screen"
target: {kind: lambda-env, function: f, percentage: P_P}
metrics:
  calls: {namespace: "a\\u202Eb", name: "c\\nd", statistic: Sum, dimensions: {"k\\u200B": v}}
criteria:
  works: {kind: traffic, metric: calls, judge: threshold}
  signed:
    kind: attestation
    statement: |
      I have looked.
steps:
  - {weight: 100, bake: 10m}
"""


def test_each_is_one_line_with_its_place() -> None:
    with pytest.raises(PolicyError) as caught:
        loads(FILE, "p\n.yaml")
    character = "is not printable: write one line of printable characters"
    assert str(caught.value).split("\n") == [
        f"p .yaml:3:10: summary: U+001B {character}",
        f"p .yaml:6:22: metrics.calls.namespace: U+202E {character}",
        "p .yaml:6:40: metrics.calls.name: has more than one line: write one",
        f"p .yaml:6:77: metrics.calls.dimensions.'k\\u200b': U+200B {character}",
        "p .yaml:11:16: criteria.signed.statement: ends with a line break: write `>-` or `|-` to "
        "leave that out",
    ]


def test_a_stored_policy_is_readable_whatever_it_says() -> None:
    """Its rollout has to be rolled back; which characters there are differs between Pythons."""
    plain = a_policy().model_dump(mode="json", exclude_none=True, by_alias=True)
    assert Policy.model_validate({**plain, "summary": "\u202e"}).summary == "\u202e"
