"""The permission that a call needs, who the caller is, and what the simulator of IAM allows it.

Each adapter declares the permissions of its calls in a constant `IAM`. The docstring of the adapter
lists the same actions for readers. `rolloutctl iam` collects the constants. Tests compare them with
the docstrings, and with the requests that runs make. `tools/iam` makes policies of them.

IAM: iam:SimulatePrincipalPolicy (on every role, because the simulated role is not known
beforehand); STS needs no permission.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, ClientSource, error_text
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.process import logging

log = logging.logger()


class Job(StrEnum):
    """The purpose of a role: it may do what these verbs do, and nothing else."""

    TICK = "tick"  # tick
    START = "start"  # start, retry, run, plan --live
    FIX = "fix"  # start --fix, and all that start is for
    OPERATE = "people"  # rollback, set-weight, pause, resume, promote, approve, attest, ack; READ
    LOWER = "lower-only"  # rollback --request, for agents and chats; READ
    INVESTIGATE = "investigate"  # metrics, logs, verify
    READ = "look"  # status, history, replay, plan
    STORE_INIT = "store-init"  # store init
    OWNER = "owner"  # store recipients, store rules
    STORE_CHECK = "store-check"  # store check, which only reads
    STORE_UPGRADE = "store-upgrade"  # store upgrade, which saves every active rollout
    COPY_FROM = "copy-from"  # store copy, in the table that it reads
    COPY_TO = "copy-to"  # store copy, in the table that it writes
    MONITORING = "monitoring"  # monitoring plan, deploy, remove
    DOCTOR = "doctor"  # doctor, which only reads
    INIT = "init"  # init, which only reads
    RECORD = "record"  # record, which only reads
    RECORD_WRITE = "record-write"  # record --write


# Jobs that write the weight, or may have to.
TRAFFIC_JOBS: Final = frozenset({Job.TICK, Job.START, Job.OPERATE})

# Jobs on a whole table, across all policies in it.
TABLE_JOBS: Final = frozenset(
    {Job.STORE_INIT, Job.OWNER, Job.STORE_CHECK, Job.STORE_UPGRADE, Job.COPY_FROM, Job.COPY_TO}
)

# Jobs on whatever an account has: they take no policy.
ACCOUNT_JOBS: Final = frozenset({Job.RECORD, Job.RECORD_WRITE})

# Jobs that read metrics.
METRIC_JOBS: Final = TRAFFIC_JOBS | {Job.INVESTIGATE, Job.DOCTOR, Job.INIT}

ALARMS: Final = "{alarms}"  # every alarm; used when a policy names one
ANY: Final = "*"  # the action supports no narrower resource
FUNCTION: Final = "{function}"
GATE_LOGS: Final = "{gate_logs}"  # the log groups in which a gate counts events
FUNCTION_KEY: Final = "{key}"  # the customer managed key of the function's environment
LOGS: Final = "{logs}"  # the log groups in which a policy counts events
FUNCTION_LOGS: Final = "{function_logs}"  # the log group of the function
TABLE: Final = "{table}"
TOPIC: Final = "{topic}"  # the SNS topic of a channel
BUS: Final = "{bus}"  # the EventBridge bus of a channel
HOOK: Final = "{hook}"  # the Lambda function of a hook
WORKSPACE: Final = "{workspace}"  # of Amazon Managed Service for Prometheus, in a policy
SECRETS: Final = "{secret}"  # the secret in Secrets Manager that a policy names
SOURCE_SECRETS: Final = "{source_secret}"  # the token of a source of metrics, in a policy
SECRETS_KEY: Final = "{secret_key}"  # the customer managed key of those secrets
PARAMETERS: Final = "{parameter}"  # the same in the Parameter Store of Systems Manager
SOURCE_PARAMETERS: Final = "{source_parameter}"
PARAMETERS_KEY: Final = "{parameter_key}"
PAGE: Final = "{page}"  # the status page of a store, as an object in S3
# The monitoring of a policy: its stack, alarms and dashboard, and the topic of the alarms.
STACK: Final = "{stack}"
POLICY_ALARMS: Final = "{own_alarms}"
DASHBOARD: Final = "{dashboard}"
ALARM_TOPIC: Final = "{alarm_topic}"


class Permission(Immutable):
    """One action that IAM must allow.

    action: as IAM spells it, like `lambda:ListAliases`.
    resource: an ARN. A name in braces stands for the ARNs that the policies, the store or the
        options of `iam` name; without such an ARN the permission is left out.
    jobs: the jobs that need it.
    via: the only AWS service that may use it on behalf of the role; empty: any request may.
    keyed: every request has a partition key of the table, so a role is bound to the keys of
        rollouts: those of its policies, or of all. Never true for a Scan, which has no key.
    tag: the resource must have a tag with this key; empty: it need not have one.
    partition: the name of the only partitions that it is about, which no rollout is in; empty:
        those of the role.
    bound: None when roles with and without that binding need it; True when only a bound role does;
        False when a bound role cannot have it, or has no use for it.
    """

    action: str
    resource: str
    jobs: Collection[Job]
    via: str = ""
    keyed: bool = False
    partition: str = ""
    tag: str = ""
    bound: bool | None = None


# --- The caller -----------------------------------------------------------------------------------


class CallerIdentity(Immutable):
    """The caller of AWS, as STS answers.

    arn: of the caller. at: AWS's time of the answer; None without a date.
    problem: why the caller is unknown; the other fields are empty then.
    """

    arn: str = ""
    at: datetime | None = None
    problem: str = ""


def caller_identity(clients: ClientSource) -> CallerIdentity:
    """Return the caller, by one call of STS. Raises UsageError without region or credentials."""
    try:
        answer = clients.get("sts").get_caller_identity()
    except AWS_ERRORS as error:
        return CallerIdentity(problem=error_text("sts:GetCallerIdentity", error))
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return CallerIdentity(str(answer.get("Arn", "")), _date(headers.get("date", "")))


def caller_arn(clients: ClientSource) -> str:
    """Return the ARN of the caller; empty without credentials, or when STS does not answer.

    Every failure is logged and none is raised: the ARN is only a name for the history, and by then
    a rollback may have been written, which must be recorded.
    """
    try:
        caller = caller_identity(clients)
    except UsageError:  # no region or no credentials: there is no caller
        return ""
    except Exception as error:  # noqa: BLE001 - as above
        caller = CallerIdentity(problem=f"sts:GetCallerIdentity: unexpected {type(error).__name__}")
    if caller.problem:
        log.warning("caller_unknown", problem=caller.problem)
    return caller.arn


def _date(header: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)  # "-0000" is UTC too


# --- The simulator --------------------------------------------------------------------------------

IAM: Final = (Permission("iam:SimulatePrincipalPolicy", ANY, {Job.DOCTOR}),)

PAGES: Final = 10


class NotSimulatedError(Exception):
    """IAM did not simulate the role; the message says why."""


def decisions(
    client: Any, principal: str, statements: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, str], str]:
    """Return the decision for each (action, resource). Raises NotSimulatedError.

    Of several statements about the same two, a decision against one of them.
    """
    found = dict[tuple[str, str], str]()
    for statement in statements:
        for result in _simulate(client, principal, statement):
            for resource, decision in _by_resource(result):
                key = result["EvalActionName"], resource
                if found.get(key, "allowed") == "allowed":
                    found[key] = decision
    return found


def _by_resource(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the decision about each resource.

    IAM answers one result for an action with several resources. Its own decision is about a
    pattern of ARNs then, and says nothing of any of them.
    """
    for one in result.get("ResourceSpecificResults", ()):
        yield one["EvalResourceName"], one["EvalResourceDecision"]
    if not result.get("ResourceSpecificResults"):
        yield result.get("EvalResourceName", "*"), result["EvalDecision"]


def _simulate(
    client: Any, principal: str, statement: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
    request: dict[str, Any] = {
        "PolicySourceArn": principal,
        "ActionNames": statement["Action"],
        "ResourceArns": statement["Resource"],
        # The condition keys that the calls of the statement have; a pattern matches itself.
        "ContextEntries": [
            {"ContextKeyName": name, "ContextKeyType": "stringList", "ContextKeyValues": values}
            for name, values in keys.items()
        ],
    }
    for _ in range(PAGES):
        try:
            page = client.simulate_principal_policy(**request)
        except AWS_ERRORS as error:
            what = f"{principal} could not be simulated (iam:SimulatePrincipalPolicy)"
            raise NotSimulatedError(error_text(what, error)) from error
        yield from page.get("EvaluationResults", ())
        if not (page.get("IsTruncated") and page.get("Marker")):
            return
        request["Marker"] = page["Marker"]
