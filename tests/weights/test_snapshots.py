"""Whole repositories on the hub: locked to a commit, without pickles, complete or not there."""

from __future__ import annotations

import json
import logging
import random
import traceback

import pytest

from augmentlm import weights
from augmentlm.catalog import Artifact, HubSource
from augmentlm.errors import WeightsError
from augmentlm.weights import fetch, is_cached, remove, verify
from tiny_weights import closed_port

REPO = "org/tuned"
WANTED = Artifact("tuned", "repository", HubSource(REPO))
LARGE = ("model-1.safetensors", "model-2.safetensors", "pytorch_model.bin")
FIRST, SECOND = "1" * 40, "2" * 40


def files(seed: int = 1) -> dict[str, bytes]:
    draw = random.Random(seed).randbytes
    return {
        "config.json": b'{"model_type": "qwen2"}',
        "model-1.safetensors": draw(200_000),
        "model-2.safetensors": draw(150_000),
        "tokenizer.json": draw(5_000),
        "merges.txt": draw(3_000),
        "README.md": b"# a card",
        "modeling_custom.py": b"import os",
        "pytorch_model.bin": draw(1_000),
        "training_args.pt": draw(1_000),
        "onnx/model.safetensors": draw(1_000),
        ".gitattributes": b"",
    }


USED = {"config.json", "model-1.safetensors", "model-2.safetensors", "tokenizer.json", "merges.txt"}
CARD = "README.md"


@pytest.fixture
def hub(server):
    server.repository(REPO, FIRST, files(), large=LARGE)
    return server


def test_weights_configuration_tokenizer_and_card_come_and_nothing_that_can_run(hub):
    calls = []
    folder = fetch(WANTED, progress=lambda *call: calls.append(call))
    wanted = {*USED, CARD}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: files()[name] for name in wanted}
    assert {path.rpartition("/")[2] for path in hub.paths() if "/resolve/" in path} == wanted
    total = sum(len(files()[name]) for name in wanted)
    assert calls == sorted(calls)
    assert calls[-1] == (total, total)


def test_the_first_download_locks_the_commit(hub):
    folder = fetch(WANTED)
    hub.repository(REPO, SECOND, files(2), large=LARGE)
    lock = json.loads((folder.parent / "tuned.lock.json").read_text())
    assert (lock["repo"], lock["commit"]) == (REPO, FIRST)
    remove(WANTED)
    assert fetch(WANTED).joinpath("model-1.safetensors").read_bytes() == files()["model-1.safetensors"]
    assert len(hub.paths("/revision/main")) == 1


def test_without_the_lock_the_current_commit_is_taken(hub):
    folder = fetch(WANTED)
    hub.repository(REPO, SECOND, files(2), large=LARGE)
    remove(WANTED)
    (folder.parent / "tuned.lock.json").unlink()
    assert fetch(WANTED).joinpath("model-1.safetensors").read_bytes() == files(2)["model-1.safetensors"]


def test_a_revision_of_the_catalog_is_obeyed(hub):
    hub.repository(REPO, SECOND, files(2), large=LARGE)
    pinned = Artifact("tuned", "repository", HubSource(REPO, FIRST))
    assert fetch(pinned).joinpath("config.json").read_bytes() == files()["config.json"]
    assert hub.paths("/revision/main") == []


def test_half_a_repository_is_not_cached_and_is_completed_later(hub):
    path = f"/{REPO}/resolve/{FIRST}/model-2.safetensors"
    hub.served[path].cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(WeightsError, match="did not send everything"):
        fetch(WANTED)
    assert not is_cached(WANTED)
    folder = fetch(WANTED)
    assert is_cached(WANTED)
    assert hub.ranges("model-2.safetensors")[-1] == "bytes=100000-"
    assert hub.ranges("/model-1.safetensors") == [""]
    (folder / "merges.txt").unlink()
    assert not is_cached(WANTED)


@pytest.mark.parametrize("name", ["model-1.safetensors", "tokenizer.json"], ids=["by SHA-256", "by git blob"])
def test_every_file_is_checked_by_the_digest_that_the_hub_tells(hub, name):
    hub.served[f"/{REPO}/resolve/{FIRST}/{name}"].body = bytes(len(files()[name]))
    with pytest.raises(WeightsError, match=f"{name} of {REPO} has a wrong digest and was deleted"):
        fetch(WANTED)
    hub.repository(REPO, FIRST, files(), large=LARGE)
    folder = fetch(WANTED)
    assert verify(WANTED)
    (folder / name).write_bytes(bytes(len(files()[name])))
    assert is_cached(WANTED)
    assert not verify(WANTED)


def test_a_repository_of_pickles_alone_is_refused(hub):
    only = {name: body for name, body in files().items() if not name.endswith(".safetensors")}
    hub.repository(REPO, FIRST, only, large=LARGE)
    with pytest.raises(WeightsError, match="no safetensors weights") as caught:
        fetch(WANTED)
    assert "can run code" in caught.value.hint
    assert not any("/resolve/" in path for path in hub.paths())


@pytest.mark.parametrize(
    ("status", "headers", "message", "hint"),
    [
        (401, {"X-Error-Code": "GatedRepo"}, "is gated", "Ask for it at"),
        (403, {"X-Error-Code": "GatedRepo"}, "is gated", "hf auth login"),
        (401, {"X-Error-Code": "RepoNotFound"}, "no repository org/tuned", "If it is private"),
        (404, {"X-Error-Code": "RepoNotFound"}, "no repository org/tuned", "HF_TOKEN"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "no longer has the revision", "Look at"),
        (
            401,
            {"X-Error-Message": "Invalid credentials in Authorization header"},
            "not know your token",
            "unset HF_TOKEN",
        ),
        (403, {}, "does not let you read org/tuned", "Look at"),
        (429, {}, "asks to wait", "few minutes"),
        (500, {}, "answered 500", "try again"),
    ],
)
@pytest.mark.parametrize("place", ["listing", "file"])
def test_refusals_are_explained(hub, monkeypatch, caplog, place, status, headers, message, hint):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    caplog.set_level(logging.DEBUG)
    path = f"/api/models/{REPO}/revision/main" if place == "listing" else f"/{REPO}/resolve/{FIRST}/config.json"
    hub.put(path, b"", status=status, headers=headers)
    with pytest.raises(WeightsError, match=message) as caught:
        fetch(WANTED)
    assert hint in caught.value.hint
    told = "".join(traceback.format_exception(caught.value))
    assert "hf_secret" not in told + caplog.text
    assert "hf_secret" in str(hub.asked[-1].headers)


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"sha": "1", "siblings": [{"rfilename": "a.json"}]}'])
def test_a_listing_that_is_none_is_told(hub, body):
    hub.put(f"/api/models/{REPO}/revision/main", body)
    with pytest.raises(WeightsError, match=f"does not say which files {REPO} has"):
        fetch(WANTED)


def test_a_hub_that_cannot_be_reached_is_told_and_tried_again_later(hub, monkeypatch):
    reachable = hub.url
    monkeypatch.setenv("HF_ENDPOINT", closed_port())
    with pytest.raises(WeightsError, match="can't be reached") as caught:
        fetch(WANTED)
    assert "network" in caught.value.hint
    monkeypatch.setenv("HF_ENDPOINT", reachable)
    assert fetch(WANTED).is_dir()


def test_offline_is_told_at_once(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        fetch(WANTED)
    assert hub.asked == []


def test_what_other_programs_have_downloaded_is_shared_even_offline(hub, monkeypatch, tmp_path):
    from huggingface_hub import snapshot_download

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    theirs = snapshot_download(REPO, endpoint=hub.url, cache_dir=tmp_path / "hf" / "hub")
    hub.asked.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = fetch(WANTED)
    assert verify(WANTED)
    assert hub.asked == []
    assert (folder / "model-1.safetensors").samefile(f"{theirs}/model-1.safetensors")
    assert {path.name for path in folder.iterdir()} == USED


def test_a_lock_that_somebody_has_spoilt_is_made_anew(hub):
    folder = fetch(WANTED)
    (folder.parent / "tuned.lock.json").write_text('{"repo": "org/tuned", "commit": 3}')
    assert not is_cached(WANTED)
    assert fetch(WANTED) == folder
    assert is_cached(WANTED)


def test_remove_frees_a_repository_and_keeps_its_lock(hub):
    folder = fetch(WANTED)
    assert remove(WANTED) == sum(len(files()[name]) for name in {*USED, CARD})
    assert not folder.exists()
    assert (folder.parent / "tuned.lock.json").is_file()
    assert weights.home() in folder.parents
