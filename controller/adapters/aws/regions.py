"""Regions and partitions of AWS, from the local configuration and botocore's data; no call."""

import os

from botocore.exceptions import BotoCoreError

from controller.errors import UsageError


def region_here() -> str | None:
    """Return the region from the AWS variables or the profile; None without one."""
    from botocore.session import Session

    try:
        return os.environ.get("AWS_REGION") or Session().get_config_variable("region")
    except BotoCoreError as error:
        raise UsageError(f"the AWS profile cannot be read: {error}") from error


def partition_of(region: str) -> str:
    """Return the partition of `region`, like aws-cn. Raises UsageError for an unknown region."""
    from botocore.exceptions import UnknownRegionError
    from botocore.session import Session

    try:
        return str(Session().get_partition_for_region(region))
    except UnknownRegionError as error:
        raise UsageError(f"AWS has no region {region!r}; write one like eu-central-1") from error
