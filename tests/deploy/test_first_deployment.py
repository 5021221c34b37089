"""deploy/README.md, from an empty account to the stack: its commands, on a fake aws and docker."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from controller.adapters.iam import Job
from controller.tools.iam import declared_permissions
from tests.deploy.stack import README, template

BLOCKS = dict(re.findall(r"^```sh (\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE))
REPOSITORY: Final = "arn:aws:ecr:eu-central-1:123456789012:repository/rolloutctl"
DIGEST: Final = f"sha256:{'a' * 64}"
# Each records its words; aws has the answers that the commands of the page need.
FAKES: Final = {
    "aws": f"""case "$1 $2" in
        'sts get-caller-identity') echo 123456789012 ;;
        'ecr create-repository') echo {REPOSITORY} ;;
        'ecr get-login-password') echo password ;;
        'ecr describe-images') echo {DIGEST} ;;
        esac""",
    "docker": '[ "$1" != login ] || cat >/dev/null',  # or the pipe to it breaks
    "git": "echo 1a2b3c4",
    "rolloutctl": "echo FunctionArns=arn:aws:lambda:eu-central-1:123456789012:function:f",
}


def run(folder: Path, *blocks: str) -> list[list[str]]:
    """Run blocks of the README as one script, and return the commands that it has run."""
    programs, said = folder / "bin", folder / "said"
    programs.mkdir()
    for name, answer in FAKES.items():
        record = f'{{ printf "%q " {name} "$@"; echo; }} >>{shlex.quote(str(said))}'
        (programs / name).write_text(f"#!/bin/bash\n{record}\n{answer}\n")
        (programs / name).chmod(0o755)
    script = "set -euo pipefail\n" + "\n".join(BLOCKS[block] for block in blocks)
    subprocess.run(
        ["bash", "-c", script], cwd=folder, check=True, timeout=30,
        env={"PATH": f"{programs}:/usr/bin:/bin"},
    )  # fmt: skip
    return [shlex.split(line) for line in said.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def commands(tmp_path: Path) -> list[list[str]]:
    return run(tmp_path, "image", "stack")


def overrides(commands: list[list[str]]) -> dict[str, str]:
    """Return the parameters with which the stack is deployed."""
    (deploy,) = [command for command in commands if command[1:3] == ["cloudformation", "deploy"]]
    words = deploy[deploy.index("--parameter-overrides") + 1 :]
    return dict(word.split("=", 1) for word in words)


def test_the_stack_gets_the_digest_and_the_repository_of_what_was_pushed(
    commands: list[list[str]],
) -> None:
    given, declared = overrides(commands), template()["Parameters"]
    (pushed,) = [command[2] for command in commands if command[:2] == ["docker", "push"]]
    assert given["Image"] == f"{pushed.rpartition(':')[0]}@{DIGEST}"
    assert given["RepositoryArn"] == REPOSITORY
    for name in ("Image", "RepositoryArn"):
        assert re.fullmatch(declared[name]["AllowedPattern"], given[name])
    assert set(given) <= set(declared)
    required = {name for name, one in declared.items() if "Default" not in one}
    assert required <= set(given)


def test_a_tag_of_the_repository_is_not_written_twice(commands: list[list[str]]) -> None:
    (create,) = [command for command in commands if command[1:3] == ["ecr", "create-repository"]]
    assert create[create.index("--image-tag-mutability") + 1] == "IMMUTABLE"


def test_the_image_is_built_for_the_processor_of_the_task(commands: list[list[str]]) -> None:
    table = dict(re.findall(r"^\| `(linux/\w+)` \| `(\w+)`", README, re.MULTILINE))
    assert set(table.values()) == set(template()["Parameters"]["Architecture"]["AllowedValues"])
    assert table == {"linux/arm64": "ARM64", "linux/amd64": "X86_64"}
    (build,) = [command for command in commands if command[:2] == ["docker", "build"]]
    platform = build[build.index("--platform") + 1]
    assert table[platform] == overrides(commands)["Architecture"]


def test_what_a_failed_creation_leaves_is_what_the_readme_says(tmp_path: Path) -> None:
    """The table stays and is taken over; log groups go, or they would be in the way."""
    verbs = [one[2] for one in run(tmp_path, "failed")]
    assert verbs == ["describe-stack-events", "delete-stack", "wait", "describe-table"]
    policies = {
        name: one["DeletionPolicy"]
        for name, one in template()["Resources"].items()
        if "DeletionPolicy" in one
    }
    assert policies == {
        "Rollouts": "Retain", "Logs": "RetainExceptOnCreate", "Ended": "RetainExceptOnCreate",
    }  # fmt: skip
    assert template()["Parameters"]["CreateTable"]["AllowedValues"] == ["yes", "no"]


# --- a subnet without a NAT ---------------------------------------------------------------------

# Of the services whose endpoint has another name. Lambda and Secrets Manager call KMS themselves.
ENDPOINTS: Final = {"cloudwatch": "monitoring"}
# The agent of ECS pulls the image and writes the log; a start asks STS, which needs no permission.
AROUND: Final = {"ecr.api", "ecr.dkr", "s3", "logs", "sts"}


def test_every_service_that_a_task_calls_has_its_endpoint_in_the_list() -> None:
    called = {
        permission.action.partition(":")[0]
        for _, permissions in declared_permissions()
        for permission in permissions
        if {Job.TICK, Job.START} & set(permission.jobs) and not permission.via
    }
    rows = re.findall(r"^\| (`[^|]+) \| (interface|gateway) \|", README, re.MULTILINE)
    kinds = {name: kind for names, kind in rows for name in re.findall(r"`([^`]+)`", names)}
    assert set(kinds) == {ENDPOINTS.get(one, one) for one in called} | AROUND
    assert {name for name, kind in kinds.items() if kind == "gateway"} == {"s3", "dynamodb"}
