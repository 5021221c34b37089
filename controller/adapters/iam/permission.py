"""What IAM must allow: each adapter declares it beside its calls, once, in a constant `IAM`.

The same actions stand in the adapter's docstring, for whoever reads it. `rolloutctl iam` collects
them; tests compare both with each other, and with what runs really ask of AWS.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Job(StrEnum):
    """What a role is for: it may then do what these verbs do, and nothing else."""

    TICK = "tick"  # tick
    START = "start"  # start, retry, run, plan --live
    OPERATE = "people"  # rollback, set-weight, pause, resume, promote, approve, attest, ack; LOOK
    INVESTIGATE = "investigate"  # metrics, logs, verify
    READ = "look"  # status, history, replay, plan
    STORE_INIT = "store-init"  # store init
    COPY_FROM = "copy-from"  # store copy, in the table that it reads
    COPY_TO = "copy-to"  # store copy, in the table that it writes
    MONITORING = "monitoring"  # monitoring plan, deploy, remove
    DOCTOR = "doctor"  # doctor, which only reads


# Whoever moves traffic, or may have to.
TRAFFIC_JOBS: Final = frozenset({Job.TICK, Job.START, Job.OPERATE})

# What is done to a whole table, whatever policies are in it.
TABLE_JOBS: Final = frozenset({Job.STORE_INIT, Job.COPY_FROM, Job.COPY_TO})

# Whoever measures.
METRIC_JOBS: Final = TRAFFIC_JOBS | {Job.INVESTIGATE, Job.DOCTOR}

ALARMS: Final = "{alarms}"  # every alarm, where a policy names one
ANY: Final = "*"  # the action has no finer resource
FUNCTION: Final = "{function}"
GATE_LOGS: Final = "{gate_logs}"  # the log groups in which a gate counts events
FUNCTION_KEY: Final = "{key}"  # of the customer, on the function's environment
LOGS: Final = "{logs}"  # the log groups in which a policy counts events
FUNCTION_LOGS: Final = "{function_logs}"  # the log group of the function
TABLE: Final = "{table}"
TOPIC: Final = "{topic}"  # of SNS, that a policy tells
BUS: Final = "{bus}"  # of EventBridge, that a policy tells
HOOK: Final = "{hook}"  # the function that a policy calls as a hook
SECRETS: Final = "{secret}"  # in Secrets Manager, that a policy names
SECRETS_KEY: Final = "{secret_key}"  # of the customer, on those secrets
# What watches a policy: its stack, its alarms, its dashboard, and the topic that the alarms tell.
STACK: Final = "{stack}"
POLICY_ALARMS: Final = "{own_alarms}"
DASHBOARD: Final = "{dashboard}"
ALARM_TOPIC: Final = "{alarm_topic}"


@dataclass(frozen=True, slots=True)
class Permission:
    """One action that IAM must allow.

    action: as IAM spells it, like `lambda:ListAliases`.
    resource: the ARN that it is asked of; what stands there in braces is an ARN that a policy, a store or
    a person names, and where nobody names one, nothing needs to be allowed.
    jobs: what needs it. via: the AWS service that alone may ask for it in our name.
    keyed: it is asked with a partition key of the table, to which a role can be bound; a Scan never
        is, for a request without a key satisfies every condition on keys.
    bound: False for what a role bound to the keys of its policies cannot have, or has no use for,
        True for what only such a role needs; None: both need it.
    """

    action: str
    resource: str
    jobs: Collection[Job]
    via: str = ""
    keyed: bool = False
    bound: bool | None = None
