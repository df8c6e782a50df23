"""Everything of ours goes up to a hub and comes back into an empty cache as it was, and writes the same text there."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import CommitOperationAdd, DatasetCard, HfApi, ModelCard, SpaceCard, snapshot_download

from augmentlm import catalog
from augmentlm.cli import main
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import PublishError
from augmentlm.hub import bundles, cards, collection, metadata
from augmentlm.hub.contents import read
from augmentlm.hub.release import publish
from augmentlm.runs import shelf
from augmentlm.runs.rows import read_run
from augmentlm.runs.run import run
from scripted_cli import ScriptedPool
from scripted_run import dreamed

OURS = [model for model in catalog.models().values() if model.adapter]
EVERYTHING = [(kind, name) for kind in ("model", "dataset", "space") for name in bundles.names(kind)]
CARD_OF = {"model": ModelCard, "dataset": DatasetCard, "space": SpaceCard}


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(("kind", "name"), EVERYTHING)
def test_what_is_published_comes_back_byte_by_byte_and_a_second_time_changes_nothing(hub, tmp_path, kind, name):
    release = bundles.release(kind, name)
    done = publish(release)
    again = publish(bundles.release(kind, name))
    assert (done.is_new, again.is_new, again.commit) == (True, False, done.commit)
    assert len(hub.repo(done.repo, kind).commits) == 2
    down = tmp_path / "down"
    snapshot_download(done.repo, repo_type=kind, revision="v0.1.0", local_dir=down, token="hf_double")
    for path, content in release.owned_by("ada").files.items():
        assert (down / path).read_bytes() == read(content)
    card = CARD_OF[kind].load(done.repo, token="hf_double")
    assert card.data.to_dict() == metadata.read(release.owned_by("ada").card)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.name)
def test_a_published_adapter_is_pulled_into_an_empty_cache(hub, empty_home, model, capsys):
    assert main(["publish", "model", model.name]) == 0
    assert main(["models", "pull", f"ada/{model.name}@v0.1.0"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{hub.url}/ada/{model.name}"
    pulled = empty_home / "weights" / f"ada--{model.name}@v0.1.0"
    assert out[1] == str(pulled)
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (pulled / file).read_bytes() == cards.path(model).with_name(file).read_bytes()


def test_the_gguf_variant_says_what_it_was_made_from(hub):
    name = OURS[0].name
    publish(bundles.release("model", f"{name}-gguf"))
    info = HfApi(hub.url, "hf_double").model_info(f"ada/{name}-gguf")
    assert info.card_data.base_model == f"ada/{name}"
    assert info.card_data.to_dict()["base_model_relation"] == "quantized"
    assert f"{name}-f16.gguf" in {file.rfilename for file in info.siblings}


def test_a_collection_ties_them_together_once(hub, capsys):
    publish(bundles.release("model", OURS[0].name))
    publish(bundles.release("dataset", catalog.project().dataset))
    hub.put("alibaba-pai/Qwen2-7B-Instruct-Refine", {"config.json": b"{}"})
    for _ in range(2):
        assert main(["publish", "collection"]) == 0
    (made,) = hub.collections.values()
    assert capsys.readouterr().out.splitlines()[-1] == f"{hub.url}/collections/{made['slug']}"
    assert [(item["type"], item["id"]) for item in made["items"]] == [
        ("model", f"ada/{OURS[0].name}"),
        ("dataset", "ada/augmentlm-data"),
        ("model", "alibaba-pai/Qwen2-7B-Instruct-Refine"),
    ]
    assert made["title"] == collection.TITLE


def test_a_dry_run_of_the_collection_lists_it_and_sends_nothing(hub, capsys):
    assert main(["publish", "collection", "--dry-run", "--owner", "ada"]) == 0
    out, err = capsys.readouterr()
    assert f"model    ada/{OURS[0].name}" in out and "space    ada/augmentlm-studio" in out
    assert "Nothing was sent" in err and hub.asked == []


def test_a_dry_run_says_whose_it_would_be(hub, capsys):
    assert main(["publish", "model", OURS[0].name, "--dry-run", "--owner", "my-team"]) == 0
    out, err = capsys.readouterr()
    assert f"model my-team/{OURS[0].name}" in out and f'from_pretrained("my-team/{OURS[0].name}")' in out and not err
    assert main(["publish", "model", OURS[0].name, "--dry-run"]) == 0
    assert "it would go to the user whose token it is" in capsys.readouterr().err and hub.asked == []


def test_a_stale_card_is_not_published(hub, monkeypatch, tmp_path):
    import shutil

    copied = tmp_path / "model_cards"
    shutil.copytree(catalog.cards_folder(), copied)
    monkeypatch.setattr(catalog, "cards_folder", lambda: copied)
    card = cards.path(OURS[0])
    card.write_text(card.read_text(encoding="utf-8").replace("license: apache-2.0", "license: mit"), "utf-8")
    with pytest.raises(PublishError, match="is stale: run `augmentlm models card"):
        publish(bundles.release("model", OURS[0].name))
    assert hub.asked == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["model", "qwen2-7b-instruct-exp"], "is not ours to publish. Offer"),
        (["model", "all-minilm-l6-v2"], "is not ours to publish. These can be published: augmentlm-0.5b-refine"),
        (["model", "nothing"], "There is no model called 'nothing'"),
        (["dataset", "nothing"], "that `augmentlm run --out` wrote, or augmentlm-data"),
    ],
)
def test_what_is_not_ours_is_not_published(hub, capsys, command, said):
    assert main(["publish", *command]) == 2
    assert said in capsys.readouterr().err
    assert hub.asked == []


def test_a_name_too_few_lists_what_there_is(capsys):
    assert main(["publish", "model"]) == 0
    assert capsys.readouterr().out.split()[: len(OURS)] == [model.name for model in OURS]


def test_the_data_set_of_a_run_goes_up_with_provenance_and_report_and_without_its_journal(
    hub, tmp_path, monkeypatch, no_embedder, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "Paint a boat"}\n{"instruction": "Sell two hens"}\n')
    pool = ScriptedPool(ScriptedEngine(dreamed))
    assert main(["run", "seeds.jsonl", "--steps", "expand", "-n", "5", "--out", "My boats"], pool=pool) == 0
    assert main(["publish", "dataset", "My boats", "--tag", "v1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{hub.url}/datasets/ada/My-boats"
    repo = hub.repo("ada/My-boats", "dataset")
    assert set(repo.head.files) == {
        ".gitattributes",
        "README.md",
        "data.jsonl",
        "rejected.jsonl",
        "report.html",
        "report.json",
    }
    rows = [json.loads(line) for line in read(repo.head.files["data.jsonl"]).splitlines()]
    assert len(rows) == 5 and all(row["provenance"]["steps"][0]["seed"] is not None for row in rows)
    assert set(repo.tags) == {"v1"}
    assert main(["publish", "dataset", "nothing here"]) == 2
    assert "is no finished run" in capsys.readouterr().err


def test_the_report_that_goes_up_tells_of_the_rows_that_are_there_now(hub, tmp_path, no_embedder, capsys):
    folder, pool = tmp_path / "boats", ScriptedPool(ScriptedEngine(dreamed))
    list(run(["Paint a boat", "Sell two hens"], folder, n=4, pool=pool))
    assert main(["publish", "dataset", str(folder), "--private"]) == 0  # without a report before
    shelf.strike(folder, [read_run(folder).accepted[0].candidate])
    assert main(["publish", "dataset", str(folder), "--dry-run"]) == 0
    assert "3 synthetic rows" in capsys.readouterr().out
    assert main(["publish", "dataset", str(folder), "--private"]) == 0
    files = hub.repo("ada/boats", "dataset").head.files
    assert len(files["data.jsonl"].splitlines()) == 3 and b"3 synthetic rows" in files["README.md"]
    assert b"3 of 4 rows accepted" in files["report.html"]


def test_an_adapter_config_names_no_place_of_the_machine_that_trained():
    for model in OURS:
        config = json.loads(cards.path(model).with_name("adapter_config.json").read_text(encoding="utf-8"))
        assert config["base_model_name_or_path"] == model.parent


def test_the_double_refuses_what_the_hub_refuses(hub):
    """A commit by somebody without the right to write."""
    hub.users["hf_other"] = "eve"
    publish(bundles.release("dataset", catalog.project().dataset))
    with pytest.raises(Exception, match="403"):
        HfApi(hub.url, "hf_other").create_commit(
            "ada/augmentlm-data", [CommitOperationAdd("x", b"x")], commit_message="x", repo_type="dataset"
        )
