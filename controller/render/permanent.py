"""How 100 % becomes permanent: the template change, what reverts it, and the cleanup checklist."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from controller.core.policy import Policy, SuccessRate, Traffic
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text
from controller.render.page import Page, Paragraph, Span, lines_page, paragraph

if TYPE_CHECKING:
    from controller.render.outputs.policies import PermanentData

FORMS: Final = ("cdk", "cloudformation", "terraform")

# STACK-LOGICALID-RANDOM: the name that CloudFormation generates for an unnamed resource.
_GENERATED_NAME: Final = re.compile(
    r"(?P<stack>[A-Za-z0-9-]+)-(?P<id>[A-Za-z0-9]+)-[A-Za-z0-9]{12,13}"
)

# What resets the variables to those of the template, until it has 100.
RESETS: Final = (
    "a change of any other variable of the function in its template: CloudFormation and CDK send "
    "the whole environment, with the old values or without these",
    "cdk deploy --revert-drift, and a change set with DeploymentMode REVERT_DRIFT",
    "terraform apply, unless lifecycle.ignore_changes names both variables",
    "a stack that fails and rolls back to its last template",
)


def final_values(policy: Policy) -> dict[str, str]:
    """Return the variables of the target at 100 %."""
    return policy.target.settings(100)


def change_text(policy: Policy, form: str) -> str:
    """Return the template change in one form: cdk, cloudformation or terraform."""
    writers = {"cdk": _cdk, "cloudformation": _cloudformation, "terraform": _terraform}
    return writers[form](_function_name(policy), final_values(policy))


def permanent_page(policy: Policy, rollout: Rollout | None, forms: tuple[str, ...]) -> Page:
    """Return the page: the state of the rollout, the change, what reverts it, and the checklist."""
    changes = [
        Paragraph([Span(line)], verbatim=True)
        for form in forms
        for line in (f"# {form}", *change_text(policy, form).split("\n"), "")
    ]
    return [
        *lines_page([_headline(policy, rollout), ""]),
        *changes,
        paragraph("Until that is deployed, each of these restores the old values:"),
        *(paragraph(f"- {one}", indent=2) for one in RESETS),
        *lines_page(["", "Then, in this order:"]),
        *(paragraph(f"[ ] {one}", indent=2, hang=6) for one in checklist(policy, rollout)),
    ]


def permanent_data(
    policy: Policy, rollout: Rollout | None, forms: tuple[str, ...]
) -> "PermanentData":
    """Return the content of `permanent_page` as plain JSON data."""
    return {
        "policy": policy.name,
        "rollout": None if rollout is None else rollout.id,
        "phase": None if rollout is None else str(rollout.phase),
        "function": _function_name(policy),
        "variables": final_values(policy),
        "changes": {form: change_text(policy, form) for form in forms},
        "undone_by": list(RESETS),
        "checklist": list(checklist(policy, rollout)),
    }


def checklist(policy: Policy, rollout: Rollout | None) -> Iterator[str]:
    """Yield the remaining tasks, in an order that keeps everything a rollback needs."""
    name = _function_name(policy)
    watch_until = rollout.watch_until if rollout is not None and rollout.final else None
    until = (
        f" until {clock_text(watch_until)}" if watch_until else " until its watch is over (7 days)"
    )
    yield (
        "see that the template has every other variable of the function: a deployment replaces its "
        "environment as a whole"
    )
    yield "deploy the change; `rolloutctl doctor POLICY` then shows 100 % applied"
    yield (
        f"keep the old path{until}: `rolloutctl rollback {policy.name}` needs it. After a rollback "
        "revert the change too, or the next deployment undoes the rollback"
    )
    if stable := list(_stable_metrics(policy)):
        metrics = " and ".join(stable)
        yield f"check that the old path has no requests: {metrics} counted no request for a day"
    yield f"take the flag and the old path out of the code of {name}, and deploy it"
    yield f"take {' and '.join(final_values(policy))} out of the template, and deploy that"
    yield (
        "take from the function's role what only the old path needed (lambda:InvokeFunction on "
        "what was called directly), and remove the alarms, dashboards and filters of that path"
    )
    yield (
        f"keep the record: rolloutctl history {policy.name} --json > {policy.name}.json, and "
        "rolloutctl replay"
    )
    yield (
        "rolloutctl monitoring remove POLICY; then take the policy out of the repository, and the "
        "schedule and its role away where no other rollout needs them"
    )


def too_early_reason(rollout: Rollout | None) -> str:
    """Return why this is too early; empty when the rollout succeeded or there is none."""
    if rollout is None or rollout.phase is Phase.SUCCEEDED:
        return ""
    return f"{rollout.id} is {rollout.phase} at {rollout.weight} %: run this after its success"


def _headline(policy: Policy, rollout: Rollout | None) -> str:
    values = ", ".join(f"{name}={value}" for name, value in final_values(policy).items())
    if rollout is None or rollout.phase is not Phase.SUCCEEDED:
        return f"{policy.name}: what makes {values} of {_function_name(policy)} permanent"
    return f"{rollout.id} succeeded: what makes {values} of {_function_name(policy)} permanent"


def _function_name(policy: Policy) -> str:
    return policy.target.name.rpartition(":")[2]


def _stable_metrics(policy: Policy) -> Iterator[str]:
    """Yield the metrics that count the stable path alone, with namespace and dimensions."""
    names: dict[str, None] = {}
    for criterion in policy.criteria.values():
        match criterion:
            case SuccessRate(control=control) if control is not None:
                names[control.total] = None
            case Traffic(control=str(name)):
                names[name] = None
            case _:
                pass
    for name in names:
        metric = policy.metrics[name]
        dimensions = ", ".join(f"{key}: {value}" for key, value in metric.dimensions.items())
        yield f"{name} ({metric.namespace} {metric.name} {{{dimensions}}})"


# --- Forms --------------------------------------------------------------------------------------


def _cdk(name: str, values: Mapping[str, str]) -> str:
    calls = [f'handler.addEnvironment("{key}", "{value}");' for key, value in values.items()]
    comments = [
        f"// handler: the lambda.Function that became {name};",
        "// where its `environment` has these variables already, change them there",
    ]
    return "\n".join([*comments, *calls])


def _cloudformation(name: str, values: Mapping[str, str]) -> str:
    generated = _GENERATED_NAME.fullmatch(name)
    identity = generated["id"] if generated else "Function"
    stack = f" of stack {generated['stack']}" if generated else ""
    lines = [
        f"# by its name, {identity}{stack}; to be sure:",
        f"# aws cloudformation describe-stack-resources --physical-resource-id {name}",
        "Resources:",
        f"  {identity}:",
        "    Type: AWS::Lambda::Function",
        "    Properties:",
        "      Environment:",
        "        Variables:  # in addition to the existing ones",
    ]
    return "\n".join([*lines, *(f'          {key}: "{value}"' for key, value in values.items())])


def _terraform(name: str, values: Mapping[str, str]) -> str:
    width = max(map(len, values))
    lines = [
        'resource "aws_lambda_function" "handler" {',
        f'  function_name = "{name}"',
        "  environment {",
        "    variables = { # in addition to the existing ones",
        *(f'      {key:<{width}} = "{value}"' for key, value in values.items()),
        "    }",
        "  }",
        "  # no longer in lifecycle.ignore_changes:",
        *(f'  #   environment[0].variables["{key}"]' for key in values),
        "}",
    ]
    return "\n".join(lines)
