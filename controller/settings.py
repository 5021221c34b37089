"""What the environment says, read once per process."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from controller.errors import UsageError
from controller.text import is_printable, printable

# Each of these says that the process runs in a container, whose files are forgotten.
_CONTAINER_VARIABLES = ("ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI")
_CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))

# Who started the job, as each CI system calls it; who pressed its button goes first.
_ACTORS: Final = (
    "ROLLOUTCTL_BY",
    "GITHUB_TRIGGERING_ACTOR",
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "CIRCLE_USERNAME",
    "BUILDKITE_UNBLOCKER",
    "BUILDKITE_BUILD_CREATOR",
    "BITBUCKET_STEP_TRIGGERER_UUID",
    "BUILD_REQUESTEDFOR",  # Azure Pipelines
    "BUILD_USER_ID",  # Jenkins with the plugin build-user-vars
    "CODEBUILD_INITIATOR",
)
_LOGINS: Final = ("USER", "LOGNAME")

_SQLITE: Final = "sqlite:///"
_DYNAMODB: Final = re.compile(r"dynamodb://([A-Za-z0-9_.-]{3,255})")  # what a table may be called

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9._/#-]{1,255}")


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A store in one SQLite file."""

    path: Path

    @property
    def url(self) -> str:
        """The URL that names this file from every directory, and by one spelling only."""
        return f"{_SQLITE}{self.path.resolve()}"


@dataclass(frozen=True, slots=True)
class DynamoDbPlace:
    """A store in a DynamoDB table, in the account and region that the AWS variables name."""

    table: str

    @property
    def url(self) -> str:
        """The URL that names this table."""
        return f"dynamodb://{self.table}"


Place: TypeAlias = SqlitePlace | DynamoDbPlace


@dataclass(frozen=True, slots=True)
class Settings:
    """Where rollouts are kept, and who acts.

    by: who is written into the history. by_login: that is only what this machine calls its user,
    or "unknown"; nobody gave a name.
    metrics: the CloudWatch namespace in which a tick publishes what it says of itself, by its log;
    empty: nowhere.
    """

    store: Place
    by: str
    by_login: bool = False
    metrics: str = ""


def read(
    environment: Mapping[str, str], store_url: str | None = None, by: str | None = None
) -> Settings:
    """Return the settings of this process; what was given as an option goes before variables.

    Raises UsageError for an unknown kind of store, for none at all in a container, and for a
    namespace that CloudWatch would not take.
    """
    url = store_url or environment.get("ROLLOUTCTL_STORE")
    place = parse_place(url) if url else default_place(environment)
    named = _first([by, *map(environment.get, _ACTORS)])
    login = _first(map(environment.get, _LOGINS))
    return Settings(
        place,
        named or login or "unknown",
        by_login=not named,
        metrics=_namespace(environment.get("ROLLOUTCTL_METRICS", "")),
    )


def _namespace(text: str) -> str:
    if text and (_NAMESPACE.fullmatch(text) is None or text.startswith("AWS/")):
        raise UsageError(
            f"ROLLOUTCTL_METRICS names no CloudWatch namespace: {text!r}; write 1 to 255 of "
            "A-Z a-z 0-9 . _ / # -, and not AWS/ in front, like rolloutctl"
        )
    return text


def one_line(text: str) -> str:
    """Return `text` as one printable line, fit for a history, a log and a terminal.

    Where nothing in it can be read, it is empty.
    """
    if not any(is_printable(one) and not one.isspace() for one in text):
        return ""
    return " ".join(printable(text).split())


def _first(names: Iterable[str | None]) -> str:
    """Return the first that is a name; else an empty one."""
    return next(filter(None, (one_line(name or "") for name in names)), "")


def parse_place(url: str) -> Place:
    """Return the place that `url` names; a file has three slashes when relative, four absolute.

    Raises UsageError for everything else.
    """
    if table := _DYNAMODB.fullmatch(url):
        return DynamoDbPlace(table[1])
    path = url.removeprefix(_SQLITE)
    if path in (url, "", "/") or set("?#") & set(path):
        raise UsageError(
            f"no store is called {url!r}; write sqlite:///rollouts.db (sqlite:////abs for an "
            "absolute path) or dynamodb://TABLE, whose name has 3 to 255 of A-Z a-z 0-9 _ . -"
        )
    return SqlitePlace(Path(path))


def default_place(environment: Mapping[str, str]) -> SqlitePlace:
    """Return the file under the user's state directory. Raises UsageError in a container."""
    if in_container(environment):
        raise UsageError(
            "in a container, say where rollouts are kept: --store or ROLLOUTCTL_STORE; "
            "a file inside it would be forgotten with it, and the next tick would know nothing"
        )
    state = environment.get("XDG_STATE_HOME")
    home = environment.get("HOME")
    if not state and not home:
        raise UsageError("no home directory: say where rollouts are kept with --store")
    base = Path(state) if state else Path(home or "") / ".local" / "state"
    return SqlitePlace(base / "rolloutctl" / "rollouts.db")


def in_container(environment: Mapping[str, str]) -> bool:
    """Tell whether this process runs in a container."""
    return any(environment.get(name) for name in _CONTAINER_VARIABLES) or any(
        file.exists() for file in _CONTAINER_FILES
    )
