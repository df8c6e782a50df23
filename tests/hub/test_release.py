"""Publishing with the real client: one commit, a tag, nothing public before it is whole, nothing sent twice."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import HfApi, ModelCard
from small_release import CARD, FILES, REPO, release

from augmentlm.errors import PublishError
from augmentlm.hub import bundles, metadata
from augmentlm.hub.release import Release, publish


def test_one_commit_with_everything_and_a_tag(hub):
    done = publish(release())
    repo = hub.repo(REPO)
    assert len(repo.commits) == 2 and repo.head.title == "augmentlm-x v1.0"
    assert {path for path in repo.head.files if path[0] != "."} == set(FILES)
    assert repo.head.files["adapter_model.safetensors"] == FILES["adapter_model.safetensors"]
    assert repo.tags == {"v1.0": done.commit} and repo.head.oid == done.commit
    assert (done.repo, done.url, done.is_new) == (REPO, f"{hub.url}/{REPO}", True)
    assert not repo.private


def test_a_space_is_public_in_the_end_though_the_hub_begins_it_with_a_card(hub):
    space = bundles.release("space", "refine")
    assert not hub.repos
    publish(space)
    assert not hub.repo("ada/augmentlm-refine", "space").private


def test_a_space_that_was_cut_short_is_public_after_the_next_attempt(hub):
    hub.fail("POST /api/spaces/.*/commit", 500, times=9)
    with pytest.raises(PublishError):
        publish(bundles.release("space", "refine"))
    assert hub.repo("ada/augmentlm-refine", "space").private
    hub.faults.clear()
    publish(bundles.release("space", "refine"))
    assert not hub.repo("ada/augmentlm-refine", "space").private


def test_a_name_that_somebody_keeps_out_of_sight_is_said_to_be_taken(hub):
    hub.fail("GET /api/models/ada/augmentlm-x", 404, headers={"X-Error-Code": "RepoNotFound"}, times=9)
    hub.put(REPO, FILES, private=True)
    with pytest.raises(PublishError, match=f"There is a model {REPO} that your token may not read"):
        publish(release())


def test_the_same_again_makes_no_commit(hub):
    first = publish(release())
    hub.asked.clear()
    second = publish(release())
    assert (second.commit, second.is_new) == (first.commit, False)
    assert not any(asked.startswith(("POST", "PUT")) for asked in hub.asked)


def test_metadata_read_back_equals_what_was_written(hub):
    publish(release())
    read = ModelCard.load(REPO, token="hf_double").data.to_dict()
    written = metadata.read(CARD)
    assert read == {**written, "datasets": ["ada/augmentlm-data"]}
    assert HfApi(hub.url, "hf_double").model_info(REPO, revision="v1.0").card_data.to_dict() == read


def test_links_lead_to_the_owner_it_is_published_for(hub):
    publish(release())
    card = hub.repo(REPO).head.files["README.md"].decode()
    assert "datasets/ada/augmentlm-data)" in card and "src/augmentlm/other" in card


def test_what_is_no_longer_part_of_it_is_deleted_in_the_same_commit(hub):
    publish(release())
    fewer = {path: content for path, content in FILES.items() if path != "sub/loss.csv"}
    publish(release(fewer, "v1.1"))
    repo = hub.repo(REPO)
    assert len(repo.commits) == 3 and set(repo.head.files) == {".gitattributes", *fewer}
    assert set(repo.tags) == {"v1.0", "v1.1"}


def test_a_version_is_never_moved(hub):
    publish(release())
    before = hub.repo(REPO).head
    with pytest.raises(PublishError, match=r"has a version v1\.0 already, with other files.*--tag"):
        publish(release({**FILES, "new.txt": b"x"}))
    assert hub.repo(REPO).head == before


def test_a_private_repository_stays_private(hub):
    publish(release(), private=True)
    assert hub.repo(REPO).private
    publish(release({**FILES, "new.txt": b"x"}, "v1.1"))
    assert hub.repo(REPO).private


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"pytorch_model.bin": b"x"}, "pytorch_model.bin is named like a pickle"),
        ({"weights.safetensors": b"\x80\x04\x95abc"}, "weights.safetensors is a pickle"),
        ({"a.safetensors": b"PK\x03\x04 archive/data.pkl"}, "a.safetensors is a torch archive"),
        ({"notes.md": b"token hf_" + b"a" * 34}, "notes.md holds what looks like a token"),
        ({"late.txt": b"." * ((1 << 20) - 9) + b" hf_" + b"a" * 34}, "late.txt holds what looks like a token"),
        ({"a.md": b"key: sk-proj-" + b"aB3" * 16}, "a.md holds what looks like a token or a key (sk-proj-…)."),
        ({"a.jsonl": json.dumps({"a": "is:\nsk-" + "0a1f" * 8}).encode()}, "a.jsonl holds what looks like a token"),
        ({"a.jsonl": json.dumps({"a": "is:\nhf_" + "Ab1" * 12}).encode()}, "a.jsonl holds what looks like a token"),
        ({"a.md": b"OPENAI=sk-" + b"0a1f" * 8}, "a.md holds what looks like a token or a key (sk-0a1f0…)."),
        ({"c.json": b'{"base": "/home/ada/models/base"}'}, "c.json names a place of somebody's machine: /home/ada/"),
        ({"c.json": rb'{"base": "C:\\Users\\ada"}'}, "c.json names a place of somebody's machine"),
        ({"rows.jsonl": f'{{"file": "{Path.cwd()}/x"}}'.encode()}, "rows.jsonl names a place of this machine"),
        ({"../up.txt": b""}, "is no path inside a repository"),
        ({"README.md": b"# no metadata\n"}, "no metadata that can be read"),
    ],
)
def test_what_must_not_go_up_is_refused_before_anything_is_sent(hub, more, why):
    with pytest.raises(PublishError, match=re.escape(why)):
        publish(release({**FILES, **more}))
    assert hub.asked == []


def test_what_only_looks_like_a_path_or_a_token_goes_up(hub):
    text = b"See https://example.org/home/ada/ and ./home/x, `data/home/y`, hf_hub_download and sk-learn."
    text += b" https://example.org/task-management-tools-for-2-small-teams or sk-ip-this-long-chapter-of-3-pages."
    rows = b'{"instruction": "Where is /home/app/config.yml read?"}'
    publish(release({**FILES, "notes.md": text, "rows.jsonl": rows}))
    assert hub.repo(REPO).head.files["notes.md"] == text


DATA_CARD = (
    b"---\nlicense: mit\nlanguage: [en]\npretty_name: X\ntask_categories: [text-generation]\ntags: [synthetic]\n"
    b"size_categories: [n<1K]\nconfigs:\n- config_name: default\n  data_files: data.json\n---\n"
)


def test_of_a_data_set_only_places_of_this_machine_are_refused_outside_its_card(monkeypatch, tmp_path):
    def problems(text: str, name: str = "report.html") -> list[str]:
        return Release("dataset", "x", {"README.md": DATA_CARD, name: text.encode()}, "v1").problems()

    monkeypatch.setenv("HOME", "/home/ada9")
    monkeypatch.setenv("AUGMENTLM_HOME", "/srv/models/augmentlm")
    monkeypatch.chdir(tmp_path)
    rows = r"<pre>Read /home/app/config.yml, /tmp/x and C:\Users\eve.</pre>"
    assert problems(rows) == problems(rows, "data.json") == problems(rows, "data.parquet") == []
    for place in ("/home/ada9/", "/srv/models/augmentlm/", f"{tmp_path}/"):
        assert problems(f"From {place}seeds.jsonl") == [f"report.html names a place of this machine: {place}."]
    card = DATA_CARD + b"From /home/app/x.\n"
    found = Release("dataset", "x", {"README.md": card}, "v1").problems()
    assert found == ["README.md names a place of somebody's machine: /home/app/."]


def test_the_folder_that_a_data_set_lies_in_is_not_named(tmp_path):
    folder = tmp_path / "elsewhere" / "mine"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(f"Made in {folder}/.", encoding="utf-8")
    files = {"README.md": DATA_CARD, "report.html": folder / "report.html"}
    found = Release("dataset", "x", files, "v1").problems()
    assert found == [f"report.html names a place of this machine: {folder}/."]


def test_a_home_folder_that_every_server_has_tells_of_nobody(monkeypatch):
    monkeypatch.setenv("HOME", "/home/user")
    files = {"README.md": DATA_CARD, "data.jsonl": b'{"instruction": "List /home/user/documents"}'}
    assert Release("dataset", "x", files, "v1").problems() == []


def test_what_shall_be_private_does_not_go_where_everybody_reads(hub):
    publish(release())
    before = hub.repo(REPO).head
    with pytest.raises(PublishError, match=f"The model {REPO} is public, and this was to be private"):
        publish(release({**FILES, "new.txt": b"x"}, "v1.1"), private=True)
    assert hub.repo(REPO).head == before and not hub.repo(REPO).private


def test_a_file_over_the_limit_is_refused(hub, tmp_path):
    large = tmp_path / "large.gguf"
    with large.open("wb") as file:
        file.truncate(1_000_000_001)
    found = Release("space", "augmentlm-x", {**FILES, "large.gguf": large}, "v1").problems()
    assert "large.gguf has 1.0 GB; a space takes files up to 1.0 GB." in found


def test_a_stale_card_is_refused(hub):
    with pytest.raises(PublishError, match="The card of x is stale"):
        publish(release(stale=("The card of x is stale.",)))
    assert hub.asked == []


def test_without_a_token_it_is_a_sentence(hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PublishError, match=r"needs a token.*hf auth login"):
        publish(release())
    assert hub.asked == []


def test_offline_it_is_a_sentence(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PublishError, match="HF_HUB_OFFLINE"):
        publish(release())
