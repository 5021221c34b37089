"""store init and store copy: a new store, and rollouts copied to another one."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from controller import cli
from controller.bootstrap import app as bootstrap
from controller.errors import Exit
from controller.process import settings
from controller.process.settings import DynamoDbLocation, Settings
from tests.cli.conftest import CliHarness, Ended
from tests.support.cases import cases
from tests.support.core import Phase
from tests.support.emulator import Emulator
from tests.support.rollouts import in_phase, with_entry
from tests.tools.simulation.worlds import FUNCTION, MINUTE

Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *arguments: str) -> Ended:
    """Run one command, on whatever account the environment names."""
    capsys.readouterr()
    return Ended(cli.main(arguments), *capsys.readouterr())


@pytest.fixture
def _account(ministack: Emulator, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ministack.environment(account).items():
        monkeypatch.setenv(name, value)


# --- init ---------------------------------------------------------------------------------------


def test_init_makes_the_file_and_says_so_and_a_second_one_leaves_it_alone(
    tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "new" / "rollouts.db"
    url = f"sqlite:///{file}"
    assert run(capsys, "store", "init", "--store", url).out == f"store {url} is created\n"
    bytes_then = file.read_bytes()
    again = run(capsys, "store", "init", "--store", url)
    assert (again.status, again.out) == (Exit.DONE, f"store {url} exists already\n")
    assert file.read_bytes() == bytes_then


@pytest.mark.usefixtures("_account")
def test_init_makes_the_table_and_prints_the_template_of_it(capsys: Captured) -> None:
    made = run(capsys, "store", "init", "--store", "dynamodb://rollouts")
    assert (made.status, made.out.splitlines()[0]) == (
        Exit.DONE,
        "# store dynamodb://rollouts is created",
    )
    again = run(capsys, "store", "init", "--store", "dynamodb://rollouts")
    assert again.out.splitlines()[0] == "# store dynamodb://rollouts exists already"
    for ended in (made, again):  # what is printed is a template as it stands
        resources = YAML(typ="safe").load(ended.out)["Resources"].values()
        assert [resource["Type"] for resource in resources] == ["AWS::DynamoDB::Table"]
        assert [resource["Properties"]["TableName"] for resource in resources] == ["rollouts"]


def test_a_template_needs_no_account_and_touches_nothing(capsys: Captured) -> None:
    ended = run(capsys, "store", "init", "--template", "--store", "dynamodb://rollouts")
    assert ended.status == Exit.DONE
    assert "TableName: rollouts" in ended.out
    assert "# dynamodb" not in ended.out


def test_a_file_has_no_template(tmp_path: Path, capsys: Captured) -> None:
    url = f"sqlite:///{tmp_path / 'rollouts.db'}"
    ended = run(capsys, "store", "init", "--template", "--store", url)
    assert ended.status == Exit.USAGE
    assert "name a table: --store dynamodb://TABLE" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_init_says_in_json_what_it_did(tmp_path: Path, capsys: Captured) -> None:
    url = f"sqlite:///{tmp_path / 'rollouts.db'}"
    assert run(capsys, "store", "init", "--store", url, "--json").data == {
        "schema": "store-init/1", "store": url, "made": True, "template": None,
    }  # fmt: skip
    table = run(capsys, "store", "init", "--template", "--store", "dynamodb://abc", "--json").data
    assert (table["store"], table["made"]) == ("dynamodb://abc", None)
    assert "TableName: abc" in table["template"]


# --- copy ---------------------------------------------------------------------------------------


@pytest.fixture
def started(desk: CliHarness, tmp_path: Path) -> tuple[str, str]:
    """The store of a desk with a rollout at 10%, and one that is empty."""
    desk.run("start", desk.policy)
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    desk.run("store", "init", "--store", empty)
    return f"sqlite:///{tmp_path / 'rollouts.db'}", empty


@pytest.fixture
def places(desk: CliHarness, started: tuple[str, str]) -> tuple[str, str]:
    """The same, and the rollout has succeeded."""
    desk.ticks(12)
    assert desk.state()["phase"] == "succeeded"
    return started


def test_a_copied_rollout_is_shown_and_watched_in_the_other_store(
    desk: CliHarness, places: tuple[str, str]
) -> None:
    old, new = places
    ended = desk.run("store", "copy", old, new)
    assert (ended.status, ended.out.splitlines()) == (
        Exit.DONE,
        [
            f"orders#1: copied to {new}",
            f"now point every run at it, the schedule too: ROLLOUTCTL_STORE={new}",
        ],
    )
    for verb in ("status", "history", "replay"):
        in_new, in_old = (desk.run(verb, "orders", "--json", "--store", one) for one in (new, old))
        assert (
            (in_new.status, in_new.data) == (in_old.status, in_old.data) == (Exit.DONE, in_old.data)
        )
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "0", "ENABLED": "false"})
    desk.world.clock.advance(MINUTE)
    assert desk.run("tick", "--early", "--store", new).status == Exit.DRIFT
    assert desk.run("store", "copy", old, new).out == f"orders#1: was in {new} already\n"


def test_a_copied_attempt_is_counted_by_the_next_start(
    desk: CliHarness, places: tuple[str, str]
) -> None:
    old, new = places
    desk.run("store", "copy", old, new)
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "0", "ENABLED": "false"})
    desk.world.clock.advance(MINUTE)
    again = desk.run("start", desk.policy, "--revision", "next", "--store", new, "--json")
    assert again.data["id"] == "orders#2"


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["copied", "dry"])
def test_a_rollout_that_is_not_finished_is_not_copied_and_the_copy_ends_with_2(
    desk: CliHarness, started: tuple[str, str], dry: list[str]
) -> None:
    old, new = started
    ended = desk.run("store", "copy", old, new, *dry)
    assert ended.status == Exit.USAGE
    assert (
        "nothing was copied:\n  orders#1: it is progressing at 10%; let it end or roll it back "
        "first, then copy\n" in ended.err
    )
    assert desk.run("status", "--all", "--store", new).out == "no rollout\n"
    assert desk.run("tick", "--early").out.startswith("orders#1")


def test_a_rollout_is_copied_once_its_guard_of_0_is_over(
    desk: CliHarness, started: tuple[str, str]
) -> None:
    old, new = started
    desk.run("rollback", "orders")
    ended = desk.run("store", "copy", old, new)
    assert ended.status == Exit.USAGE
    assert "  orders#1: it keeps 0% until 2026-01-05 09:15" in ended.err
    desk.world.clock.advance(15 * MINUTE)
    assert desk.run("store", "copy", old, new).status == Exit.DONE


@pytest.mark.usefixtures("_account")
def test_rollouts_are_copied_from_a_table(tmp_path: Path, capsys: Captured) -> None:
    url = f"sqlite:///{tmp_path / 'rollouts.db'}"
    for location in ("dynamodb://rollouts", url):
        run(capsys, "store", "init", "--store", location)
    rollout, entry = with_entry(in_phase(Phase.SUCCEEDED))
    with bootstrap.live_app(Settings(DynamoDbLocation("rollouts"), "tester")) as app:
        app.runner.store.create(rollout, [entry], rollout.locks)
    copied = run(capsys, "store", "copy", "dynamodb://rollouts", url)
    assert (copied.status, copied.out.splitlines()[0]) == (
        Exit.DONE, f"checkout#1: copied to {url}"
    )  # fmt: skip


def test_a_dry_copy_only_says_what_it_would_do(desk: CliHarness, places: tuple[str, str]) -> None:
    old, new = places
    assert (
        desk.run("store", "copy", old, new, "--dry-run").out == f"would: copy orders#1 to {new}\n"
    )
    data = desk.run("store", "copy", old, new, "orders", "--dry-run", "--json").data
    assert data["would"] == [f"copy orders#1 to {new}"]
    assert desk.run("status", "--all", "--store", new).out == "no rollout\n"


@pytest.mark.parametrize(
    "reference", ["orders", "orders#1", "{policy}"], ids=["name", "id", "policy"]
)
def test_a_rollout_is_named_as_everywhere(
    desk: CliHarness, places: tuple[str, str], reference: str
) -> None:
    old, new = places
    desk.run("store", "copy", old, new, reference.format(policy=desk.policy))
    assert desk.run("status", "orders", "--store", new).status == Exit.DONE


def test_the_same_command_again_finds_everything_done(
    desk: CliHarness, places: tuple[str, str]
) -> None:
    old, new = places
    desk.run("store", "copy", old, new)
    again = desk.run("store", "copy", old, new)
    assert (again.status, again.out) == (Exit.DONE, f"orders#1: was in {new} already\n")
    data = desk.run("store", "copy", old, new, "--json").data
    assert (data["schema"], data["to"]) == ("store-copy/1", new)
    assert data["rollouts"] == [{"id": "orders#1", "outcome": "there", "store": new, "why": ""}]


def test_an_empty_store_has_nothing_to_copy(desk: CliHarness, places: tuple[str, str]) -> None:
    old, new = places
    assert desk.run("store", "copy", new, old).out == "no rollout to copy\n"


@cases("source, destination, words", {
    "one store twice": ("{old}", "{old}", "cannot be copied to itself"),
    "no store to go to": ("{old}", "{old}.no", "there is no store at"),
    "no store to come from": ("{old}.no", "{new}", "there is no store at"),
    "no kind of store": ("{old}", "redis://host", "write sqlite:///"),
})  # fmt: skip
def test_it_is_a_mistake_to_copy_between(
    desk: CliHarness, places: tuple[str, str], source: str, destination: str, words: str
) -> None:
    old, new = places
    ends = [one.format(old=old, new=new) for one in (source, destination)]
    ended = desk.run("store", "copy", *ends)
    assert ended.status == Exit.USAGE
    assert words in ended.err
    assert desk.run("status", "--json").data["rollouts"][0]["id"] == "orders#1"


@pytest.mark.usefixtures("_account")
def test_a_table_that_is_not_there_is_named_with_what_makes_it(
    tmp_path: Path, capsys: Captured
) -> None:
    url = f"sqlite:///{tmp_path / 'rollouts.db'}"
    run(capsys, "store", "init", "--store", url)
    ended = run(capsys, "store", "copy", "dynamodb://rollouts", url)
    assert ended.status == Exit.USAGE
    assert "rolloutctl store init --store dynamodb://rollouts" in ended.err


@cases("option, variable, origin", {
    "the option": ("gone.db", "other.db", "from --store"),
    "the variable": ("", "gone.db", "from ROLLOUTCTL_STORE"),
    "neither": ("", "", "the default, without --store and ROLLOUTCTL_STORE"),
})  # fmt: skip
def test_a_missing_store_has_its_absolute_path_and_what_names_it(
    desk: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    option: str, variable: str, origin: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "in_container", lambda _: False)
    monkeypatch.setenv("ROLLOUTCTL_STORE", variable and f"sqlite:///{variable}")
    place = "gone.db" if option or variable else "rolloutctl/rollouts.db"
    said = desk.run("status", *(["--store", f"sqlite:///{option}"] if option else [])).err
    assert f"there is no store at {tmp_path / place} ({origin})" in said
    assert said.index("probably in another store") < said.index("store init")
    assert (f"store init --store sqlite:///{tmp_path / place}" in said) is bool(option)
