"""store recipients: the list is shown, replaced from a file, and removed."""

from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.support.cases import cases

TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
YAML = f'shop:\n  - {TOPIC}\n  - secretsmanager:secret:a!b@c\n"*": []\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file of a list."""
    path = tmp_path / "recipients.yaml"
    path.write_text(YAML)
    return path


def test_a_list_is_set_shown_as_the_same_yaml_and_removed(desk: CliHarness, file: Path) -> None:
    assert desk.run("store", "init").status == Exit.DONE
    none = desk.run("store", "recipients")
    assert (none.status, none.out) == (
        Exit.DONE,
        f"# list of recipients of sqlite:///{desk.store}: none, policies may use any resource\n",
    )
    was_set = desk.run("store", "recipients", "--set", str(file))
    head = f"# list of recipients set in sqlite:///{desk.store}\n"
    assert (was_set.status, was_set.out) == (Exit.DONE, head + YAML)
    (logged,) = [event for event in was_set.events if event["event"] == "recipients_set"]
    assert logged["allowed"]["shop"][0] == TOPIC
    shown = desk.run("store", "recipients").out
    assert shown == head.replace(" set in ", " of ") + YAML
    file.write_text(shown)
    assert desk.run("store", "recipients", "--set", str(file)).out == was_set.out

    document = desk.run("store", "recipients", "--json").data
    assert document["recipients"][1] == {"policy": "*", "resources": []}
    assert desk.run("store", "recipients", "--remove", "--json").data["recipients"] is None
    assert desk.run("store", "recipients").out == none.out


@cases("text, problem", {
    "an empty file": ("", ":1:1: nothing in here"),
    "a list": (f"- {TOPIC}", ":1:1: expected policy names with lists of resources"),
    "no policy name": ("Shop: []", ":1:1: Shop: expected the name of a policy, or"),
    "a number for a name": ("7: []", ":1:1: "),
    "one resource": (f"shop: {TOPIC}", ":1:7: shop: expected a list of resources"),
    "a bare name": ("shop:\n  - rollouts", ":2:5: shop[0]: expected an ARN, or how doctor"),
    "a number": ("shop:\n  - a:b\n  - 1", ":3:5: shop[1]: expected an ARN"),
    "a space": ("shop: ['a: b']", ":1:8: shop[0]: expected an ARN"),
    "an unquoted star": ("*: []", ":1:1: "),
    "the same name twice": ("shop: []\nshop: []", ":2:1: "),
})  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_nothing_is_changed(
    desk: CliHarness, file: Path, text: str, problem: str
) -> None:
    desk.run("store", "init")
    desk.run("store", "recipients", "--set", str(file))
    before = desk.run("store", "recipients").out
    file.write_text(text)
    ended = desk.run("store", "recipients", "--set", str(file))
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert ended.err.startswith(f"rolloutctl: {file}{problem}")
    assert desk.run("store", "recipients").out == before


def test_two_changes_at_once_and_a_missing_store_are_refused(desk: CliHarness, file: Path) -> None:
    both = desk.run("store", "recipients", "--set", str(file), "--remove")
    assert (both.status, "give one of them" in both.err) == (Exit.USAGE, True)
    for words in ((), ("--remove",), ("--set", str(file))):
        assert desk.run("store", "recipients", *words).status == Exit.USAGE
    assert not desk.store.exists()


def test_no_list_is_shown_where_it_is_damaged(desk: CliHarness, file: Path) -> None:
    desk.run("store", "init")
    desk.run("store", "recipients", "--set", str(file))
    desk.sql("UPDATE recipients SET list = ?", "{}")
    ended = desk.run("store", "recipients")
    assert (ended.status, ended.out) == (Exit.INTERNAL, "")
    assert "error-store" in ended.err


def test_a_copy_says_that_the_list_is_left(desk: CliHarness, file: Path, tmp_path: Path) -> None:
    old, new = (f"sqlite:///{tmp_path / name}.db" for name in ("old", "new"))
    for url in (old, new):
        desk.run("store", "init", "--store", url)
    assert "list of recipients" not in desk.run("store", "copy", old, new).err
    desk.run("store", "recipients", "--set", str(file), "--store", old)
    copied = desk.run("store", "copy", old, new)
    assert (copied.status, f"{new} has no list of recipients" in copied.err) == (Exit.DONE, True)
    desk.run("store", "recipients", "--set", str(file), "--store", new)
    assert "list of recipients" not in desk.run("store", "copy", old, new).err
