"""LoRA adapters for llama.cpp, made from the PEFT folders that are shipped and trained. No torch needed."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augmentlm import weights
from augmentlm.errors import EngineError
from augmentlm.weights.disk import digest, explained, settle

if TYPE_CHECKING:
    import numpy as np

ARCHITECTURE = "qwen2"
"""Of every base in the catalog. Its attention weights lie in a GGUF file as they do in PyTorch, without permutation."""

UNSUPPORTED = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save")
"""Settings of PEFT that llama.cpp has nothing for."""

_NAME = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight")


def as_gguf(folder: Path) -> Path:
    """The GGUF file of a PEFT LoRA folder: converted once, then taken from the cache.

    `folder` holds `adapter_config.json` and `adapter_model.safetensors` in fp16 or fp32, for all layers or some.
    Several processes may ask at once. Raises `EngineError` when the folder is incomplete, damaged or of a kind that
    llama.cpp can't apply, and `WeightsError` when the cache can't be written.
    """
    config_file, tensors_file = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    for file in (config_file, tensors_file):
        if not file.is_file():
            raise EngineError(f"There is no {file.name} in {folder}.", hint="Get the adapter again.")
    try:
        config_text = config_file.read_bytes()
        config = json.loads(config_text)
        name = digest(tensors_file, threading.Event(), prefix=config_text)
    except (OSError, ValueError) as error:
        raise EngineError(f"{config_file} can't be read: {error}.", hint="Get the adapter again.") from error
    target = weights.home() / "adapters" / f"{name}.gguf"
    if target.is_file():
        return target
    tensors = _read(tensors_file, config)
    with explained(target.parent, lambda: tensors_file.stat().st_size):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{name}.{secrets.token_hex(4)}.part")
        try:
            _write(partial, tensors, float(config["lora_alpha"]))
            settle(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    return target


def _read(file: Path, config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Tensors by llama.cpp's names: A (rank × inputs) ends in `.lora_a`, B (outputs × rank) in `.lora_b`."""
    import gguf
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    wrong = [name for name in UNSUPPORTED if config.get(name)]
    if wrong or config.get("peft_type") != "LORA" or "lora_alpha" not in config:
        what = ", ".join(wrong) or "no plain LoRA"
        raise EngineError(f"llama.cpp can't apply the adapter in {file.parent}: {what}.", hint="Use transformers.")
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError, TypeError, AttributeError, KeyError) as error:  # numpy has no bf16
        raise EngineError(
            f"{file} can't be read: {error!r}.", hint="It has to be a whole file in fp16 or fp32."
        ) from error
    layers = 1 + max((int(number) for name in tensors for number in re.findall(r"\.layers\.(\d+)\.", name)), default=0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, layers)
    found: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        module = names.get_name(match["module"]) if match else None
        if match is None or module is None:
            raise EngineError(f"llama.cpp can't apply the adapter in {file.parent}: it holds {name}.")
        found[f"{module}.weight.lora_{match['half'].lower()}"] = tensor
    return found


def _write(file: Path, tensors: Mapping[str, np.ndarray], alpha: float) -> None:
    import gguf

    writer = gguf.GGUFWriter(file, ARCHITECTURE)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
