"""The adapter that is trained: a new LoRA on the upper layers, or one that was trained before and is taught on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model

from augmentlm.distill.recipe import Recipe
from augmentlm.errors import InputError


def put_lora(model: Any, recipe: Recipe, begin: Path | None) -> Any:
    """The base with the adapter in `begin`, or without one with a new LoRA of the recipe's shape, ready to train.

    What is trained stands in fp32, whatever the files hold. Raises `InputError` for a folder without an adapter, and
    for one of another shape than the recipe's.
    """
    shape = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=_linear_names(model),
        layers_to_transform=_upper(model, recipe.layers),
        task_type="CAUSAL_LM",
    )
    if begin is None:
        return get_peft_model(model, shape)
    try:
        found = PeftConfig.from_pretrained(str(begin))
        changed = [
            key
            for key in ("peft_type", "r", "lora_alpha", "layers_to_transform")
            if getattr(found, key, None) != getattr(shape, key)
        ]
        if changed:
            raise InputError(
                f"The adapter in {begin} and the recipe differ in {', '.join(changed)}.",
                hint="Give the recipe the rank, alpha and layers of its adapter_config.json.",
            )
        return PeftModel.from_pretrained(model, begin, is_trainable=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"There is no adapter to go on from in {begin}: {error}", hint="Give the folder that `train` wrote."
        ) from error


def _upper(model: Any, layers: int) -> list[int]:
    depth = model.config.num_hidden_layers
    return list(range(depth - min(layers, depth), depth))


def _linear_names(model: Any) -> list[str]:
    """The linear modules of a layer: `q_proj`, `up_proj` …; PEFT's "all-linear" can't be held to some layers."""
    layer = model.get_decoder().layers[0]
    return sorted(
        {name.rpartition(".")[2] for name, part in layer.named_modules() if isinstance(part, torch.nn.Linear)}
    )
