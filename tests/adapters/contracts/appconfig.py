"""What the target `appconfig` promises beyond the contract of all routed targets."""

import pytest

from controller.core.observation import UpdateStatus
from controller.errors import TargetError, WriteConflictError, WriteRefusedError
from tests.adapters.contracts.appconfig_benches import AppConfigBench
from tests.adapters.contracts.routing import LIMIT, RoutingContract


class AppConfigContract(RoutingContract):
    """Promises of a `Target` on a hosted configuration whose deployed version has 0%."""

    # --- reading --------------------------------------------------------------------------------

    def test_a_value_that_is_no_percentage_is_no_weight_and_is_named(
        self, bench: AppConfigBench
    ) -> None:
        target = bench.open(bench.target)
        for value in ("50", True, 101, -1, 10.5):
            bench.change(percentage=value)
            assert target.read().weight is None
            assert list(target.foreign_values()) == [bench.target.setting]
        target.lower_to_zero(LIMIT)
        assert target.read().has_applied(0)

    def test_a_version_that_is_saved_and_not_deployed_changes_no_weight_and_is_no_base(
        self, bench: AppConfigBench
    ) -> None:
        before = bench.beside()
        bench.save({**bench.document(), "percentage": 70, "new": True})
        target = bench.open(bench.target)
        assert target.read().has_applied(0)
        (doubt,) = target.obstacles()
        assert not doubt.fatal
        assert "is newer than version" in doubt.text
        target.shift_to(10, target.read().token)
        assert bench.beside() == before

    def test_the_higher_weight_counts_while_a_deployment_grows(self, bench: AppConfigBench) -> None:
        bench.set(50)
        bench.change(strategy=bench.slow, percentage=10)
        reading = bench.open(bench.target).read()
        assert (reading.weight, reading.update) == (50, UpdateStatus.IN_PROGRESS)
        assert "deployment 3 of profile" in reading.detail

    def test_a_deployment_that_is_taken_back_makes_the_earlier_weight_live(
        self, bench: AppConfigBench
    ) -> None:
        bench.set(10)
        number = bench.change(percentage=50)
        target = bench.open(bench.target)
        token = target.read().token
        bench.stop(number, revert=True)
        assert target.read().has_applied(10)
        with pytest.raises(WriteConflictError):
            target.shift_to(100, token)

    # --- raising --------------------------------------------------------------------------------

    def test_a_raise_is_refused_while_a_deployment_is_in_progress_and_goes_through_later(
        self, bench: AppConfigBench
    ) -> None:
        target = bench.open(bench.target)
        token = target.read().token
        number = bench.deploy(1, strategy=bench.slow, profile=bench.other)
        with pytest.raises(WriteRefusedError, match=f"deployment {number} of profile"):
            target.shift_to(10, token)
        assert target.read().has_applied(0)
        bench.stop(number)
        target.shift_to(10, token)
        assert target.read().has_applied(10)

    def test_a_strategy_that_grows_raises_nothing(self, bench: AppConfigBench) -> None:
        slow = bench.open(bench.target.model_copy(update={"strategy": bench.slow}))
        (obstacle,) = slow.obstacles()
        assert obstacle.fatal
        with pytest.raises(WriteRefusedError, match="grows for 30 min"):
            slow.shift_to(10, slow.read().token)
        assert slow.read().has_applied(0)

    # --- lowering -------------------------------------------------------------------------------

    @pytest.mark.parametrize("to", [100, 5])
    def test_lowering_stops_a_deployment_of_the_profile(
        self, bench: AppConfigBench, to: int
    ) -> None:
        bench.set(50)
        bench.change(strategy=bench.slow, percentage=to)
        target = bench.open(bench.target)
        target.lower_to_zero(LIMIT)
        assert target.read().has_applied(0)
        states = [one["State"] for one in bench.deployments()]
        assert states[:3] == ["COMPLETE", "ROLLED_BACK", "COMPLETE"]

    def test_lowering_leaves_a_deployment_of_another_profile_alone_and_names_it(
        self, bench: AppConfigBench
    ) -> None:
        bench.set(50)
        number = bench.deploy(1, strategy=bench.slow, profile=bench.other)
        target = bench.open(bench.target)
        with pytest.raises(TargetError, match=f"deployment {number} of profile {bench.other}"):
            target.lower_to_zero(LIMIT / 5)
        assert bench.weight() == 50
        bench.stop(number)
        target.lower_to_zero(LIMIT)
        assert target.read().has_applied(0)
