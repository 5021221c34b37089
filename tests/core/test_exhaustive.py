"""A phase, a verdict or a verb that a match forgets fails the build, not a rollout."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DECIDE, COMMANDS = "controller/core/decide.py", "controller/core/commands.py"
BY_OPERATOR = "controller/core/transitions/by_operator.py"


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the output of mypy for the modules without one case of each of their matches."""
    sources = {path: (ROOT / path).read_text() for path in (DECIDE, COMMANDS, BY_OPERATOR)}
    sources[DECIDE] = sources[DECIDE].replace('case "advance" | "pause":', 'case "pause":')
    for path, case in (
        (DECIDE, "case Paused():"),
        (DECIDE, "case Verdict.PASS:"),
        (COMMANDS, "case Verb.APPROVE:"),
        (BY_OPERATOR, 'case "":'),
    ):
        sources[path] = without(case, sources[path])
    folder = tmp_path_factory.mktemp("incomplete")
    command = [sys.executable, "-m", "mypy", "--cache-dir", "/dev/null", "--follow-imports=silent"]
    for path, source in sources.items():
        incomplete = folder / Path(path).name
        incomplete.write_text(source)
        command += ["--shadow-file", path, str(incomplete)]
    done = subprocess.run(
        [*command, *sources],
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
