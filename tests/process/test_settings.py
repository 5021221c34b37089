"""Settings from the environment: the store, the author, and egress of hooks and webhooks."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.errors import UsageError
from controller.ports.account import Egress, Proxy
from controller.process import settings
from controller.process.settings import DynamoDbLocation, SqliteLocation, StoreLocation
from tests.support.cases import cases

HOME = {"HOME": "/home/me"}
ECS = {**HOME, "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4"}


@pytest.fixture(autouse=True)
def _no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may themselves run in a container."""
    monkeypatch.setattr(settings, "_CONTAINER_FILES", ())


@cases("environment, url, location", {
    "a file of the user":
        (HOME, None, SqliteLocation(Path("/home/me/.local/state/rolloutctl/rollouts.db"))),
    "where the user keeps state": (
        {**HOME, "XDG_STATE_HOME": "/state"}, None,
        SqliteLocation(Path("/state/rolloutctl/rollouts.db")),
    ),
    "the variable: absolute with four slashes": (
        {**HOME, "ROLLOUTCTL_STORE": "sqlite:////data/r.db"}, None,
        SqliteLocation(Path("/data/r.db")),
    ),
    "the option goes first: relative with three": (
        {**HOME, "ROLLOUTCTL_STORE": "sqlite:////data/r.db"}, "sqlite:///mine/r.db",
        SqliteLocation(Path("mine/r.db")),
    ),
    "a container that names a file":
        (ECS, "sqlite:////mnt/r.db", SqliteLocation(Path("/mnt/r.db"))),
    "a container that names a table":
        ({**ECS, "ROLLOUTCTL_STORE": "dynamodb://rollouts"}, None, DynamoDbLocation("rollouts")),
    "every character that a table's name may have":
        (HOME, "dynamodb://Team-A_rollouts.v2", DynamoDbLocation("Team-A_rollouts.v2")),
    "255 of them": (HOME, "dynamodb://" + "t" * 255, DynamoDbLocation("t" * 255)),
})  # fmt: skip
def test_rollouts_are_kept_in(
    environment: Mapping[str, str], url: str | None, location: StoreLocation
) -> None:
    assert settings.read(environment, url).store == location


NO_STORE = [
    pytest.param("redis://host/0", id="redis"),
    pytest.param("sqlite://host/r.db", id="a host"),
    pytest.param("sqlite:///", id="no file"),
    pytest.param("sqlite:////", id="the root"),
    pytest.param("sqlite:///r.db?mode=ro", id="a parameter, which would become part of a name"),
    pytest.param("sqlite:///r.db#1", id="a fragment"),
    pytest.param("rollouts.db", id="a bare file"),
    pytest.param("dynamodb://", id="no table"),
    pytest.param("dynamodb://ab", id="a table's name too short"),
    pytest.param("dynamodb://" + "t" * 256, id="a table's name too long"),
    pytest.param("dynamodb://a/b", id="no name of a table"),
    pytest.param("dynamodb:///rollouts", id="three slashes before a table"),
    pytest.param("dynamodb://rollouts\n", id="a line end"),
]


@pytest.mark.parametrize("url", NO_STORE)
def test_an_invalid_store_url_is_answered_with_the_syntax_of_both_kinds(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        settings.read(HOME, url)
    assert str(raised.value).startswith(f"no store is called {url!r}; write sqlite:///rollouts.db ")
    assert "or dynamodb://TABLE" in str(raised.value)


def test_a_path_that_lost_its_first_slash_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        settings.parse_store_url("sqlite:///usr/lib/x.db")
    assert "write sqlite:////usr/lib/x.db for /usr/lib/x.db" in str(raised.value)
    for meant in ("sqlite:///./usr/lib/x.db", "sqlite:///x.db", "sqlite:///data-of-mine/x.db"):
        assert settings.parse_store_url(meant).url.startswith("sqlite:///")
    (tmp_path / "usr").mkdir()
    assert settings.parse_store_url("sqlite:///usr/lib/x.db").url.startswith(
        f"sqlite:///{tmp_path}"
    )


@cases("environment, words", {
    "a container without a store": (ECS, "in a container, say where"),
    "no home directory": ({}, "no home directory"),
})  # fmt: skip
def test_there_is_no_default_store_in(environment: Mapping[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settings.read(environment)


def test_a_container_is_detected_by_its_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not settings.in_container(HOME)
    marker = tmp_path / ".dockerenv"
    marker.touch()
    monkeypatch.setattr(settings, "_CONTAINER_FILES", (marker,))
    assert settings.in_container(HOME)


CI = {"GITHUB_ACTOR": "octo", "USER": "runner"}


@pytest.mark.parametrize(
    ("environment", "option", "by"),
    [
        pytest.param({**CI, "ROLLOUTCTL_BY": "me"}, "jo", "jo", id="who the option names"),
        pytest.param({**CI, "ROLLOUTCTL_BY": "me"}, None, "me", id="who the variable names"),
        pytest.param({**CI, "ROLLOUTCTL_BY": "me"}, "", "me", id="an empty option is no name"),
        pytest.param(CI, None, "octo", id="who started the workflow"),
        pytest.param(
            {**CI, "GITHUB_TRIGGERING_ACTOR": "again"}, None, "again",
            id="who ran the workflow again",
        ),
        pytest.param(
            {"BUILDKITE_BUILD_CREATOR": "author", "BUILDKITE_UNBLOCKER": "operator"}, None,
            "operator", id="who triggered the job, and not who wrote the commit",
        ),
        pytest.param(
            {"ROLLOUTCTL_BY": " \x1b[2Jjo\nhn "}, None, r"\u001b[2Jjo hn", id="in one line"
        ),
        *(
            pytest.param({name: "jo", "USER": "runner"}, None, "jo", id=name)
            for name in (
                "GITLAB_USER_LOGIN", "CIRCLE_USERNAME", "BUILDKITE_BUILD_CREATOR",
                "BITBUCKET_STEP_TRIGGERER_UUID", "BUILD_REQUESTEDFOR", "BUILD_USER_ID",
                "CODEBUILD_INITIATOR",
            )
        ),
    ],
)  # fmt: skip
def test_the_author_is_the_first_name_that_is_set(
    environment: Mapping[str, str], option: str | None, by: str
) -> None:
    read = settings.read({**HOME, **environment}, by=option)
    assert (read.by, read.by_login) == (by, False)


# --- hooks and webhooks -------------------------------------------------------------------------

PRIVATE, PROXY = "ROLLOUTCTL_PRIVATE_HOSTS", "ROLLOUTCTL_EGRESS_PROXY"


@pytest.mark.parametrize(
    ("text", "names", "networks"),
    [
        ("", [], []),
        ("CI.internal, gate", ["ci.internal", "gate"], []),
        ("10.0.0.0/8\tfd00::/8", [], ["10.0.0.0/8", "fd00::/8"]),
        ("10.1.2.3,::1", [], ["10.1.2.3/32", "::1/128"]),
    ],
)
def test_private_hosts_are_names_and_ranges(
    text: str, names: list[str], networks: list[str]
) -> None:
    egress = settings.read({**HOME, PRIVATE: text}).egress
    assert not egress.problem
    assert egress.private_names == {*names}
    assert [str(network) for network in egress.private_networks] == networks


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.5/8",
        "*.internal",
        "https://ci",
    ],
)
def test_a_wrong_private_host_is_a_problem_that_names_the_variable(text: str) -> None:
    egress = settings.read({**HOME, PRIVATE: f"gate,{text}"}).egress
    assert egress.problem.startswith(f"{PRIVATE} has names of hosts and ranges of addresses")
    assert repr(text) in egress.problem
    assert not egress.private_names


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("", None),
        ("http://proxy.internal:3128", Proxy("proxy.internal", 3128)),
        ("http://10.0.0.7:80", Proxy("10.0.0.7", 80)),
        ("http://[fd00::7]:3128", Proxy("fd00::7", 3128)),
        ("http://me:hunter2@proxy:3128", Proxy("proxy", 3128, "me:hunter2")),
        ("http://me:a%40b%3A@proxy:3128", Proxy("proxy", 3128, "me:a@b:")),
    ],
)
def test_an_egress_proxy_is_a_host_and_a_port(text: str, proxy: Proxy | None) -> None:
    egress = settings.read({**HOME, PROXY: text}).egress
    assert (egress.proxy, egress.problem) == (proxy, "")
    assert "hunter2" not in repr(egress)


@pytest.mark.parametrize(
    "text",
    [
        "proxy",
        "me:hunter2@proxy:3128",
        "http://me:hunter2@proxy",
        "http://me:hunter2@proxy:port",
        "http://me:hunter2@[proxy:3128",
        "https://me:hunter2@proxy:3128",
        "http://me:hunter2@proxy:3128/path",
        "http://me:hunter2%0D%0AEvil@proxy:3128",
        "http://me:hunter2\r\n@proxy:3128",
    ],
)
def test_a_wrong_proxy_is_a_problem_that_names_the_variable_and_quotes_no_secret(text: str) -> None:
    egress = settings.read({**HOME, PROXY: text}).egress
    assert egress.problem.startswith(PROXY)
    assert egress.proxy is None
    assert "hunter2" not in repr(egress)


def test_the_proxy_of_other_programs_is_not_used() -> None:
    others = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://proxy:3128")
    assert settings.read({**HOME, **others}).egress == Egress()


URL = "https://pages.example.com/rollouts.html"


@cases("given, used", {
    "a URL": (URL, URL),
    "none": ("", ""),
    "one without encryption": ("http://pages.example.com", ""),
    "an address of S3": ("s3://pages/rollouts.html", ""),
    "one that ends the link": (f"{URL}|<!channel>", ""),
    "one with a space": (f"{URL} x", ""),
    "one that is not ASCII": ("https://pages.example.com/ü", ""),
    "one that is too long": (f"https://{'x' * 2_000}", ""),
})  # fmt: skip
def test_a_status_page_url_is_used_for_links_or_left_out(given: str, used: str) -> None:
    found = settings.read({"HOME": "/root", "ROLLOUTCTL_STATUS_PAGE_URL": given})
    assert found.status_page_url == used
    assert bool(found.problems) is bool(given and not used)


@cases("given, used", {
    "none": ("", 16),
    "one": ("1", 1),
    "the most": ("64", 64),
    "none at all": ("0", 16),
    "too many": ("65", 16),
    "no number": ("many", 16),
    "a number that is not ASCII": ("\u0663", 16),
})  # fmt: skip
def test_the_calls_at_a_time_are_a_number_up_to_64_or_the_usual_one(given: str, used: int) -> None:
    found = settings.read({"HOME": "/root", "ROLLOUTCTL_CALLS_AT_ONCE": given})
    assert found.at_once == used
    assert bool(found.problems) is (given not in ("", str(used)))
