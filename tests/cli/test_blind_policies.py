"""A policy that cannot see its canary is refused by each verb that could move traffic with it."""

from collections.abc import Mapping
from typing import Any, Final

from controller.errors import Exit
from tests.adapters.contracts.alb_benches import RULE, simulated
from tests.cli.conftest import MakeDesk, write_policy
from tests.support.cases import cases
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import FUNCTION

TARGET: Final = simulated(RULE).target
BALANCER: Final = {"LoadBalancer": TARGET.values["load_balancer"]}
SIGNED: Final = {"kind": "attestation", "statement": "The new version works."}
ALIAS: Final = {"kind": "lambda-alias", "function": FUNCTION, "alias": "live"}


def alb(path: str, total: str = "") -> Mapping[str, Any]:
    """Return the parts of a policy whose metrics are of the target group of `path`.

    total: the path of the total, where that is another one.
    """
    groups = [{**BALANCER, "TargetGroup": TARGET.values[one]} for one in (total or path, path)]
    names = ("RequestCount", "HTTPCode_Target_5XX_Count")
    return parts(TARGET.model_dump(), "AWS/ApplicationELB", names, groups)


def alias(version: str) -> Mapping[str, Any]:
    """Return the parts of a policy whose metrics are of a version of the function, below 100%."""
    dimensions = {
        "FunctionName": FUNCTION, "Resource": f"{FUNCTION}:live", "ExecutedVersion": version,
    }  # fmt: skip
    found = parts(ALIAS, "AWS/Lambda", ("Invocations", "Errors"), [dimensions] * 2)
    first, last = SHORT_POLICY["steps"]
    return {
        **found,
        "criteria": {**found["criteria"], "signed": SIGNED},
        "steps": [{**first, "criteria": ["works"]}, {**last, "criteria": ["signed"]}],
    }


def flag(path: str) -> Mapping[str, Any]:
    """Return the parts of a policy whose metrics are of the flag."""
    names, dimensions = ("Requests", "Failures"), {"Flag": FUNCTION, "Path": path}
    return parts(SHORT_POLICY["target"], "rolloutctl", names, [dimensions] * 2)


def parts(
    target: Mapping[str, Any], namespace: str, names: tuple[str, str], dimensions: Any
) -> Mapping[str, Any]:
    requests, errors = (
        {"namespace": namespace, "name": name, "statistic": "Sum", "dimensions": one}
        for name, one in zip(names, dimensions, strict=True)
    )
    return {
        "target": target,
        "metrics": {"requests": requests, "errors": errors},
        "criteria": {"works": {**SHORT_POLICY["criteria"]["works"], "failures": ["errors"]}},
    }


@cases("right, wrong, found_by", {
    "the other target group": (alb("canary"), alb("stable"), "validate"),
    "a total of the other target group":
        (alb("canary"), alb("canary", total="stable"), "validate"),
    "the stable version": (alias("${canary}"), alias("${stable}"), "validate"),
    "the number of the stable version": (alias("2"), alias("1"), "start"),
    "the flag's stable path": (flag("canary"), flag("stable"), "validate"),
})  # fmt: skip
def test_a_policy_that_judges_the_stable_path_moves_no_traffic(
    desk_in: MakeDesk,
    tmp_path: Any,
    right: Mapping[str, Any],
    wrong: Mapping[str, Any],
    found_by: str,
) -> None:
    desk = desk_in({**SHORT_POLICY, **right})
    blind = write_policy(tmp_path, {**SHORT_POLICY, **wrong, "name": "blind"})
    at_once = found_by == "validate"
    assert desk.run("validate", desk.policy).status == Exit.DONE
    assert desk.run("validate", blind).status == (Exit.USAGE if at_once else Exit.DONE)
    for verb in (["start"], ["start", "--dry-run"], ["plan", "--live", "--exit-code"]):
        options = ["--revision", "one"] if verb[0] == "start" and "rule" in right["target"] else []
        ended = desk.run(*verb, blind, *options)
        assert ended.status == Exit.USAGE
        assert "metrics.requests: criterion works judges metric requests" in ended.out + ended.err
        assert desk.weight == 0
    options = ["--revision", "one"] if "rule" in right["target"] else []
    assert desk.run("start", desk.policy, *options).status == Exit.DONE
    assert desk.weight == 10
