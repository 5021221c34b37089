"""Pages in S3.

IAM: s3:PutObject (on the object of the page).
"""

from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam.permission import PAGE, Job, Permission
from controller.errors import PageError

IAM: Final = (Permission("s3:PutObject", PAGE, {Job.TICK, Job.READ}),)


def put_page(client: Any, bucket: str, key: str, text: str) -> None:
    """Write `text` as the object `key`, at once or not at all. Raises PageError."""
    try:
        client.put_object(
            Bucket=bucket,
            Key=key,
            Body=text.encode(),
            ContentType="text/html; charset=utf-8",
            CacheControl="no-cache",
        )
    except AWS_ERRORS as error:
        action = f"the page s3://{bucket}/{key} could not be written (s3:PutObject)"
        raise PageError(error_text(action, error)) from error
