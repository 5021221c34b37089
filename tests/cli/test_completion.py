"""Shell completion: the script, and the completions that it gets."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli import VERBS
from tests.cli.test_main import ROOT
from tests.support.deep_rows import deep_after

ASK = """
import json, sys
from controller.cli import main
try:
    main([])
finally:
    print(json.dumps([name for name in sys.modules]), file=sys.stderr)
"""


def complete(line: str) -> tuple[list[str], set[str]]:
    """Return bash's completions at the end of `line`, and the modules imported for them."""
    position = len(line.split(" ")) - 1
    environment = {
        "PATH": "", "_ROLLOUTCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": line, "COMP_CWORD": str(position),
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return ended.stdout.splitlines(), set(json.loads(ended.stderr))


@pytest.mark.parametrize(
    ("line", "answers"),
    deep_after(3, [
        pytest.param("rolloutctl ", [f"plain,{verb}" for verb in VERBS], id="all verbs"),
        pytest.param("rolloutctl status --wa", ["plain,--wait", "plain,--watch"], id="options"),
        pytest.param("rolloutctl start pol", ["file,pol"], id="a policy is a file"),
        pytest.param("rolloutctl hist", ["plain,history"], id="a verb"),
        pytest.param("rolloutctl run pol", ["file,pol"], id="a policy to run is a file"),
        pytest.param("rolloutctl validate a.yaml b", ["file,b"], id="every policy is a file"),
        pytest.param(
            "rolloutctl rehearse x.yaml --scenario healt", ["file,healt", "plain,healthy"],
            id="a scenario, which may be a file",
        ),
        pytest.param(
            "rolloutctl completion ", ["plain,bash", "plain,zsh", "plain,fish"], id="shells"
        ),
    ]),
)  # fmt: skip
def test_a_tab_completes(line: str, answers: list[str]) -> None:
    completions, loaded = complete(line)
    assert completions == answers
    assert loaded & {"boto3", "controller.tools.simulation.scenario.scenario", "rich"} == set()


def test_every_shipped_scenario_is_offered() -> None:
    completions, _ = complete("rolloutctl rehearse x.yaml --scenario ")
    shipped = (ROOT / "controller" / "tools" / "simulation" / "scenarios").glob("*.yaml")
    names = sorted(one.stem for one in shipped)
    assert completions == ["file,", *(f"plain,{name}" for name in names)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_command_by_its_variable(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from controller.cli import main

    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_ROLLOUTCTL_COMPLETE={shell}_complete" in script
    if executable := shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([executable, "-n", file], check=True, timeout=60)
