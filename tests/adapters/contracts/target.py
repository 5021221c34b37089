"""The contract of every target. A test module subclasses it for each implementation."""

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

import pytest

from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import TargetError, WriteConflictError
from tests.adapters.contracts.benches import LambdaBench
from tests.support.core import TargetReading, UpdateStatus

HANDLER = LambdaEnv(
    kind="lambda-env", function="handler", percentage="PERCENTAGE", boolean="ENABLED"
)
OTHERS = {
    "JSON": '{"a": ["=", ", "]}',
    "UNICODE": "é ☃ 漢",
    "EMPTY": "",
    "LINES": "one\ntwo\t ",
    "PERCENTAGE_OF_ANOTHER": "70",
}
MOMENT = timedelta(seconds=0.1)
LIMIT = timedelta(seconds=10)


def pair(percentage: str, boolean: str) -> dict[str, str]:
    """Return the two variables of the handler's weight."""
    return {"PERCENTAGE": percentage, "ENABLED": boolean}


def open_target(bench: LambdaBench) -> LambdaEnvTarget:
    """Return the handler as a target."""
    return LambdaEnvTarget(bench.client, HANDLER, bench.clock)


def variables(bench: LambdaBench) -> dict[str, str]:
    """Return the handler's environment as the service returns it."""
    answer = bench.client.get_function_configuration(FunctionName=HANDLER.function)
    environment: dict[str, str] = answer["Environment"]["Variables"]
    return environment


def reading_after_update(bench: LambdaBench) -> TargetReading:
    """Wait until the last update is over, and return the reading after it."""
    target, deadline = open_target(bench), bench.clock.now() + LIMIT
    while (reading := target.read()).update is UpdateStatus.IN_PROGRESS:
        assert bench.clock.now() < deadline
        bench.clock.sleep(MOMENT)
    return reading


class TargetContract:
    """Promises of a `Target` on the environment of a Lambda function.

    CANNOT: promises that this implementation cannot keep, and why; each is expected to fail.
    """

    CANNOT: ClassVar[Mapping[str, str]] = {}

    # --- reading --------------------------------------------------------------------------------

    def test_a_reading_has_the_weight_the_variables_and_the_code_digest(
        self, bench: LambdaBench
    ) -> None:
        bench.add_function("handler", {**OTHERS, **pair("10", "false")})
        reading = open_target(bench).read()
        assert reading.identity.startswith("arn:aws:lambda:us-east-1:")
        assert reading.identity.endswith(":function:handler")
        assert reading.has_applied(10)
        assert reading.variables == "PERCENTAGE=10, ENABLED=false"
        assert len(reading.code) == 44  # SHA-256 in base64

    def test_a_function_without_any_variable_is_at_0(self, bench: LambdaBench) -> None:
        bench.add_function("handler", {})
        reading = open_target(bench).read()
        assert reading.has_applied(0)
        assert reading.variables == "PERCENTAGE is not set, ENABLED is not set"

    def test_a_function_that_does_not_exist_is_an_error_with_its_name(
        self, bench: LambdaBench
    ) -> None:
        with pytest.raises(TargetError, match=r"handler .* check the name, the region"):
            open_target(bench).read()

    # --- raising --------------------------------------------------------------------------------

    @pytest.mark.parametrize(("weight", "boolean"), [(1, "false"), (99, "false"), (100, "true")])
    def test_a_raise_sets_both_variables_and_keeps_all_others(
        self, bench: LambdaBench, weight: int, boolean: str
    ) -> None:
        bench.add_function("handler", {**OTHERS, **pair("0", "false")})
        target = open_target(bench)
        target.shift_to(weight, target.read().token)
        assert variables(bench) == {**OTHERS, **pair(str(weight), boolean)}

    def test_a_raise_of_a_function_without_variables_adds_them(self, bench: LambdaBench) -> None:
        bench.add_function("handler", {})
        target = open_target(bench)
        target.shift_to(10, target.read().token)
        assert variables(bench) == pair("10", "false")

    def test_a_raise_is_applied_only_after_a_while(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        target = open_target(bench)
        target.shift_to(10, target.read().token)
        moving = target.read()
        assert moving.weight == 10
        assert not moving.has_applied(10)
        assert reading_after_update(bench).has_applied(10)

    def test_a_raise_under_an_old_token_writes_nothing(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        early, late = open_target(bench), open_target(bench)
        token = late.read().token
        early.shift_to(10, token)
        reading_after_update(bench)
        with pytest.raises(WriteConflictError, match=r"handler was changed since 50% was decided"):
            late.shift_to(50, token)
        assert variables(bench) == {**OTHERS, **pair("10", "false")}

    def test_a_raise_during_an_update_writes_nothing(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        target = open_target(bench)
        target.shift_to(10, target.read().token)
        with pytest.raises(WriteConflictError, match="another change is in progress"):
            target.shift_to(50, target.read().token)
        assert variables(bench) == {**OTHERS, **pair("10", "false")}

    def test_the_end_of_an_update_makes_its_token_old(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        target = open_target(bench)
        target.shift_to(10, target.read().token)
        during = target.read().token
        reading_after_update(bench)
        with pytest.raises(WriteConflictError):
            target.shift_to(50, during)

    # --- lowering -------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "standing",
        [
            pytest.param(pair("10", "false"), id="10"),
            pytest.param(pair("100", "true"), id="100"),
            pytest.param({"ENABLED": "true"}, id="100 by the boolean alone"),
            pytest.param(pair("0", "true"), id="a contradiction"),
            pytest.param(pair("ten", "False"), id="no number"),
        ],
    )
    def test_lowering_sets_0_over_any_value_and_keeps_all_other_variables(
        self, bench: LambdaBench, standing: dict[str, str]
    ) -> None:
        bench.add_function("handler", {**OTHERS, **standing})
        open_target(bench).lower_to_zero(LIMIT)
        assert variables(bench) == {**OTHERS, **pair("0", "false")}
        assert reading_after_update(bench).has_applied(0)

    def test_lowering_waits_for_an_update_that_is_in_progress(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        target = open_target(bench)
        target.shift_to(100, target.read().token)
        target.lower_to_zero(LIMIT)
        assert variables(bench) == {**OTHERS, **pair("0", "false")}

    def test_lowering_at_0_writes_nothing(self, bench: LambdaBench) -> None:
        bench.add_function("handler", {**OTHERS, **pair("0", "false")})
        before = open_target(bench).read()
        open_target(bench).lower_to_zero(LIMIT)
        assert before.token
        assert open_target(bench).read() == before

    def test_lowering_at_0_makes_the_token_of_a_raise_old_and_once_is_enough(
        self, bench: LambdaBench
    ) -> None:
        bench.add_function("handler", {**OTHERS, **pair("0", "false")})
        target = open_target(bench)
        token = target.read().token
        assert token
        target.lower_to_zero(LIMIT, outdated_token=token)
        after = reading_after_update(bench)
        target.lower_to_zero(LIMIT, outdated_token=token)
        assert target.read() == after
        with pytest.raises(WriteConflictError):
            target.shift_to(10, token)
        assert variables(bench) == {**OTHERS, **pair("0", "false")}

    def test_lowering_what_does_not_exist_fails_at_once(self, bench: LambdaBench) -> None:
        begin = bench.clock.now()
        with pytest.raises(TargetError, match=r"handler .* check the name"):
            open_target(bench).lower_to_zero(LIMIT)
        assert bench.clock.now() - begin < LIMIT / 2

    # --- reachability ---------------------------------------------------------------------------

    def test_nothing_is_in_the_way_of_a_plain_function(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        assert list(open_target(bench).obstacles()) == []

    def test_an_alias_is_a_warning(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        bench.add_alias("handler", "live")
        (warning,) = [
            obstacle for obstacle in open_target(bench).obstacles() if "alias" in obstacle.text
        ]
        assert "(live)" in warning.text
        assert not warning.fatal

    def test_provisioned_concurrency_is_fatal(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        bench.provision("handler")
        worst = open_target(bench).obstacles()[0]
        assert "provisioned concurrency" in worst.text
        assert worst.fatal

    def test_snap_start_is_fatal(self, bench: LambdaBench) -> None:
        bench.add_function("handler", OTHERS)
        bench.snap_start("handler")
        worst = open_target(bench).obstacles()[0]
        assert "SnapStart" in worst.text
        assert worst.fatal
