"""The action with the input `image`: rolloutctl as a container, on a fake docker."""

import shlex
from pathlib import Path

import pytest

from tests.support.action import (
    PROGRAM,
    VALID,
    VERSION,
    ActionRun,
    RunnerSetup,
    run_action,
)
from tests.support.cases import cases

IMAGE = f"ghcr.io/shop/rolloutctl@sha256:{'a' * 64}"
TAGGED = "ghcr.io/shop/rolloutctl:1"
# Records its words, and runs the program with the variables that the container would have.
DOCKER = """
printf '%s\\n' "$*" >>"$HOME/docker"
case $1 in
pull) {pull} ;;
image) {inspect} ;;
run) shift ;;
esac
kept=(PATH="$PATH")
while [[ $1 != ghcr.io/* ]]; do
    case $1 in
    --env) shift; case $1 in *=*) kept+=("$1") ;; *) kept+=("$1=${{!1}}") ;; esac ;;
    --workdir) shift; cd "$1" ;;
    esac
    shift
done
shift
[ "$1" != --version ] || {{ echo "rolloutctl, version {version}"; exit; }}
exec env -i "${{kept[@]}}" bash -c {program} rolloutctl "$@"
"""


def docker(
    pull: str = "exit 0", inspect: str = "exit 1", version: str = VERSION, program: str = PROGRAM
) -> RunnerSetup:
    """Return a runner with a docker. pull, inspect: the bash code of these two commands."""
    code = DOCKER.format(pull=pull, inspect=inspect, version=version, program=shlex.quote(program))
    return RunnerSetup(docker=code)


def commands(checkout: Path) -> list[str]:
    """Return what docker was asked for."""
    file = checkout.parent / "runner" / "docker"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def start(
    checkout: Path, runner: RunnerSetup, image: str = IMAGE, command: str = "start"
) -> ActionRun:
    """Run the action where no rolloutctl is installed."""
    variables = {"AWS_SECRET_ACCESS_KEY": "hunter2", "PYTHONPATH": "/of/the/machine"}
    inputs = {"rollout": VALID, "store": "dynamodb://rollouts", "image": image}
    return run_action(checkout, variables, None, runner, command=command, **inputs)


# Writes the files that it is asked for, as rehearse does.
WRITES_FILES = """
for one in "$@"; do case $one in --junit=*|--report=*) echo "$1" >"${one#*=}" ;; esac; done
echo "done in the container: $1"
"""


def test_a_check_runs_in_the_container_and_writes_its_files(checkout: Path) -> None:
    inputs = {"policies": VALID, "scenarios": "healthy", "junit": "reports", "report": "pages"}
    run = run_action(checkout, {}, None, docker(program=WRITES_FILES), image=IMAGE, **inputs)
    assert (run.status, run.commands) == (0, [])
    assert "done in the container: rehearse" in run.summary
    assert "[Report of the rollout (HTML)]" in run.summary
    assert [one.name for one in (checkout / "reports").iterdir()] == [
        "policies-checkout-yaml-healthy.xml"
    ]


def test_the_container_has_the_variables_and_the_rights_of_the_job(checkout: Path) -> None:
    says = 'echo "$AWS_SECRET_ACCESS_KEY of $GITHUB_ACTOR in $PWD: $* [${PYTHONPATH:-}]"'
    run = start(checkout, docker(program=says))
    (started,) = [line for line in commands(checkout) if " start " in line]
    options, _, words = started.partition(f" {IMAGE} ")
    assert words.split()[0] == "start"
    assert f"hunter2 of octocat in {checkout}: start " in run.log
    assert "[]" in run.log  # a variable of the machine's Python
    assert "hunter2" not in "\n".join(commands(checkout))  # which every process may read
    for option in (
        "run --rm", "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges",
        "--network host", f"--volume {checkout}:{checkout}", "--env ROLLOUTCTL_STORE",
    ):  # fmt: skip
        assert option in options


@pytest.mark.parametrize("status", [0, 5])
def test_the_job_ends_as_the_container_does(checkout: Path, status: int) -> None:
    run = start(checkout, docker(program=f"[ $1 != start ] || exit {status}"))
    assert (run.status, run.outputs) == (status, f"status={status}\n")


@cases("image, inspect, pulls", {
    "a digest that is not there": (IMAGE, "exit 1", True),
    "a digest that is there": (IMAGE, "exit 0", False),
    "a tag, which may be another image by now": (TAGGED, "exit 0", True),
})  # fmt: skip
def test_an_image_that_cannot_be_another_one_is_not_pulled_again(
    checkout: Path, image: str, inspect: str, pulls: bool
) -> None:
    run = start(checkout, docker(inspect=inspect, program=":"), image)
    assert run.status == 0, run.log
    assert (f"pull --quiet {image}" in commands(checkout)) is pulls


@cases("runner", {
    "a registry that refuses": docker(pull="exit 1"),
    "a registry that does not answer": docker(pull="exec sleep 30"),
    "no docker": RunnerSetup(),
})  # fmt: skip
def test_a_rollback_without_the_image_says_how_to_do_it_by_hand(
    checkout: Path, runner: RunnerSetup
) -> None:
    inputs = {"command": "rollback", "rollout": VALID, "image": TAGGED}
    run = run_action(checkout, {"INDEX_LIMIT_S": "1"}, None, runner, **inputs)
    (error,) = run.commands
    assert (run.status, "aws lambda update-function-configuration" in error) == (1, True)


def test_an_installed_program_is_the_last_resort(checkout: Path) -> None:
    inputs = {"command": "status", "rollout": VALID, "image": TAGGED}
    run = run_action(checkout, {}, "echo 'of the path'", docker(pull="exit 1"), **inputs)
    assert (run.status, "of the path" in run.log) == (0, True)
    assert "::warning title=rolloutctl::the image was not pulled" in run.log


def test_an_image_of_another_version_is_used_with_a_warning(checkout: Path) -> None:
    run = start(checkout, docker(version=f"{VERSION}.1", program="echo started"))
    assert (run.status, "started" in run.log) == (0, True)
    assert "::warning title=rolloutctl::the image is of another version" in run.log


@pytest.mark.parametrize("image", ["--privileged", "$(touch hacked)", "a b", "a;touch hacked"])
def test_the_name_of_an_image_is_neither_an_option_nor_a_script(checkout: Path, image: str) -> None:
    run = start(checkout, docker(), image)
    assert (run.status, commands(checkout)) == (1, [])
    assert not list(checkout.rglob("hacked*"))
