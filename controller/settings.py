"""What the environment says, read once per process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from controller.errors import UsageError

# Each of these says that the process runs in a container, whose files are forgotten.
_CONTAINER_VARIABLES = ("ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI")
_CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))

# CI systems name the person who started the job; a shell names its user.
_ACTORS = ("ROLLOUTCTL_BY", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where rollouts are kept, and who acts.

    store: path of the SQLite file.
    by: who is written into the history.
    """

    store: Path
    by: str


def read(environment: Mapping[str, str], store_url: str | None = None) -> Settings:
    """Return the settings of this process; `store_url` goes before ROLLOUTCTL_STORE.

    Raises UsageError for an unknown kind of store, and for none at all in a container.
    """
    url = store_url or environment.get("ROLLOUTCTL_STORE")
    by = next((environment[name] for name in _ACTORS if environment.get(name)), "unknown")
    return Settings(store_path(url) if url else default_store(environment), by)


def store_path(url: str) -> Path:
    """Return the file that a `sqlite:///` URL names: three slashes relative, four absolute."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or len(parts.path) < 2:
        raise UsageError(
            f"no store is called {url!r}; write sqlite:///rollouts.db or sqlite:////abs"
        )
    return Path(parts.path[1:])


def default_store(environment: Mapping[str, str]) -> Path:
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
    return base / "rolloutctl" / "rollouts.db"


def in_container(environment: Mapping[str, str]) -> bool:
    """Tell whether this process runs in a container."""
    return any(environment.get(name) for name in _CONTAINER_VARIABLES) or any(
        file.exists() for file in _CONTAINER_FILES
    )
