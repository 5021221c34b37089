"""The contract of a log source, on the simulation, moto and ministack."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.adapters.contracts import benches
from tests.adapters.contracts.benches import LogsBench
from tests.adapters.contracts.logs import LogsContract
from tests.support.emulator import Emulator

# Documented by CloudWatch ("Filter pattern syntax"), and not implemented by an emulator.
_JSON = {
    "test_a_field_of_an_event_in_json_is_compared": "it knows no patterns of JSON",
    "test_every_condition_has_to_hold": "it knows no patterns of JSON",
}


class TestOnTheSimulation(LogsContract):
    @pytest.fixture
    def bench(self) -> LogsBench:
        return benches.simulated_logs()


class TestOnMinistack(LogsContract):
    CANNOT: ClassVar = {
        **_JSON,
        "test_other_events_are_not_counted": "it looks for the words apart",
        "test_pages_are_put_together": "it has no pages: what is beyond the limit is lost",
    }

    @pytest.fixture
    def bench(self, ministack: Emulator, account: str) -> LogsBench:
        return benches.ministack_logs(ministack, account)


class TestOnMoto(LogsContract):
    CANNOT: ClassVar = _JSON

    @pytest.fixture
    def bench(self) -> Iterator[LogsBench]:
        with benches.moto_logs() as bench:
            yield bench


@pytest.mark.parametrize("place", [TestOnMinistack, TestOnMoto])
def test_what_a_place_cannot_show_is_in_the_contract(place: type[LogsContract]) -> None:
    """A renamed promise would leave an entry in CANNOT that excuses nothing."""
    assert [name for name in place.CANNOT if not hasattr(LogsContract, name)] == []


def test_what_only_the_simulation_shows_is_listed() -> None:
    """Every other promise is also shown on moto or ministack, which others wrote."""
    assert not TestOnTheSimulation.CANNOT
    assert TestOnMinistack.CANNOT.keys() & TestOnMoto.CANNOT.keys() == _JSON.keys()
