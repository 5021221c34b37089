"""Recorded accounts against the product and the fakes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from tests.aws_facts import recordings

RECORDED: Final = sorted(recordings.FOLDER.iterdir())


def _answers() -> Iterator[Any]:
    for account in RECORDED:
        for service, calls in recordings.calls_of(account).items():
            for number, call in enumerate(calls, 1):
                name = f"{account.name}: {service} {number}, {call['operation']}"
                yield pytest.param(service, call, id=name)


@pytest.mark.parametrize(("service", "call"), list(_answers()))
def test_the_product_takes_each_answer(service: str, call: recordings.Call) -> None:
    assert recordings.refused_by_product(service, call) == ""


@pytest.mark.parametrize("account", RECORDED, ids=lambda path: path.name)
def test_the_fakes_end_writes_as_the_account_did(account: Path) -> None:
    about = YAML(typ="safe").load(account / "about.yaml")
    recorded = list(recordings.outcomes(recordings.calls_of(account)["lambda"]))
    simulated = list(recordings.outcomes(recordings.calls_of_the_fakes()))
    assert len(recorded) == len(simulated)
    different = [
        n for n, pair in enumerate(zip(recorded, simulated, strict=True), 1) if pair[0] != pair[1]
    ]
    assert different == [one["write"] for one in about["differs_from_aws"]]
