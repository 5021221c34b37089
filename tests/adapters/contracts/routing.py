"""The contract of targets that split requests in AWS itself, such as the routing of an alias.

A kind joins with a bench in `routing_benches.py` and a class for each place in `test_routing.py`.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Protocol

import pytest

from controller.core.policy import TargetSpec
from controller.errors import TargetError, WriteConflictError
from controller.ports.clock import Clock
from controller.ports.target import InspectableTarget

LIMIT = timedelta(seconds=10)


class RoutingBench(Protocol):
    """A target in an account: two paths are there, and all requests are on the stable one."""

    @property
    def target(self) -> TargetSpec:
        """Return the target as a policy names it; it leaves out what a start finds."""
        ...

    @property
    def missing(self) -> TargetSpec:
        """Return a target that is not there."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the clock of the account."""
        ...

    def open(self, target: TargetSpec) -> InspectableTarget:
        """Return the adapter of `target`."""
        ...

    def set(self, weight: int) -> None:
        """Set the weight as an operator does, without rolloutctl."""

    def weight(self) -> float:
        """Return the percent of requests that the service sends to the canary."""
        ...

    def beside(self) -> Mapping[str, Any]:
        """Return everything of the resource that no weight is in."""
        ...


class RoutingContract:
    """Promises of a target whose weight is in the routing of AWS.

    CANNOT: promises that this place cannot keep, and why; each is expected to fail.
    """

    CANNOT: ClassVar[Mapping[str, str]] = {}

    def opened(self, bench: RoutingBench) -> InspectableTarget:
        """Return the target as a rollout has it: with what a start found."""
        return bench.open(self.resolved(bench))

    def resolved(self, bench: RoutingBench) -> TargetSpec:
        """Return the target of the bench with what a start found."""
        if not bench.target.unresolved:
            return bench.target
        return bench.open(bench.target).resolved(None)

    # --- reading --------------------------------------------------------------------------------

    @pytest.mark.parametrize("weight", [0, 1, 50, 99, 100])
    def test_a_weight_that_an_operator_set_is_read(self, bench: RoutingBench, weight: int) -> None:
        target = self.opened(bench)
        bench.set(weight)
        reading = target.read()
        assert reading.has_applied(weight)
        assert reading.identity.startswith("arn:aws:")

    def test_a_target_that_does_not_exist_is_an_error_with_its_name(
        self, bench: RoutingBench
    ) -> None:
        begin = bench.clock.now()
        with pytest.raises(TargetError, match=bench.missing.name):
            bench.open(bench.missing).read()
        with pytest.raises(TargetError, match=bench.missing.name):
            bench.open(bench.missing).lower_to_zero(LIMIT)
        assert bench.clock.now() - begin < LIMIT / 2

    # --- what a start finds ---------------------------------------------------------------------

    @pytest.mark.parametrize("weight", [0, 10])
    def test_a_start_finds_both_paths_and_a_rollout_keeps_them(
        self, bench: RoutingBench, weight: int
    ) -> None:
        bench.set(weight)
        found = self.resolved(bench)
        assert not found.unresolved
        assert bench.open(bench.target).read() == bench.open(found).read()
        assert found.resolved_as(bench.target) == found
        assert bench.target.resolved_as(found) == found

    def test_nothing_is_in_the_way_of_a_plain_target(self, bench: RoutingBench) -> None:
        assert list(self.opened(bench).obstacles()) == []

    # --- raising --------------------------------------------------------------------------------

    @pytest.mark.parametrize("weight", [1, 10, 99, 100])
    def test_a_raise_sets_the_weight_and_keeps_everything_else(
        self, bench: RoutingBench, weight: int
    ) -> None:
        target, before = self.opened(bench), bench.beside()
        target.shift_to(weight, target.read().token)
        assert bench.weight() == pytest.approx(weight)
        assert target.read().has_applied(weight)
        assert bench.beside() == before

    def test_a_raise_under_an_old_token_writes_nothing(self, bench: RoutingBench) -> None:
        early, late = self.opened(bench), self.opened(bench)
        token = late.read().token
        early.shift_to(10, token)
        with pytest.raises(WriteConflictError, match="was changed since 50% was decided"):
            late.shift_to(50, token)
        assert bench.weight() == pytest.approx(10)

    # --- lowering -------------------------------------------------------------------------------

    @pytest.mark.parametrize("weight", [1, 50, 100])
    def test_lowering_takes_the_canary_out_and_keeps_everything_else(
        self, bench: RoutingBench, weight: int
    ) -> None:
        target, before = self.opened(bench), bench.beside()
        bench.set(weight)
        target.lower_to_zero(LIMIT)
        assert bench.weight() == 0
        assert target.read().has_applied(0)
        assert bench.beside() == before

    def test_lowering_at_0_writes_nothing(self, bench: RoutingBench) -> None:
        target = self.opened(bench)
        before = target.read()
        target.lower_to_zero(LIMIT)
        assert target.read() == before

    def test_lowering_at_0_makes_the_token_of_a_raise_old_and_once_is_enough(
        self, bench: RoutingBench
    ) -> None:
        target, beside = self.opened(bench), bench.beside()
        token = target.read().token
        target.lower_to_zero(LIMIT, outdated_token=token)
        after = target.read()
        target.lower_to_zero(LIMIT, outdated_token=token)
        assert target.read() == after
        with pytest.raises(WriteConflictError):
            target.shift_to(10, token)
        assert bench.weight() == 0
        assert bench.beside() == beside
