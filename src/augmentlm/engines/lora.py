"""A PEFT LoRA folder merged into the weights it changes. Importing this module imports torch."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from augmentlm.engines.adapters import UNSUPPORTED
from augmentlm.errors import EngineError

_AGAIN = "Get the adapter again."


class LoraFolder:
    """The tensors of an adapter. Raises `EngineError` when the folder is incomplete, damaged or no plain LoRA."""

    def __init__(self, folder: Path) -> None:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            if not (folder / name).is_file():
                raise EngineError(f"There is no {name} in {folder}.", hint=_AGAIN)
        try:
            config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
            self._tensors = load_file(folder / "adapter_model.safetensors")
            wrong = [name for name in UNSUPPORTED if config.get(name)]
            if wrong or config.get("peft_type") != "LORA":
                raise EngineError(f"The adapter in {folder} can't be merged: {', '.join(wrong) or 'no plain LoRA'}.")
            self._scale = config["lora_alpha"] / config["r"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise EngineError(f"The adapter in {folder} can't be read: {error!r}.", hint=_AGAIN) from error

    def changes(self, part: str) -> bool:
        """Whether there is a tensor for a module inside of `part`, such as a layer."""
        return any(name.startswith(f"base_model.model.{part}.") for name in self._tensors)

    def merge(self, module: str, weight: torch.Tensor) -> torch.Tensor:
        """The weight (outputs, inputs) with this adapter's change of that module, in place. Takes its tensors out."""
        down = self._tensors.pop(f"base_model.model.{module}.lora_A.weight", None)
        up = self._tensors.pop(f"base_model.model.{module}.lora_B.weight", None)
        if down is None or up is None:
            return weight
        if (len(up), down.shape[1]) != tuple(weight.shape):
            raise ValueError(f"the adapter has another shape at {module}")
        return weight.addmm_(up.float(), down.float(), alpha=self._scale)

    def unused(self) -> str | None:
        """A tensor that belongs to none of the modules asked about."""
        return min(self._tensors, default=None)
