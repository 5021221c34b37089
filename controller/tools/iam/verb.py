"""The verb `iam`: prints the least-privilege IAM policy of a role."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from controller.cli import options
from controller.cli.call import CommandContext, Result, load_policy
from controller.core.policy import Policy
from controller.core.policy.field_types import AwsLocation
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.process import settings
from controller.safe_text import printable_block
from controller.tools.iam import (
    ACCOUNT_JOBS,
    TABLE_JOBS,
    Job,
    KeyArns,
    aws_location,
    caller_location,
    function_keys,
    iam_policy,
    packages_of,
    template_parameters,
)

_ACCOUNT_ID = re.compile(r"\d{12}")
_TABLE = "rollouts"  # the default of the stack
_KEY_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")
_FUNCTION_JOBS = frozenset(Job) - TABLE_JOBS - ACCOUNT_JOBS - {Job.READ, Job.INIT}
_TABLELESS_JOBS = ACCOUNT_JOBS | {Job.INIT}


class IamData(Immutable):
    """The least-privilege IAM policy of a role."""

    document: dict[str, Any] | None
    """The IAM policy; null with --parameters."""
    parameters: dict[str, str] | None
    """The parameters of the stack by name, each a list of ARNs with commas; null without it."""


@click.command()
@click.argument("policies", nargs=-1, metavar="[POLICY]...", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "jobs",
    multiple=True,
    type=click.Choice([str(job) for job in Job]),
    default=[str(Job.TICK)],
    show_default=True,
    help="What the role does; may be given more than once.",
)
@click.option("--account", metavar="NUMBER", help="Account of the targets and the table.")
@click.option("--region", help="Their region. Default: what the AWS variables or the profile name.")
@click.option(
    "--kms-key",
    "keys",
    multiple=True,
    metavar="ARN",
    help="Customer key on a function's environment; may be given more than once.",
)
@click.option(
    "--secret-key",
    "secret_keys",
    multiple=True,
    metavar="ARN",
    help="Customer key on a secret that a policy names; may be given more than once.",
)
@click.option(
    "--bound/--unbound",
    default=None,
    help="Whether the role reaches the items of these policies alone, or those of all. Default: "
    "--bound, but --unbound with --parameters.",
)
@click.option(
    "--status-page", "page", type=options.PAGE_PLACE, metavar="s3://BUCKET/KEY",
    help="The status page that the role writes.",
)  # fmt: skip
@click.option("--live", is_flag=True, help="Read the account, the region and the keys from AWS.")
@click.option(
    "--parameters",
    "as_parameters",
    is_flag=True,
    help="Print the parameters of the stack in deploy/ instead.",
)
@click.option(
    "--packages",
    "packages_only",
    is_flag=True,
    help="Only what has no parameter of the stack: appconfig targets, secrets in Parameter Store "
    "and other packages, for ManagedPolicies.",
)
@options.call_options("store", "json")
def iam(
    call: CommandContext,
    policies: tuple[Path, ...],
    jobs: tuple[str, ...],
    account: str | None,
    region: str | None,
    keys: tuple[str, ...],
    secret_keys: tuple[str, ...],
    bound: bool | None,
    page: settings.PageLocation | None,
    live: bool,
    as_parameters: bool,
    packages_only: bool,
) -> Result:
    """Print the least-privilege IAM policy of a role.

    It may then do its job for the targets of these policies, and nothing else; in a table it
    reaches their rollouts and locks, and no others, unless it is --unbound. tick is the scheduled
    task, which names its policies where it is bound: tick --policy NAME. start also starts, retries
    and runs. people roll back, set weights, pause, resume, promote, approve, attest, ack and look.
    lower-only is for agents and chats: rollback --request and look. investigate is metrics, logs
    and verify. look is status, history, report and replay. store-init makes the table; owner sets
    its list of recipients and its rules; store-check reads all of it; store-upgrade saves every
    active rollout in it; copy-from and copy-to are the two tables of `store copy`. monitoring
    deploys and removes the stack of a dashboard, alarms and their topic. doctor only reads what it
    checks, and init what a new policy is made of: without a POLICY, the configuration of any
    function. record reads what `record` reads in the account, and record-write also writes to what
    has the tag rolloutctl-recording.
    """
    selected_jobs = [Job(one) for one in jobs]
    for job in selected_jobs:
        if job in _FUNCTION_JOBS and not policies:
            raise UsageError(f"a role for {job} needs a POLICY: it names the target")
    loaded = [load_policy(path) for path in policies]
    location, live_keys = _role_scope(loaded, account, region, live=live)
    url = call.store_url or os.environ.get("ROLLOUTCTL_STORE")
    store_location = settings.parse_store_url(url) if url else None
    _check_key_arns("--kms-key", keys)
    _check_key_arns("--secret-key", secret_keys)
    key_arns = KeyArns([*keys, *live_keys], secret_keys)
    if bound and not loaded:
        raise UsageError("--bound needs a POLICY: it names the items")
    if isinstance(page, settings.FilePage):
        raise UsageError("--status-page is an object in S3: a file asks nothing of AWS")
    if as_parameters and packages_only:
        raise UsageError("--packages is a policy document, --parameters are none: give one of them")
    if as_parameters:
        parameters = _parameters(loaded, location, key_arns, page, bound=bool(bound))
        table = settings.DynamoDbLocation(_TABLE)
        tick = iam_policy(
            loaded, table, [Job.TICK], location, key_arns, bound=bool(bound), page=page
        )
        check_stack(parameters, tick)
        return Result(
            "iam",
            data=lambda: IamData(None, parameters),
            text=lambda: printable_block(f"{name}={arns}" for name, arns in parameters.items()),
            notes=_package_notes(loaded),
        )
    tableless = set(selected_jobs) <= _TABLELESS_JOBS
    has_table = store_location is not None or tableless or packages_only
    document = iam_policy(
        loaded,
        store_location,
        selected_jobs,
        location,
        key_arns,
        bound=bound is not False,
        page=page,
        packages_only=packages_only,
    )
    return Result(
        "iam",
        data=lambda: IamData(document, None),
        text=lambda: json.dumps(document, indent=2),
        notes=[
            *filter(None, [document_note(document)]),
            *_notes(document, has_table=has_table, has_keys=bool(secret_keys)),
        ],
    )


def _notes(document: dict[str, Any], *, has_table: bool, has_keys: bool) -> Iterator[str]:
    if not has_table:
        yield (
            "note: no table is allowed: if rollouts are kept in one, name it: "
            "--store dynamodb://TABLE"
        )
    sids = {one["Sid"] for one in document["Statement"]}
    if not has_keys and sids & {"Secret", "Parameter", "SourceSecret", "SourceParameter"}:
        yield (
            "note: a secret under a key of your own is read with kms:Decrypt on that key, which a "
            "policy does not name: --secret-key ARN; under aws/secretsmanager and aws/ssm nothing "
            "is missing"
        )
    if "${" in json.dumps(document):
        yield "note: ${AWS::...} is for Fn::Sub of CloudFormation: or give --account and --region"


def _package_notes(policies: Sequence[Policy]) -> Iterator[str]:
    """Say what the roles of the stack lack: it has parameters for most kinds of rolloutctl only."""
    if packages := packages_of(policies):
        yield (
            f"note: no parameter allows what {', '.join(packages)} needs: make a managed policy of "
            "`iam --packages`, and give its ARN as ManagedPolicies"
        )


def _parameters(
    policies: Sequence[Policy],
    scope: AwsLocation,
    keys: KeyArns,
    page: settings.S3Page | None,
    *,
    bound: bool,
) -> dict[str, str]:
    """Return ARN,ARN by name, as `aws cloudformation deploy --parameter-overrides` takes them.

    Raises UsageError when an account or a region is missing.
    """
    parameters = {
        name: ",".join(arns)
        for name, arns in template_parameters(policies, scope, keys, bound=bound, page=page).items()
    }
    if any("${" in arns for arns in parameters.values()):
        raise UsageError(
            "a parameter is not filled in by CloudFormation: give --account and --region, or --live"
        )
    return parameters


def _role_scope(
    policies: Sequence[Policy], account: str | None, region: str | None, *, live: bool
) -> tuple[AwsLocation, list[str]]:
    """Return the account and region of the role and, with `live`, the functions' customer keys."""
    if live and (account or region):
        raise UsageError(
            "--live reads the account and the region from AWS: leave out --account and --region"
        )
    if live:
        return caller_location(), function_keys(policies)
    if account and _ACCOUNT_ID.fullmatch(account) is None:
        raise UsageError(f"--account is a number of 12 digits, not {account!r}")
    return aws_location(account, region), []


def _check_key_arns(option: str, keys: Sequence[str]) -> None:
    for key in keys:
        if _KEY_ARN.fullmatch(key) is None:
            raise UsageError(
                f"{option} is the ARN of a key, and not an alias: arn:aws:kms:...:key/...; not "
                f"{key!r}"
            )


# --- What AWS takes of it -------------------------------------------------------------------------


INLINE_CHARACTERS: Final = 10_240  # of all inline policies of a role
MANAGED_CHARACTERS: Final = 6_144  # of one managed policy
PARAMETER_BYTES: Final = 4_096  # of the value of one parameter of a stack

_SPLIT_STACK: Final = (
    "deploy a stack for some of these policies, and others for the rest: "
    "iam --parameters --bound A.yaml B.yaml, with CreateTable=no but for the first"
)


def document_characters(document: Mapping[str, Any]) -> int:
    """Return the characters of a policy as IAM counts them: without white space."""
    return len("".join(json.dumps(document).split()))


def document_note(document: Mapping[str, Any]) -> str:
    """Return where a printed document fits; empty: anywhere. Raises UsageError: nowhere."""
    size = document_characters(document)
    if size > INLINE_CHARACTERS:
        raise UsageError(
            f"the document has {size:,} characters, and AWS takes {INLINE_CHARACTERS:,} in the "
            "inline policies of a role: print it for some of these policies at a time, and attach "
            f"each as a managed policy ({MANAGED_CHARACTERS:,} characters at most)"
        )
    if size > MANAGED_CHARACTERS:
        return (
            f"note: the document has {size:,} characters, and a managed policy "
            f"{MANAGED_CHARACTERS:,} at most: make it an inline policy of the role, the only one"
        )
    return ""


def check_stack(parameters: Mapping[str, str], tick: Mapping[str, Any]) -> None:
    """Raise UsageError when CloudFormation or IAM does not take what the stack is made of.

    tick: the policy that the role of a tick has with these parameters; the longest of the stack.
    """
    for name, value in parameters.items():
        if (size := len(value.encode())) > PARAMETER_BYTES:
            raise UsageError(
                f"the parameter {name} has {size:,} bytes, and CloudFormation takes "
                f"{PARAMETER_BYTES:,}: {_SPLIT_STACK}"
            )
    if (size := document_characters(tick)) > INLINE_CHARACTERS:
        raise UsageError(
            f"the role of the tick would have a policy of {size:,} characters, and AWS takes "
            f"{INLINE_CHARACTERS:,}: {_SPLIT_STACK}"
        )
