"""Every command and program on every card is run: ours on the real weights, the large ones on a tiny model instead."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from augmentlm import catalog, weights
from augmentlm.cli import main
from augmentlm.engines.pool import EnginePool
from augmentlm.hub import blocks, cards
from augmentlm.machine import Machine

ROOT = Path(__file__).parents[2]
OURS = [model for model in catalog.models().values() if model.adapter]
PUBLISHED = [model for model in catalog.models().values() if model.family.startswith("hub-")]
NEW_TOKENS = 24


def fenced(model, language: str) -> list[str]:
    text = cards.path(model).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(model) -> list[str]:
    return [line for block in fenced(model, "bash") for line in block.splitlines() if line.startswith("augmentlm ")]


@pytest.fixture
def shorter(monkeypatch, tmp_path):
    """The programs as they stand, but they stop sooner; and the file that a command reads."""
    from transformers import GenerationMixin

    generate = GenerationMixin.generate
    monkeypatch.setattr(
        GenerationMixin, "generate", lambda self, **how: generate(self, **{**how, "max_new_tokens": NEW_TOKENS})
    )
    monkeypatch.chdir(tmp_path)
    rows = [{"instruction": pair.instruction, "response": pair.response} for pair in blocks.PAIRS]
    (tmp_path / "examples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.fixture(scope="module")
def downloads(tmp_path_factory) -> str:
    """One cache for the module: the base is a gigabyte."""
    return str(tmp_path_factory.mktemp("hf") / "hub")


@pytest.fixture
def filled(hub, downloads, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", downloads)
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", downloads)
    monkeypatch.delenv("HF_TOKEN")
    return hub


def folder_files(folder: Path) -> dict[str, Path]:
    return {file.name: file for file in folder.iterdir() if file.is_file()}


def run(program: str, model, capsys) -> str:
    capsys.readouterr()
    exec(compile(program, f"{model.name}/README.md", "exec"), {"__name__": "card"})
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("model", [*OURS, *PUBLISHED], ids=lambda model: model.name)
def test_every_card_has_a_command_and_two_programs_and_installs_what_there_is(model):
    assert len(fenced(model, "python")) == 2 and len(commands(model)) >= 1
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for block in fenced(model, "bash"):
        for line in block.splitlines():
            found = re.fullmatch(r'pip install -e (?:\.|"\.\[(\w+)\]")', line)
            assert line.startswith("augmentlm ") or (found and (found[1] is None or found[1] in extras))


@pytest.mark.real
@pytest.mark.parametrize("model", OURS, ids=lambda model: model.name)
def test_our_commands_and_programs_run_on_the_real_weights(model, filled, shorter, capsys):
    from augmentlm.engines.convert import dequantise

    base = dequantise(weights.fetch_model(model))
    filled.put(model.parent, folder_files(base))
    filled.put(f"{catalog.project().owner}/{model.name}", folder_files(cards.path(model).parent))
    for command in commands(model):
        assert main(shlex.split(command)[1:]) == 0
        assert len(capsys.readouterr().out.split()) > 2
    ours, alone = fenced(model, "python")
    whole = run(ours, model, capsys)
    start = run(alone, model, capsys)
    assert len(whole.split()) > 2 and len(start.split()) > 2
    first_of_base = next(each for each in OURS if each.parent == model.parent)
    assert filled.times(f"GET /{model.parent}/resolve/.*/model.safetensors") == (model is first_of_base)


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda model: model.name)
def test_commands_and_programs_of_the_published_run_on_a_tiny_model(
    model, filled, shorter, tiny_base, tmp_path, monkeypatch, capsys
):
    filled.put(model.artifact.hub.repo, folder_files(tiny_base))
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    large = Machine(128 * 2**30, 120 * 2**30, 500 * 2**30, 8, frozenset(), ())
    pool = EnginePool(free_bytes=lambda device: 2**40)
    monkeypatch.setattr("augmentlm.augmenter.inspect", lambda: large)
    monkeypatch.setattr("augmentlm.augmenter.default_pool", lambda: pool)
    try:
        for command in commands(model):
            # Random weights need not write anything usable; they do have to be found, loaded and run.
            short = [*shlex.split(command)[1:], "--max-tokens", str(NEW_TOKENS)]
            assert main(short, pool=pool) in (0, 1)
            assert "Traceback" not in capsys.readouterr().err
        ours, alone = fenced(model, "python")
        run(ours, model, capsys)
        run(alone, model, capsys)
    finally:
        pool.close()
    weights_file = f"GET /{model.artifact.hub.repo}/resolve/.*/model.safetensors"
    assert filled.times(weights_file) == 2  # once into our cache, once into that of transformers
