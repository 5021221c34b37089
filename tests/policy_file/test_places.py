"""Whose requests: metrics of another path, steps without the canary, ratios of two places."""

from collections.abc import Mapping
from typing import Any, Final

from controller.policy_file.loader import load, warnings
from tests.support.cases import cases
from tests.support.core import Policy, parse
from tests.support.policies import mistakes, places
from tests.support.shipped import POLICIES

RULE: Final = load(POLICIES["alb-weights"]).target
TARGETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "alias": {"kind": "lambda-alias", "function": "shop", "alias": "live"},
    "named": {
        "kind": "lambda-alias", "function": "shop", "alias": "live", "canary": "8", "stable": "7",
    },
    "rule": RULE.model_dump(),
    "env": {"kind": "lambda-env", "function": "shop", "percentage": "PERCENT"},
}  # fmt: skip

BALANCER: Final = {"LoadBalancer": "${load_balancer}"}
GREEN: Final = {**BALANCER, "TargetGroup": "${canary}"}
BLUE: Final = {**BALANCER, "TargetGroup": "${stable}"}
BLUE_BY_NAME: Final = {**BALANCER, "TargetGroup": RULE.values["stable"]}
THIRD: Final = {**BALANCER, "TargetGroup": "targetgroup/third/0123456789abcdef"}
LIVE: Final = {"FunctionName": "shop", "Resource": "shop:live"}
NEW: Final = {**LIVE, "ExecutedVersion": "${canary}"}
OLD: Final = {**LIVE, "ExecutedVersion": "${stable}"}
API: Final = {"ApiName": "shop"}
PROD: Final = {**API, "Stage": "prod"}


def version(number: str) -> dict[str, str]:
    return {**LIVE, "ExecutedVersion": number}


def alb(name: str, dimensions: Mapping[str, str], **more: str) -> dict[str, Any]:
    return count("AWS/ApplicationELB", name, dimensions, **more)


def fn(name: str, dimensions: Mapping[str, str], **more: str) -> dict[str, Any]:
    return count("AWS/Lambda", name, dimensions, **more)


def api(name: str, dimensions: Mapping[str, str], **more: str) -> dict[str, Any]:
    return count("AWS/ApiGateway", name, dimensions, **more)


def own(name: str, dimensions: Mapping[str, str], **more: str) -> dict[str, Any]:
    return count("Shop", name, dimensions, **more)


def flag(name: str, path: str, **more: str) -> dict[str, Any]:
    return count("rolloutctl", name, {"Flag": "shop", "Path": path}, **more)


def count(namespace: str, name: str, dimensions: Mapping[str, str], **more: str) -> dict[str, Any]:
    return {
        "namespace": namespace, "name": name, "statistic": "Sum", "dimensions": dict(dimensions),
        **more,
    }  # fmt: skip


RATE: Final = {"kind": "success_rate", "total": "a", "failures": ["b"], "min": "99.9%"}
CONTROL: Final = {"total": "c", "failures": ["d"]}
BURN: Final = {"kind": "burn_rate", "total": "a", "failures": ["b"], "slo": "99.9%"}
LIMIT: Final = {"kind": "threshold", "metric": "a", "max": 10}
RATIO: Final = {"kind": "threshold", "metric": "b", "per": "a", "max": "1%"}
TRAFFIC: Final = {"kind": "traffic", "metric": "a"}
SHARE: Final = {"kind": "share", "metric": "a", "control": "c"}
FAST: Final = {
    "kind": "latency_increase", "metric": "a", "max_increase": "10%", "baseline": {"fixed": 100},
}  # fmt: skip
ALARM: Final = {"kind": "alarm", "alarm": "too-many-errors"}
LOG: Final = {"kind": "log_events", "absent": "fallback", "control": "request", "log_group": "/x"}
SIGNED: Final = {"kind": "attestation", "statement": "The canary works."}
REPORTS: Final = {"judge": "threshold", "gates": False}
LADDER: Final = [{"weight": 10, "bake": "12h"}, {"weight": 100, "bake": "12h"}]


def policy(target: str, *metrics: Mapping[str, Any] | None, **parts: Any) -> dict[str, Any]:
    """Return a policy with `metrics` a, b, c, ...; parts: its criteria, and perhaps its steps.

    None: the policy has no metric of that name. The step at 100% of an alias judges an alarm, as
    AWS counts no version there.
    """
    if target in ("alias", "named") and "steps" not in parts:
        beside = {**LADDER[0], "criteria": [*parts]}
        parts |= {"alarm": ALARM, "steps": [beside, {**LADDER[1], "criteria": ["alarm"]}]}
    steps = parts.pop("steps", LADDER)
    named = {name: one for name, one in zip("abcdef", metrics, strict=False) if one}
    return {
        "version": 1, "name": "shop", "target": TARGETS[target],
        "metrics": named, "criteria": parts, "steps": steps,
    }  # fmt: skip


A_GREEN, A_BLUE = alb("RequestCount", GREEN), alb("RequestCount", BLUE)
B_GREEN, B_BLUE = (alb("HTTPCode_Target_5XX_Count", one) for one in (GREEN, BLUE))
A_NEW, B_NEW, A_OLD = fn("Invocations", NEW), fn("Errors", NEW), fn("Invocations", OLD)
BOTH: Final = {"counts": "both"}
STABLE: Final = {"counts": "stable"}


@cases("data, expected", {
    # --- metrics of the stable path --------------------------------------------------------------
    "the other target group": (policy("rule", A_BLUE, B_BLUE, c=RATE), ["metrics.a", "metrics.b"]),
    "the other target group, by its name":
        (policy("rule", alb("RequestCount", BLUE_BY_NAME), B_GREEN, c=RATE), ["metrics.a"]),
    "a third target group":
        (policy("rule", alb("RequestCount", THIRD), B_GREEN, c=RATE), ["metrics.a"]),
    "the total alone": (policy("rule", A_BLUE, B_GREEN, c=RATE), ["metrics.a"]),
    "the failures alone": (policy("rule", A_GREEN, B_BLUE, c=RATE), ["metrics.b"]),
    "the stable version": (policy("alias", A_OLD, B_NEW, c=RATE), ["metrics.a"]),
    "the number of the stable version":
        (policy("named", fn("Invocations", version("7")), B_NEW, c=RATE), ["metrics.a"]),
    "any other version":
        (policy("named", A_NEW, fn("Errors", version("6")), c=RATE), ["metrics.b"]),
    "a version that takes no weight":
        (policy("alias", A_NEW, fn("Errors", version("$LATEST")), c=RATE), ["metrics.b"]),
    "the flag's stable path":
        (policy("env", flag("Requests", "stable"), flag("Failures", "canary"), c=RATE),
         ["metrics.a"]),
    "a placeholder in metrics of the application":
        (policy("alias", own("Requests", {"Version": "${stable}"}), own("Errors", {}), c=RATE),
         ["metrics.a"]),
    "the latency of the stable path":
        (policy("rule", {**alb("TargetResponseTime", BLUE), "statistic": "p95"}, c=FAST),
         ["metrics.a"]),
    "what a threshold limits":
        (policy("rule", B_BLUE, A_GREEN, c=LIMIT, t={**TRAFFIC, "metric": "b"}), ["metrics.a"]),
    "what a ratio is of": (policy("rule", A_BLUE, B_GREEN, c=RATIO), ["metrics.a"]),
    "what shows the traffic": (policy("rule", A_BLUE, c=TRAFFIC), ["metrics.a"]),
    "what burns the budget": (policy("rule", A_GREEN, B_BLUE, c=BURN), ["metrics.b"]),
    "the sides of a share, swapped":
        (policy("rule", A_BLUE, None, A_GREEN, c=SHARE), ["metrics.a", "metrics.c"]),
    "what only reports":
        (policy("rule", A_GREEN, B_BLUE, t=TRAFFIC, c={**LIMIT, "metric": "b", **REPORTS}),
         ["metrics.b"]),
    "what is compared, too":
        (policy("rule", A_GREEN, None, A_BLUE, c=SHARE, t={**TRAFFIC, "metric": "c"}),
         ["metrics.c"]),
    "what is compared and judged, whatever it counts":
        (policy("env", own("Requests", {}), None, own("Direct", {}), c=SHARE,
                t={**TRAFFIC, "metric": "c"}), ["metrics.c"]),
    # --- steps without the canary ----------------------------------------------------------------
    "both paths, and so the canary's at 100 alone":
        (policy("alias", fn("Invocations", LIVE, **BOTH), fn("Errors", LIVE, **BOTH), c=RATE),
         ["steps.0.criteria"]),
    "stated to be the stable path's":
        (policy("rule", alb("RequestCount", BLUE, **STABLE),
                alb("HTTPCode_Target_5XX_Count", BLUE, **STABLE), c=RATE),
         ["steps.0.weight", "steps.1.weight"]),
    "the canary's criteria in other steps alone":
        (policy("env", own("Requests", {}, **BOTH), own("New", {}), c=LIMIT,
                t={**TRAFFIC, "metric": "b"},
                steps=[{**LADDER[0], "criteria": ["c"]}, {**LADDER[1], "criteria": ["c", "t"]}]),
         ["steps.0.criteria"]),
    "a criterion of the canary that only reports":
        (policy("env", own("Requests", {}, **BOTH), own("New", {}), c=LIMIT,
                t={**LIMIT, "metric": "b", **REPORTS}), ["steps.0.weight"]),
    "failures in requests of both paths":
        (policy("env", own("Requests", {}, **BOTH), own("Errors", {}), c=RATIO),
         ["steps.0.weight"]),
    # --- ratios of two places --------------------------------------------------------------------
    "another API":
        (policy("env", api("Count", API), api("5XXError", {"ApiName": "billing"}), c=RATE),
         ["criteria.c.failures.0"]),
    "another stage":
        (policy("env", api("Count", {**API, "Stage": "beta"}), api("5XXError", PROD), c=BURN),
         ["criteria.c.failures.0"]),
    "one stage of all":
        (policy("env", api("Count", API), api("5XXError", PROD), c=RATE),
         ["criteria.c.failures.0"]),
    "all stages over one":
        (policy("env", api("Count", PROD), api("5XXError", API), c=RATIO), ["criteria.c.per"]),
    "another function":
        (policy("env", fn("Invocations", {"FunctionName": "a"}),
                fn("Errors", {"FunctionName": "b"}), c=RATIO), ["criteria.c.per"]),
    "another alias":
        (policy("alias", A_NEW, fn("Errors", {**NEW, "Resource": "shop:beta"}), c=RATE),
         ["criteria.c.failures.0"]),
    "another group, of a target that knows none":
        (policy("env", alb("RequestCount", {"LoadBalancer": "app/a/1", "TargetGroup": "x"}),
                alb("HTTPCode_Target_5XX_Count", {"LoadBalancer": "app/a/1", "TargetGroup": "y"}),
                c=RATE), ["criteria.c.failures.0"]),
    "the second of two failures":
        (policy("env", api("Count", API), api("4XXError", API),
                api("5XXError", {"ApiName": "billing"}), c={**RATE, "failures": ["b", "c"]}),
         ["criteria.c.failures.1"]),
    "a control of two APIs":
        (policy("env", own("Requests", {}), own("Errors", {}), api("Count", API),
                api("5XXError", {"ApiName": "billing"}), c={**RATE, "control": CONTROL}),
         ["criteria.c.control.failures.0"]),
    "another account":
        (policy("env", count("AWS/States", "ExecutionsStarted",
                             {"StateMachineArn": "arn:aws:states:us-east-1:111111111111:x:shop"}),
                count("AWS/States", "ExecutionsFailed",
                      {"StateMachineArn": "arn:aws:states:us-east-1:222222222222:x:shop"}), c=RATE),
         ["criteria.c.failures.0"]),
    "failures of all zones and of one of them, added up":
        (policy("env", alb("RequestCount", {"LoadBalancer": "app/a/1"}),
                alb("HTTPCode_ELB_5XX_Count", {"LoadBalancer": "app/a/1"}),
                alb("HTTPCode_ELB_5XX_Count", {"LoadBalancer": "app/a/1", "AvailabilityZone": "a"}),
                c={**RATE, "failures": ["b", "c"]}),
         ["criteria.c.failures.1"]),
    "one metric under two names":
        (policy("env", api("Count", API), api("5XXError", API), api("5XXError", API),
                c={**RATE, "failures": ["b", "c"]}),
         ["criteria.c.failures.1"]),
    "successes that are the requests":
        (policy("env", api("Count", API), api("Count", API),
                c={**RATE, "failures": None, "successes": ["b"]}),
         ["criteria.c.successes.0"]),
    "failures of one zone over the requests of all":
        (policy("env", alb("RequestCount", {"LoadBalancer": "app/a/1"}),
                alb("HTTPCode_ELB_5XX_Count", {"LoadBalancer": "app/a/1", "AvailabilityZone": "a"}),
                c=RATE),
         ["criteria.c.failures.0"]),
    "a control of another load balancer":
        (policy("rule", A_GREEN, None,
                alb("RequestCount", {**BLUE, "LoadBalancer": "app/other/1"}), c=SHARE),
         ["criteria.c.control"]),
    "a control of another function":
        (policy("alias", A_NEW, None, fn("Invocations", {**OLD, "FunctionName": "b"}), c=SHARE),
         ["criteria.c.control"]),
})  # fmt: skip
def test_what_cannot_show_the_canary_is_a_mistake_at_its_place(
    data: dict[str, Any], expected: list[str]
) -> None:
    assert sorted(places(data)) == expected


@cases("data", {
    "the two groups of a rule": policy("rule", A_GREEN, B_GREEN, A_BLUE, B_BLUE,
                                       c={**RATE, "control": CONTROL}, s=SHARE),
    "the two versions of an alias": policy("alias", A_NEW, None, A_OLD, s=SHARE),
    "a number that only a start can compare":
        policy("alias", fn("Invocations", version("7")), fn("Errors", version("7")), c=RATE),
    "the number of the canary": policy("named", fn("Invocations", version("8")), B_NEW, c=RATE),
    "a criterion of the stable path beside one of the canary":
        policy("rule", A_GREEN, alb("HTTPCode_Target_5XX_Count", BLUE, **STABLE), t=TRAFFIC,
               c={**LIMIT, "metric": "b"}),
    "both paths at 100":
        policy("alias", fn("Invocations", LIVE, **BOTH), fn("Errors", LIVE, **BOTH), A_NEW, c=RATE,
               t={**TRAFFIC, "metric": "c"},
               steps=[{**LADDER[0], "criteria": ["t"]}, {**LADDER[1], "criteria": ["c"]}]),
    "failures of both paths, as requests of the canary":
        policy("rule", A_GREEN, B_GREEN, alb("HTTPCode_ELB_5XX_Count", BALANCER, **BOTH),
               c={**RATE, "failures": ["b", "c"]}),
    "an alarm alone": policy("env", own("Requests", {}, **BOTH), c=LIMIT, alarm=ALARM),
    "log events alone": policy("env", own("Requests", {}, **BOTH), c=LIMIT, log=LOG),
    "a sign-off alone": policy("env", own("Requests", {}, **BOTH), c=LIMIT, signed=SIGNED),
    "failures that the application counts":
        policy("env", api("Count", PROD), own("Errors", {"Stage": "production"}), c=RATE),
    "failures of one kind of error":
        policy("env", own("Requests", {"Service": "shop"}),
               own("Errors", {"Service": "shop", "ErrorType": "timeout"}), c=RATE),
    "messages that ended in another queue":
        policy("env", count("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "orders"}),
               count("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "orders-dlq"}), c=RATE),
    "failures of each stage, added up":
        policy("env", api("Count", API), api("5XXError", PROD),
               api("5XXError", {**API, "Stage": "beta"}), c={**RATE, "failures": ["b", "c"]}),
    "what a load balancer answers for no group":
        policy("env", alb("RequestCount", {"LoadBalancer": "app/a/1", "TargetGroup": "x"}),
               alb("HTTPCode_ELB_5XX_Count", {"LoadBalancer": "app/a/1"}), c=RATE),
    "a group with and without its load balancer":
        policy("rule", A_GREEN, alb("LambdaUserError", {"TargetGroup": "${canary}"}), c=RATE),
    "a placeholder and its value":
        policy("rule", A_GREEN, alb("HTTPCode_Target_5XX_Count",
                                    {**GREEN, "TargetGroup": RULE.values["canary"]}), c=RATE),
    "two APIs as two paths":
        policy("env", api("Count", API), None, api("Count", {"ApiName": "old"}), s=SHARE),
})  # fmt: skip
def test_what_shows_the_canary_is_right(data: dict[str, Any]) -> None:
    parse(data)


def test_a_stored_policy_that_would_be_refused_today_is_still_read() -> None:
    """A running rollout goes on with the policy that it started with."""
    wrong = policy("rule", A_BLUE, B_BLUE, c=RATE)
    assert places(wrong)
    stored = Policy.model_validate(wrong)
    assert Policy.model_validate_json(stored.snapshot()).digest() == stored.digest()


# --- beside a mistake in the target ---------------------------------------------------------------

OF_FUNCTION: Final = {"FunctionName": "shop"}
BOTH_PATHS: Final = "may count both paths"


@cases("target, metrics, at", {
    "no variable":
        ({"kind": "lambda-env", "function": "shop"}, OF_FUNCTION, "target.percentage"),
    "a variable that is none":
        ({**TARGETS["env"], "percentage": "10%"}, OF_FUNCTION, "target.percentage"),
    "a key that is mistyped": ({**TARGETS["env"], "bool": "ON"}, OF_FUNCTION, "target.bool"),
    "twice the same variable":
        ({**TARGETS["env"], "boolean": "PERCENT"}, OF_FUNCTION, "target.boolean"),
    "the number of a version without quotes":
        ({**TARGETS["alias"], "canary": 8}, LIVE, "target.canary"),
    "no alias": ({"kind": "lambda-alias", "function": "shop"}, LIVE, "target.alias"),
    "no strategy":
        ({"kind": "appconfig", "function": "shop", "profile": "ghi9012",
          "environment": "arn:aws:appconfig:eu-central-1:123456789012:application/abc1234/"
                         "environment/def5678"}, OF_FUNCTION, "target.strategy"),
})  # fmt: skip
def test_a_mistake_in_the_target_hides_no_metric_of_both_paths(
    target: Mapping[str, Any], metrics: Mapping[str, str], at: str
) -> None:
    data = policy("env", fn("Invocations", metrics), fn("Errors", metrics), c=RATE)
    found = mistakes({**data, "target": target})
    assert [place for place, _ in found if place.startswith("target")] == [at]
    counted = [place for place, message in found if BOTH_PATHS in message]
    assert counted == ["metrics.a", "metrics.b"]


@cases("target, metrics", {
    "no function": ({"kind": "lambda-env", "percentage": "PERCENT"}, OF_FUNCTION),
    "no kind": ({"function": "shop", "percentage": "PERCENT"}, OF_FUNCTION),
    "an unknown kind": ({"kind": "lambda-evn", "function": "shop"}, OF_FUNCTION),
    "no mapping": ("shop", OF_FUNCTION),
    "an alias in the name of the function":
        ({"kind": "lambda-alias", "function": "shop:live", "alias": "live"}, LIVE),
})  # fmt: skip
def test_what_depends_on_the_mistake_in_the_target_is_not_reported(
    target: object, metrics: Mapping[str, str]
) -> None:
    data = policy("env", fn("Invocations", metrics), fn("Errors", metrics), c=RATE)
    assert all(place.startswith("target") for place in places({**data, "target": target}))


@cases("target, placeholder", {
    "an alias": ("alias", "${next}"),
    "a rule": ("rule", "${next}"),
    "a version": ("named", "${canary}"),
})  # fmt: skip
def test_what_is_reported_beside_a_right_target_is_reported_beside_a_wrong_one(
    target: str, placeholder: str
) -> None:
    unknown = fn("Errors", {**LIVE, "ExecutedVersion": placeholder})
    data = policy(target, A_NEW, unknown, c=RATE, steps=LADDER)
    beside = {**data, "target": {**TARGETS[target], "note": "ours"}}
    assert places(data)
    assert sorted(places(beside)) == sorted([*places(data), "target.note"])


# --- versions at 100% -----------------------------------------------------------------------------

ZERO: Final = {"missing": "zero"}
A_LIVE, B_LIVE = fn("Invocations", LIVE, **BOTH), fn("Errors", LIVE, **BOTH)
NO_ERRORS: Final = {"kind": "threshold", "metric": "b", "max": 3, "min_samples": 0}
QUICK: Final = {"kind": "threshold", "metric": "a", "max": 300}
DURATION: Final = {**fn("Duration", NEW), "statistic": "p95", "unit": "ms"}
NAMED: Final = {**LIVE, "ExecutedVersion": "8"}


@cases("data", {
    "a success rate": policy("alias", A_NEW, B_NEW, c=RATE, steps=LADDER),
    "a success rate, window by window":
        policy("alias", A_NEW, B_NEW, c={**RATE, "judge": "threshold"}, steps=LADDER),
    "a burn rate": policy("alias", A_NEW, B_NEW, c=BURN, steps=LADDER),
    "a ratio, absent requests as zero":
        policy("alias", fn("Invocations", NEW, **ZERO), fn("Errors", NEW, **ZERO), c=RATIO,
               steps=LADDER),
    "a count with a minimum, absent requests as zero":
        policy("alias", fn("Invocations", NEW, **ZERO), steps=LADDER,
               c={"kind": "threshold", "judge": "threshold", "metric": "a", "min": 1}),
    "that requests arrive": policy("alias", A_NEW, B_NEW, c=RATE, t=TRAFFIC, steps=LADDER),
    "a latency": policy("alias", DURATION, c=QUICK, steps=LADDER),
    "a latency beside a fixed one": policy("alias", DURATION, c=FAST, steps=LADDER),
    "the number of the version":
        policy("named", fn("Invocations", NAMED), fn("Errors", NAMED), c=RATE, steps=LADDER),
    "the stable version, which has no request":
        policy("alias", A_NEW, B_NEW, {**A_OLD, **STABLE}, c=RATE, t={**TRAFFIC, "metric": "c"},
               alarm=ALARM, steps=[{**LADDER[0], "criteria": ["c"]},
                                   {**LADDER[1], "criteria": ["t", "alarm"]}]),
    "beside a criterion of the alias":
        policy("alias", A_NEW, B_NEW, A_LIVE, B_LIVE, c=RATE, steps=LADDER,
               d={**RATE, "total": "c", "failures": ["d"]}),
    "only counts that are zero there":
        policy("alias", None, fn("Errors", NEW, **ZERO), c=NO_ERRORS, steps=LADDER),
})  # fmt: skip
def test_a_step_at_100_that_no_count_of_a_version_can_pass_is_a_mistake(
    data: dict[str, Any],
) -> None:
    step = data["steps"][1]
    assert places(data) == ["steps.1.criteria" if "criteria" in step else "steps.1.weight"]


@cases("data", {
    "of a flag": policy("env", flag("Requests", "canary"), flag("Failures", "canary"), c=RATE),
    "of the application, by the version":
        policy("alias", own("Requests", NEW), own("Errors", NEW), c=RATE, steps=LADDER),
    "of the versions in a criterion that only reports":
        policy("alias", A_NEW, B_NEW, c={**RATE, **REPORTS}, alarm=ALARM, steps=LADDER),
    "of the versions, that are zero there, beside an alarm":
        policy("alias", None, fn("Errors", NEW, **ZERO), c=NO_ERRORS, alarm=ALARM, steps=LADDER),
    "of the alias":
        policy("alias", A_LIVE, B_LIVE, c=RATE, alarm=ALARM,
               steps=[{**LADDER[0], "criteria": ["alarm"]}, {**LADDER[1], "criteria": ["c"]}]),
})  # fmt: skip
def test_a_step_at_100_that_other_counts_can_pass_is_right(data: dict[str, Any]) -> None:
    parse(data)


def test_a_count_of_a_version_that_is_zero_at_100_is_warned_about_beside_another_criterion() -> (
    None
):
    found = policy("alias", None, fn("Errors", NEW, **ZERO), c=NO_ERRORS, a=ALARM, steps=LADDER)
    (warning,) = [one for one in warnings(parse(found)) if "100%" in one.message]
    assert warning.place == ("steps", 1, "weight")
    assert warning.message.startswith("criterion c sees nothing of b at 100%")


def test_a_step_at_100_of_versions_is_refused_with_what_to_write_instead() -> None:
    ((_, message),) = mistakes(policy("alias", A_NEW, B_NEW, c=RATE, t=TRAFFIC, steps=LADDER))
    assert message.startswith("criteria c and t cannot pass at 100%: AWS counts a and b only while")
    assert "FunctionName: shop, Resource: shop:live" in message
    assert "counts: both" in message
