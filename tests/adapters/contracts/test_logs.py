"""The contract of a log source, on the simulation and on moto: ministack has no pages of logs."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.adapters.contracts import benches
from tests.adapters.contracts.benches import LogsBench
from tests.adapters.contracts.logs import LogsContract

# Documented by CloudWatch ("Filter pattern syntax"), and not implemented by any emulator.
_NO_JSON = "it knows no patterns of JSON"


class TestOnTheSimulation(LogsContract):
    @pytest.fixture
    def bench(self) -> LogsBench:
        return benches.simulated_logs()


class TestOnMoto(LogsContract):
    CANNOT: ClassVar = {
        "test_a_field_of_an_event_in_json_is_compared": _NO_JSON,
        "test_every_condition_has_to_hold": _NO_JSON,
    }

    @pytest.fixture
    def bench(self) -> Iterator[LogsBench]:
        with benches.moto_logs() as bench:
            yield bench
