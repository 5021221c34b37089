"""What a release is made of, as far as it can be made without a forge."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support.wheels import index, locked, pack

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "release"
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
VERSION = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[0]


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
    assert "- A state machine steps the canary weight" in shown.stdout
    assert not (changed / ".git").exists()


def test_third_party_actions_are_pinned_and_each_job_has_its_own_permissions() -> None:
    text = WORKFLOW.read_text(encoding="utf-8")
    used = re.findall(r"- uses: (.*)", text)
    assert used
    assert [one for one in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[\d.]+", one)] == []
    workflow = YAML(typ="safe").load(text)
    assert workflow["permissions"] == {}
    assert all(job["permissions"] and job["timeout-minutes"] for job in workflow["jobs"].values())
    steps = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    verbs = [step.split()[1] for step in steps if step.startswith(".ci/release ")]
    assert verbs == ["check", "build", "image", "publish"]


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
    assert "succeeded at 100 %" in run("rehearse", "mine.yaml")
