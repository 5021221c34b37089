"""What the fork server loads in advance: the program, botocore and its service models.

Loading them takes ten times as long as a tick. A new process does it once, and so does the server,
for all processes that are forked from it.
"""

import gc
import os
from typing import Any, Final

import botocore.session
from boto3.session import Session
from botocore.loaders import create_loader

from tests.support.emulator import NO_CREDENTIALS, REGION

_loader: Final = create_loader()


def _load_models() -> None:
    """Create a client of each service, which loads its model for all forked processes."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(NO_CREDENTIALS)
    sessions: Any = botocore.session
    sessions.create_loader = lambda _paths: _loader
    session = Session("nobody", "nothing", region_name=REGION)
    for service in ("cloudwatch", "dynamodb", "lambda"):
        session.client(service)


_load_models()
gc.collect()
gc.freeze()  # memory that the collector does not touch stays shared with the server
