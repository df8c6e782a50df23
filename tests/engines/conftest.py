"""The real 0.5B on llama.cpp, loaded once for all tests with two random adapters that are loud enough to show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from augmentlm import catalog
from augmentlm.weights import fetch_model

EMBEDDED = catalog.model("augmentlm-0.5b-refine")
HIDDEN, FEED_FORWARD = 896, 4864


@pytest.fixture(scope="session")
def real_gguf() -> Path:
    return fetch_model(EMBEDDED)


@pytest.fixture(scope="session")
def random_adapters(tmp_path_factory) -> dict[str, Path]:
    """PEFT folders by name, each a LoRA on the last two of 24 layers."""
    import numpy as np
    from safetensors.numpy import save_file

    folders = {}
    for seed, name in enumerate(("loud", "louder")):
        random = np.random.default_rng(seed)
        shapes = {"self_attn.q_proj": (HIDDEN, HIDDEN), "mlp.down_proj": (FEED_FORWARD, HIDDEN)}
        tensors = {}
        for layer in (22, 23):
            for module, (inputs, outputs) in shapes.items():
                path = f"base_model.model.model.layers.{layer}.{module}"
                tensors[f"{path}.lora_A.weight"] = random.normal(0, 0.05, (4, inputs)).astype(np.float16)
                tensors[f"{path}.lora_B.weight"] = random.normal(0, 0.05, (outputs, 4)).astype(np.float16)
        folder = folders[name] = tmp_path_factory.mktemp(name)
        save_file(tensors, folder / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "r": 4, "lora_alpha": 64}
        (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folders


@pytest.fixture(scope="session")
def llamacpp(real_gguf, random_adapters, tmp_path_factory):
    """The engine with both adapters. They are converted in a cache of the tests' own."""
    from augmentlm.engines.adapters import as_gguf
    from augmentlm.engines.llamacpp import LlamaCppEngine

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGMENTLM_HOME", str(tmp_path_factory.mktemp("home")))
        adapters = {name: as_gguf(folder) for name, folder in random_adapters.items()}
    engine = LlamaCppEngine(real_gguf, EMBEDDED.chat, adapters=adapters)
    yield engine
    engine.close()
