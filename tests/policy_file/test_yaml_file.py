"""YAML as data: the values of scalars, what is refused, and limits on memory and time."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from controller.errors import PolicyError
from controller.policy_file.mistake import PolicyMistake
from controller.policy_file.yaml_file import YamlSource, parse, read


def report(source: YamlSource, problems: Iterable[PolicyMistake] = ()) -> list[str]:
    return [str(flaw) for flaw in source.flaws(problems)]


def refusal(text: str) -> str:
    """Return the one line with which reading `text` ends."""
    with pytest.raises(PolicyError) as caught:
        parse(text, "f.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("null", None),
        ("''", ""),
        ("true", True),
        ("yes", "yes"),
        ("012", 12),
        ("0o14", 12),
        ("12:30", "12:30"),
        ("0.5", 0.5),
        ("1e3", 1_000.0),
        ('"true"', "true"),
        ("99.9%", "99.9%"),
        ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ("9" * 5_000, float("inf")),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says(scalar: str, value: object) -> None:
    data: Any = parse(f"key: {scalar}", "f.yaml").data
    assert data["key"] == value
    assert type(data["key"]) is type(value)


def test_aliases_stand_for_what_they_name() -> None:
    source = parse("a: &x {b: [1, 2]}\nc: *x\n", "f.yaml")
    assert source.data == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}
    assert report(source) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1:1: nothing in here: the file is empty, or all comments"),
        ("a:\n\t- b\n", "2:1: a tab cannot indent YAML: use spaces"),
        (
            "a: [1,\nb: 2\n",
            "2:5: expected ',' or ']', but got '<stream end>', while parsing a flow sequence that "
            "begins on line 1",
        ),
        (
            "a: 'x\nb: y\n",
            "2:5: found unexpected end of stream, while scanning a quoted scalar that begins on "
            "line 1",
        ),
        (
            "{\n",
            "1:2: expected the node content, but found '<stream end>', while parsing a flow node",
        ),
        ("a: b: c\n", "1:5: mapping values are not allowed here"),
        ("a: *nothing\n", "1:4: no anchor &nothing before this alias"),
        ("a: &x [*x]\n", "1:8: the alias *x stands inside what it stands for"),
        ("%YAML 1.1\n---\na: 1\n", "2:1: only YAML 1.2 is read"),
        ("a: b\x07\n", "1:5: the character U+0007 is not allowed in YAML"),
        ("[" * 33, "1:33: nested more than 32 levels deep"),
        ("a: &x " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*x", "2:24: nested more than"),
        (
            "".join(f"k{number}: 1\n" for number in range(10_000)),
            "10000:8: more than 20,000 values, counting what aliases stand for",
        ),
    ],
)
def test_reading_stops_with_one_line(text: str, line: str) -> None:
    assert refusal(text).startswith(f"f.yaml:{line}")


def test_what_crashes_the_parser_is_refused_too() -> None:
    assert refusal('a: 1\nb: "\\UFFFFFFFF"\n').startswith("f.yaml:2:1: cannot be read as YAML: ")


_MERGE = "merge keys are not part of YAML 1.2: write the keys out"
_TAG = "is not allowed: only plain data is read"


@pytest.mark.parametrize(
    ("text", "data", "reported"),
    [
        (
            "a: 1\nb: 2\na: 3\na: 4\n",
            {"a": 1, "b": 2},
            ["3:1: a: duplicate key, first on line 1", "4:1: a: duplicate key, first on line 1"],
        ),
        ("a: 1\n---\nb: 2\n", {"a": 1}, ["2:1: a second document begins here; a file holds one"]),
        ("? [a, b]\n: 1\n", {}, ["1:3: a key must be text: put it in quotes"]),
        ("1: a\n'2': c\n", {"2": "c"}, ["1:1: a key must be text: put it in quotes"]),
        ("~: a\n", {}, ["1:1: a key must be text: put it in quotes"]),
        ("a: {<<: {b: 1}, c: 2}\n", {"a": {"c": 2}}, [f"1:5: a: {_MERGE}"]),
        ("'<<': 1\n", {"<<": 1}, []),
        ("a: &x 1\nb: &x 2\n", {"a": 1, "b": 2}, ["2:4: b: the anchor &x is used twice"]),
        ("a: !!int x\n", {"a": None}, ["1:4: a: the tag !!int is not allowed here: 'x' is no int"]),
        ("a: !!set {b}\n", {"a": None}, [f"1:4: a: the tag !!set {_TAG}"]),
        ("a: !!seq [1]\n", {"a": [1]}, []),
        (
            'a: "\\ud83d\\ude80"\nb: "\\U0001F680"\n',
            {"a": None, "b": "\U0001f680"},
            ["1:4: a: U+D83D is half of a character: write the whole one"],
        ),
        ('"\\ud800": 1\n', {}, ["1:1: U+D800 is half of a character: write the whole one"]),
    ],
)  # fmt: skip
def test_what_two_readers_could_read_in_two_ways_is_a_mistake(
    text: str, data: object, reported: list[str]
) -> None:
    source = parse(text, "f.yaml")
    assert source.data == data
    assert report(source) == [f"f.yaml:{line}" for line in reported]


def test_a_problem_that_follows_from_a_mistake_is_not_reported() -> None:
    text = "a: &a !include a.yaml\nb: {<<: {x: 1}}\nc: {!tag x: 1}\nd: *a\ne: {}\n"
    source = parse(text, "f.yaml")
    follow = [PolicyMistake((key, "x"), "is required") for key in "abcd"]
    reported = report(source, [*follow, PolicyMistake(("e", "x"), "is required")])
    assert [line for line in reported if "required" in line] == ["f.yaml:5:4: e.x: is required"]
    assert len(reported) == 4


@pytest.mark.parametrize(
    ("problem", "position"),
    [
        pytest.param(PolicyMistake((), "x"), "1:1", id="the whole file"),
        pytest.param(PolicyMistake(("a", 1), "x"), "1:12", id="a value"),
        pytest.param(PolicyMistake(("a",), "x", at_key=True), "1:1", id="a key"),
        pytest.param(PolicyMistake(("a", 7), "x"), "1:4", id="an item that is not there"),
        pytest.param(PolicyMistake(("b", 0), "x"), "2:4", id="behind an alias"),
        pytest.param(PolicyMistake(("c",), "x"), "3:1", id="an empty value"),
        pytest.param(PolicyMistake(("d", 0, "e"), "x"), "5:8", id="deep in a block"),
    ],
)
def test_a_problem_is_reported_where_an_editor_jumps(problem: PolicyMistake, position: str) -> None:
    source = parse("a: &x  [1, 2]\nb: *x\nc:\nd:\n  - e: f\n", "f.yaml")
    line = report(source, [problem])[0]
    assert line.startswith(f"f.yaml:{position}: ")


def test_a_file_is_read_with_its_name_in_every_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\na: 2\r\n")  # BOM, CRLF
    source = read(path)
    assert source.data == {"a": 1, "b": "\u00e9"}
    assert report(source) == [f"{path}:3:1: a: duplicate key, first on line 1"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: 1\nbb: \xff\n", ":2:5: is not UTF-8 from here on: save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), ":1:1: is not UTF-8 from here on: save the file as UTF-8"),
        (b"#" * ((1 << 20) + 1), ": is larger than 1 MiB: no file for this program"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    assert _refused(path) == f"{path}{line}"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert _refused(missing) == f"{missing}: cannot be read: No such file or directory"
    assert _refused(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"
    assert _refused(Path("a\0b")).endswith("cannot be read: embedded null byte")


def _refused(path: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        read(path)
    return str(caught.value)
