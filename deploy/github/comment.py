"""Comments of a job on a pull request: one for each policy or rollout, updated in place.

The scripts beside this one leave a folder for each comment in RUNNER_TEMP/rolloutctl-comments:

  policy        the path of the policy that was checked, and
  failed        where the check found a mistake; or
  rollout.json  what `rolloutctl status --json` says of the rollout
  NN.md         the sections, in order

A comment begins with a marker of what it is about, which no reader sees. A comment of the workflow
with that marker is updated; another author's is left alone. A check belongs to the pull request of
the event, a rollout also to the one that brought its commit. Without one, nothing is posted.

Whatever fails is a warning: no job fails because of a comment.

TOKEN: the token of the workflow, with pull-requests: write. URL: of the attached report, or empty.
COMMENT_LIMIT_S: seconds for all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MOST_CHARACTERS = 64_000  # of a comment; GitHub takes 65,536
MOST_COMMENTS = 20  # of a job; GitHub slows down who creates many
MOST_PAGES = 30  # of 100 comments each, in which the marker is looked for
MOST_BYTES = 32_000_000  # of an answer
CALL_LIMIT_S = 10
AUTHOR = "github-actions[bot]"  # who comments with the token of a workflow
_DENIED = (401, 403, 404)


class CommentError(Exception):
    """A comment that was not posted."""


class Comment:
    """A comment, as the scripts left it in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.sections = [file.read_text("utf-8") for file in sorted(folder.glob("*.md"))]
        self.commit = ""
        if (folder / "policy").exists():
            policy = (folder / "policy").read_text("utf-8")
            self.subject = f"policy\n{policy}"
            result = "has a mistake" if (folder / "failed").exists() else "no mistakes were found"
            self.title = f"### {_code(policy)}: {result}"
        else:
            rollout = json.loads((folder / "rollout.json").read_text("utf-8"))
            self.subject = f"rollout\n{rollout['id']}\n{rollout['target']}"
            self.title = ""
            if re.fullmatch("[0-9a-f]{40}", rollout["revision"]):
                self.commit = rollout["revision"]

    @property
    def marker(self) -> str:
        """The first line of the comment."""
        return f"<!-- rolloutctl:{hashlib.sha256(self.subject.encode()).hexdigest()[:32]} -->"

    def body(self, run: str, report: str) -> str:
        """Return the text, with as many whole sections as fit. run, report: addresses."""
        footer = f"[the job]({run})" + (f" · [report (HTML)]({report})" if report else "")
        parts = [self.marker, *filter(None, [self.title])]
        room = MOST_CHARACTERS - sum(_length(part) for part in parts) - _length(footer) - 200
        left_out = 0
        for section in self.sections:
            if (size := _length(section) + 2) <= room:
                parts.append(section.strip())
                room -= size
            else:
                left_out += 1
        if left_out:
            parts.append(f"Left out, as a comment has a limit: {left_out}. The job has everything.")
        return "\n\n".join([*parts, footer])


class Api:
    """GitHub's REST API for one repository."""

    def __init__(self, environment: dict[str, str]) -> None:
        base, repository = environment["GITHUB_API_URL"], environment["GITHUB_REPOSITORY"]
        self._url = f"{base.rstrip('/')}/repos/{repository}"
        self._headers = {
            "Authorization": f"Bearer {environment['TOKEN']}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "User-Agent": "rolloutctl",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._opener = urllib.request.build_opener(_NoRedirect)

    def call(self, method: str, path: str, body: str | None = None) -> Any:
        """Return the answer. body: the text of a comment. Raises CommentError."""
        data = None if body is None else json.dumps({"body": body}).encode()
        request = urllib.request.Request(  # noqa: S310 - the runner says where its API is
            f"{self._url}/{path}", data=data, headers=self._headers, method=method
        )
        try:
            with self._opener.open(request, timeout=CALL_LIMIT_S) as answer:
                return json.loads(answer.read(MOST_BYTES))
        except urllib.error.HTTPError as error:
            raise CommentError(f"GitHub answered {error.code}{_advice(error.code)}") from error
        except (OSError, ValueError) as error:
            raise CommentError(f"GitHub gave no answer: {error}") from error

    def commented(self, number: int, marker: str) -> dict[str, Any] | None:
        """Return the comment of the workflow that begins with `marker`."""
        for page in range(1, MOST_PAGES + 1):
            found = self.call("GET", f"issues/{number}/comments?per_page=100&page={page}")
            for one in found:
                if one["user"]["login"] == AUTHOR and (one["body"] or "").startswith(marker):
                    return dict(one)
            if len(found) < 100:
                break
        return None

    def pull_request_of(self, commit: str) -> int | None:
        """Return the number of the pull request that brought a commit, merged or not."""
        found = self.call("GET", f"commits/{commit}/pulls")
        return int(found[0]["number"]) if found else None

    def post(self, number: int, comment: Comment, body: str) -> str:
        """Create or update a comment, and return its address."""
        existing = self.commented(number, comment.marker)
        if existing is None:
            posted = self.call("POST", f"issues/{number}/comments", body)
        else:
            posted = self.call("PATCH", f"issues/comments/{int(existing['id'])}", body)
        return str(posted["html_url"])


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would send the token to wherever it leads."""

    def redirect_request(self, *_: Any) -> None:
        return None


def main() -> None:
    """Post each comment; print its address, or a warning."""
    environment = dict(os.environ)
    root = Path(environment["RUNNER_TEMP"]) / "rolloutctl-comments"
    folders = sorted(folder for folder in root.glob("*") if folder.is_dir())
    for folder in folders[MOST_COMMENTS:]:
        print(f"::warning title=rolloutctl::no comment {folder.name}: a job writes {MOST_COMMENTS}")
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(int(environment.get("COMMENT_LIMIT_S", "30")))
    try:
        for folder in folders[:MOST_COMMENTS]:
            print(_escaped(_comment(Comment(folder), Api(environment), environment)))
    except Exception as error:  # noqa: BLE001 - a comment fails no job
        reason = str(error) if isinstance(error, CommentError) else repr(error)
        print(f"::warning title=rolloutctl::no comment on the pull request: {_escaped(reason)}")
    finally:
        signal.alarm(0)


def _comment(comment: Comment, api: Api, environment: dict[str, str]) -> str:
    number = _pull_request_of_event(environment)
    if number is None and comment.commit:
        number = api.pull_request_of(comment.commit)
    if number is None:
        return "no pull request: no comment"
    run = (
        f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_REPOSITORY']}"
        f"/actions/runs/{environment['GITHUB_RUN_ID']}"
    )
    return f"comment: {api.post(number, comment, comment.body(run, environment.get('URL', '')))}"


def _pull_request_of_event(environment: dict[str, str]) -> int | None:
    """Return the number of the pull request that the event is about."""
    file = environment.get("GITHUB_EVENT_PATH")
    event = json.loads(Path(file).read_text("utf-8")) if file else {}
    issue = event.get("issue") or {}
    about = event.get("pull_request") or (issue if issue.get("pull_request") else None)
    return int(about["number"]) if about else None


def _out_of_time(*_: Any) -> None:
    raise CommentError("GitHub took too long")


def _advice(status: int) -> str:
    if status not in _DENIED:
        return ""
    return (
        ": the job needs `permissions: pull-requests: write`, and a pull request from a fork has a"
        " token that only reads"
    )


def _length(text: str) -> int:
    """Return how many characters GitHub counts: code units of UTF-16 are never fewer."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _code(text: str) -> str:
    """Return a code span, in which nothing is Markdown, HTML or a mention."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}"


def _escaped(text: str) -> str:
    """Return `text` as GitHub's commands take it: on one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    main()
