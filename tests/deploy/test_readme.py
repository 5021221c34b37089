"""deploy/README.md: its tables are the output of benchmarks, its names are in the template."""

import re

import pytest

from benchmarks import due_ticks, monthly_cost, reaction
from controller.process import logging
from tests.deploy.stack import TEMPLATE, template

README = (TEMPLATE.parent / "README.md").read_text(encoding="utf-8")
LINES = README.splitlines()


def is_shown(table: list[str]) -> bool:
    """Tell whether the README contains the lines of a table, in order."""
    begin = LINES.index(table[0])
    return LINES[begin : begin + len(table)] == table


def test_the_cost_is_that_of_the_counted_calls() -> None:
    logging.disable()
    assert is_shown(monthly_cost.table())
    assert is_shown(monthly_cost.surroundings_table())


@pytest.mark.deep
def test_the_ticks_of_a_rollout_are_those_of_the_simulation() -> None:
    logging.disable()
    to_success, watch = due_ticks.counted(each=False)
    assert (to_success.ticks, to_success.visits) == (monthly_cost.TICKS, monthly_cost.VISITS)
    assert is_shown(due_ticks.table(to_success, watch))


def test_the_reactions_are_those_of_the_simulation() -> None:
    logging.disable()
    assert is_shown(reaction.table())


def test_every_parameter_that_it_names_is_there() -> None:
    named = {*re.findall(r"[` ]([A-Z][a-z]\w+)=", README)}
    assert {"Image", "StartTask", "CreateTable"} <= named
    assert named <= {*template()["Parameters"]}


def test_what_pages_is_called_as_in_the_template() -> None:
    for name in re.findall(r"`STACK-([a-z-]+)`", README):
        assert f"${{AWS::StackName}}-{name}" in TEMPLATE.read_text(encoding="utf-8")
