"""What the environment says, read once per process."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from controller.errors import UsageError
from controller.text import is_printable, printable

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

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

PRIVATE_HOSTS: Final = "ROLLOUTCTL_PRIVATE_HOSTS"
EGRESS_PROXY: Final = "ROLLOUTCTL_EGRESS_PROXY"
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_NETWORK: Final = re.compile(r"[0-9.]+|[0-9a-f.:]*:[0-9a-f.:]*|.*/.*")

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9._/#-]{1,255}")


@dataclass(frozen=True, slots=True)
class SqliteLocation:
    """A store in one SQLite file."""

    path: Path

    @property
    def url(self) -> str:
        """The URL that names this file from every directory, and by one spelling only."""
        return f"{_SQLITE}{self.path.resolve()}"


@dataclass(frozen=True, slots=True)
class DynamoDbLocation:
    """A store in a DynamoDB table, in the account and region that the AWS variables name."""

    table: str

    @property
    def url(self) -> str:
        """The URL that names this table."""
        return f"dynamodb://{self.table}"


StoreLocation: TypeAlias = SqliteLocation | DynamoDbLocation


@dataclass(frozen=True, slots=True)
class Proxy:
    """What hooks and webhooks go through. credentials: `user:password`, or empty; a secret."""

    host: str
    port: int
    credentials: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Egress:
    """How hooks and webhooks leave this network, as the operator has set it.

    private_names, private_networks: where a host may be that is not public, if the policy names it
    as well. problem: why nothing can be sent: a variable is wrong; empty: it can.
    """

    private_names: frozenset[str] = frozenset()
    private_networks: tuple["IPv4Network | IPv6Network", ...] = ()
    proxy: Proxy | None = None
    problem: str = ""

    def allows(self, host: str, address: "IPv4Address | IPv6Address | None") -> bool:
        """Tell whether `host` may be private, at this address; None: an unknown one."""
        return host in self.private_names or (
            address is not None and any(address in one for one in self.private_networks)
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """Where rollouts are kept, who acts, and how hooks and webhooks are reached.

    by: who is written into the history. by_login: that is only what this machine calls its user,
    or "unknown"; no name was given.
    metrics: the CloudWatch namespace in which a tick publishes what it says of itself, by its log;
    empty: nowhere.
    """

    store: StoreLocation
    by: str
    by_login: bool = False
    metrics: str = ""
    egress: Egress = Egress()


def read(
    environment: Mapping[str, str], store_url: str | None = None, by: str | None = None
) -> Settings:
    """Return the settings of this process; what was given as an option goes before variables.

    A wrong variable of hooks and webhooks is the problem of `egress`: it must stop no rollback.
    Raises UsageError for an unknown kind of store, for none at all in a container, and for a
    namespace that CloudWatch would not take.
    """
    url = store_url or environment.get("ROLLOUTCTL_STORE")
    place = parse_store_url(url) if url else default_location(environment)
    named = _first_name([by, *map(environment.get, _ACTORS)])
    login = _first_name(map(environment.get, _LOGINS))
    return Settings(
        place,
        named or login or "unknown",
        by_login=not named,
        metrics=_namespace(environment.get("ROLLOUTCTL_METRICS", "")),
        egress=read_egress(environment),
    )


def read_egress(environment: Mapping[str, str]) -> Egress:
    """Return how hooks and webhooks are reached; what is wrong with it is its problem."""
    try:
        names, networks = _private_hosts(environment.get(PRIVATE_HOSTS, ""))
        return Egress(names, networks, _proxy(environment.get(EGRESS_PROXY, "")))
    except UsageError as error:
        return Egress(problem=str(error))


def _private_hosts(text: str) -> tuple[frozenset[str], tuple["IPv4Network | IPv6Network", ...]]:
    """Return the names and the ranges of addresses in `text`. Raises UsageError."""
    names: list[str] = []
    networks: list[IPv4Network | IPv6Network] = []
    for one in text.lower().replace(",", " ").split():
        if _NETWORK.fullmatch(one):
            networks.append(_network(one))
        elif _HOST.fullmatch(one):
            names.append(one)
        else:
            raise _private_hosts_error(one, "is neither")
    return frozenset(names), tuple(networks)


def _network(text: str) -> "IPv4Network | IPv6Network":
    from ipaddress import ip_network

    try:
        return ip_network(text)
    except ValueError as error:
        raise _private_hosts_error(text, f"is no such range ({one_line(str(error))})") from None


def _private_hosts_error(text: str, why: str) -> UsageError:
    return UsageError(
        f"{PRIVATE_HOSTS} has names of hosts and ranges of addresses, like "
        f"ci.example.internal,10.20.0.0/16; {text[:80]!r} {why}"
    )


def _proxy(text: str) -> Proxy | None:
    """Return the proxy that `text` names. Raises UsageError, which repeats nothing of it."""
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
    sound = _HOST.fullmatch(host) or _NETWORK.fullmatch(host)
    if parts.scheme != "http" or not sound or not port or extra or not text.strip().isprintable():
        raise UsageError(
            f"{EGRESS_PROXY} is no URL of a proxy; write http://HOST:PORT, or "
            "http://USER:PASSWORD@HOST:PORT with what is special in both as %XX"
        )
    if not (credentials.isprintable() and ":" not in user):
        raise UsageError(f"{EGRESS_PROXY} has a user or a password that no proxy can be told")
    return Proxy(host, port, credentials)


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


def _first_name(names: Iterable[str | None]) -> str:
    """Return the first that is a name; else an empty one."""
    return next(filter(None, (one_line(name or "") for name in names)), "")


def parse_store_url(url: str) -> StoreLocation:
    """Return the place that `url` names; a file has three slashes when relative, four absolute.

    Raises UsageError for everything else.
    """
    if table := _DYNAMODB.fullmatch(url):
        return DynamoDbLocation(table[1])
    path = url.removeprefix(_SQLITE)
    if path in (url, "", "/") or set("?#") & set(path):
        raise UsageError(
            f"no store is called {url!r}; write sqlite:///rollouts.db (sqlite:////abs for an "
            "absolute path) or dynamodb://TABLE, whose name has 3 to 255 of A-Z a-z 0-9 _ . -"
        )
    return SqliteLocation(Path(path))


def default_location(environment: Mapping[str, str]) -> SqliteLocation:
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
    return SqliteLocation(base / "rolloutctl" / "rollouts.db")


def in_container(environment: Mapping[str, str]) -> bool:
    """Tell whether this process runs in a container."""
    return any(environment.get(name) for name in _CONTAINER_VARIABLES) or any(
        file.exists() for file in _CONTAINER_FILES
    )
