"""Reports for CI: annotations, Markdown, and JUnit files."""

from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.cli.test_status import forge
from tests.tools.simulation.worlds import MINUTE

WRONG = "version: 1\nname: Wrong\ntarget: {}\nmetrics: {}\ncriteria: {}\nsteps: []\n"


@pytest.fixture
def baking(desk: CliHarness) -> CliHarness:
    """A desk whose rollout is at 10%, and was ticked once."""
    desk.run("start", desk.policy)
    desk.world.clock.advance(3 * MINUTE)
    desk.run("tick")
    return desk


# --- annotations --------------------------------------------------------------------------------


def test_every_mistake_is_an_annotation_on_stdout_where_github_reads(
    desk: CliHarness, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(WRONG)
    ended = desk.run("validate", desk.policy, str(wrong), "gone.yaml", "--format", "github")
    assert (ended.status, ended.err) == (Exit.USAGE, "")
    sound, first, *_, last = ended.out.splitlines()
    assert sound.startswith(f"{desk.policy}: ok: ")
    assert first.startswith(f"::error file={wrong},line=2,col=7,title=rolloutctl::name: ")
    assert last == (
        "::error file=gone.yaml,title=rolloutctl::cannot be read: No such file or directory"
    )
    as_text = desk.run("validate", desk.policy, str(wrong), "gone.yaml").err
    assert ended.out.count("::error ") == len(as_text.splitlines())


def test_one_result_has_one_form(desk: CliHarness) -> None:
    for command in (
        ["validate", desk.policy, "--format", "github", "--json"],
        ["rehearse", desk.policy, "--markdown", "--json"],
        ["status", "orders", "--markdown", "--json"],
    ):
        ended = desk.run(*command)
        assert (ended.status, ended.data["schema"]) == (Exit.USAGE, "error/1")
        assert "two forms of one result" in ended.err


# --- rehearsals ---------------------------------------------------------------------------------


def test_a_rehearsal_is_a_page_and_a_file_of_test_cases(desk: CliHarness, tmp_path: Path) -> None:
    file = tmp_path / "gates.xml"
    ended = desk.run("rehearse", desk.policy, "--markdown", "--junit", str(file))
    assert ended.status == Exit.DONE
    lines = ended.out.splitlines()
    assert lines[0].startswith("### orders: succeeded at 100% after ")
    (row,) = [line for line in lines if line.startswith("| pass | works | ≥ 99% | ")]
    assert row.endswith(" | no regression detected | gate |")
    assert lines[-1] == "```"
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<?xml version='1.0' encoding='utf-8'?>\n")
    assert '<testsuites name="orders" tests="3" failures="0" errors="0" skipped="0">' in text


def test_a_report_that_cannot_be_written_is_an_error(desk: CliHarness, tmp_path: Path) -> None:
    file = tmp_path / "missing" / "gates.xml"
    ended = desk.run("rehearse", desk.policy, "--junit", str(file))
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert f"{file}: the report cannot be written: No such file or directory" in ended.err


# --- status -------------------------------------------------------------------------------------


def test_a_rollout_is_a_page_and_a_file_of_test_cases(baking: CliHarness, tmp_path: Path) -> None:
    file = tmp_path / "gates.xml"
    ended = baking.run("status", "orders", "--markdown", "--junit", str(file))
    assert ended.status == Exit.DONE
    lines = ended.out.splitlines()
    assert lines[0] == "### orders\\#<!-- -->1: progressing at 10%"
    assert lines[-3].startswith("2026-01-05 09:00    0 → 10%  started ")
    assert '<testsuites name="orders" tests="3" failures="0" errors="0" skipped="3">' in (
        file.read_text(encoding="utf-8")
    )


def test_wait_prints_one_page_at_the_end(baking: CliHarness, tmp_path: Path) -> None:
    baking.run("pause", "orders", "--reason", "lunch")
    file = tmp_path / "gates.xml"
    ended = baking.run("status", "orders", "--wait", "--markdown")
    assert ended.status == Exit.UNDECIDED
    assert ended.out.splitlines()[0] == "### orders\\#<!-- -->1: paused at 10%"
    ended = baking.run("status", "orders", "--wait", "--junit", str(file))
    assert ended.out.startswith("orders#1  paused ")
    assert '<error message="paused at 10%: paused by an operator: lunch' in file.read_text(
        encoding="utf-8"
    )


def test_many_rollouts_have_no_page(baking: CliHarness, tmp_path: Path) -> None:
    for option in (["--markdown"], ["--junit", str(tmp_path / "gates.xml")]):
        ended = baking.run("status", *option)
        assert (ended.status, ended.out) == (Exit.USAGE, "")
        assert "name it" in ended.err


def test_a_history_that_was_changed_is_not_reported(baking: CliHarness) -> None:
    forge(baking)
    ended = baking.run("status", "orders", "--markdown")
    assert (ended.status, ended.out) == (Exit.INTERNAL, "")
    assert "the history of orders#1 was changed" in ended.err
