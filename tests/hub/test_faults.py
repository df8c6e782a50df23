"""The hub misbehaves while something is published or pulled: a sentence, nothing half published, it goes on later."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest
from small_release import FILES, REPO, release

from augmentlm.cli import main
from augmentlm.errors import PublishError, WeightsError
from augmentlm.hub.release import publish
from augmentlm.weights.pulled import pull

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def home(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("POST /api/repos/create", 401, "does not know your token. Log in anew"),
        ("POST /api/repos/create", 403, f"Your token may not write to {REPO}. Choose another owner"),
        ("POST /api/models/.*/commit", 403, "Your token may not write to"),
        ("POST /api/models/.*/commit", 404, "There is no"),
        ("POST /api/models/.*/commit", 412, "Somebody else has changed"),
        ("POST /api/models/.*/commit", 413, "too large for the hub"),
        ("POST /api/models/.*/commit", 429, "asks to wait"),
        ("POST /api/models/.*/commit", 500, "it answered 500. Nothing was published."),
        ("PUT /lfs/", 403, "Your token may not write to"),
        ("PUT /lfs/", 500, "it answered 500. Nothing was published."),
        ("GET /api/whoami", 401, "does not know your token"),
    ],
)
def test_a_refusal_is_a_sentence_and_nothing_is_public(hub, caplog, where, status, said):
    caplog.set_level(logging.DEBUG)
    hub.fail(where, status, times=9)
    with pytest.raises(PublishError, match=said) as caught:
        publish(release())
    assert "hf_double" not in str(caught.value) + caplog.text
    made = hub.repos.get(("model", REPO))
    assert made is None or (made.private and len(made.commits) == 1 and not made.tags)
    hub.faults.clear()
    assert publish(release()).is_new
    assert set(hub.repo(REPO).head.files) >= set(FILES)


def test_a_hub_that_is_busy_for_a_moment_is_waited_for_as_long_as_it_says(hub):
    hub.fail("POST /api/models/.*/preupload", 429, headers={"Retry-After": "7"})
    assert publish(release()).is_new
    assert hub.waited == [8.0]


def test_a_commit_of_somebody_else_meanwhile_is_no_loss(hub):
    publish(release())
    repo = hub.repo(REPO)
    moved = []

    def somebody(asked: str) -> None:
        if "/preupload/" in asked and not moved:
            moved.append(repo.commits.append(type(repo.head)("f" * 40, "theirs", {**repo.head.files, "their": b"s"})))

    hub.before = somebody
    with pytest.raises(PublishError, match="Somebody else has changed"):
        publish(release({**FILES, "new.txt": b"x"}, "v1.1"))
    assert repo.head.title == "theirs" and set(repo.tags) == {"v1.0"}


def test_a_tag_that_could_not_be_set_is_set_the_next_time(hub):
    hub.fail("POST /api/models/.*/tag", 500, times=9)
    with pytest.raises(PublishError, match="it answered 500"):
        publish(release())
    assert hub.repo(REPO).private
    hub.faults.clear()
    done = publish(release())
    assert hub.repo(REPO).tags == {"v1.0": done.commit} and len(hub.repo(REPO).commits) == 2
    assert not hub.repo(REPO).private


def test_a_hub_that_is_not_there_is_a_sentence(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PublishError, match="can't be reached"):
        publish(release())


def test_a_pull_that_is_cut_goes_on_where_it_stopped(hub, home, monkeypatch):
    publish(release())
    monkeypatch.setattr("augmentlm.weights.downloads.PAUSES", (0.01,) * 4)
    monkeypatch.setattr("augmentlm.weights.downloads.FIRST_ANSWER_SECONDS", 60.0)  # however busy the machine is
    hub.fail(f"GET /{REPO}/resolve/.*/{WEIGHTS}", cut=40_000)
    hub.fail(f"GET /{REPO}/resolve/.*/{WEIGHTS}", cut=0, times=9)
    with pytest.raises(WeightsError, match="did not send everything"):
        pull(REPO)
    (part,) = home.rglob(f"{WEIGHTS}.part")
    assert part.stat().st_size == 40_000
    hub.faults.clear()
    folder = pull(REPO)
    assert (folder / WEIGHTS).read_bytes() == FILES[WEIGHTS]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "no repository ada/augmentlm-x on the hub, or it is private"),
        (403, "does not let you read ada/augmentlm-x"),
        (404, "no repository ada/augmentlm-x on the hub, or it is private"),
        (429, "asks to wait"),
        (500, "answered 500"),
    ],
)
def test_a_pull_that_is_refused_half_way_is_a_sentence_and_goes_on_later(hub, home, monkeypatch, status, said):
    publish(release())
    monkeypatch.setattr("augmentlm.weights.downloads.PAUSES", (0.01,) * 4)
    monkeypatch.setattr("augmentlm.weights.downloads.FIRST_ANSWER_SECONDS", 60.0)
    hub.fail(f"GET /{REPO}/resolve/.*/{WEIGHTS}", status, times=9)
    with pytest.raises(WeightsError, match=said):
        pull(REPO)
    hub.faults.clear()
    hub.asked.clear()
    assert (pull(REPO) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert hub.times("GET /.*/resolve/") == 1  # the card is here already


def test_a_file_that_came_wrong_is_deleted(hub, home):
    publish(release())
    hub.fail(f"GET /{REPO}/resolve/.*/{WEIGHTS}", body=bytes(len(FILES[WEIGHTS])))
    with pytest.raises(WeightsError, match="wrong digest and was deleted"):
        pull(REPO)
    assert not list(home.rglob(f"{WEIGHTS}*"))
    assert (pull(REPO) / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_a_pull_says_first_what_it_is_and_how_it_fits(hub, home, capsys):
    hub.put("alibaba-pai/Qwen2-7B-Instruct-Refine", {"config.json": b"{}", "model.safetensors": bytes(1000)})
    assert main(["models", "pull", "qwen2-7b-instruct-refine"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("augmentlm: qwen2-7b-instruct-refine, 15.2 GB: ")
    assert Path(said.out.strip()) == home / "weights" / "qwen2-7b-instruct-refine"


def test_a_name_that_is_none_is_a_sentence(hub, home, capsys):
    assert main(["models", "pull", "ada/../x"]) == 2
    assert "Write OWNER/NAME" in capsys.readouterr().err
    assert hub.asked == []


def test_a_renamed_repository_is_followed(hub, home):
    publish(release())
    hub.repos["model", "ada/augmentlm-y"] = hub.repos.pop(("model", REPO))
    hub.repo("ada/augmentlm-y").id = "ada/augmentlm-y"
    hub.renamed[REPO] = "ada/augmentlm-y"
    assert (pull(REPO) / WEIGHTS).read_bytes() == FILES[WEIGHTS]


@pytest.mark.parametrize(
    ("ways", "token", "said"),
    [
        ({"private": True}, None, "no repository ada/augmentlm-x on the hub, or it is private.*hf auth login"),
        ({"gated": True}, None, "is gated.*Ask for it at"),
        ({}, "hf_wrong", "does not know your token"),
    ],
)
def test_what_may_not_be_read_is_explained(hub, home, monkeypatch, ways, token, said):
    hub.put(REPO, FILES, **ways)
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(WeightsError, match=said):
        pull(REPO)


def test_a_full_disk_is_said_and_what_came_is_kept(hub, home, monkeypatch):
    publish(release())
    real, written = Path.open, []

    def open_full(path, mode="r", *rest, **more):
        if mode == "ab" and path.name.startswith(WEIGHTS) and not written:
            written.append(path)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(WeightsError, match="The disk is full"):
        pull(REPO)
    assert (pull(REPO) / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_a_version_is_pulled_by_its_tag_and_main_is_locked(hub, home):
    publish(release())
    folder = pull(REPO)
    newer = {**FILES, WEIGHTS: b"newer"}
    publish(release(newer, "v2.0"))
    assert (pull(REPO) / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert (pull(f"{REPO}@v2.0") / WEIGHTS).read_bytes() == b"newer"
