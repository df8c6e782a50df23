"""Cards: the metadata and every number come from the catalog and the files beside them."""

from __future__ import annotations

import json
import shutil

import pytest

from augmentlm import catalog
from augmentlm.cli import main
from augmentlm.distill.samples import System
from augmentlm.errors import InputError
from augmentlm.hub import blocks, cards, metadata
from augmentlm.machine import bytes_needed
from augmentlm.ui.cards import about

CARDS = [model for model in catalog.models().values() if cards.generated(model)]
OURS = next(model for model in CARDS if model.adapter)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of all cards to change."""
    copied = tmp_path / "model_cards"
    shutil.copytree(catalog.cards_folder(), copied)
    monkeypatch.setattr(catalog, "cards_folder", lambda: copied)
    return copied


def report() -> dict:
    return {
        "task": OURS.tasks[0],
        "date": "2026-11-26",
        "prompts": {"source": "the held-out families", "count": 96, "sha256": "0" * 16},
        "samples": 1,
        "sampling": {"temperature": 0.3, "top_p": 0.9, "top_k": 50, "max_tokens": 1024},
        "left_out": "",
        "systems": {
            OURS.name: {
                "weights": System(OURS.name).weights(),
                "engine": "llamacpp",
                "quantization": "Q4_K_M",
                "rates": {"valid": {"share": 0.98, "low": 0.93, "high": 0.99}},
                "distinct_samples": None,
                "length": {},
                "distinct_1": 0.5,
                "distinct_2": 0.75,
                "self_bleu": None,
                "spread": None,
            }
        },
        "judged": [],
    }


@pytest.mark.parametrize("model", CARDS, ids=lambda model: model.name)
def test_every_card_is_fresh_and_its_metadata_keeps_the_rules_of_the_hub(model):
    assert cards.what_is_stale(model) == []
    values = metadata.read(cards.path(model).read_text(encoding="utf-8"))
    assert values["license"] == model.licence and values["base_model"] == model.parent
    assert values["base_model_relation"] == ("adapter" if model.adapter else "finetune")


def test_the_five_published_checkpoints_have_a_card_that_says_what_nobody_knows():
    published = [model for model in CARDS if model.adapter is None]
    assert len(published) == 5
    for model in published:
        text = cards.path(model).read_text(encoding="utf-8")
        assert "Licence: unknown" in text and "@inproceedings{yue2025building" in text and "151645 and 151643" in text


def test_a_card_that_was_edited_where_a_program_writes_is_stale_until_it_is_written(folder, capsys):
    card = cards.path(OURS)
    fresh = card.read_text(encoding="utf-8")
    card.write_text(fresh.replace("| 491 MB |", "| 490 MB |").replace("license: apache-2.0", "license: mit"), "utf-8")
    assert main(["models", "card", OURS.name, "--check"]) == 1
    assert f"The card of {OURS.name} is stale" in capsys.readouterr().err
    assert main(["models", "card", OURS.name, "--write"]) == 0
    assert card.read_text(encoding="utf-8") == fresh


def test_what_a_person_wrote_is_left_alone(folder):
    card = cards.path(OURS)
    card.write_text(card.read_text(encoding="utf-8").replace("## Limits", "New words \\1.\n\n## Limits"), "utf-8")
    assert cards.what_is_stale(OURS) == []
    assert not cards.write(OURS) and "New words \\1." in card.read_text(encoding="utf-8")


def test_a_missing_place_is_named(folder):
    card = cards.path(OURS)
    card.write_text(card.read_text(encoding="utf-8").replace("<!-- sizes -->", ""), "utf-8")
    with pytest.raises(InputError, match=r"no place for sizes\. Put <!-- sizes --> and <!-- end sizes -->"):
        cards.write(OURS)


def test_measured_results_stand_in_the_metadata_and_the_table_alike(folder):
    card = cards.path(OURS)
    if "<!-- eval -->" not in card.read_text(encoding="utf-8"):
        card.write_text(card.read_text(encoding="utf-8") + "\n<!-- eval -->\n<!-- end eval -->\n", "utf-8")
    card.with_name("eval.json").write_text(json.dumps(report()), "utf-8")
    assert cards.write(OURS)
    assert cards.what_is_stale(OURS) == []
    text = card.read_text(encoding="utf-8")
    (result,) = metadata.read(text)["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "valid", "name": "whole and in the right form", "value": 0.98}]
    assert "| whole and in the right form | 98.0 % (93–99) |" in text


def test_numbers_of_other_weights_are_stale(folder):
    card = cards.path(OURS)
    if "<!-- eval -->" not in card.read_text(encoding="utf-8"):
        card.write_text(card.read_text(encoding="utf-8") + "\n<!-- eval -->\n<!-- end eval -->\n", "utf-8")
    old = report()
    old["systems"][OURS.name]["weights"] = {"adapter": "sha256:before"}
    card.with_name("eval.json").write_text(json.dumps(old), "utf-8")
    cards.write(OURS)
    assert any("other weights" in why for why in cards.what_is_stale(OURS))


def test_an_account_of_the_training_becomes_a_table(folder):
    account = {
        "recipe": {
            "rank": 16,
            "alpha": 32,
            "layers": 16,
            "learning_rate": 3e-4,
            "warmup_share": 0.03,
            "rows_per_step": 1,
            "tokens_per_row": 512,
            "epochs": 0.45,
            "seed": 7,
        },
        "steps": 1214,
        "device": "cpu",
        "peak_memory_gb": 4.71,
    }
    table = blocks.training(account)
    assert "| method | LoRA of rank 16, alpha 32, on the upper 16 layers |" in table
    assert "| steps | 1,214 |" in table and "| peak memory | 4.7 GB |" in table
    further = blocks.training({**account, "recipe": {**account["recipe"], "epochs": 1.0}, "begun_from": account})
    preference = {"beta": 0.1, "likelihood_weight": 0.05, "gap": 2, "good": 7.5}
    preferring = blocks.training({**account, "recipe": {**account["recipe"], "preference": preference}})
    how = "preference (DPO), beta 0.1, between scores 2 or more apart; likelihood of texts from 7.5 up, weight 0.05"
    assert f"| objective | {how} |" in preferring and "objective" not in table
    assert blocks.training({**account, "recipe": {**account["recipe"], "preference": None}}) == table
    assert further.startswith(table) and further.index("taught on") < further.index("| epochs | 1 |")
    exported = [{"strength": 2.5, "of": "begin"}, {"strength": 0.5, "of": "base"}]
    of_some_strength = blocks.training({**account, "exported": exported})
    assert "| strength | 2.5 times this sitting's change is kept |" in of_some_strength
    assert of_some_strength.endswith("| strength | 0.5 times the whole change to the base is kept |")


def test_the_memory_of_a_card_is_the_memory_that_plans_are_made_with():
    model = catalog.model("qwen2-7b-instruct-refine")
    needed = bytes_needed(model, "transformers", "nf4", "cuda") / 1e9
    assert f"| NF4 with double quantization | 5.5 GB | {needed:.1f} GB |" in blocks.sizes(model)


def test_a_card_written_by_hand_is_not_overwritten(capsys):
    assert main(["models", "card", "all-minilm-l6-v2", "--write"]) == 2
    assert "written by hand" in capsys.readouterr().err


def test_the_app_shows_a_card_without_metadata_and_marks():
    shown = about(OURS)
    assert "base_model" not in shown and "&lt;!--" not in shown and "<h1>" in shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"license": "my-own"}, "license is 'my-own'"),
        ({"base_model_relation": "child"}, "base_model_relation is 'child'"),
        ({"language": ["English"]}, "write an ISO 639 code"),
        ({"tags": ["Not A Tag"]}, "The tag 'Not A Tag'"),
        ({"base_model": "no-owner"}, "base_model names 'no-owner'"),
        ({"pipeline_tag": None}, "has no pipeline_tag"),
        ({"model-index": [{"results": []}]}, "model-index is incomplete: 'name'"),
    ],
)
def test_metadata_that_the_hub_would_not_take_is_named(change, said):
    values = {**cards.front(OURS), **change}
    assert any(said in fault for fault in metadata.faults(metadata.write(values, "# x"), "model"))
