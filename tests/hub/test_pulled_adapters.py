"""Adapters of the hub, ours and other people's, under their names there: as models, in the terminal and in Python."""

from __future__ import annotations

import json

import pytest

from augmentlm import catalog, weights
from augmentlm.arena.answers import who_answers
from augmentlm.arena.contenders import Contender, resolve, takes_turns
from augmentlm.augmenter import load
from augmentlm.cli import main
from augmentlm.distill.samples import System
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError, WeightsError
from augmentlm.hub import blocks, bundles, cards
from augmentlm.hub.release import publish
from augmentlm.reports.speed import measure_here
from augmentlm.weights import pulled
from hub_double import oid_of
from scripted_cli import ScriptedPool, novel

OURS = [model for model in catalog.models().values() if model.adapter]
MODEL = OURS[0]
FOLDER = cards.path(MODEL).parent
CONFIG = json.loads((FOLDER / "adapter_config.json").read_text(encoding="utf-8"))
REFUSALS = [
    ({"adapter_config.json": None}, "eve/hers is no adapter."),
    (
        {"base_model_name_or_path": "meta-llama/Llama-3.2-1B"},
        "is an adapter on meta-llama/Llama-3.2-1B, which is",
    ),
    ({"base_model_name_or_path": "/home/eve/base"}, "is an adapter on /home/eve/base, which is no base here."),
    ({"peft_type": "PREFIX_TUNING"}, "eve/hers is no LoRA adapter."),
]


@pytest.fixture
def home(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def hers(hub, training: dict | None = None, **changes) -> None:
    """An adapter of another person, with what is special about its configuration."""
    files = {"adapter_model.safetensors": (FOLDER / "adapter_model.safetensors").read_bytes()}
    if "adapter_config.json" not in changes:
        files["adapter_config.json"] = json.dumps({**CONFIG, **changes}).encode()
    if training:
        files["training.json"] = json.dumps(training).encode()
    hub.put("eve/hers", files)


def test_an_adapter_of_ours_is_a_model_of_its_task_on_its_base(hub, home) -> None:
    publish(bundles.release("model", MODEL.name))
    made = load(MODEL.tasks[0], f"ada/{MODEL.name}")
    assert (made.model, made.engine, made.quantization) == (f"ada/{MODEL.name}", "llamacpp", "Q4_K_M")
    assert made.weights == weights.identity(MODEL)
    with pytest.raises(InputError, match=f"ada/{MODEL.name} can't do expand"):
        load("expand", f"ada/{MODEL.name}")


@pytest.mark.parametrize("base", ["Qwen/Qwen2.5-Coder-0.5B-Instruct", "Qwen/Qwen2.5-Coder-1.5B-Instruct"])
def test_an_adapter_of_somebody_else_does_the_task_that_it_is_asked_for(hub, home, base) -> None:
    hers(hub, base_model_name_or_path=base)
    found = pulled.find("eve/hers")
    assert (found.parent, found.style, found.licence) == (base, "tuned", "unknown")
    assert load("expand", "eve/hers").model == "eve/hers"


@pytest.mark.parametrize(("changes", "said"), REFUSALS)
def test_what_is_no_adapter_on_a_base_here_is_refused(hub, home, capsys, changes, said) -> None:
    hers(hub, **changes)
    with pytest.raises(InputError, match=said):
        load("refine", "eve/hers")
    assert main(["refine", "write about dogs", "--model", "eve/hers"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and "Name a LoRA adapter in PEFT's form on Qwen/Qwen2.5-Coder-0.5B-Instruct or" in line
    if "adapter_config.json" in changes:  # before its weights, which may be large, are downloaded
        assert not hub.times("GET /eve/hers/resolve")


def test_an_adapter_that_is_not_there_is_a_sentence(hub, home) -> None:
    with pytest.raises(WeightsError, match="There is no repository eve/none on the hub, or it is private"):
        load("refine", "eve/none")


def test_once_here_it_needs_no_hub(hub, home, monkeypatch) -> None:
    hers(hub)
    pulled.pull("eve/hers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.asked.clear()
    assert load("refine", "eve/hers").model == "eve/hers" and hub.asked == []
    with pytest.raises(WeightsError, match="eve/other is not on this machine, and HF_HUB_OFFLINE says"):
        load("refine", "eve/other")


def test_two_adapters_of_one_base_do_not_share_what_is_loaded(hub, home) -> None:
    hers(hub)
    ours, theirs = Contender(MODEL.name), Contender("eve/hers")
    assert ours.plan and theirs.plan and ours.plan.base != theirs.plan.base
    assert not takes_turns(ours, theirs) and takes_turns(ours, Contender("augmentlm-0.5b-expand"))


def test_it_takes_part_where_models_are_compared(hub, home) -> None:
    hers(hub)
    assert System.named("eve/hers") == System("eve/hers") and System.named("eve/hers").weights()
    commit = hub.repo("eve/hers").head.oid
    assert System.named(f"eve/hers@{commit}").model == f"eve/hers@{commit}"
    assert System.named("qwen/max@https://example.org/v1").endpoint == "https://example.org/v1"
    assert Contender("eve/hers").disk_bytes > 490_000_000


def test_after_a_duel_with_it_the_prompts_are_answered(hub, home) -> None:
    hers(hub, training={"recipe": {"task": "refine"}})
    assert who_answers(Contender("eve/hers")) == Contender(resolve("reference", "respond"))


def test_its_speed_is_measured_and_its_weights_are_counted(hub, home) -> None:
    hers(hub)
    pool = ScriptedPool(ScriptedEngine(novel()))
    found = measure_here("expand", System("eve/hers"), ["Name a bird.", "Name a tree."], pool)
    assert found["disk_bytes"] == Contender("eve/hers").disk_bytes and found["memory_bytes"] > 0


def test_a_pull_says_how_large_it_is_first_and_how_to_use_it_last(hub, home, capsys) -> None:
    hers(hub, training={"recipe": {"task": "expand"}})
    assert main(["models", "pull", "eve/hers"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(home / "weights" / "eve--hers")
    first, *_, last = shown.err.splitlines()
    assert first == f"augmentlm: eve/hers, commit {hub.repo('eve/hers').head.oid[:12]}, 12 MB in 3 files."
    assert "Use it with `augmentlm expand --model eve/hers`." in last and f"models pull {MODEL.base}" in last
    assert main(["expand", "Name a bird.", "--model", "eve/hers"], pool=ScriptedPool(ScriptedEngine(novel()))) == 0


def test_what_was_pulled_is_listed_verified_and_removed(hub, home, capsys) -> None:
    hers(hub)
    hub.put("eve/whole", {"config.json": b"{}", "model.safetensors": bytes(1000)})
    for name in ("eve/hers", "eve/whole"):
        assert main(["models", "pull", name]) == 0
    capsys.readouterr()
    assert main(["models"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "refine, expand, pair" in rows["eve/hers"] and "only its files" in rows["eve/whole"]

    assert main(["models", "verify", "eve/hers"]) == 0
    (home / "weights" / "eve--hers" / "adapter_model.safetensors").write_bytes(b"x")
    assert main(["models", "verify", "eve/hers"]) == 1
    assert "eve/hers: right" in capsys.readouterr().out

    moved = hub.repo("eve/whole")
    newer = {"config.json": b"{}", "model.safetensors": bytes(2000)}
    moved.commits.append(type(moved.head)(oid_of("newer", newer), "newer", newer))
    assert main(["models", "remove", "eve/whole"]) == 0
    assert "Freed" in capsys.readouterr().out
    assert main(["models", "remove", "eve/whole"]) == 0
    assert main(["models", "pull", "eve/whole"]) == 0
    assert (home / "weights" / "eve--whole" / "model.safetensors").stat().st_size == 2000


def test_a_new_name_of_a_repository_is_told(hub, home, capsys) -> None:
    hers(hub)
    hub.repos["model", "eve/ours"] = hub.repos.pop(("model", "eve/hers"))
    hub.repo("eve/ours").id = "eve/ours"
    hub.renamed["eve/hers"] = "eve/ours"
    assert main(["models", "pull", "eve/hers"]) == 0
    assert "eve/hers is now called eve/ours." in capsys.readouterr().err


@pytest.mark.real
@pytest.mark.parametrize("model", OURS, ids=lambda model: model.name)
def test_a_pulled_adapter_writes_the_same_greedy_text_as_the_shipped_one(hub, monkeypatch, tmp_path, model) -> None:
    base = weights.fetch_model(model)
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    place = tmp_path / "home" / "weights" / model.artifact.name
    place.mkdir(parents=True)
    (place / base.name).hardlink_to(base)
    publish(bundles.release("model", model.name))
    task = model.tasks[0]
    value = list(blocks.PAIRS) if task == "pair" else blocks.EXAMPLES[task]
    greedy = {"temperature": 0.0, "max_tokens": 40, "seed": 1}
    texts = [load(task, name)(value, **greedy).text for name in (model.name, f"ada/{model.name}")]
    assert texts[0] == texts[1] and len(texts[0].split()) > 3
