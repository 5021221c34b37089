"""deploy/github: runs of the action, and the examples of its pages."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main
from controller.errors import Exit
from controller.render.pipeline import MAX_CHARACTERS
from tests.support.action import (
    ACTION,
    ACTION_FOLDER,
    BLOCKS,
    COMMIT,
    README,
    ROOT,
    VALID,
    VERSION,
    ActionRun,
    run_action,
    yaml,
)  # fmt: skip
from tests.support.cases import cases
from tests.support.deep_rows import deep_after

WORKFLOWS = {
    info.partition("=")[2]: yaml(body)
    for info, body in BLOCKS.items()
    if info.startswith("yaml workflow=")
}


def steps(workflow: str) -> list[dict[str, Any]]:
    """Return the steps of the one job of a workflow."""
    (job,) = WORKFLOWS[workflow]["jobs"].values()
    job_steps: list[dict[str, Any]] = job["steps"]
    return job_steps


def inputs(workflow: str) -> dict[str, str]:
    """Return the inputs that a workflow passes to this action."""
    (step_inputs,) = [step["with"] for step in steps(workflow) if "rolloutctl" in step["uses"]]
    return {
        name.replace("-", "_"): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in step_inputs.items()
    }


def scripts() -> list[dict[str, Any]]:
    """Return the steps of the action that run a script; the others are actions of GitHub."""
    return [step for step in ACTION["runs"]["steps"] if "run" in step]


def annotations(run: ActionRun) -> str:
    return "".join(f"{command}\n" for command in run.commands)


# --- pull requests ------------------------------------------------------------------------------


def test_a_pull_request_gets_the_annotations_of_the_example(checkout: Path) -> None:
    run = run_action(checkout, {}, also=BLOCKS["bash also"], **inputs("policies.yml"))
    assert (run.status, annotations(run)) == (1, BLOCKS["text annotations"])
    assert run.summary.rstrip() + "\n" == BLOCKS["markdown summary"]
    assert sorted(one.name for one in (checkout / "reports").iterdir()) == [
        "policies-checkout-yaml-error-burst.xml", "policies-checkout-yaml-healthy.xml",
    ]  # fmt: skip


def test_a_rehearsal_that_ends_otherwise_is_an_error_of_its_policy(checkout: Path) -> None:
    ends = "[ $1 != rehearse ] || { echo 'expected otherwise, 5% of it' >&2; exit 7; }"
    run = run_action(checkout, {}, ends, policies=VALID, scenarios="a, b")
    assert (run.status, run.commands) == (
        1,
        [f"::error file={VALID},line=1,title=rehearsal of a%2C b::expected otherwise, 5%25 of it"],
    )


def test_a_traffic_that_is_no_number_is_an_error_of_each_policy(checkout: Path) -> None:
    run = run_action(checkout, {}, policies=VALID, scenarios="", requests_per_minute="many")
    (command,) = run.commands
    assert run.status == 1
    assert command.startswith(f"::error file={VALID},line=1,title=plan::")
    assert "--requests-per-minute" in command


def test_a_report_that_cannot_be_made_changes_nothing(checkout: Path) -> None:
    ends = "case $1 in start) exit 4;; status) echo '### checkout';; *) exit 1;; esac"
    run = run_action(checkout, {}, ends, command="start", rollout=VALID, report="pages")
    assert (run.status, run.summary) == (4, "### checkout\n\n")


def test_a_pattern_that_finds_nothing_is_a_file_that_is_not_there(checkout: Path) -> None:
    run = run_action(checkout, {}, policies="\nnone/*.yaml\n")
    (missing,) = run.commands
    assert run.status == 1
    assert missing.startswith("::error file=none/*.yaml,title=rolloutctl::cannot be read: ")


RECORD_ARGUMENTS = """[ "$1" = --version ] || { printf '%s\\n' "$@" >>"$HOME/said"; exit 3; }"""


@cases("injection", {
    "a substitution": "$(touch hacked) `touch hacked`",
    "a quote": "'; touch hacked; '",
    "two quotes": '"; touch hacked; "',
    "an option": "--store=hacked",
    "an expression": "${{ github.sha }} && touch hacked",
})  # fmt: skip
def test_no_input_is_part_of_a_script(checkout: Path, injection: str) -> None:
    """It reaches rolloutctl as one argument, after `--`."""
    action_inputs = dict.fromkeys(
        ("policies", "scenarios", "interval", "requests_per_minute", "junit", "report"), injection
    )
    check = run_action(checkout, {}, RECORD_ARGUMENTS, **action_inputs)
    action_inputs = dict.fromkeys(
        ("rollout", "reason", "revision", "timeout", "store", "junit", "adopt", "report"), injection
    )
    rollback = run_action(checkout, {}, RECORD_ARGUMENTS, command="rollback", **action_inputs)
    arguments = (checkout.parent / "runner" / "said").read_text(encoding="utf-8").splitlines()
    word = injection.replace("${{ github.sha }}", COMMIT)
    assert (check.status, rollback.status) == (1, 3)
    assert arguments[:4] == ["validate", "--format=github", "--", word]
    assert arguments[4:8] == ["rollback", f"--reason={word}", "--", word]
    assert not list(checkout.rglob("hacked*"))


@pytest.mark.parametrize("status", [0, 4, 75])
def test_the_job_ends_as_rolloutctl_does(checkout: Path, status: int) -> None:
    ends = f"case $1 in start) exit {status};; status) echo '### checkout';; esac"
    run = run_action(checkout, {}, ends, command="start", rollout=VALID)
    assert (run.status, run.outputs) == (status, f"status={status}\n")
    assert run.summary == "### checkout\n\n"


@cases("action_inputs, words", {
    "no rollout": ({"command": "start"}, "the input rollout says which"),
    "no such command": ({"command": "stop", "rollout": VALID}, "not 'stop'"),
})  # fmt: skip
def test_what_is_no_command_is_refused(
    checkout: Path, action_inputs: dict[str, str], words: str
) -> None:
    run = run_action(checkout, {}, ":", **action_inputs)
    (command,) = run.commands
    assert (run.status, words in command) == (2, True)


def run_with_summary(checkout: Path, summary: str) -> ActionRun:
    """Run the action on the policy with this summary."""
    text = BLOCKS[f"yaml policy={VALID}"]
    head = f"summary: '{summary}'\nversion: 1\n"
    (checkout / VALID).write_text(text.replace("version: 1\n", head), encoding="utf-8")
    return run_action(checkout, {}, policies=VALID, scenarios="")


def test_nothing_that_a_policy_says_is_a_command(checkout: Path) -> None:
    run = run_with_summary(checkout, "hacked ::error::hacked </pre>")
    assert (run.status, run.commands) == (0, [])
    assert run.summary.count("</pre>") == 1


@pytest.mark.parametrize("summary", deep_after(1, ["::error::hacked", "hacked ##[error]hacked"]))
def test_a_policy_that_says_a_command_is_refused_at_its_line(checkout: Path, summary: str) -> None:
    run = run_with_summary(checkout, summary)
    (command,) = run.commands
    assert run.status == 1
    assert command.startswith(f"::error file={VALID},line=")
    assert "hacked" not in command


def test_a_summary_that_is_full_is_left_as_it_is(checkout: Path) -> None:
    script = (ACTION_FOLDER / "telling.sh").read_text(encoding="utf-8")
    (limit,) = re.findall(r"^readonly most_bytes=(\d+)$", script, re.MULTILINE)
    assert MAX_CHARACTERS * 4 < int(limit) < 1 << 20
    full = f'head -c {limit} /dev/zero | tr "\\0" x >"$GITHUB_STEP_SUMMARY"'
    plans = "[ $1 != plan ] || echo checkout"
    run = run_action(checkout, {}, plans, policies=f"{VALID}\n{VALID}", scenarios="", also=full)
    assert len(run.summary) == int(limit)
    assert "::warning title=rolloutctl::the summary is full; the log has everything" in run.log


def history(checkout: Path, errors: int) -> str:
    """Write three hours of the gateway, of whose 100 requests a minute `errors` fail."""
    rows = (f"{60 * minute},100,{errors}" for minute in range(180))
    lines = ["timestamp,requests,failures", *rows]
    (checkout / "history.csv").write_text("\n".join(lines), encoding="utf-8")
    return f"{VALID}=history.csv"


def test_a_policy_that_rolls_back_its_past_is_a_mistake_and_its_report_is_attached(
    checkout: Path,
) -> None:
    tried = history(checkout, errors=1)
    run = run_action(checkout, {}, policies=VALID, scenarios="", histories=tried, report="pages")
    (command,) = run.commands
    assert run.status == 1
    assert command.startswith(f"::error file={VALID},line=1,title=backtest on history.csv::")
    assert "<summary>Backtest</summary>" in run.summary
    (file,) = (checkout.parent / "runner" / "temp" / "rolloutctl-report").iterdir()
    assert file.name == "policies-checkout-yaml-on-history-csv.html"
    assert "checkout would have rolled back" in file.read_text(encoding="utf-8")


def test_a_policy_that_holds_on_its_past_is_none(checkout: Path) -> None:
    says = "echo $1"
    tried = f"{VALID}=history.csv"
    run = run_action(checkout, {}, says, policies=VALID, scenarios="", histories=tried)
    assert (run.status, run.commands) == (0, [])
    assert "<summary>Backtest</summary>" in run.summary


# --- workflows ----------------------------------------------------------------------------------


def test_no_script_of_the_action_has_an_expression() -> None:
    for step in scripts():
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]


def test_one_line_of_the_scripts_writes_into_the_files_of_the_runner() -> None:
    """A process that writes GITHUB_PATH or GITHUB_ENV decides what later steps run."""
    writes = re.compile(r'> ?"?\$\{?(?:GITHUB_|!).*')
    files = sorted(one for one in ACTION_FOLDER.iterdir() if one.suffix in (".sh", ".yml", ".py"))
    found = {file.name: writes.findall(file.read_text(encoding="utf-8")) for file in files}
    assert {name: lines for name, lines in found.items() if lines} == {
        "telling.sh": ['>"${!file}"']
    }


def test_every_input_reaches_a_script_and_every_script_is_given_what_it_reads() -> None:
    environments = [step.get("env", {}) for step in scripts()]
    reached = {value for env in environments for value in env.values()}
    given = {value for value in reached if "inputs." in value} | {"${{ inputs.command }}"}
    assert {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]} == given
    named = ("install.sh", "install.sh", "check.sh", "rollout.sh", "link.sh")
    for env, script in zip(environments[:5], named, strict=True):
        (said,) = re.findall(
            r"^# ([A-Z_ ]+): as action", (ACTION_FOLDER / script).read_text(), re.MULTILINE
        )
        assert said.split() == list(env)
    (comment,) = environments[5:]
    assert list(comment) == ["TOKEN", "URL"]


def test_the_actions_that_it_uses_are_pinned_by_their_commits() -> None:
    used = re.findall(r"uses: (.*)", (ACTION_FOLDER / "action.yml").read_text(encoding="utf-8"))
    assert len(used) == 3
    assert [one for one in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[\d.]+", one)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_asks_for_the_least_and_pins_the_actions_of_others(name: str) -> None:
    (job,) = WORKFLOWS[name]["jobs"].values()
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assumes_role = any("aws-actions" in step["uses"] for step in job["steps"])
    assert (job.get("permissions", {}).get("id-token") == "write") == assumes_role
    assert ("environment" in job) == assumes_role
    comments = inputs(name).get("comment") == "true"
    assert (job.get("permissions", {}).get("pull-requests") == "write") == comments
    for step in job["steps"]:
        is_ours = "rolloutctl" in step["uses"]
        assert re.fullmatch(r"[\w/-]+@" + (r"v\d+" if is_ours else "[0-9a-f]{40}"), step["uses"])
    assert {one.replace("_", "-") for one in inputs(name)} <= ACTION["inputs"].keys()


@pytest.mark.parametrize("name", ["rollback.yml", "rollback-in-image.yml"])
def test_starts_queue_and_a_rollback_does_not_wait(name: str) -> None:
    (start,) = WORKFLOWS["rollout.yml"]["jobs"].values()
    (back,) = WORKFLOWS[name]["jobs"].values()
    assert start["concurrency"] == {"group": "rollout-checkout", "cancel-in-progress": False}
    assert "concurrency" not in back
    assert "needs" not in back
    assert back["environment"] != start["environment"]  # whose reviewers may not be available
    assert back["timeout-minutes"] <= 5


def test_the_image_of_the_button_has_the_version_of_the_action() -> None:
    (back,) = WORKFLOWS["rollback-in-image.yml"]["jobs"].values()
    assert "container" not in back
    assert inputs("rollback-in-image.yml")["image"].endswith(f":{VERSION}")


# --- roles --------------------------------------------------------------------------------------


def test_the_role_is_lent_to_one_repository_and_one_environment() -> None:
    (statement,) = yaml(BLOCKS["json trust"])["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert statement["Principal"]["Federated"].endswith(f":oidc-provider/{issuer}")
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    (condition,) = statement["Condition"].items()
    operator, conditions = condition
    (job,) = WORKFLOWS["rollout.yml"]["jobs"].values()
    assert operator == "StringEquals"  # which has no wildcards
    assert conditions == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": f"repo:ORG@123456/REPO@456789:environment:{job['environment']}",
    }


def test_each_subject_that_github_sends_is_shown() -> None:
    facts = yaml((ROOT / "tests/aws_facts/github.yaml").read_text())
    assert {one["ids"] for one in facts["subjects"]} == {True, False}
    for one in facts["subjects"]:
        assert f"| `{one['subject']}` |" in README


@pytest.mark.parametrize(
    ("info", "verbs"),
    [("sh check", ["validate", "plan", "rehearse"]), ("sh role", ["iam", "iam"])],
)
def test_the_commands_of_the_readme_run(
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    info: str,
    verbs: list[str],
) -> None:
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("ROLLOUTCTL_STORE", "sqlite:///rollouts.db")
    commands = [shlex.split(line)[1:] for line in BLOCKS[info].splitlines()]
    assert [command[0] for command in commands] == verbs
    for command in commands:
        assert main(command) == Exit.DONE, capsys.readouterr()
