"""A phase, a verdict or a verb that a match forgets fails the build, not a rollout."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DECIDE, COMMANDS = "controller/core/decide.py", "controller/core/commands.py"


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the output of mypy for both modules without one case of each of their matches."""
    decide_source, commands_source = (ROOT / DECIDE).read_text(), (ROOT / COMMANDS).read_text()
    for case in ("case Paused():", "case Verdict.PASS:"):
        decide_source = without(case, decide_source)
    decide_source = decide_source.replace('case "advance" | "pause":', 'case "pause":')
    for case in ("case Verb.APPROVE:", 'case "":'):
        commands_source = without(case, commands_source)
    folder = tmp_path_factory.mktemp("incomplete")
    command = [sys.executable, "-m", "mypy", "--cache-dir", "/dev/null", "--follow-imports=silent"]
    for path, source in ((DECIDE, decide_source), (COMMANDS, commands_source)):
        incomplete = folder / Path(path).name
        incomplete.write_text(source)
        command += ["--shadow-file", path, str(incomplete)]
    done = subprocess.run(
        [*command, DECIDE, COMMANDS],
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
    "forgotten", ["Paused", "Verdict.PASS", "'advance'", "Verb.APPROVE", "Literal['']"]
)
def test_what_a_match_forgets_is_found_by_mypy(complaints: str, forgotten: str) -> None:
    lines = [line for line in complaints.splitlines() if forgotten in line]
    assert lines
    assert all("assert_never" in line for line in lines)
