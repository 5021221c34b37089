"""The contract of the target `appconfig`, on the simulation and on ministack."""

from itertools import count

import pytest

from controller.errors import WriteRefusedError
from controller.flag import AppConfig
from tests.adapters.contracts import appconfig_benches
from tests.adapters.contracts.appconfig import AppConfigContract
from tests.adapters.contracts.appconfig_benches import FLAG, FORMS, AppConfigBench
from tests.adapters.contracts.routing import LIMIT
from tests.support.emulator import Emulator

_ACCOUNTS = count(600_000_000_001)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    """What holds the percentage."""
    return str(request.param)


class TestOnTheSimulation(AppConfigContract):
    @pytest.fixture
    def bench(self, form: str) -> AppConfigBench:
        return appconfig_benches.simulated(form)


class TestOnMinistack(AppConfigContract):
    @pytest.fixture
    def bench(self, ministack: Emulator, form: str) -> AppConfigBench:
        """Return a configuration in a new account."""
        return appconfig_benches.in_ministack(ministack, str(next(_ACCOUNTS)), form)

    def test_the_flag_of_an_application_reads_what_was_written(
        self, bench: AppConfigBench, ministack: Emulator
    ) -> None:
        target, adapter = bench.target, bench.open(bench.target)
        account = target.environment.split(":")[4]
        names = (target.application, target.environment_id, target.profile)
        client = ministack.client("appconfigdata", account)
        for weight in (10, 0, 100):
            if weight:
                adapter.shift_to(weight, adapter.read().token)
            else:
                adapter.lower_to_zero(LIMIT)
            assert AppConfig(*names, flag=target.flag, client=client).weight() == weight


# --- feature flags -----------------------------------------------------------------------------


@pytest.fixture
def flags() -> AppConfigBench:
    return appconfig_benches.simulated(FLAG)


def test_a_flag_that_is_off_has_0_and_a_raise_switches_it_on(flags: AppConfigBench) -> None:
    flags.change(enabled=False, percentage=50)
    target = flags.open(flags.target)
    assert target.read().has_applied(0)
    assert target.read().variables == "checkout.percentage=50, and the flag is off"
    target.shift_to(10, target.read().token)
    assert target.read().has_applied(10)
    target.lower_to_zero(LIMIT)
    assert target.read().variables == "checkout.percentage=0"


def test_a_flag_with_variants_is_neither_raised_nor_lowered(flags: AppConfigBench) -> None:
    flags.change(_variants=[{"name": "half", "enabled": True}])
    target = flags.open(flags.target)
    assert target.read().weight is None
    assert target.obstacles()[0].fatal
    token = target.read().token
    with pytest.raises(WriteRefusedError, match="has variants"):
        target.shift_to(10, token)
    with pytest.raises(WriteRefusedError, match="has variants"):
        target.lower_to_zero(LIMIT)
    assert target.read().token == token


@pytest.mark.parametrize(
    ("named", "words"),
    [({"flag": "basket"}, "has no flag basket"), ({"attribute": "share"}, "no attribute share")],
)
def test_a_flag_or_attribute_that_is_not_there_is_in_the_way_of_a_start(
    flags: AppConfigBench, named: dict[str, str], words: str
) -> None:
    target = flags.open(flags.target.model_copy(update=named))
    (obstacle,) = target.obstacles()
    assert obstacle.fatal
    assert words in obstacle.text
    (warning,) = target.name_warnings()
    assert warning.mistaken


@pytest.mark.parametrize("content", [[1, 2], "text", {"values": [1]}])
def test_what_is_no_document_of_flags_is_never_written(
    flags: AppConfigBench, content: object
) -> None:
    flags.deploy(flags.save(content))
    target = flags.open(flags.target)
    for act in (target.read, lambda: target.lower_to_zero(LIMIT)):
        with pytest.raises(WriteRefusedError, match="version 2 of profile ghi9012"):
            act()


def test_a_profile_that_was_never_deployed_is_unreadable(flags: AppConfigBench) -> None:
    other = flags.open(flags.target.model_copy(update={"profile": "new1234"}))
    with pytest.raises(WriteRefusedError, match="no version of profile new1234 is deployed"):
        other.read()
