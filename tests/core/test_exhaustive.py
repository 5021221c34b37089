"""A phase, a verdict or a verb that is forgotten fails the build, not a rollout."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECIDE, ASKED = "controller/core/decide.py", "controller/core/commands.py"


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what mypy says of both modules without one case of each of their matches."""
    decide, asked = (ROOT / DECIDE).read_text(), (ROOT / ASKED).read_text()
    for case in ("case Phase.PAUSED:", "case Verdict.PASS:"):
        decide = without(case, decide)
    decide = decide.replace('case "advance" | "pause":', 'case "pause":')
    for case in ("case Verb.APPROVE:", 'case "":'):
        asked = without(case, asked)
    folder = tmp_path_factory.mktemp("forgetful")
    command = [sys.executable, "-m", "mypy", "--cache-dir", "/dev/null", "--follow-imports=silent"]
    for path, source in ((DECIDE, decide), (ASKED, asked)):
        forgetful = folder / Path(path).name
        forgetful.write_text(source)
        command += ["--shadow-file", path, str(forgetful)]
    done = subprocess.run(
        [*command, DECIDE, ASKED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def without(case: str, source: str) -> str:
    """Return `source` without the one block that `case` opens."""
    left, count = re.subn(rf"^( +){re.escape(case)}\n(?:\1 .*\n)+", "", source, flags=re.M)
    assert count == 1, f"{case!r} opens {count} blocks"
    return left


@pytest.mark.parametrize(
    "forgotten", ["Phase.PAUSED", "Verdict.PASS", "'advance'", "Verb.APPROVE", "Literal['']"]
)
def test_what_a_match_forgets_is_found_by_mypy(complaints: str, forgotten: str) -> None:
    found = [line for line in complaints.splitlines() if forgotten in line]
    assert found
    assert all("assert_never" in line for line in found)
