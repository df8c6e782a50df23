"""The engine on torch: transformers, with bitsandbytes for NF4 and INT8 and PEFT for adapters.

Importing this module imports torch; everything above imports it only when a plan asks for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from augmentlm.catalog import Chat
from augmentlm.engines import torch_model
from augmentlm.engines.base import Completion, Finish, Request
from augmentlm.engines.decoding import Row, decode
from augmentlm.engines.prepared import Preparation, Prepared
from augmentlm.engines.tokens import ChatTokenizer
from augmentlm.engines.turns import Turns
from augmentlm.errors import EngineError

MAX_ROWS = {"cpu": 32, "cuda": 64}
"""Rows of a batch. On two cores 32 rows give nine tenths of the speed of 128."""

CACHE_SHARE = 0.6
"""Of the memory that is free when a batch is made, what its attention cache may grow to. The rest is for activations
and for the copy made when the cache grows."""


class TransformersEngine:
    """A folder of safetensors, loaded once in one quantization, with any number of LoRA adapters on it.

    `quantization` is bf16, fp16, fp32, int8 (CUDA only) or nf4, `device` "cpu" or "cuda" (the GPU with most free
    memory). `adapters` maps catalog names to PEFT folders. Callers take turns step by step, in the order of asking,
    so two people at once both see their text grow, at half the speed.

    A row's random numbers depend on its seed alone. The same requests in the same order, with seeds, give the same
    text again on the same machine; in another batch, rounding may tip a choice between two nearly equal tokens.

    Raises `EngineError` when the folder is incomplete or damaged, or memory runs out, and `InputError` for a text that
    is longer than the model reads.
    """

    def __init__(
        self,
        folder: Path,
        chat: Chat,
        *,
        quantization: str,
        device: str,
        adapters: Mapping[str, Path] | None = None,
    ) -> None:
        self._chat = chat
        self._device = torch_model.choose_device(device)
        self._most_rows = MAX_ROWS[device]
        self._turns = Turns()
        self._tokenizer = ChatTokenizer(folder, chat)
        self._model: Any = torch_model.load_model(folder, quantization, self._device)
        self._config = self._model.config
        self._bytes_of_token = _bytes_of_token(self._config, torch_model.compute_type(quantization, self._device))
        # PEFT names become names of torch modules, which can't hold the dots of a catalog name.
        self._adapters = {name: f"adapter_{number}" for number, name in enumerate(adapters or {})}
        self._preparation = Preparation(self._tokenizer, self._config.max_position_embeddings, self._adapters)
        self._active: str | None = None
        if adapters:
            folders = {self._adapters[name]: folder for name, folder in adapters.items()}
            self._model = torch_model.add_adapters(self._model, folders)

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        """Pieces of text as they are made; the last item is the `Completion`."""
        row = self._preparation.one(0, request).row(self._tokenizer)
        for _, piece, finish in self._decode([row], request.adapter, stop):
            if piece:
                yield piece
            if finish:
                yield row.completion(finish)

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        """Rows as they finish: batches of one adapter and of like length, halved when memory runs out.

        A row that can't be worked on doesn't keep the others: its error is raised at the end.
        """
        prepared, failure = self._preparation.all(requests)
        queue = deque(sorted(prepared, key=lambda each: (each.request.adapter or "", len(each.prompt))))
        most = self._most_rows
        while queue:
            batch = self._take(queue, most)
            unfinished = {each.index: each for each in batch}
            try:
                rows = [each.row(self._tokenizer) for each in batch]
                for row, _, finish in self._decode(rows, batch[0].request.adapter, stop):
                    if finish:
                        del unfinished[row.index]
                        yield row.index, row.completion(finish)
            except EngineError as error:
                if not torch_model.is_out_of_memory(error.__cause__) or len(unfinished) == 1:
                    raise
                most = len(unfinished) // 2
                queue.extendleft(reversed(unfinished.values()))
            if unfinished:
                # Outside of the handler, where the error no longer holds the tensors of the batch.
                torch_model.release()
        if failure:
            raise failure

    def close(self) -> None:
        """Free the weights. Work in other threads ends with an `EngineError` at its next step."""
        with self._turns:
            self._model = None
        torch_model.release()

    def _take(self, queue: deque[Prepared], most: int) -> list[Prepared]:
        """The next batch off the queue: one adapter, at most `most` rows, and a cache that fits free memory."""
        budget = CACHE_SHARE * torch_model.free_bytes(self._device) / self._bytes_of_token
        batch: list[Prepared] = []
        longest = 0
        while queue and len(batch) < most and (not batch or queue[0].request.adapter == batch[0].request.adapter):
            longest = max(longest, queue[0].most_tokens)
            if batch and longest * (len(batch) + 1) > budget:
                break
            batch.append(queue.popleft())
        return batch

    def _decode(
        self, rows: list[Row], adapter: str | None, stop: threading.Event
    ) -> Generator[tuple[Row, str, Finish | None], None, None]:
        cache = DynamicCache(config=self._config)

        def forward(ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
            with self._turns, torch.inference_mode():
                if self._model is None:
                    raise EngineError("The model was unloaded.", hint="Start again.", retryable=True)
                self._switch_to(adapter)
                return self._model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                ).logits[:, -1]

        try:
            yield from decode(forward, cache, rows, self._chat.stop_ids, stop, self._device)
        except RuntimeError as error:
            raise torch_model.stopped_working(error, self._device) from error

    def _switch_to(self, adapter: str | None) -> None:
        """Apply one adapter or none. Only who has the turn may switch."""
        if adapter == self._active:
            return
        layers = self._model.base_model
        if adapter is None:
            layers.disable_adapter_layers()
        else:
            layers.set_adapter(self._adapters[adapter], inference_mode=True)
            if self._active is None:
                layers.enable_adapter_layers()
        self._active = adapter


def _bytes_of_token(config: Any, dtype: torch.dtype) -> int:
    """What one token takes in the attention cache: keys and values of every layer."""
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers * config.num_key_value_heads * head_size * 2 * dtype.itemsize
