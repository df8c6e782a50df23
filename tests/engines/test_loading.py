"""From plans to engines, on a tiny model: the backend asked for, with the adapters of all models on its base."""

import threading
from dataclasses import replace
from functools import partial

import pytest

from augmentlm import catalog
from augmentlm.catalog import Adapter, Sampling
from augmentlm.engines.base import Request
from augmentlm.engines.loading import load
from augmentlm.errors import EngineError
from augmentlm.machine import Plan
from augmentlm.tasks import Message
from tiny_models import write_adapter, write_gguf

ENGINES = {"llamacpp": "LlamaCppEngine", "transformers": "TransformersEngine"}


def unheard(*told) -> None:
    """Nobody listens."""


def note(told: list[tuple], *what) -> None:
    told.append(what)


@pytest.fixture
def tiny(tiny_base, tmp_path, monkeypatch):
    """A catalog of three models: two with adapters on one tiny GGUF file, and one on another."""
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(catalog, "cards_folder", lambda: tmp_path / "cards")
    embedded = catalog.model("augmentlm-0.5b-refine")
    chat = replace(embedded.chat, stop_ids=(319,))  # what the tiny GGUF file calls its end of text
    base = replace(embedded, artifact=replace(embedded.artifact, name="tiny"), chat=chat)
    models = {}
    for seed, name in ((0, "tiny-refine"), (2, "tiny-expand")):  # seeds that write characters, not halves of them
        write_adapter(tiny_base, tmp_path / "cards" / name, seed)
        models[name] = replace(base, name=name, adapter=Adapter(folder=name))
    models["elsewhere"] = replace(embedded, name="elsewhere", adapter=Adapter(folder="missing"))
    monkeypatch.setattr(catalog, "models", lambda: models)
    return models["tiny-refine"], write_gguf(tiny_base, tmp_path / "tiny.gguf")


def test_each_backend_gets_the_adapters_of_all_models_on_the_base_and_writes_the_same_with_them(tiny):
    model, file = tiny
    texts: dict[str, dict[str | None, str]] = {}
    for engine, kind in ENGINES.items():
        told: list[tuple] = []
        loaded = load(Plan(model, engine, "fp32", "cpu", 0, ""), file, partial(note, told), threading.Event())
        try:
            assert type(loaded).__name__ == kind
            assert {work for *_, work in told} == ({"convert"} if engine == "transformers" else set())
            texts[engine] = {name: write(loaded, name) for name in (None, "tiny-refine", "tiny-expand")}
            with pytest.raises(EngineError, match="elsewhere is not loaded"):
                write(loaded, "elsewhere")
        finally:
            loaded.close()
    assert texts["llamacpp"] == texts["transformers"]
    assert len(set(texts["llamacpp"].values())) == 3


def test_the_batch_engine_gets_the_same_file_converted_and_the_same_adapters(tiny):
    model, file = tiny
    loaded = load(Plan(model, "batch", "int8", "cpu", 0, ""), file, unheard, threading.Event())
    assert type(loaded).__name__ == "BatchEngine"
    assert len({write(loaded, name) for name in (None, "tiny-refine", "tiny-expand")}) == 3
    loaded.close()


def write(engine, adapter: str | None) -> str:
    request = Request((Message("user", "Hi"),), Sampling(temperature=0.0, max_tokens=6), adapter)
    *_, completion = engine.stream(request, threading.Event())
    return completion.text


def test_a_model_that_does_not_write_is_refused():
    embedder = catalog.model("all-minilm-l6-v2")
    with pytest.raises(EngineError, match="doesn't write text"):
        load(Plan(embedder, "transformers", "fp32", "cpu", 0, ""), None, unheard, threading.Event())
