"""The writing calls of a recording, on a function, an alias and a rule without requests.

Each is written back as it was. A function or an alias is written under its RevisionId, so what
another program changes meanwhile is kept; a rule has no such condition. An environment that cannot
be read is never written: the API replaces it as a whole.

IAM: lambda:UpdateFunctionConfiguration, lambda:UpdateAlias and elasticloadbalancing:ModifyRule, on
resources with the tag rolloutctl-recording.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, code_of
from controller.adapters.iam.permission import ANY, Job, Permission
from controller.adapters.recorder.recorder import Answer, Recorder, target_groups

TAG: Final = "rolloutctl-recording"
IAM: Final = tuple(
    Permission(action, ANY, {Job.RECORD_WRITE}, tag=TAG)
    for action in (
        "lambda:UpdateFunctionConfiguration",
        "lambda:UpdateAlias",
        "elasticloadbalancing:ModifyRule",
    )
)

VARIABLE: Final = "ROLLOUTCTL_RECORDING"
_WEIGHT: Final = 0.01
_PAGES: Final = 5
_WRITABLE: Final = ("Type", "Order", "ForwardConfig")
_PAUSE: Final = timedelta(seconds=1)
_UPDATE_LIMIT: Final = timedelta(seconds=90)


def record_function_writes(recorder: Recorder, function: str) -> Iterator[str]:
    """Record updates of a function: one during another, a stale one, and one without a change.

    Yields what it left.
    """
    name = {"FunctionName": function}
    before = recorder.call("lambda", "GetFunctionConfiguration", **name)
    variables = _variables(before)
    if variables is None or before.get("LastUpdateStatus") != "Successful":
        yield f"{function}: not written, because its configuration could not be read, or it updates"
        return

    def update(variables: Mapping[str, str], revision: str) -> Answer:
        written = {"Variables": dict(variables)}
        return recorder.call(
            "lambda",
            "UpdateFunctionConfiguration",
            **name,
            Environment=written,
            RevisionId=revision,
        )

    revision = str(before["RevisionId"])
    try:
        first = update({**variables, VARIABLE: "1"}, revision)
        update({**variables, VARIABLE: "2"}, str(first.get("RevisionId", revision)))
        _wait_for_update(recorder, function)
        update(variables, revision)  # refused: the revision is an old one
        applied = recorder.call("lambda", "GetFunctionConfiguration", **name)
        if (same := _variables(applied)) is not None:
            update(same, str(applied["RevisionId"]))
            _wait_for_update(recorder, function)
    finally:
        problem = _remove_variable(recorder, function)
    _wait_for_update(recorder, function)
    yield problem or f"{function}: its variables as before, with a new RevisionId"


def _variables(configuration: Answer) -> dict[str, str] | None:
    """Return the variables of a function; None where there is no answer that shows them."""
    environment = configuration.get("Environment", {})
    if not configuration or "Error" in environment:
        return None
    return dict(environment.get("Variables", {}))


def _remove_variable(recorder: Recorder, function: str) -> str:
    """Take the variable out of the environment as it is now; return what is wrong with that."""
    deadline, problem = recorder.clock.now() + _UPDATE_LIMIT, "it cannot be read"
    while recorder.clock.now() < deadline:
        try:
            now = recorder.answer_of("lambda", "GetFunctionConfiguration", FunctionName=function)
            if (variables := _variables(now)) is not None:
                if variables.pop(VARIABLE, None) is None:
                    return ""
                recorder.answer_of(
                    "lambda",
                    "UpdateFunctionConfiguration",
                    FunctionName=function,
                    Environment={"Variables": variables},
                    RevisionId=now["RevisionId"],
                )
        except AWS_ERRORS as error:
            problem = code_of(error)
        recorder.clock.sleep(_PAUSE)
    return (
        f"{function}: the variable {VARIABLE} may be left in its environment ({problem}); "
        "look, and remove it by hand"
    )


def _wait_for_update(recorder: Recorder, function: str) -> None:
    """Wait until no update is in progress, and record the answer that says so."""
    deadline = recorder.clock.now() + _UPDATE_LIMIT
    name = {"FunctionName": function}
    while recorder.clock.now() < deadline:
        answer = recorder.answer_of("lambda", "GetFunctionConfiguration", **name)
        if answer.get("LastUpdateStatus") != "InProgress":
            break
        recorder.clock.sleep(_PAUSE)
    recorder.call("lambda", "GetFunctionConfiguration", **name)


def record_alias_writes(recorder: Recorder, function: str, alias: str) -> Iterator[str]:
    """Record updates of an alias: weights, none, the same ones, and a stale update.

    Yields what it left.
    """
    name = {"FunctionName": function, "Name": alias}
    before = recorder.call("lambda", "GetAlias", **name)
    others = [
        version
        for version in _versions(recorder, function)
        if version != before.get("FunctionVersion")
    ]
    weights = before.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    if not before or weights or not others:
        yield f"{function}:{alias}: not written, because it needs two versions, and no weights"
        return

    def update(routing: Mapping[str, float], revision: str) -> Answer:
        return recorder.call(
            "lambda",
            "UpdateAlias",
            **name,
            FunctionVersion=before["FunctionVersion"],
            RoutingConfig={"AdditionalVersionWeights": dict(routing)},
            RevisionId=revision,
        )

    first = str(before["RevisionId"])
    answer: Answer = {}
    try:
        answer = update({others[0]: _WEIGHT}, first)
        second = str(answer.get("RevisionId", first))
        update({others[0]: _WEIGHT}, first)  # refused: the revision is an old one
        answer = update({others[0]: _WEIGHT}, second)
        update(dict.fromkeys(others[:2], _WEIGHT), str(answer.get("RevisionId", second)))
    finally:
        current = recorder.call("lambda", "GetAlias", **name)
        if current.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            update({}, str(current["RevisionId"]))
    after = recorder.call("lambda", "GetAlias", **name)
    left = after.get("RoutingConfig", {}).get("AdditionalVersionWeights")
    yield (
        f"{function}:{alias}: weights are left ({left}); remove them by hand"
        if left or not after
        else f"{function}:{alias}: without weights as before, with a new RevisionId"
    )


def _versions(recorder: Recorder, function: str) -> Sequence[str]:
    """Return the numbers of the published versions of a function, the oldest ones at most."""
    found, page = list[str](), dict[str, str]()
    for _ in range(_PAGES):
        answer = recorder.call("lambda", "ListVersionsByFunction", FunctionName=function, **page)
        found += [one["Version"] for one in answer.get("Versions", ())]
        if "NextMarker" not in answer:
            break
        page = {"Marker": answer["NextMarker"]}
    return [one for one in found if one.isdecimal()]


def record_rule_writes(recorder: Recorder, rule: str) -> Iterator[str]:
    """Record updates of a rule: another weight, and its own actions. Yields what it left."""
    before = recorder.call("elbv2", "DescribeRules", RuleArns=[rule])
    rules = before.get("Rules", ())
    actions: Sequence[Mapping[str, Any]] = rules[0]["Actions"] if rules else ()
    groups = list(target_groups(before))
    if [action["Type"] for action in actions] != ["forward"] or len(groups) != 2:
        yield f"{rule}: not written, because it does not forward to two target groups, and no more"
        return
    own = {name: one for name, one in actions[0].items() if name in _WRITABLE}
    other = [{**group, "Weight": abs(int(group.get("Weight", 0)) - 1)} for group in groups]
    moved = {**own, "ForwardConfig": {**own["ForwardConfig"], "TargetGroups": other}}
    try:
        recorder.call("elbv2", "ModifyRule", RuleArn=rule, Actions=[moved])
        recorder.call("elbv2", "DescribeRules", RuleArns=[rule])
        for group in groups:
            recorder.call("elbv2", "DescribeTargetHealth", TargetGroupArn=group["TargetGroupArn"])
    finally:
        recorder.call("elbv2", "ModifyRule", RuleArn=rule, Actions=[own])
    recorder.call("elbv2", "ModifyRule", RuleArn=rule, Actions=[own])
    after = recorder.call("elbv2", "DescribeRules", RuleArns=[rule])
    weights = ", ".join(f"{one.get('Weight')} to {one['TargetGroupArn']}" for one in groups)
    as_before = list(target_groups(after)) == groups
    yield f"{rule}: as before" if as_before else f"{rule}: set its weights by hand: {weights}"
