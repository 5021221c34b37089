"""The verb `doctor`: checks everything that a rollout needs before it starts."""

import os
import re
from pathlib import Path
from typing import Final

import click

from controller.cli import options
from controller.engine import exit_status
from controller.errors import UsageError
from controller.process import logging, settings
from controller.text import printable_block

_ROLE_ARN: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+")


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--role",
    metavar="ARN",
    default="",
    help="Whose permissions to check: the role of the scheduled task. Default: the caller's.",
)
@options.store
@options.as_json
def doctor(policy: Path, role: str, store_url: str | None, as_json: bool) -> int:
    """Check everything that POLICY needs; write nothing.

    That its metrics have data under these very dimensions, that the function can be read and
    reached, that something ticks, that clocks agree, that alarms are there and heard, and what the
    role may do. A line each: ok, warn or FAIL, and what to do. Ends with 7 when one fails.
    """
    from controller.bootstrap.doctor import live_doctor
    from controller.policy_file.loader import load
    from controller.render.checks import check_lines, checks_data

    if role and _ROLE_ARN.fullmatch(role) is None:
        raise UsageError(f"--role is the ARN of a role or a user: arn:aws:iam::...; not {role!r}")
    logging.configure()
    loaded = load(policy)
    config = settings.read(os.environ, store_url)
    if config.egress.problem:
        raise UsageError(config.egress.problem)
    with live_doctor(config, loaded, role) as examiner:
        checks = list(examiner.checks())
    if as_json:
        options.print_json("doctor", {"policy": loaded.name, **checks_data(checks)})
    else:
        click.echo(printable_block(check_lines(checks)))
    return exit_status.of_checks(checks)
