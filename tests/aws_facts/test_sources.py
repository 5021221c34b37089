"""Every fact has its source and its date."""

import pytest

from tests.aws_facts.published import SERVICES, facts, sourced


@pytest.mark.parametrize("service", SERVICES)
def test_every_fact_names_its_source(service: str) -> None:
    known = facts(service)
    assert known["read"].isoformat() > "2026"
    assert all(page["title"] and page["address"] for page in known["pages"].values())
    assert {fact["source"] for fact in sourced(known)} <= known["pages"].keys()
