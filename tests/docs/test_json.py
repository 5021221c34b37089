"""docs/json.md: its table has every schema, its example is printed, its program checks a chain."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from controller import cli
from controller.errors import Exit
from controller.tools.schema import OUTPUTS
from tests.support.stage import open_stage

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
_BLOCKS: Final = dict(re.findall(r"^```(json|python)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))


def test_the_table_has_every_schema() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", TEXT, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(.*?)`", row)} == OUTPUTS.keys()


def test_the_mistake_is_printed_as_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = (ROOT / "policies" / "execution-api.yaml").read_text()
    monkeypatch.chdir(tmp_path)
    Path("checkout.yaml").write_text(
        policy.replace("weight: 50,  bake: 1h", "weight: 50,  bake: 1")
    )
    assert cli.main(["validate", "checkout.yaml", "--json"]) == Exit.USAGE
    assert json.loads(capsys.readouterr().out) == json.loads(_BLOCKS["json"])


@pytest.fixture
def history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """The history of a rollout with an advance, as `history --json` prints it."""
    with open_stage(tmp_path) as stage:
        stage.start()
        stage.ticks(6)
        name, url = stage.policy.name, f"sqlite:///{stage.file}"
    capsys.readouterr()  # the log of the ticks
    assert cli.main(["history", name, "--store", url, "--json"]) == Exit.DONE
    return json.loads(capsys.readouterr().out)


def checked(history: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what the document's program says about `history`."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(history)))
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    try:
        exec(compile(_BLOCKS["python"], "chain.py", "exec"), {})  # noqa: S102 - it is ours
    except SystemExit as stop:
        return str(stop)
    return printed.getvalue()


def test_the_program_finds_that_the_chain_holds(
    history: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = history["entries"][-1]["hash"]
    assert checked(history, monkeypatch) == f"the chain holds; its last hash is {last}\n"


def test_the_program_finds_a_change(history: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    history["entries"][1]["body"]["by"] = "nobody"
    assert checked(history, monkeypatch).startswith("entry 2 was changed")
