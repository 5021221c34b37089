"""Where pages are written: the old page or the new one is there, and never a part of one."""

import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.pages import put_page, write_file
from controller.errors import PageError


def test_a_page_takes_the_place_of_the_old_one_and_a_web_server_can_read_it(
    tmp_path: Path,
) -> None:
    page = tmp_path / "status.html"
    page.write_text("old")
    write_file(page, "new ✓")
    assert page.read_text(encoding="utf-8") == "new ✓"
    assert page.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [page]


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    page = tmp_path / "status.html"
    page.write_text("old")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(PageError, match=r"status\.html: .*No space left on device"):
        write_file(page, "new")
    assert page.read_text() == "old"
    assert list(tmp_path.iterdir()) == [page]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_text("old")
    link = tmp_path / "status.html"
    link.symlink_to("real.html")
    write_file(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "real.html").read_text() == "new"


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_file(pipe, "new")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_folder_that_is_not_there_is_an_error_that_names_the_page(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"nowhere/status\.html"):
        write_file(tmp_path / "nowhere" / "status.html", "new")


class Bucket:
    """A client of S3 that keeps what is put, or refuses it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._error = error

    def put_object(self, **request: Any) -> dict[str, Any]:
        if self._error is not None:
            raise self._error
        self.objects[request["Bucket"], request["Key"]] = request
        return {}


def test_an_object_is_a_page_for_a_browser() -> None:
    bucket = Bucket()
    put_page(bucket, "pages", "rollouts/index.html", "<p>✓</p>")
    stored = bucket.objects["pages", "rollouts/index.html"]
    assert stored["Body"].decode() == "<p>✓</p>"
    assert stored["ContentType"] == "text/html; charset=utf-8"


def test_a_refusal_names_the_object_and_the_permission() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")
    with pytest.raises(PageError, match=r"s3://pages/index\.html .*s3:PutObject.*AccessDenied"):
        put_page(Bucket(denied), "pages", "index.html", "")
