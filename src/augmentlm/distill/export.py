"""A trained adapter as it is published: fp16 safetensors and a clean configuration; merged into its base on request."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from augmentlm.catalog import Model
from augmentlm.drafts import draft_of, write_text
from augmentlm.errors import InputError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"

_TRAINING_ONLY = ("revision", "auto_mapping", "runtime_config", "ensure_weight_tying")
"""What PEFT notes about the process that trained, and nobody who loads the adapter needs."""


def base_repository(base: Model) -> str:
    """The hub id of a base as safetensors. Qwen publishes GGUF files in a repository of the same name and `-GGUF`."""
    return base.artifact.hub.repo.removesuffix("-GGUF")


def export_adapter(
    trained: Path, base: Model, folder: Path, strength: float = 1, begun_from: Path | None = None
) -> Path:
    """Write the adapter that `train` left in `trained` to `folder`, in PEFT form; return `folder`.

    Weights become fp16, which torch, numpy and GGUF all read, at half the size of the fp32 that was trained. The
    configuration names the base by its hub id and holds no path of the machine that trained. `strength` is how much
    of the change to the base is kept, or of that to the adapter in `begun_from`, on which it was taught on. Between
    where it began (0) and what was trained (1) may lie a model that has the task and has forgotten less (weight-space
    interpolation, arXiv 2109.01903); beyond, one that has learnt its preferences better (arXiv 2404.16792). Raises
    `InputError` when there is no adapter, a number in it does not fit fp16, or the two are of different shapes, and
    for a strength that is not above 0.
    """
    import numpy as np
    from safetensors.numpy import save_file

    if not 0 < strength < math.inf:
        raise InputError(f"An adapter has no strength of {strength:g}.", hint="Give one above 0, such as 0.5 or 1.5.")
    config = _config(trained)
    tensors = _tensors(trained)
    if begun_from:
        if _config(begun_from).get("lora_alpha") != config.get("lora_alpha"):
            raise InputError(f"{trained} was not begun from {begun_from}: another alpha.", hint="Name its --begin.")
        tensors = _between(_tensors(begun_from), tensors, strength, f"{trained} was not begun from {begun_from}")
    else:  # the change to the base is the product of both matrices, so one is scaled
        share = np.float32(strength)
        tensors = {name: tensor * share if ".lora_B." in name else tensor for name, tensor in tensors.items()}
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        halves = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    broken = [name for name, tensor in halves.items() if not np.isfinite(tensor).all()]
    if broken:
        raise InputError(f"{broken[0]} in {trained} holds numbers beyond fp16.", hint="Train with a lower rate.")
    clean = {name: value for name, value in sorted(config.items()) if name not in _TRAINING_ONLY}
    clean |= {"base_model_name_or_path": base_repository(base), "inference_mode": True}
    folder.mkdir(parents=True, exist_ok=True)
    with draft_of(folder / WEIGHTS) as draft:
        save_file(halves, draft, metadata={"format": "pt"})
    write_text(folder / CONFIG, json.dumps(clean, indent=2) + "\n")
    return folder


def merge(base: Path, adapter: Path, folder: Path) -> Path:
    """Write the base with the adapter added to its weights: a plain bf16 model folder that needs no PEFT."""
    import torch
    from peft import PeftModel
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _config(adapter)
    try:
        # Added in fp32 and rounded once.
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, use_safetensors=True)
        merged: Any = PeftModel.from_pretrained(model, adapter).merge_and_unload(safe_merge=True)
        merged.to(torch.bfloat16).save_pretrained(folder)
        AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{adapter} can't be merged into {base}: {error}") from error
    return folder


def _tensors(adapter: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(adapter / WEIGHTS)
    except (OSError, ValueError, TypeError, AttributeError, SafetensorError) as error:  # numpy has no bf16
        raise InputError(f"The adapter in {adapter} can't be read: {error}.", hint="Train it again.") from error


def _between(first: dict[str, Any], second: dict[str, Any], share: float, otherwise: str) -> dict[str, Any]:
    """From the numbers of one adapter that share of the way to those of another. Raises `InputError`, beginning with
    `otherwise`, when their shapes differ."""
    import numpy as np

    if {name: each.shape for name, each in first.items()} != {name: each.shape for name, each in second.items()}:
        raise InputError(f"{otherwise}: their matrices differ.", hint="Name the folder that --begin had.")
    wide = {name: each.astype(np.float32) for name, each in first.items()}
    return {name: each + np.float32(share) * (second[name] - each) for name, each in wide.items()}


def _config(adapter: Path) -> dict[str, Any]:
    try:
        return json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"There is no adapter in {adapter}.", hint="Give the folder that `train` wrote.") from error
