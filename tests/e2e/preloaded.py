"""What a server that forks the program has at hand: the program, botocore, and what it has read.

To import botocore and to read its service models takes ten times as long as a tick: a process that
begins from nothing does it once, and so does the server, for all that are forked from it.
"""

import gc
import os
from typing import Any, Final

import botocore.session
from boto3.session import Session
from botocore.loaders import create_loader

import controller.bootstrap
import controller.cli.start_tick  # noqa: F401 - to have it
from tests.support.emulator import NO_CREDENTIALS, REGION

_loader: Final = create_loader()


def _read() -> None:
    """Make a client of each service, for nobody; what that has read is kept for all others."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(NO_CREDENTIALS)
    sessions: Any = botocore.session
    sessions.create_loader = lambda _paths: _loader
    session = Session("nobody", "nothing", region_name=REGION)
    for service in ("cloudwatch", "dynamodb", "lambda"):
        session.client(service)


_read()
gc.collect()
gc.freeze()  # a page that the collector does not touch is shared with the server
