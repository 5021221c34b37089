"""The README is executed: its policies are loaded, its commands run, its outputs compared."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.cli import VERBS, main
from controller.errors import Exit
from controller.policy_file.loader import load
from tests.docs import rollback_picture, step_picture
from tests.docs.loop import PICTURE, picture
from tests.docs.tables.options import EVERYWHERE, options, takes_what_all_take
from tests.support.core import Policy
from tests.support.emulator import WAITER_CONFIG, Emulator
from tests.support.rollouts import lambda_env

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
MIGRATION = (ROOT / "docs" / "execution-api.md").read_text(encoding="utf-8")

PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "deploy" / "README.md", ROOT / "deploy" / "cdk" / "README.md",
    ROOT / "deploy" / "github" / "README.md",
]  # fmt: skip

_BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str, page: str = README) -> Iterator[tuple[str, str]]:
    """Yield the rest of the info string, and the text, of each fenced block of a language."""
    for match in _BLOCK.finditer(page):
        language_word, _, rest = match["info"].partition(" ")
        if language_word == language:
            yield rest, match["body"]


def shell_commands(program: str, info: str, page: str = README) -> list[list[str]]:
    """Return the command lines of a page's shell blocks with this `info`, without the program."""
    lines = [
        line for rest, body in blocks("sh", page) if rest == info for line in body.splitlines()
    ]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith(program)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the policies of the README and of the repository."""
    for info, body in blocks("yaml"):
        name = info.removeprefix("policy=")
        (tmp_path / name).write_text(body, encoding="utf-8")
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLOUTCTL_STORE", f"sqlite:///{tmp_path / 'rollouts.db'}")
    return tmp_path


@pytest.fixture
def emulated(ministack: Emulator, account: str, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator; the commands of the test run on an account of its own."""
    for name, value in ministack.environment(account).items():
        monkeypatch.setenv(name, value)
    return ministack


def test_the_policy_is_the_one_that_is_shipped(desk: Path) -> None:
    """What a reader copies is valid, and what `make rehearse` plays."""
    ((_, body),) = blocks("yaml")
    assert (ROOT / "policies" / "checkout.yaml").read_text(encoding="utf-8").endswith(body)
    assert load(desk / "checkout.yaml").steps_text() == "10% for 1h, 50% for 1h, 100% for 24h"


def test_the_readme_is_read_in_five_minutes() -> None:
    """It is short, its lines are narrow, and each of its links leads somewhere."""
    lines = README.splitlines()
    assert len(lines) <= 150
    assert len(README.split()) <= 750
    assert [line for line in lines if len(line) > 120] == []


def test_each_link_of_a_page_leads_to_a_page_and_a_heading() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if not link.startswith("https://") and not _leads_somewhere(page, link)
    ]
    assert dead == []


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not anchor or target.suffix != ".md":
        return target.exists()
    text = target.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return anchor in anchors or f'<a id="{anchor}">' in text


def test_the_picture_of_a_tick_is_that_of_its_script() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), "python -m tests.docs.loop"


def test_the_picture_of_a_step_is_that_of_its_script() -> None:
    drawn = step_picture.PICTURE.read_text(encoding="utf-8")
    assert drawn == step_picture.picture(), "python -m tests.docs.step_picture"


def test_the_recording_and_the_picture_of_status_are_what_a_rehearsal_shows() -> None:
    for file, text in rollback_picture.pictures().items():
        assert file.read_text(encoding="utf-8") == text, "python -m tests.docs.rollback_picture"
        assert len(text.encode()) <= 150_000


def test_a_recording_runs_no_script_and_stands_still_where_nothing_may_move() -> None:
    text = rollback_picture.RECORDING.read_text(encoding="utf-8")
    _, _, moving = text.partition("@media (prefers-reduced-motion: no-preference) {")
    assert "animation" in moving
    assert "animation" not in text.removesuffix(moving)
    assert not re.search(r"<script|<image|href|url\(|onload", text)


def test_the_first_command_plays_the_rollback_of_the_picture() -> None:
    """`make rehearse`, as it would be run: the policy, the scenario, and how it has to end."""
    made = subprocess.run(
        ["make", "--dry-run", "--always-make", "rehearse"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    commands = re.findall(r"-m controller (rehearse .*)", made.stdout)
    assert commands == [
        "rehearse policies/checkout.yaml --scenario error-burst --expect rolled_back"
    ]
    assert main([*shlex.split(commands[0]), "--json"]) == Exit.DONE


def test_what_it_tells_a_reader_to_type_next_works(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in shell_commands(".venv/bin/rolloutctl ", ""):
        status = main(command)
        assert status in (Exit.DONE, Exit.ROLLED_BACK), f"{command}: {capsys.readouterr()}"
    assert "5%" in (desk / "rehearsal.html").read_text(encoding="utf-8")


def test_the_tables_name_every_verb_and_every_exit_status() -> None:
    """The page of the commands lists every verb and every exit status."""
    verbs = set(re.findall(r"^\| `([a-z-]+)[ `]", COMMANDS, re.MULTILINE))
    rows = re.findall(r"^\| ([\d, ]+) \|", COMMANDS, re.MULTILINE)
    assert verbs == set(VERBS)
    assert {int(status) for row in rows for status in row.split(", ")} == {*Exit, 130, 143}


def test_the_page_of_the_commands_names_no_option_that_its_command_does_not_take() -> None:
    taken: dict[str, set[str]] = {}
    for name, _, listed in options()[1:]:
        verb = name.strip("`").split()[0]
        taken.setdefault(verb, set()).update(re.findall(r"--[a-z-]+", listed))
    hand_written = COMMANDS.partition("| command | more |")[2].partition("\n\n")[0]
    for row in hand_written.splitlines()[2:]:
        verbs, _, text = row.partition(" | ")
        for verb in re.findall(r"`([a-z-]+)`", verbs):
            assert set(re.findall(r"--[a-z-]+", text)) <= taken[verb] | EVERYWHERE, verb
    assert takes_what_all_take()


def test_what_the_verbs_of_the_procedure_print_is_what_the_walk_through_operations_shows() -> None:
    """docs/operations.md is executed, so these lines are the current output."""
    walk = " ".join((ROOT / "docs" / "operations.md").read_text(encoding="utf-8").split())
    _, _, table = MIGRATION.partition("## Each step of the manual procedure")
    rows = re.findall(r"^\| .* \| (.*) \| `(.*)` \|$", table.partition("\n## ")[0], re.MULTILINE)
    assert len(rows) == 12
    for how, printed in rows:
        assert " ".join(printed.split()) in walk, how
        verb, *_ = re.findall(r"`([a-z-]+)", how)
        assert f"$ rolloutctl {verb} " in walk


def test_the_policy_starts_on_an_account(
    desk: Path, emulated: Emulator, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of the README start a rollout, tick it and roll it back."""
    policy = load(desk / "checkout.yaml")
    _a_function(emulated, account, policy, CANARY_PERCENTAGE="0")
    _a_day_of_stable_traffic(emulated, account, policy)
    commands = shell_commands("rolloutctl ", "walk")
    assert [command[0] for command in commands] == ["plan", "start", "tick", "status", "rollback"]
    for command in commands:
        status = main(command)
        shown = capsys.readouterr()
        assert status == Exit.DONE, f"{command}: {shown}"
        if command[0] == "plan":
            assert "  start     `rolloutctl start` sets 10%" in shown.out
    assert _environment(emulated, account, policy)["CANARY_PERCENTAGE"] == "0"


@pytest.mark.deep  # a day of a quiet service
def test_a_service_at_100_percent_is_adopted_as_the_page_of_the_migration_says(
    tmp_path: Path,
    emulated: Emulator,
    account: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first user's case: the boolean alone is on, and a number stands for the days of old."""
    monkeypatch.setenv("ROLLOUTCTL_STORE", f"sqlite:///{tmp_path / 'rollouts.db'}")
    monkeypatch.chdir(tmp_path)
    shipped = (ROOT / "policies" / "quiet-service.yaml").read_text(encoding="utf-8")
    mine = re.sub(r"\{frozen: direct, [^}]*\}", "{fixed: 240}", shipped)
    mine = re.sub(r"^  direct: .*\n", "", mine, flags=re.MULTILINE)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "quiet-service.yaml").write_text(mine, encoding="utf-8")
    policy = load(tmp_path / "policies" / "quiet-service.yaml")
    _a_function(emulated, account, policy, USE_API_GATEWAY="true")
    commands = shell_commands("rolloutctl ", "adopt", MIGRATION)
    assert [command[0] for command in commands] == ["rehearse", "start"]
    for command in commands:
        assert main(command) == Exit.DONE, f"{command}: {capsys.readouterr()}"
    assert "\nquiet-service#1  progressing  100%\n" in capsys.readouterr().out
    environment = _environment(emulated, account, policy)
    assert environment == {"OTHER": "kept", "USE_API_GATEWAY": "true"}


def _a_function(ministack: Emulator, account: str, policy: Policy, **pair: str) -> None:
    client = ministack.client("lambda", account)
    client.create_function(
        FunctionName=lambda_env(policy).function,
        Runtime="python3.12",
        Role=f"arn:aws:iam::{account}:role/caller",
        Handler="app.handler",
        Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
        Environment={"Variables": {"OTHER": "kept", **pair}},
    )
    client.get_waiter("function_updated").wait(
        FunctionName=lambda_env(policy).function, WaiterConfig=WAITER_CONFIG
    )


def _environment(ministack: Emulator, account: str, policy: Policy) -> dict[str, str]:
    variables: dict[str, str] = ministack.client("lambda", account).get_function_configuration(
        FunctionName=lambda_env(policy).function
    )["Environment"]["Variables"]
    return variables


def _a_day_of_stable_traffic(ministack: Emulator, account: str, policy: Policy) -> None:
    newest = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
    samples = {
        "stable_duration": ([200.0, 240.0], [90.0, 10.0]),
        "stable_requests": ([1.0], [100.0]),
        "stable_failures": ([0.0], [100.0]),
    }
    for name, (values, counts) in samples.items():
        metric = policy.metrics[name]
        ministack.client("cloudwatch", account).put_metric_data(
            Namespace=metric.namespace,
            MetricData=[
                {
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": k, "Value": v} for k, v in metric.dimensions.items()],
                    "Timestamp": newest - timedelta(hours=hour),
                    "Values": values,
                    "Counts": counts,
                }
                for hour in range(20)
            ],
        )
