"""From a plan and its weights to an engine. Each backend is imported when a plan asks for it."""

from __future__ import annotations

import threading
from pathlib import Path

from augmentlm import catalog
from augmentlm.engines.base import Engine
from augmentlm.errors import EngineError
from augmentlm.machine import LLAMACPP_SLOTS, Plan
from augmentlm.weights import Progress


def load(
    plan: Plan, weights: Path, progress: Progress, stop: threading.Event, *, slots: int = LLAMACPP_SLOTS
) -> Engine:
    """The engine of a plan, with the adapters of all catalog models on its base, or the one that was pulled.

    `weights` is what was fetched. A GGUF file that is to run on torch is first converted, once: `progress` hears of
    that, and `stop` ends it with `StoppedError`. With llama.cpp `slots` rows are worked on at once. Raises
    `EngineError` when the weights can't be loaded.
    """
    chat = plan.model.chat
    if chat is None:
        raise EngineError(f"{plan.model.title} doesn't write text.")
    those = [plan.model] if plan.model.family == "pulled" else catalog.models().values()
    folders = {
        model.name: model.adapter.path for model in those if model.adapter and model.artifact == plan.model.artifact
    }
    if plan.engine == "llamacpp":
        from augmentlm.engines.adapters import as_gguf
        from augmentlm.engines.llamacpp import LlamaCppEngine

        files = {name: as_gguf(folder) for name, folder in folders.items()}
        return LlamaCppEngine(weights, chat, slots=slots, adapters=files)

    if plan.model.artifact.format == "gguf":
        from augmentlm.engines.convert import dequantise

        weights = dequantise(weights, progress=progress, stop=stop)
    if plan.engine == "batch":
        from augmentlm.engines.batched import BatchEngine

        return BatchEngine(weights, chat, adapters=folders)
    from augmentlm.engines.transformers import TransformersEngine

    return TransformersEngine(weights, chat, quantization=plan.quantization, device=plan.device, adapters=folders)
