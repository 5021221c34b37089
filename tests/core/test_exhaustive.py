"""A phase, a verdict or an answer that `decide` forgets fails the build, not a rollout."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECIDE = "controller/core/decide.py"


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what mypy says of `decide` without one case of each of its matches."""
    source = (ROOT / DECIDE).read_text()
    for case in ("case Phase.PAUSED:", "case Verdict.PASS:"):
        source = without(case, source)
    source = source.replace('case "advance" | "pause":', 'case "pause":')
    forgetful = tmp_path_factory.mktemp("forgetful") / "decide.py"
    forgetful.write_text(source)
    command = [sys.executable, "-m", "mypy", "--cache-dir", "/dev/null"]
    command += ["--follow-imports=silent", "--shadow-file", DECIDE, str(forgetful)]
    done = subprocess.run(
        [*command, DECIDE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def without(case: str, source: str) -> str:
    """Return `source` without the one block that `case` opens."""
    left, count = re.subn(rf"^( +){re.escape(case)}\n(?:\1 .*\n)+", "", source, flags=re.M)
    assert count == 1, f"{case!r} opens {count} blocks"
    return left


@pytest.mark.parametrize("forgotten", ["Phase.PAUSED", "Verdict.PASS", "'advance'"])
def test_what_a_match_forgets_is_found_by_mypy(complaints: str, forgotten: str) -> None:
    found = [line for line in complaints.splitlines() if forgotten in line]
    assert found
    assert all("assert_never" in line for line in found)
