"""The settings of a process: store, author, metrics namespace and egress, from the environment."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from controller.errors import UsageError
from controller.immutable import Immutable
from controller.ports.account import Egress, Proxy
from controller.safe_text import is_printable, printable

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

# Each of these shows that the process runs in a container, which loses its files when it ends.
_CONTAINER_VARIABLES = ("ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI")
_CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))

# The variable of each CI system that names who started the job; a manual trigger goes first.
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
_DYNAMODB: Final = re.compile(r"dynamodb://([A-Za-z0-9_.-]{3,255})")  # the valid table names
_S3: Final = "s3://"
_BUCKET_AND_KEY: Final = re.compile(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([^\s*?/][^*?]{0,1023})")

STATUS_PAGE: Final = "ROLLOUTCTL_STATUS_PAGE"
STATUS_PAGE_URL: Final = "ROLLOUTCTL_STATUS_PAGE_URL"
AT_ONCE: Final = "ROLLOUTCTL_CALLS_AT_ONCE"
DEFAULT_AT_ONCE: Final = 16
MOST_AT_ONCE: Final = 64
PRIVATE_HOSTS: Final = "ROLLOUTCTL_PRIVATE_HOSTS"
EGRESS_PROXY: Final = "ROLLOUTCTL_EGRESS_PROXY"
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_NETWORK: Final = re.compile(r"[0-9.]+|[0-9a-f.:]*:[0-9a-f.:]*|.*/.*")

# What a link in a message can hold: printable ASCII without what ends a link of Slack.
_PAGE_URL: Final = re.compile(r"https://[!#-;=?-{}~]{1,1000}")
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9._/#-]{1,255}")


STORE_OPTION: Final = "--store"
STORE_VARIABLE: Final = "ROLLOUTCTL_STORE"
FROM_OPTION: Final = f"from {STORE_OPTION}"


@dataclass(frozen=True, slots=True)
class SqliteLocation:
    """A store in one SQLite file. origin: what names it, as text; empty: an argument."""

    path: Path
    origin: str = field(default="", compare=False)

    @property
    def url(self) -> str:
        """The one URL of this file, which is valid from every working directory."""
        return f"{_SQLITE}{self.path.resolve()}"


class DynamoDbLocation(Immutable):
    """A store in a DynamoDB table, in the account and region that the AWS variables name."""

    table: str

    @property
    def url(self) -> str:
        """The URL that names this table."""
        return f"dynamodb://{self.table}"


StoreLocation: TypeAlias = SqliteLocation | DynamoDbLocation


class FilePage(Immutable):
    """A page in a file. text: as it was named."""

    text: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return Path(self.text)


class S3Page(Immutable):
    """A page in an S3 bucket, in the account and region that the AWS variables name."""

    bucket: str
    key: str

    @property
    def text(self) -> str:
        """The address of this page."""
        return f"{_S3}{self.bucket}/{self.key}"


PageLocation: TypeAlias = FilePage | S3Page


class Settings(Immutable):
    """The settings of one process.

    store: where rollouts are kept.
    by: the author that the history records. by_login: whether that is only the login name on this
        machine, or "unknown", because no name was given.
    metrics: the CloudWatch namespace of the metrics that a tick publishes through its log; empty:
        none.
    egress: how hooks and webhooks are reached.
    status_page: where a tick writes the page of all rollouts, as it was given; empty: nowhere. It
        is read when it is used: a wrong one must not stop a tick.
    status_page_url: where people open that page, for links in messages; empty: nowhere.
    at_once: for how many rollouts a tick calls AWS at a time.
    problems: why settings that were given cannot be used; they are left out then.
    """

    store: StoreLocation
    by: str
    by_login: bool = False
    metrics: str = ""
    egress: Egress = Egress()
    status_page: str = ""
    status_page_url: str = ""
    at_once: int = DEFAULT_AT_ONCE
    problems: tuple[str, ...] = ()


def read(
    environment: Mapping[str, str], store_url: str | None = None, by: str | None = None
) -> Settings:
    """Return the settings of this process; an option takes precedence over variables.

    A wrong variable for hooks and webhooks is the problem of `egress`, and a wrong namespace, URL
    or number is one of `problems`: none may stop ticks or a rollback. Raises UsageError for an
    unknown kind of store, and for a missing store in a container.
    """
    if url := store_url or environment.get(STORE_VARIABLE):
        location = parse_store_url(url)
        if isinstance(location, SqliteLocation):
            origin = FROM_OPTION if store_url else f"from {STORE_VARIABLE}"
            location = replace(location, origin=origin)
    else:
        location = default_location(environment)
    name = _first_name([by, *map(environment.get, _ACTORS)])
    login = _first_name(map(environment.get, _LOGINS))
    namespace, url_problem = environment.get("ROLLOUTCTL_METRICS", ""), ""
    namespace_problem = _namespace_problem(namespace)
    page_url = environment.get(STATUS_PAGE_URL, "")
    if page_url and not _PAGE_URL.fullmatch(page_url):
        url_problem = f"{STATUS_PAGE_URL} is no https:// URL for a link; no message has one"
    at_once, number_problem = _at_once(environment.get(AT_ONCE, ""))
    return Settings(
        location,
        name or login or "unknown",
        by_login=not name,
        metrics="" if namespace_problem else namespace,
        egress=read_egress(environment),
        status_page=environment.get(STATUS_PAGE, ""),
        status_page_url="" if url_problem else page_url,
        at_once=at_once,
        problems=tuple(filter(None, (namespace_problem, url_problem, number_problem))),
    )


def read_egress(environment: Mapping[str, str]) -> Egress:
    """Return how hooks and webhooks are reached; a wrong variable is its `problem`."""
    try:
        names, networks = _private_hosts(environment.get(PRIVATE_HOSTS, ""))
        return Egress(names, networks, _proxy(environment.get(EGRESS_PROXY, "")))
    except UsageError as error:
        return Egress(problem=str(error))


def _private_hosts(text: str) -> tuple[frozenset[str], tuple["IPv4Network | IPv6Network", ...]]:
    """Return the host names and the address ranges in `text`. Raises UsageError."""
    names: list[str] = []
    networks: list[IPv4Network | IPv6Network] = []
    for host in text.lower().replace(",", " ").split():
        if _NETWORK.fullmatch(host):
            from ipaddress import ip_network

            try:
                networks.append(ip_network(host))
            except ValueError as error:
                why = f"is no such range ({one_line(str(error))})"
                raise _private_hosts_error(host, why) from None
        elif _HOST.fullmatch(host):
            names.append(host)
        else:
            raise _private_hosts_error(host, "is neither")
    return frozenset(names), tuple(networks)


def _private_hosts_error(text: str, why: str) -> UsageError:
    return UsageError(
        f"{PRIVATE_HOSTS} has names of hosts and ranges of addresses, like "
        f"ci.example.internal,10.20.0.0/16; {text[:80]!r} {why}"
    )


def _proxy(text: str) -> Proxy | None:
    """Return the proxy that `text` names. Raises UsageError, which does not quote the secret."""
    if not text.strip():
        return None
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    extra = parts.path.rstrip("/") or parts.query or parts.fragment
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    credentials = f"{user}:{password}" if parts.username is not None else ""
    valid_host = _HOST.fullmatch(host) or _NETWORK.fullmatch(host)
    malformed = extra or not text.strip().isprintable()
    if parts.scheme != "http" or not valid_host or not port or malformed:
        raise UsageError(
            f"{EGRESS_PROXY} is no URL of a proxy; write http://HOST:PORT, or "
            "http://USER:PASSWORD@HOST:PORT with what is special in both as %XX"
        )
    if not (credentials.isprintable() and ":" not in user):
        raise UsageError(
            f"{EGRESS_PROXY} has a user or a password with a character that a proxy does not accept"
        )
    return Proxy(host, port, credentials)


def _namespace_problem(text: str) -> str:
    """Return why `text` is no CloudWatch namespace; empty where it is one, or empty."""
    if not text or (_NAMESPACE.fullmatch(text) and not text.startswith("AWS/")):
        return ""
    return (
        f"ROLLOUTCTL_METRICS names no CloudWatch namespace: {text[:80]!r}; write 1 to 255 of "
        "A-Z a-z 0-9 . _ / # -, and not AWS/ in front, like rolloutctl; no metrics are published"
    )


def _at_once(text: str) -> tuple[int, str]:
    """Return the number of calls at a time, and what is wrong with `text`."""
    number = int(text) if re.fullmatch("[0-9]{1,3}", text) else 0
    if not text or 1 <= number <= MOST_AT_ONCE:
        return number or DEFAULT_AT_ONCE, ""
    return DEFAULT_AT_ONCE, (
        f"{AT_ONCE} is no number from 1 to {MOST_AT_ONCE}: {text[:20]!r}; {DEFAULT_AT_ONCE} is used"
    )


def one_line(text: str) -> str:
    """Return `text` as one printable line for a history, a log or a terminal.

    It is empty where `text` has no visible character.
    """
    if not any(is_printable(one) and not one.isspace() for one in text):
        return ""
    return " ".join(printable(text).split())


def _first_name(names: Iterable[str | None]) -> str:
    """Return the first of `names` that is not blank, as one line; else an empty string."""
    return next(filter(None, (one_line(name or "") for name in names)), "")


def parse_store_url(url: str) -> StoreLocation:
    """Return the store that `url` names: `sqlite:///relative`, `sqlite:////absolute` or DynamoDB.

    Raises UsageError for any other URL.
    """
    if table := _DYNAMODB.fullmatch(url):
        return DynamoDbLocation(table[1])
    path = url.removeprefix(_SQLITE)
    if path in (url, "", "/") or set("?#") & set(path):
        raise UsageError(
            f"no store is called {url!r}; write sqlite:///rollouts.db (sqlite:////abs for an "
            "absolute path) or dynamodb://TABLE, whose name has 3 to 255 of A-Z a-z 0-9 _ . -"
        )
    # A relative path that looks like an absolute one without its slash: its first folder is at the
    # root of this machine, like `var`, and not in the working directory.
    first, _, rest = path.partition("/")
    in_root = first not in ("", ".", "..") and Path("/", first).is_dir()
    if rest and in_root and not Path(first).exists():
        raise UsageError(
            f"{_SQLITE}{path} is a path below the working directory, which has no folder {first}; "
            f"write {_SQLITE}/{path} for /{path}, or {_SQLITE}./{path}"
        )
    return SqliteLocation(Path(path))


def parse_page_place(text: str) -> PageLocation:
    """Return the page that `text` names: `s3://BUCKET/KEY`, or the path of a file.

    Raises UsageError for an address that names no object, and for no name at all.
    """
    if not text.startswith(_S3):
        if not text or text.endswith("/") or not text.isprintable():
            raise UsageError(f"no file is called {text!r}; write FILE.html or s3://BUCKET/KEY")
        return FilePage(text)
    found = _BUCKET_AND_KEY.fullmatch(text.removeprefix(_S3))
    if found is None or not text.isprintable() or text.endswith("/"):
        raise UsageError(f"{text!r} names no object in S3; write s3://BUCKET/KEY")
    return S3Page(found[1], found[2])


def default_location(environment: Mapping[str, str]) -> SqliteLocation:
    """Return the SQLite file in the user's state directory. Raises UsageError in a container."""
    if in_container(environment):
        raise UsageError(
            "in a container, say where rollouts are kept: --store or ROLLOUTCTL_STORE; "
            "a file inside it is lost with the container, and the next tick would find no rollout"
        )
    state = environment.get("XDG_STATE_HOME")
    home = environment.get("HOME")
    if not state and not home:
        raise UsageError("no home directory: say where rollouts are kept with --store")
    base = Path(state) if state else Path(home or "") / ".local" / "state"
    origin = f"the default, without {STORE_OPTION} and {STORE_VARIABLE}"
    return SqliteLocation(base / "rolloutctl" / "rollouts.db", origin)


def in_container(environment: Mapping[str, str]) -> bool:
    """Tell whether this process runs in a container."""
    return any(environment.get(name) for name in _CONTAINER_VARIABLES) or any(
        file.exists() for file in _CONTAINER_FILES
    )
