"""What the environment says: where rollouts are kept, and who acts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from controller import settings
from controller.errors import UsageError

HOME = {"HOME": "/home/me"}
ECS = {**HOME, "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4"}


@pytest.fixture(autouse=True)
def _no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may themselves run in a container."""
    monkeypatch.setattr(settings, "_CONTAINER_FILES", ())


@pytest.mark.parametrize(
    ("environment", "url", "store"),
    [
        pytest.param(
            HOME, None, "/home/me/.local/state/rolloutctl/rollouts.db", id="a file of the user"
        ),
        pytest.param(
            {**HOME, "XDG_STATE_HOME": "/state"}, None, "/state/rolloutctl/rollouts.db",
            id="where the user keeps state",
        ),
        pytest.param(
            {**HOME, "ROLLOUTCTL_STORE": "sqlite:////data/r.db"}, None, "/data/r.db",
            id="the variable: absolute with four slashes",
        ),
        pytest.param(
            {**HOME, "ROLLOUTCTL_STORE": "sqlite:////data/r.db"}, "sqlite:///mine/r.db",
            "mine/r.db", id="the option goes first: relative with three slashes",
        ),
        pytest.param(ECS, "sqlite:////mnt/r.db", "/mnt/r.db", id="a container that names one"),
    ],
)  # fmt: skip
def test_rollouts_are_kept_in(environment: Mapping[str, str], url: str | None, store: str) -> None:
    assert settings.read(environment, url).store == Path(store)


@pytest.mark.parametrize(
    ("environment", "url", "words"),
    [
        pytest.param(ECS, None, "in a container, say where", id="a container without a store"),
        pytest.param({}, None, "no home directory", id="nobody's home"),
        pytest.param(HOME, "redis://host/0", "no store is called 'redis://host/0'", id="redis"),
        pytest.param(HOME, "sqlite://host/r.db", "no store is called", id="a host"),
        pytest.param(HOME, "sqlite:///", "no store is called", id="no file"),
        pytest.param(HOME, "rollouts.db", "write sqlite:///rollouts.db", id="a bare file"),
    ],
)
def test_it_is_a_usage_error_to_ask_for(
    environment: Mapping[str, str], url: str | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        settings.read(environment, url)


def test_a_container_is_known_by_its_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not settings.in_container(HOME)
    marker = tmp_path / ".dockerenv"
    marker.touch()
    monkeypatch.setattr(settings, "_CONTAINER_FILES", (marker,))
    assert settings.in_container(HOME)


@pytest.mark.parametrize(
    ("environment", "by"),
    [
        pytest.param({"ROLLOUTCTL_BY": "schedule", "USER": "root"}, "schedule", id="as told"),
        pytest.param({"GITHUB_ACTOR": "octo", "USER": "runner"}, "octo", id="who started the job"),
        pytest.param({"USER": "me"}, "me", id="the user"),
        pytest.param({"USER": ""}, "unknown", id="nobody that is known"),
    ],
)
def test_the_history_says_who_acted(environment: Mapping[str, str], by: str) -> None:
    assert settings.read({**HOME, **environment}).by == by
