"""One line to one server: what is tried again, what is believed at once, and what is never written."""

from __future__ import annotations

import threading
import time

import pytest

from augmentlm.weights import downloads
from augmentlm.weights.downloads import Address, Line, SourceError
from tiny_weights import BODY, closed_port


@pytest.fixture
def line() -> Line:
    return Line(threading.Event())


def nothing(done: int) -> None:
    """Nobody asks how far it is."""


def test_a_busy_server_is_asked_again(server, line, tmp_path):
    server.put("/file", BODY, busy=2)
    line.download(Address(f"{server.url}/file"), tmp_path / "file", len(BODY), nothing)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_server_that_stays_busy_is_given_up(server, line, tmp_path):
    server.put("/file", BODY, busy=99)
    with pytest.raises(SourceError, match="503"):
        line.download(Address(f"{server.url}/file"), tmp_path / "file", len(BODY), nothing)
    assert len(server.asked) == 3


def test_a_server_that_was_never_reached_is_given_up_at_once(line, tmp_path):
    started = time.monotonic()
    with pytest.raises(SourceError, match="can't be reached") as caught:
        line.download(Address(f"{closed_port()}/file"), tmp_path / "file", len(BODY), nothing)
    assert caught.value.unreachable
    assert time.monotonic() - started < 2
    assert not (tmp_path / "file").exists()


def test_a_line_that_works_is_given_time(server, line, tmp_path):
    server.put("/file", BODY, cuts=[50_000, 0, 0, 0])
    line.download(Address(f"{server.url}/file"), tmp_path / "file", len(BODY), nothing)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_server_that_falls_silent_is_asked_again(server, line, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "READ_SECONDS", 0.3)
    server.put("/page", "hello")
    line.page(Address(f"{server.url}/page"))
    served = server.put("/file", BODY, pace=1.0)
    threading.Timer(0.5, lambda: setattr(served, "pace", 0)).start()
    line.download(Address(f"{server.url}/file"), tmp_path / "file", len(BODY), nothing)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_server_without_ranges_begins_anew_and_nothing_is_written_twice(server, line, tmp_path):
    server.put("/file", BODY, ranges=False)
    (tmp_path / "file").write_bytes(BODY[:123_456])
    heard = []
    line.download(Address(f"{server.url}/file"), tmp_path / "file", len(BODY), heard.append)
    assert (tmp_path / "file").read_bytes() == BODY
    assert min(heard) >= 123_456


def test_a_file_of_another_size_is_refused_before_a_byte_is_written(server, line, tmp_path):
    server.put("/file", BODY[:-1])
    (tmp_path / "file").write_bytes(BODY[:1000])
    with pytest.raises(SourceError, match="has another file: 399,999 bytes instead of 400,000"):
        line.download(Address(f"{server.url}/file"), tmp_path / "file", len(BODY), nothing)
    assert (tmp_path / "file").read_bytes() == BODY[:1000]


@pytest.mark.parametrize("size", [len(BODY), None], ids=["size known", "size unknown"])
def test_a_file_that_is_here_is_not_sent_again(server, line, tmp_path, size):
    server.put("/file", BODY)
    (tmp_path / "file").write_bytes(BODY)
    line.download(Address(f"{server.url}/file"), tmp_path / "file", size, nothing)
    assert (tmp_path / "file").read_bytes() == BODY
    assert server.ranges("/file") in ([], ["bytes=400000-"])


def test_a_file_that_is_too_long_here_is_downloaded_anew(server, line, tmp_path):
    server.put("/file", BODY)
    (tmp_path / "file").write_bytes(bytes(len(BODY) + 1))
    line.download(Address(f"{server.url}/file"), tmp_path / "file", len(BODY), nothing)
    assert (tmp_path / "file").read_bytes() == BODY


def test_addresses_that_are_none_are_told(line, tmp_path):
    with pytest.raises(SourceError, match="can't be asked"):
        line.download(Address("ftp://example.org/file"), tmp_path / "file", None, nothing)


def test_authorities_that_are_not_there_are_told(server, tmp_path):
    line = Line(threading.Event(), str(tmp_path / "missing.pem"))
    with pytest.raises(SourceError, match="can't be asked"):
        line.page(Address(f"{server.url}/page"))


def test_what_is_sent_along_is_not_shown():
    address = Address("https://example.org/file", {"Authorization": "Bearer secret"}, ("me", "secret"))
    assert "secret" not in repr(address)
