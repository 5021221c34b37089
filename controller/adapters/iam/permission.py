"""IAM permissions: each adapter declares the ones of its calls in a constant `IAM`.

The docstring of the adapter lists the same actions for readers. `rolloutctl iam` collects the
constants; tests compare them with the docstrings, and with the requests that runs make.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from controller.immutable import Immutable


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
