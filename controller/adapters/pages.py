"""Pages in files and in S3: a reader finds the old page or the new one, and never a part of one.

IAM: s3:PutObject (on the object of the page).
"""

from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam import PAGE, Job, Permission
from controller.errors import PageError

IAM: Final = (Permission("s3:PutObject", PAGE, {Job.TICK, Job.READ}),)

_READABLE: Final = 0o644  # a web server is another user


def write_file(path: Path, text: str) -> None:
    """Write `text` to a new file beside `path`, and put that in its place. Raises PageError.

    A link stays one. What is no file, like /dev/stdout, is written to: it must not be replaced.
    """
    temporary = None
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        path = path.resolve()
        with NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text)
        temporary.chmod(_READABLE)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise PageError(f"{path}: the page cannot be written: {error.strerror}") from error


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
