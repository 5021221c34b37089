"""store init and store copy: where rollouts are kept, and how they get to another place."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from controller import bootstrap, cli
from controller.errors import Exit
from controller.settings import DynamoDbPlace, Settings
from tests.cli.conftest import VERIFIED, Desk, Ended
from tests.emulator import Emulator
from tests.rollouts import a_rollout, recorded
from tests.simulation.worlds import FUNCTION, MINUTE

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
    assert run(capsys, "store", "init", "--store", url).out == f"{url}: made\n"
    bytes_then = file.read_bytes()
    again = run(capsys, "store", "init", "--store", url)
    assert (again.status, again.out) == (Exit.DONE, f"{url}: was there already\n")
    assert file.read_bytes() == bytes_then


@pytest.mark.usefixtures("_account")
def test_init_makes_the_table_and_prints_the_template_of_it(capsys: Captured) -> None:
    made = run(capsys, "store", "init", "--store", "dynamodb://rollouts")
    assert (made.status, made.out.splitlines()[0]) == (Exit.DONE, "# dynamodb://rollouts: made")
    again = run(capsys, "store", "init", "--store", "dynamodb://rollouts")
    assert again.out.splitlines()[0] == "# dynamodb://rollouts: was there already"
    for ended in (made, again):  # what is printed is a template as it stands
        resources = YAML(typ="safe").load(ended.out)["Resources"].values()
        assert [one["Type"] for one in resources] == ["AWS::DynamoDB::Table"]
        assert [one["Properties"]["TableName"] for one in resources] == ["rollouts"]


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
def places(desk: Desk, tmp_path: Path) -> tuple[str, str]:
    """The store of a desk with a rollout at 10 %, and one that is empty."""
    desk.run("start", desk.policy)
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    desk.run("store", "init", "--store", empty)
    return f"sqlite:///{tmp_path / 'rollouts.db'}", empty


def test_a_copied_rollout_goes_on_in_the_other_store(desk: Desk, places: tuple[str, str]) -> None:
    old, new = places
    ended = desk.run("store", "copy", old, new)
    assert (ended.status, ended.out.splitlines()) == (
        Exit.DONE,
        [
            f"orders#1: moved to {new}",
            f"now let every run use it, the schedule's too: ROLLOUTCTL_STORE={new}",
        ],
    )
    for _ in range(12):
        desk.world.clock.advance(MINUTE)
        assert desk.run("tick", "--store", new).status == Exit.DONE
    assert desk.run("status", "orders", "--store", new, "--json").data["phase"] == "succeeded"
    history = desk.run("history", "orders", "--store", new, "--json").data
    assert history["chain_valid"]
    assert "moved" in [entry["kind"] for entry in history["entries"]]


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        pytest.param(["tick"], Exit.USAGE, id="a tick"),
        pytest.param(["tick", "--scheduled"], Exit.USAGE, id="a scheduled tick"),
        pytest.param(["tick", "--dry-run"], Exit.USAGE, id="a dry tick"),
        pytest.param(["status"], Exit.DONE, id="status"),
        pytest.param(["status", "--exit-code"], Exit.USAGE, id="status with an exit code"),
    ],
)
def test_a_schedule_that_still_looks_into_the_old_store_is_told(
    desk: Desk, places: tuple[str, str], verb: list[str], status: Exit
) -> None:
    old, new = places
    desk.run("store", "copy", old, new)
    ended = desk.run(*verb, "--store", old)
    assert ended.status == status
    assert ended.out.splitlines()[0] == (
        f"orders#1  lives in {new}, and nothing drives it from here: "
        f"let every run use that, the schedule's too (ROLLOUTCTL_STORE={new})"
    )
    said = ["rollout_retired", *(["tick_ended"] if verb[0] == "tick" else [])]
    assert [one["event"] for one in ended.events] == said
    data = desk.run(*verb, "--store", old, "--json").data
    assert (data["rollouts"], data["retired"]) == ([], [{"id": "orders#1", "moved_to": new}])


@pytest.mark.parametrize("verb", ["tick", "status"])
def test_what_had_ended_before_it_was_moved_is_no_news(
    desk: Desk, places: tuple[str, str], verb: str
) -> None:
    old, new = places
    desk.run("rollback", "orders")
    desk.run("store", "copy", old, new)
    desk.world.clock.advance(24 * 60 * MINUTE)
    ended = desk.run(verb, "--store", old)
    assert (ended.status, ended.out) == (Exit.DONE, "no active rollout\n")


@pytest.mark.usefixtures("_account")
def test_a_schedule_that_still_looks_into_the_old_table_is_told(
    tmp_path: Path, capsys: Captured
) -> None:
    url = f"sqlite:///{tmp_path / 'rollouts.db'}"
    for place in ("dynamodb://rollouts", url):
        run(capsys, "store", "init", "--store", place)
    idle = run(capsys, "tick", "--scheduled", "--store", "dynamodb://rollouts")
    assert (idle.status, idle.out) == (Exit.DONE, "no active rollout\n")
    rollout, entry = recorded(a_rollout())
    with bootstrap.live(Settings(DynamoDbPlace("rollouts"), "tester")) as app:
        app.runner.store.create(rollout, [entry], rollout.locks)
    assert run(capsys, "store", "copy", "dynamodb://rollouts", url).status == Exit.DONE
    ended = run(capsys, "tick", "--scheduled", "--store", "dynamodb://rollouts")
    assert ended.status == Exit.USAGE
    assert ended.out.startswith(f"checkout#1  lives in {url}, and nothing drives it from here")


def test_the_old_store_sends_whoever_asks_to_the_new_one(
    desk: Desk, places: tuple[str, str]
) -> None:
    old, new = places
    desk.run("store", "copy", old, new)
    ended = desk.run("tick", "orders", "--store", old)
    assert ended.status == Exit.USAGE
    assert f"orders#1 was moved to {new}" in ended.err


def test_a_rollback_in_the_old_store_is_seen_in_the_new_one(
    desk: Desk, places: tuple[str, str]
) -> None:
    """Whoever is on call need not know where a rollout lives."""
    old, new = places
    desk.run("store", "copy", old, new)
    desk.run("rollback", desk.policy, "--store", old)
    assert desk.weight == 0
    desk.world.clock.advance(MINUTE)
    desk.run("tick", "--store", new)
    assert desk.run("status", "orders", "--store", new, "--json").data["phase"] == "rolled_back"
    assert desk.run("store", "copy", old, new).out == f"orders#1: was in {new} already\n"


def test_the_history_says_who_moved_a_rollout(desk: Desk, places: tuple[str, str]) -> None:
    old, new = places
    desk.run("store", "copy", old, new, "--by", "jo")
    (moved,) = [line for line in desk.run("history", "orders").out.splitlines() if "moved" in line]
    assert moved.endswith(f"moved from {old} to {new}  (by jo {VERIFIED})")


def test_a_dry_copy_only_says_what_it_would_do(desk: Desk, places: tuple[str, str]) -> None:
    old, new = places
    assert (
        desk.run("store", "copy", old, new, "--dry-run").out == f"would: move orders#1 to {new}\n"
    )
    shown = desk.run("store", "copy", old, new, "orders", "--dry-run", "--json").data
    assert shown["would"] == [f"move orders#1 to {new}"]
    assert desk.run("status", "--store", new).out == "no active rollout\n"
    assert desk.run("status", "--json").data["rollouts"][0]["id"] == "orders#1"


@pytest.mark.parametrize("given", ["orders", "orders#1", "{policy}"], ids=["name", "id", "policy"])
def test_a_rollout_is_named_as_everywhere(desk: Desk, places: tuple[str, str], given: str) -> None:
    old, new = places
    desk.run("store", "copy", old, new, given.format(policy=desk.policy))
    assert desk.run("status", "orders", "--store", new).status == Exit.DONE


def test_the_same_command_again_finds_everything_done(desk: Desk, places: tuple[str, str]) -> None:
    old, new = places
    desk.run("store", "copy", old, new)
    again = desk.run("store", "copy", old, new)
    assert (again.status, again.out) == (Exit.DONE, f"orders#1: was in {new} already\n")
    shown = desk.run("store", "copy", old, new, "--json").data
    assert (shown["schema"], shown["to"]) == ("store-copy/1", new)
    assert shown["rollouts"] == [{"id": "orders#1", "outcome": "there", "store": new}]


def test_an_empty_store_has_nothing_to_move(desk: Desk, places: tuple[str, str]) -> None:
    old, new = places
    assert desk.run("store", "copy", new, old).out == "no rollout to move\n"


@pytest.mark.parametrize(
    ("source", "destination", "words"),
    [
        pytest.param("{old}", "{old}", "cannot be copied to itself", id="one store twice"),
        pytest.param("{old}", "{old}.no", "there is no store at", id="no store to go to"),
        pytest.param("{old}.no", "{new}", "there is no store at", id="no store to come from"),
        pytest.param("{old}", "redis://host", "write sqlite:///", id="no kind of store"),
    ],
)
def test_it_is_a_mistake_to_copy_between(
    desk: Desk, places: tuple[str, str], source: str, destination: str, words: str
) -> None:
    old, new = places
    ends = [one.format(old=old, new=new) for one in (source, destination)]
    ended = desk.run("store", "copy", *ends)
    assert ended.status == Exit.USAGE
    assert words in ended.err
    assert desk.run("status", "--json").data["rollouts"][0]["id"] == "orders#1"


def test_a_copy_that_is_refused_ends_with_2_and_names_every_reason(
    desk: Desk, places: tuple[str, str]
) -> None:
    old, new = places
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "0"})
    desk.world.clock.advance(MINUTE)
    assert desk.run("start", desk.another_policy("payments"), "--store", new).status == Exit.DONE
    ended = desk.run("store", "copy", old, new)
    assert ended.status == Exit.USAGE
    assert "nothing was moved:\n  orders#1: payments#1 owns " in ended.err
    assert desk.run("tick").out.startswith("orders#1")


@pytest.mark.usefixtures("_account")
def test_a_table_that_is_not_there_is_named_with_what_makes_it(
    tmp_path: Path, capsys: Captured
) -> None:
    url = f"sqlite:///{tmp_path / 'rollouts.db'}"
    run(capsys, "store", "init", "--store", url)
    ended = run(capsys, "store", "copy", "dynamodb://rollouts", url)
    assert ended.status == Exit.USAGE
    assert "rolloutctl store init --store dynamodb://rollouts" in ended.err
