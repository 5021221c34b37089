"""The facts of a finding: a flat mapping by name, written and read as groups of fields."""

from typing import Any

import pytest

from controller.core.judge.facts import (
    Failures,
    MissingKindFacts,
    Odds,
    PossibleRate,
    RatioTotals,
    flat,
    totals_of,
)
from controller.immutable import replace
from tests.support.findings import a_finding


class Text(str):
    """Text of a package's own, as enumerations have."""

    __slots__ = ()


def of(**facts: Any) -> Any:
    return replace(a_finding(), facts=facts)


def test_a_fact_without_a_value_is_left_out() -> None:
    assert flat(Failures(3.0), PossibleRate(0.1)) == {"failures": 3.0, "possible_share": 0.1}


def test_the_text_of_a_package_is_stored_as_plain_text() -> None:
    assert type(flat(MissingKindFacts(Text("none")))["problem"]) is str


def test_a_group_is_read_from_among_other_facts() -> None:
    facts = of(**flat(Odds(120.0, 60, 100.0), {"more": 1}))
    assert Odds.of(facts) == Odds(120.0, 60, 100.0)


@pytest.mark.parametrize("facts", [{}, {"failures": "many"}], ids=["absent", "of another type"])
def test_facts_of_another_version_are_no_group(facts: dict[str, Any]) -> None:
    assert Failures.find(of(**facts)) is None
    with pytest.raises(ValueError, match="failures"):
        Failures.of(of(**facts))


def test_counts_are_read_in_the_form_that_they_have() -> None:
    ratio = RatioTotals(subject="throttled", limit=0.01, share=0.2, requests=50.0)
    assert totals_of(of(**flat(ratio))) == ratio
    assert totals_of(of(text="fine")) is None
