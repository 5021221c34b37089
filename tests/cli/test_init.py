"""init: what it writes, refuses and asks."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
from jsonschema import Draft7Validator

import controller.tools.init.verb
from controller.core.policy.field_types import AwsLocation
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.errors import Exit, TargetError
from controller.policy_file import yaml_file
from controller.policy_file.loader import load
from controller.policy_file.schema import SCHEMA_FILE, policy_schema
from controller.ports.target import FoundTarget
from controller.tools.init.verb import TerminalChooser
from controller.tools.plan.page import PlanAnswer
from tests.cli.conftest import CliHarness
from tests.cli.test_main import ROOT
from tests.support.cases import cases
from tests.tools.init.accounts import FUNCTION, SHOP, URL, FakeAccount, named
from tests.tools.simulation import worlds

OFFLINE = ("init", "--offline", "--function", "My_Fn", "--percentage", "MY_PERCENTAGE")
REST = ("--metrics", "rest-api", "--resource", "Shop")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the files are written."""
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> FakeAccount:
    """The account that is read."""
    fake = FakeAccount(traffic=[(SHOP, 3_600, 3), (named("function"), 3_600, 200)])
    monkeypatch.setattr(controller.tools.init.verb, "live_account", lambda: fake.view)
    return fake


@pytest.fixture
def not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account that is read has no store and no adapters: whether a start goes is unknown."""

    def unknown(*_: object, **__: object) -> PlanAnswer:
        raise TargetError("it cannot be read")

    monkeypatch.setattr(controller.tools.init.verb, "start_answer", unknown)


def answer(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Let a person at a terminal give these answers."""
    typed: Iterator[str] = iter(answers)
    monkeypatch.setattr(TerminalChooser, "interactive", property(lambda _: True))
    monkeypatch.setattr(click, "prompt", lambda *_, **__: next(typed))


def test_where_the_canary_has_100_percent_the_next_commands_take_that_over(
    desk: CliHarness, account: FakeAccount
) -> None:
    account.weight = 100
    data = desk.run("init", "--function", FUNCTION, "--json").data
    assert data["weight"] == 100
    assert [one.endswith(" --adopt") for one in data["next"]] == [True, True, True]


def test_a_file_that_exists_is_left_as_it_is_without_force(
    desk: CliHarness, folder: Path, account: FakeAccount
) -> None:
    (folder / "checkout.yaml").write_text("mine")
    refused = desk.run("init", "--function", FUNCTION)
    assert (refused.status, refused.out) == (Exit.USAGE, "")
    assert "checkout.yaml exists and was left as it is: --force" in refused.err
    assert (folder / "checkout.yaml").read_text() == "mine"
    assert desk.run("init", "--function", FUNCTION, "--force").status == Exit.DONE
    assert load(folder / "checkout.yaml").name == "checkout"


def test_a_file_that_cannot_be_written_is_an_error_with_its_reason(desk: CliHarness) -> None:
    ended = desk.run(*OFFLINE, *REST, "-o", "gone/x.yaml")
    assert ended.status == Exit.USAGE
    assert "gone/x.yaml cannot be written: No such file or directory" in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--function", "a b"), "--function: expected the name or ARN of a function"),
        (("--function", "../../etc"), "--function: expected the name or ARN of a function"),
        (
            ("--function", "f", "--percentage", "1X"),
            "--percentage: expected an environment variable",
        ),
        (
            ("--function", "f", "--percentage", "AB", "--boolean", "AB"),
            "--boolean: must be another variable",
        ),
        (("--function", "f", "--name", "No Name"), "--name: 'No Name' is no name of a policy"),
        (("--from", "quiet"), "no shipped policy is called 'quiet'"),
        (("--from", "quiet-service", "--metrics", "flag"), "--from copies a policy"),
        (("--offline",), "--offline reads no account: --function: is required"),
        (("--rule", "a:b"), "--rule: expected the ARN of a rule or a listener"),
        (("--function", "f", "--alias", "7"), "--alias: expected the name of an alias"),
        (
            ("--function", "f", "--alias", "live", "--version", "new"),
            "--version: the number of a published version, like 7; not 'new'",
        ),
        (("--rule", "a", "--alias", "b"), "no kind of target is named by --"),
        (("--from", "alb-weights", "--alias", "b"), "alb-weights has no target.alias"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(
    desk: CliHarness, folder: Path, options: tuple[str, ...], message: str
) -> None:
    ended = desk.run("init", *options)
    assert ended.status == Exit.USAGE
    assert message in ended.err
    assert not list(folder.iterdir())
    assert not desk.world.calls


def test_offline_needs_no_account_and_names_the_file_after_the_function(
    desk: CliHarness, folder: Path
) -> None:
    ended = desk.run(*OFFLINE, *REST, "--requests-per-minute", "3", "--json")
    assert ended.data["ladder"] == "10% for 24h, 50% for 24h, 100% for 24h"
    assert load(folder / "my-fn.yaml").metrics["requests"].dimensions == {"ApiName": "Shop"}
    assert not desk.world.calls


def test_a_copy_of_a_shipped_policy_is_told_what_is_left_of_the_example(
    desk: CliHarness, folder: Path
) -> None:
    ended = desk.run("init", "--from", "quiet-service", "--function", "shop", "--resource", "A: b")
    assert ended.status == Exit.DONE, ended.err
    policy = load(folder / "shop.yaml")
    assert policy.metrics["requests"].dimensions == {"ApiName": "A: b"}
    assert "names of the example are left in it: percentage: " in ended.err
    assert "ApiName" not in ended.err
    again = desk.run("init", "--from", "quiet-service", "--function", "shop")
    assert (again.status, load(folder / "shop.yaml")) == (Exit.USAGE, policy)


# --- other kinds of targets -----------------------------------------------------------------------

ALIAS = LambdaAlias(kind="lambda-alias", function=FUNCTION, alias="live")
RULE = load(ROOT / "policies" / "alb-weights.yaml").target
GROUPS = ("--rule", RULE.arns(AwsLocation())["target"][0])


@cases("options, found, name, start", {
    "alias": (
        ("--function", FUNCTION, "--alias", "live"),
        FoundTarget(ALIAS, 0, ALIAS.with_versions("3", "2"), ["publish one"]), "checkout-live",
        "start checkout-live.yaml",
    ),
    "rule": (
        GROUPS, FoundTarget(RULE, 10, notes=["publish one"]), "shop",
        "start shop.yaml --revision NAME --adopt",
    ),
})  # fmt: skip
@pytest.mark.usefixtures("not_asked")
def test_the_options_tell_the_kind_and_the_next_commands_fit_it(
    desk: CliHarness,
    folder: Path,
    account: FakeAccount,
    options: tuple[str, ...],
    found: FoundTarget,
    name: str,
    start: str,
) -> None:
    account.found = found
    ended = desk.run("init", *options, "--json")
    assert ended.status == Exit.DONE, ended.err
    assert load(folder / f"{name}.yaml").target == found.target
    assert (ended.data["weight"], ended.data["notes"]) == (found.weight, ["publish one"])
    assert ended.data["next"][2] == f"rolloutctl {start}"


@pytest.mark.usefixtures("not_asked")
def test_the_version_that_a_start_would_take_is_shown(
    desk: CliHarness, account: FakeAccount
) -> None:
    account.found = FoundTarget(ALIAS, 0, ALIAS.with_versions("3", "2"))
    out = desk.run("init", "--function", FUNCTION, "--alias", "live").out
    assert "version 3, 0% now" in out


def test_an_alias_of_ones_own_replaces_every_mention_of_the_shipped_one(
    desk: CliHarness, folder: Path
) -> None:
    options = ("--from", "lambda-alias", "--function", "shop", "--alias", "blue")
    assert desk.run("init", *options).err == ""
    text = (folder / "shop-blue.yaml").read_text()
    assert not [one for one in ("checkout", ":live", "policies/") if one in text]
    assert load(folder / "shop-blue.yaml").target.name == "shop:blue"
    again = desk.run("init", "--from", "lambda-alias", "--alias", "blue", "-o", "other.yaml")
    assert "names of the example are left in it: function: checkout" in again.err


def test_a_rule_of_ones_own_replaces_the_shipped_one(desk: CliHarness, folder: Path) -> None:
    ended = desk.run("init", "--from", "alb-weights", *GROUPS, "--name", "mine")
    assert load(folder / "mine.yaml").target == RULE
    assert "names of the example are left in it: stable: arn:" in ended.err
    assert ended.out.splitlines()[-1] == "  rolloutctl start mine.yaml --revision NAME"


# --- questions ------------------------------------------------------------------------------------


def test_without_a_terminal_the_candidates_are_an_error(
    desk: CliHarness, account: FakeAccount
) -> None:
    account.names = ("a", "b")
    ended = desk.run("init")
    assert ended.status == Exit.USAGE
    assert "2 candidates fit; name the function with --function NAME" in ended.err
    assert [line.strip() for line in ended.err.splitlines()[1:]] == ["a", "b"]


def test_on_a_terminal_a_person_picks_by_number_or_by_a_part_of_the_name(
    desk: CliHarness, folder: Path, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.names = (*(f"function-{number}" for number in range(30)), "shop-1", "shop-2")
    account.percentages = {"A_PERCENTAGE": "0", "B_PERCENTAGE": "0"}
    answer(monkeypatch, "99", "nothing like it", "SHOP", "2", "1")
    ended = desk.run("init")
    assert ended.status == Exit.DONE, ended.err
    policy = load(folder / "shop-2.yaml")
    assert policy.target.settings(0) == {"A_PERCENTAGE": "0"}
    assert "and 12 more" in ended.err
    assert "Which" not in ended.out


def test_offline_on_a_terminal_asks_for_what_is_missing(
    desk: CliHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "shop", "SHOP_PERCENTAGE", "", "http-api", "a1b2c3")
    ended = desk.run("init", "--offline")
    assert ended.status == Exit.DONE, ended.err
    policy = load(folder / "shop.yaml")
    assert policy.target.settings(100) == {"SHOP_PERCENTAGE": "100"}
    assert policy.metrics["failures"].name == "5xx"


def test_offline_asks_for_the_names_of_the_kind_that_the_options_tell(
    desk: CliHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "shop", "7")
    ended = desk.run("init", "--offline", "--alias", "live")
    assert ended.status == Exit.DONE, ended.err
    assert load(folder / "shop-live.yaml").target.values == {"canary": "7"}


def test_the_source_is_a_choice_where_several_may_be_the_new_path(
    desk: CliHarness, folder: Path, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.traffic = [(SHOP, 60, 3), (named("rest-api", "Other"), 60, 3), (URL, 60, 3)]
    answer(monkeypatch, "shop")
    assert desk.run("init", "--function", FUNCTION).status == Exit.DONE
    dimensions = load(folder / "checkout.yaml").metrics["requests"].dimensions
    assert dimensions == {"ApiName": "Shop"}


def at_a_terminal(typed: str, *arguments: str, interrupt_at: str = "") -> tuple[int, str, str]:
    """Run init at a pseudo-terminal, on which `typed` is typed; stdout goes to a program.

    interrupt_at: a text at which SIGINT is sent. Returns the exit status, stdout, and what the
    terminal shows.
    """
    ours, theirs = pty.openpty()
    shown = ""
    with (
        os.fdopen(ours, "r+b", buffering=0) as screen,
        subprocess.Popen(
            [sys.executable, "-m", "controller", "init", *arguments],
            env={"PATH": "", "PYTHONPATH": str(ROOT)},
            stdin=theirs,
            stderr=theirs,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        os.close(theirs)
        killer = threading.Timer(60, process.kill)
        killer.start()
        screen.write(typed.encode())
        with suppress(OSError):  # Linux: the other end is closed
            while part := screen.read(10_000):
                shown += part.decode()
                if interrupt_at and interrupt_at in shown:
                    process.send_signal(signal.SIGINT)
                    interrupt_at = ""
        assert process.stdout is not None
        out = process.stdout.read().decode()
        killer.cancel()
        return process.wait(), out, shown


def test_questions_are_on_the_terminal_and_the_result_alone_is_on_stdout(folder: Path) -> None:
    typed = "shop\nSHOP_PERCENTAGE\n\nfunction-url\n"
    status, out, shown = at_a_terminal(typed, "--offline", "--json")
    assert (status, json.loads(out)["file"], out[0]) == (Exit.DONE, "shop.yaml", "{")
    assert "Lambda function: " in shown
    assert load(folder / "shop.yaml").metrics["requests"].name == "UrlRequestCount"


@cases("typed, interrupt_at", {
    "Ctrl-D": ("shop\n\x04", ""),
    "Ctrl-C": ("shop\n", "variable that holds the weight"),
})  # fmt: skip
def test_a_person_may_give_up_at_a_question(folder: Path, typed: str, interrupt_at: str) -> None:
    ended, out, _ = at_a_terminal(typed, "--offline", interrupt_at=interrupt_at)
    assert (ended, out, list(folder.iterdir())) == (130, "", [])


# --- what a new file has ------------------------------------------------------------------------


def test_an_editor_finds_the_schema_beside_the_policy(
    desk: CliHarness, folder: Path, account: FakeAccount
) -> None:
    (folder / SCHEMA_FILE).write_text("{}", encoding="utf-8")  # of another version
    for command in (["init", "--function", FUNCTION], ["init", "--from", "lambda-alias"]):
        file = folder / Path(desk.run(*command, "--json").data["file"]).name
        first, *_ = file.read_text(encoding="utf-8").splitlines()
        named = first.partition("$schema=")[2]
        schema = json.loads((file.parent / named).read_text(encoding="utf-8"))
        Draft7Validator(schema).validate(yaml_file.read(file).data)
        assert schema == policy_schema()


@cases("weight, answer", {
    "0%": (0, "`rolloutctl start` sets 10%"),
    "a weight that is no step": (30, "`rolloutctl start` would be refused"),
})  # fmt: skip
def test_it_ends_with_whether_a_start_would_be_accepted(
    desk: CliHarness, folder: Path, account: FakeAccount, weight: int, answer: str
) -> None:
    desk.world.set_variables(worlds.FUNCTION, {"PERCENTAGE": str(weight)})
    desk.world.clock.advance(worlds.MINUTE)
    account.names, account.weight = (worlds.FUNCTION,), weight
    account.percentages = {"PERCENTAGE": str(weight)}
    command = "init", "--function", worlds.FUNCTION
    shown = desk.run(*command).out
    ended = desk.run(*command, "--force", "--json")
    assert ended.status == Exit.DONE, ended.err
    refusals = ended.data["refusals"]
    assert answer in shown
    assert [refusal for refusal in refusals if "the canary has 30% already" in refusal] == refusals
    assert bool(refusals) is bool(weight)
