"""What a release is made of, as far as it can be made without a forge."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.wheels import index, locked, pack

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "release"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CI = ROOT / ".github" / "workflows" / "ci.yml"
VERSION = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[0]


def yaml(file: Path) -> dict[str, Any]:
    data: dict[str, Any] = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return data


JOBS = yaml(ROOT / ".github" / "workflows" / "release.yml")["jobs"]


def release(
    *words: object, root: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / ".ci" / "release", *map(str, words)],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "SBOM": "0", **environment},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of what `check` reads, whose changelog has an entry for the version."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci" / "release")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entry = text.replace("## Unreleased", f"## {VERSION} (2026-12-01)")
    (tmp_path / "CHANGELOG.md").write_text(entry, encoding="utf-8")
    return tmp_path


def test_a_tag_needs_the_version_and_an_entry_in_the_changelog(changed: Path) -> None:
    assert release("check", f"v{VERSION}", root=changed).returncode == 0
    other = release("check", "v9.9.9", root=changed)
    assert (other.returncode, VERSION in other.stderr) == (1, True)
    (changed / "CHANGELOG.md").write_text("# Changelog\n\n## 0.0.1 (2026-01-01)\n\nOld.\n")
    missing = release("check", f"v{VERSION}", root=changed)
    assert (missing.returncode, "CHANGELOG.md" in missing.stderr) == (1, True)


def test_what_reaches_the_forge_is_shown_and_not_done(changed: Path) -> None:
    shown = release("publish", f"v{VERSION}", "dist", root=changed, DRY_RUN="1")
    major = f"v{VERSION}".partition(".")[0]
    assert f"git tag --force {major} v{VERSION}\n" in shown.stdout
    assert "- A YAML policy raises a canary weight step by step" in shown.stdout
    assert not (changed / ".git").exists()


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_and_each_job_has_its_own_permissions(file: Path) -> None:
    used = re.findall(r"- uses: (.*)", file.read_text(encoding="utf-8"))
    assert used
    assert [one for one in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[\d.]+", one)] == []
    workflow = yaml(file)
    assert workflow["permissions"] == {}
    assert all(job["permissions"] and job["timeout-minutes"] for job in workflow["jobs"].values())


def test_a_release_takes_its_steps_in_order() -> None:
    steps = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]
    verbs = [step.split()[1] for step in steps if step.startswith(".ci/release ")]
    assert verbs == ["check", "build", "image", "publish"]


def test_what_may_sign_runs_no_test_and_needs_what_ran_them() -> None:
    signing = {name for name, job in JOBS.items() if "id-token" in job["permissions"]}
    assert signing == {"sign", "image", "package-index"}
    (testing,) = (
        name for name, job in JOBS.items() for step in job["steps"] if step.get("run") == ".ci/run"
    )
    assert set(JOBS[testing]["permissions"]) == {"contents"}
    for name in signing:
        before, waiting = set[str](), [name]
        while waiting:
            needs = JOBS[waiting.pop()].get("needs", [])
            waiting += [needs] if isinstance(needs, str) else needs
            before |= {*waiting}
        assert testing in before
    for name in ("sign", "package-index"):
        assert not any("checkout" in step.get("uses", "") for step in JOBS[name]["steps"])


def test_each_step_of_a_pull_request_is_a_target_of_the_makefile() -> None:
    matrix = yaml(CI)["jobs"]["part"]["strategy"]["matrix"]["include"]
    targets = {one["target"] for one in matrix}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert targets >= {"lint", "pytest", "rehearse"}  # all that .ci/run makes


@pytest.mark.deep  # builds twice and installs, for half a minute
def test_the_packages_are_reproducible_and_the_wheel_runs_in_a_clean_environment(
    tmp_path: Path,
) -> None:
    """Wheel and sdist twice, the same bytes; the wheel has its policies and scenarios."""
    sums = []
    for name in ("first", "second"):
        built = release("build", tmp_path / name)
        assert built.returncode == 0, built.stderr
        sums.append((tmp_path / name / "SHA256SUMS").read_text())
    assert sums[0] == sums[1]
    (wheel,) = (tmp_path / "first").glob("*.whl")
    clean = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", clean], check=True, timeout=120)
    (tmp_path / "wheels").mkdir()
    for name in locked("requirements.lock"):
        pack(name, tmp_path / "wheels")
    with index(tmp_path / "wheels") as packages:
        subprocess.run(
            [clean / "bin" / "python", "-m", "pip", "install", "--quiet", wheel],
            env=packages.environment, check=True, timeout=300,
        )  # fmt: skip
    program = clean / "bin" / "rolloutctl"

    def run(*words: str) -> str:
        return subprocess.run(
            [program, *words], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120
        ).stdout

    assert run("--version") == f"rolloutctl, version {VERSION}\n"
    run("init", "--offline", "--from", "execution-api", "--output", "mine.yaml")
    assert "succeeded at 100%" in run("rehearse", "mine.yaml")
