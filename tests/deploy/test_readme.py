"""The pages of the stack: tables that benchmarks print, and names of the template."""

import re

import pytest

from benchmarks import due_ticks, home_cost, monthly_cost, reaction
from controller.process import logging
from tests.deploy.stack import DEPLOYMENT, README, TEMPLATE, template

LINES = DEPLOYMENT.splitlines()
PAGES = README + DEPLOYMENT


def is_shown(table: list[str]) -> bool:
    """Tell whether the page with the measurements has the lines of a table, in order."""
    begin = LINES.index(table[0])
    return LINES[begin : begin + len(table)] == table


def test_the_cost_is_that_of_the_counted_calls() -> None:
    logging.disable()
    assert is_shown(monthly_cost.table())
    assert is_shown(monthly_cost.surroundings_table())
    costs = monthly_cost.costs(1, monthly_cost.counted())
    of_a_tick = [costs[name] for name in costs if name.endswith("(Metrics=yes)")]
    shared = ("CloudWatch: metrics read", "DynamoDB", "four alarms, and their metrics")
    always = sum(costs[name] for name in shared)
    assert f"about ${always:.0f} a month" in README
    assert f"`Metrics=yes` ${sum(of_a_tick):.0f} more" in README


def test_the_homes_and_the_engines_are_compared_by_the_same_prices() -> None:
    assert is_shown(home_cost.homes_table())
    assert is_shown(home_cost.engines_table())
    assert is_shown(home_cost.passes_table())


def test_the_figures_in_words_are_those_of_the_tables() -> None:
    computing = {home: found[0] for home, found in home_cost.homes(1).items()}
    function = sum(home_cost.homes(1)["`function`"])
    dollars = (f"${function:.2f}", f"${computing['`service`']:.0f}")
    assert round(computing["`service`"]) == round(computing["`scheduled-task`"])
    engines = [f"${cost:,.0f}" for cost in home_cost.engines(1_000).values()]
    del engines[2]  # the parts, which decision 86 prefers up to so many
    for text, figures in ((README, dollars), (decision(85), dollars), (decision(87), engines)):
        assert [one for one in figures if one not in text] == []


def decision(number: int) -> str:
    """Return the text of a decision."""
    (path,) = (TEMPLATE.parents[1] / "docs" / "decisions").glob(f"{number:04}-*.md")
    return path.read_text(encoding="utf-8")


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
    named = {*re.findall(r"[` ]([A-Z][a-z]\w+)=", PAGES)}
    assert {"Image", "StartTask", "CreateTable"} <= named
    assert named <= {*template()["Parameters"]}


def test_what_pages_is_called_as_in_the_template() -> None:
    for name in re.findall(r"`STACK-([a-z-]+)`", PAGES):
        assert f"${{AWS::StackName}}-{name}" in TEMPLATE.read_text(encoding="utf-8")
