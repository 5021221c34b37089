"""The image: its content and its start, checked in the Dockerfile without a build."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions(name: str) -> list[str]:
    """Return the arguments of each instruction `name`, with continued lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def copied() -> list[str]:
    """Return the paths that the build copies from the checkout."""
    from_checkout = [line for line in instructions("COPY") if not line.startswith("--from")]
    return [name for line in from_checkout for name in line.split()[:-1]]


def test_all_that_is_copied_is_there_and_all_else_is_ignored() -> None:
    ignored, *exceptions = [
        line
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert ignored == "*"
    assert {name.removeprefix("!") for name in exceptions} == {*copied(), "**/__pycache__"}
    assert all((ROOT / name).exists() for name in copied())


def test_it_runs_the_program_itself_as_an_unprivileged_user() -> None:
    *_, user = instructions("USER")
    (entrypoint,) = instructions("ENTRYPOINT")
    assert user == "10001:10001"
    assert json.loads(entrypoint) == ["rolloutctl"]  # no shell, which would not pass SIGTERM on


def test_nothing_is_installed_without_its_hash() -> None:
    installs = re.findall(r"pip[^&]*? install ([^&]*)", " ".join(instructions("RUN")))
    assert len(installs) == 4
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)


def test_the_models_are_cut_after_the_program_is_installed_and_before_it_is_compiled() -> None:
    (command,) = [run for run in instructions("RUN") if "cut_models.py" in run]
    steps = [command.index(one) for one in ("/wheel/*.whl", "cut_models.py", "compileall")]
    assert steps == sorted(steps)


def test_its_bill_of_materials_is_made_from_what_is_installed() -> None:
    (command,) = [run for run in instructions("RUN") if "cyclonedx-py" in run]
    lock_file = command.split()[-1]
    installed = [run for run in instructions("RUN") if f"-r {lock_file}" in run]
    assert (lock_file, len(installed)) == ("requirements-image.lock", 1)
    written = re.findall(r"--output-file (\S+)", command)
    assert instructions("COPY")[-1].split()[1].endswith(f"/{written[0]}")


def test_it_says_what_it_is_by_the_labels_of_oci() -> None:
    (labels,) = instructions("LABEL")
    values = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', labels))
    arguments = {value[2:-1] for value in values.values() if value.startswith("${")}
    assert set(values) == {
        "title", "description", "licenses", "version", "revision", "created", "base.name",
    }  # fmt: skip
    assert arguments == {"VERSION", "REVISION", "CREATED", "BASE"}
    assert arguments <= {instruction.partition("=")[0] for instruction in instructions("ARG")}


def test_the_check_gives_each_label_and_looks_at_it() -> None:
    script = (ROOT / ".ci" / "image-check").read_text(encoding="utf-8")
    for argument in ("VERSION", "REVISION", "CREATED", "BASE"):
        assert f'--build-arg "{argument}=' in script
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "image-check"], check=False).returncode == 0


LOCKS = [*ROOT.glob("requirements*.lock"), ROOT / "tests" / "e2e" / "ministack.lock"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_versions_and_hashes_and_no_addresses(lock: Path) -> None:
    line = re.compile(r"[a-z0-9.-]+==[^ ]+( ; .*?)?( --hash=sha256:[0-9a-f]{64})+")
    text = re.sub(r" \\\n +", " ", lock.read_text(encoding="utf-8"))
    assert all(line.fullmatch(one) for one in text.splitlines())
    assert "//" not in text
